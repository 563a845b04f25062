"""Ways for networks to be given classes, by configuration."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from gan_modules import ACGAN, DCGAN
from gan_modules.networks import (
    BigGANGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    MLPGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
    SNGANDiscriminator,
)
from gan_modules.networks.judgement import Judgement
from gan_modules.networks.layers.conditional_batch_norm import ConditionalBatchNorm2d
from gan_modules.networks.layers.conditioning import append_labels, embedded

DISCRIMINATORS = [DCGANDiscriminator, ResNetDiscriminator, SNGANDiscriminator]
GENERATORS = [DCGANGenerator, ResNetGenerator]
LABELS = torch.tensor([2, 0, 1, 1])


def judged(cls: Any, conditioning: str, num_classes: int = 3) -> tuple[Any, torch.Tensor]:
    """A discriminator in evaluation mode and images for it."""
    torch.manual_seed(0)
    network = cls((1, 16, 16), num_classes, width=4, conditioning=conditioning).eval()
    return network, torch.randn(4, 1, 16, 16)


@pytest.mark.parametrize("cls", DISCRIMINATORS)
def test_projection_is_added_to_what_the_last_layer_says(cls: Any, double: None) -> None:
    network, images = judged(cls, "projection")
    seen: list[torch.Tensor] = []
    last = network.linear if cls is SNGANDiscriminator else network.layers[-2]
    last.register_forward_hook(
        lambda _, given, out: seen.extend((given[0].flatten(1), out.flatten()))
    )
    logits = network(images, LABELS)
    phi, plain = seen
    columns = network.embedding.weight.T[LABELS]
    assert_close(logits, plain + torch.stack([c @ p for c, p in zip(columns, phi, strict=True)]))


@pytest.mark.parametrize("cls", DISCRIMINATORS)
def test_auxiliary_classifier_reads_the_same_features(cls: Any, double: None) -> None:
    network, images = judged(cls, "ac")
    seen: list[torch.Tensor] = []
    network.classifier.register_forward_hook(lambda _, given, out: seen.append(given[0]))
    found = network(images)
    assert isinstance(found, Judgement)
    weight, bias = network.classifier.weight, network.classifier.bias
    assert_close(found.classes, seen[0] @ weight.T + bias)
    # labels are not used, and the logits are those of a network without classes
    again = network(images, LABELS)
    assert_close((again.logits, again.classes), (found.logits, found.classes), rtol=0, atol=0)
    plain, _ = judged(cls, "concat", 0)
    plain.load_state_dict(
        {k: v for k, v in network.state_dict().items() if not k.startswith("classifier")}
    )
    assert_close(plain.eval()(images), found.logits)


@pytest.mark.parametrize("cls", DISCRIMINATORS)
def test_labels_as_channels(cls: Any, double: None) -> None:
    network, images = judged(cls, "concat")
    planes = F.one_hot(LABELS, 3).double()[:, :, None, None].expand(-1, -1, 16, 16)
    plain = cls((4, 16, 16), width=4)
    plain.load_state_dict(network.state_dict())
    assert_close(network(images, LABELS), plain.eval()(torch.cat([images, planes], 1)))


@pytest.mark.parametrize("cls", DISCRIMINATORS)
def test_conditionings_are_checked(cls: Any) -> None:
    with pytest.raises(ValueError, match="conditioning='acgan' must be one of concat, projec"):
        cls((1, 16, 16), 3, conditioning="acgan")


@pytest.mark.parametrize("cls", GENERATORS)
def test_conditional_batch_norm_takes_the_place_of_labels(cls: Any, double: None) -> None:
    generator = cls((1, 16, 16), 5, 3, width=4, conditional_batch_norm=True)
    assert generator.layers[0].in_features == 5
    norms = [m for m in generator.modules() if isinstance(m, ConditionalBatchNorm2d)]
    # DCGAN's two hidden layers; two in each block of the residual network
    assert len(norms) == (2 if cls is DCGANGenerator else 4)
    z = torch.randn(4, 5)
    generator.eval()
    # all classes start alike
    before = generator(z, LABELS)
    assert_close(generator(z, LABELS.flip(0)), before, rtol=0, atol=0)
    with torch.no_grad():
        norms[-1].scale.weight[0].fill_(3.0)
    changed = (generator(z, LABELS) - before).abs().amax((1, 2, 3)) > 0
    assert changed.tolist() == [False, True, False, False]
    with pytest.raises(ValueError, match="num_classes=3 must be given labels"):
        generator(z)


@pytest.mark.parametrize("cls", GENERATORS)
def test_conditional_batch_norm_is_batch_norm(cls: Any) -> None:
    with pytest.raises(ValueError, match="norm='layer' must be 'batch' with conditional"):
        cls((1, 16, 16), 5, 3, norm="layer", conditional_batch_norm=True)
    generator = cls((1, 8, 8), 5, width=2, conditional_batch_norm=True)
    assert not any(isinstance(m, ConditionalBatchNorm2d) for m in generator.modules())


def test_they_go_into_models() -> None:
    options: dict[str, Any] = {"image_shape": (1, 8, 8), "latent_dim": 4, "num_classes": 3}
    batch = (torch.randn(3, 1, 8, 8), torch.arange(3))
    aux = ACGAN(
        generator=lambda **o: DCGANGenerator(**o, width=2, conditional_batch_norm=True),
        discriminator=lambda **o: DCGANDiscriminator(**o, width=2, conditioning="ac"), **options,
    )  # fmt: skip
    assert set(aux.discriminator_losses(batch)) == {"adversarial", "real_classes", "fake_classes"}
    projected = DCGAN(
        conditional=True, discriminator=lambda **o: DCGANDiscriminator(**o, width=2,
        conditioning="projection"), generator=lambda **o: DCGANGenerator(**o, width=2), **options,
    )  # fmt: skip
    assert isinstance(projected.discriminator.embedding, nn.Linear)
    assert set(projected.generator_losses(batch)) == {"adversarial"}


def test_mixtures_of_classes_mix_their_vectors() -> None:
    weights = torch.tensor([[0.0, 0.0, 1.0], [1.5, -1.0, 0.5]])
    expected = torch.tensor([[5.0, 6.0], [1.5 - 3.0 + 2.5, 3.0 - 4.0 + 3.0]])
    table = nn.Embedding.from_pretrained(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert_close(embedded(table, weights), expected)
    assert_close(embedded(table, torch.tensor([2])), expected[:1])
    assert_close(append_labels(torch.zeros(2, 1), weights, 3)[:, 1:], weights)
    norm = ConditionalBatchNorm2d(2, 3).eval()
    norm.scale, norm.shift = table, nn.Embedding.from_pretrained(table.weight / 2)
    x = torch.ones(2, 2, 1, 1)
    eps = norm.norm.eps
    found = norm(x, weights).flatten(1)
    assert_close(found, expected / (1 + eps) ** 0.5 + expected / 2)


@pytest.mark.parametrize("cls", [DCGANGenerator, ResNetGenerator, BigGANGenerator, MLPGenerator])
def test_a_mixture_of_one_class_is_that_class(cls: Any) -> None:
    options = {"hidden": (8,)} if cls is MLPGenerator else {"width": 4}
    network = cls((1, 16, 16), 8, 3, **options).eval()
    z = torch.randn(4, 8)
    assert_close(network(z, F.one_hot(LABELS, 3).float()), network(z, LABELS))
