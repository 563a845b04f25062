"""BiGAN: its objective by hand, both kinds of encoders, and what pairs are judged by."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from variants import small

from gan_modules import BiGAN, InstanceNoise
from gan_modules.networks import BiGANDiscriminator, BiGANEncoder, MLPEncoder
from gan_modules.training.batches import Batch


class Sum(nn.Module):
    """The sum of an image and three times that of its latent."""

    def forward(self, images: Tensor, z: Tensor) -> Tensor:
        return images.flatten(1).sum(1) + 3 * z.sum(1)


class Repeat(nn.Module):
    """Image of a latent: its two numbers, each in two pixels."""

    def forward(self, z: Tensor) -> Tensor:
        return z.repeat(1, 2).reshape(-1, 1, 2, 2)


class Half(nn.Module):
    """Half of the first two pixels."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :2] / 2


def by_hand(**options: Any) -> Any:
    networks = {"generator": Repeat(), "discriminator": Sum(), "encoder": Half()}
    return BiGAN(image_shape=(1, 2, 2), latent_dim=2, **{**networks, **options})  # type: ignore[arg-type]


def test_objective_by_hand() -> None:
    model = by_hand()
    batch: Batch = torch.tensor([0.1, 0.2, 0.3, 0.4]).reshape(1, 1, 2, 2), None
    torch.manual_seed(0)
    d = model.discriminator_losses(batch)
    torch.manual_seed(0)
    g = model.generator_losses(batch)
    torch.manual_seed(0)
    z = model.sample_noise(1).sum().item()
    # an image of 1 in all, its code of 0.15; an image of twice its latent
    real, fake = 1 + 3 * 0.15, 2 * z + 3 * z
    log_d = lambda x: -math.log1p(math.exp(-x))  # noqa: E731
    assert_close(d, {"adversarial": torch.tensor(-log_d(real) - log_d(-fake))})
    assert_close(g, {"adversarial": torch.tensor(-log_d(-real) - log_d(fake))})


def test_a_gaussian_encoder_is_drawn_from() -> None:
    """ALI (arXiv:1606.00704): codes are ``mu + sigma * epsilon``."""

    class Gaussian(nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return images.flatten(1)[:, :2], torch.full((len(images), 2), math.log(0.25))

    model = by_hand(encoder=Gaussian())
    images = torch.rand(4, 1, 2, 2)
    torch.manual_seed(3)
    drawn = model.draw_codes(images)
    torch.manual_seed(3)
    assert_close(drawn, images.flatten(1)[:, :2] + 0.5 * torch.randn(4, 2))
    # the means alone encode
    assert_close(model.encode(images), images.flatten(1)[:, :2])
    real, _ = model.judge_both((images, None))
    assert not torch.equal(real, model.judge_both((images, None))[0])


def test_generator_and_encoder_are_one_player() -> None:
    model = small(BiGAN, image_shape=(1, 8, 8))
    first, _ = model.configure_optimizers()
    owned = {id(p) for group in first["optimizer"].param_groups for p in group["params"]}
    both = [*model.generator.parameters(), *model.encoder.parameters()]
    assert owned == {id(p) for p in both}
    model.generator_losses((torch.rand(4, 1, 8, 8), None))["adversarial"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.generator.parameters())
    encoder = [p.grad for p in model.encoder.parameters()]
    assert all(gradient is not None for gradient in encoder)
    settings = first["optimizer"].param_groups[0]
    assert (settings["lr"], settings["betas"], settings["weight_decay"]) == (
        2e-4, (0.5, 0.999), 2.5e-5,
    )  # fmt: skip


class Watching(InstanceNoise):
    """Images without noise, all black; what it was shown is kept."""

    def forward(self, images: Tensor) -> Tensor:
        self.shown = images
        return -torch.ones_like(images)

    def observe(self, real_logits: Tensor) -> None:
        self.observed = real_logits


def test_images_pass_through_the_gate_and_latents_do_not() -> None:
    gate = Watching()
    model = by_hand(augmentation=gate).train()
    images, z = torch.rand(3, 1, 2, 2), torch.rand(3, 2)
    assert_close(model.judge(images, z).logits, -4 + 3 * z.sum(1))
    assert_close(gate.shown, images)
    assert_close(model.eval().judge(images, z).logits, images.flatten(1).sum(1) + 3 * z.sum(1))
    # the encoder sees the image itself; the gate observes real pairs in the discriminator's turn
    model.train().terms_of("discriminator", (images, None))
    assert_close(gate.observed, -4 + 3 * images.flatten(1)[:, :2].sum(1) / 2)
    del gate.observed
    model.terms_of("generator", (images, None))
    assert not hasattr(gate, "observed")


def test_what_mixes_pairs_judges_the_two_kinds_apart() -> None:
    torch.manual_seed(0)
    model = small(
        BiGAN, image_shape=(1, 8, 8), discriminator=partial(BiGANDiscriminator, hidden=(8, 8))
    )
    seen: list[int] = []
    model.discriminator.register_forward_hook(lambda m, inputs, out: seen.append(len(inputs[0])))
    model.judge_both((torch.rand(4, 1, 8, 8), None))
    assert seen == [4, 4]
    apart = small(BiGAN, image_shape=(1, 8, 8))
    apart.discriminator.register_forward_hook(lambda m, inputs, out: seen.append(len(inputs[0])))
    apart.judge_both((torch.rand(4, 1, 8, 8), None))
    assert seen == [4, 4, 8]


def test_networks_by_hand() -> None:
    encoder = BiGANEncoder((1, 2, 2), 3, hidden=(5,), gaussian=True)
    images = torch.randn(2, 1, 2, 2)
    first, last = encoder.layers[1], encoder.layers[3]
    outputs = last(F.leaky_relu(first(images.flatten(1)), 0.2))
    assert_close(encoder(images), (outputs[:, :3], outputs[:, 3:]))
    plain = MLPEncoder((1, 2, 2), 3, hidden=(5,), gaussian=False)
    assert plain(images).shape == (2, 3)
    judge = BiGANDiscriminator((1, 2, 2), 3, num_classes=2, hidden=(5,))
    pair = torch.cat([images.flatten(1), torch.ones(2, 3), torch.eye(2)], dim=1)
    expected = judge.layers[2](F.leaky_relu(judge.layers[0](pair), 0.2)).squeeze(1)
    assert_close(judge(images, torch.ones(2, 3), torch.arange(2)), expected)
    norms = [m for m in BiGANDiscriminator((1, 2, 2), 3).layers if isinstance(m, nn.BatchNorm1d)]
    assert len(norms) == 1


def test_an_encoder_that_does_not_fit_is_said(make_trainer: Any, make_loader: Any) -> None:
    class Wide(nn.Module):
        def __init__(self, image_shape: Any, latent_dim: int) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, latent_dim + 1))

        def forward(self, images: Tensor) -> Tensor:
            codes: Tensor = self.layers(images)
            return codes

    model = small(BiGAN, image_shape=(1, 8, 8), encoder=Wide)
    with pytest.raises(ValueError, match=r"encoder gives \(4, 17\) for 4 images, not codes of sh"):
        make_trainer(max_steps=1).fit(model, make_loader(4))


def test_codes_are_normalised_by_hand() -> None:
    encoder = BiGANEncoder((1,), 1, hidden=(), code_std=0.5)
    images = torch.tensor([[1.0], [3.0]])
    with torch.no_grad():
        encoder.layers[1].weight.fill_(7.0)
    # whatever the scale: minus and plus one standard deviation
    assert_close(encoder(images), torch.tensor([[-0.5], [0.5]]))
    # a running mean of 0.1 * 14 + bias, a variance of 0.9 + 0.1 * 98
    bias, norm = encoder.layers[1].bias, encoder.layers[2]
    assert_close(norm.running_mean, 1.4 + 0.1 * bias.detach())
    expected = 0.5 * (7 * images + bias - norm.running_mean) / (0.9 + 9.8) ** 0.5
    assert_close(encoder.eval()(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"code_std": 0.0}, "code_std=0.0 must be positive and finite"),
        ({"code_std": 1.0, "gaussian": True}, "code_std=1.0 must be left out with gaussian=True"),
    ],
)
def test_codes_that_cannot_be_normalised(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        BiGANEncoder((1, 4, 4), 2, **options)
