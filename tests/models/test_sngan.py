"""SNGAN: spectral normalisation, projection and conditional batch normalisation by formula."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from gan_modules import SNGAN
from gan_modules.networks import SNGANDiscriminator, SNGANGenerator
from gan_modules.networks.layers.conditional_batch_norm import ConditionalBatchNorm2d


def test_every_layer_has_norm_one_after_power_iterations() -> None:
    critic = SNGANDiscriminator((1, 8, 8), num_classes=3, width=4)
    images, labels = torch.randn(3, 1, 8, 8), torch.arange(3)
    for _ in range(200):
        critic(images, labels)
    critic.eval()
    layers = [m for m in critic.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    # three blocks with two layers each, the shortcut of the first, the output and the embedding
    assert len(layers) == 3 * 2 + 1 + 2
    for layer in layers:
        norm = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
        assert_close(norm, torch.tensor(1.0), rtol=1e-3, atol=0)


def test_the_projection_by_hand() -> None:
    critic = SNGANDiscriminator((1, 8, 8), num_classes=3, width=4, spectral_norm=False)
    images, labels = torch.randn(5, 1, 8, 8), torch.tensor([2, 0, 1, 1, 2])
    phi = F.relu(critic.blocks(images)).sum((2, 3))
    weight = critic.embedding.weight
    expected = [
        critic.linear.weight[0] @ phi[i] + critic.linear.bias[0] + weight[:, labels[i]] @ phi[i]
        for i in range(5)
    ]
    assert_close(critic(images, labels), torch.stack(expected))


def test_conditional_batch_norm_class_by_class() -> None:
    norm = ConditionalBatchNorm2d(2, 3)
    x, labels = torch.randn(6, 2, 4, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    plain = F.batch_norm(x, None, None, training=True)
    assert_close(norm(x, labels), plain)
    with torch.no_grad():
        norm.scale.weight.normal_()
        norm.shift.weight.normal_()
    out = norm(x, labels)
    for i, label in enumerate(labels):
        scale, shift = norm.scale.weight[label], norm.shift.weight[label]
        assert_close(out[i], scale[:, None, None] * plain[i] + shift[:, None, None])


def test_the_generator_has_the_larger_batch(make_trainer: Any, make_loader: Any) -> None:
    sizes: list[tuple[str, int]] = []

    class Noting(SNGAN):
        def discriminator_losses(self, batch: Any) -> Any:
            sizes.append(("d", len(batch[0])))
            return super().discriminator_losses(batch)

        def generator_losses(self, batch: Any) -> Any:
            sizes.append(("g", len(batch[0])))
            return super().generator_losses(batch)

    model = Noting(
        image_shape=(1, 8, 8),
        n_critic=3,
        generator=SNGANGenerator((1, 8, 8), 128, width=4),
        discriminator=SNGANDiscriminator((1, 8, 8), width=4),
    )
    make_trainer(max_steps=1).fit(model, make_loader(6))
    assert sizes == [("d", 2)] * 3 + [("g", 4)]


def test_the_objective_is_the_hinge_loss() -> None:
    model = SNGAN(image_shape=(1, 8, 8), discriminator=lambda **_: nn.Flatten(0))
    model.discriminate = lambda images, labels: images[:, 0, 0, 0]  # type: ignore[method-assign]
    real = torch.full((4, 1, 8, 8), 0.25)
    model.generate = lambda batch: torch.full((4, 1, 8, 8), -0.5)  # type: ignore[method-assign]
    d, g = (losses((real, None)) for losses in (model.discriminator_losses, model.generator_losses))
    assert_close(d["adversarial"], torch.tensor(0.75 + 0.5))
    assert_close(g["adversarial"], torch.tensor(0.5))


def test_initialisation_is_glorots_with_a_gain_in_the_blocks() -> None:
    critic = SNGANDiscriminator((3, 32, 32), num_classes=10, spectral_norm=False)
    generator = SNGANGenerator((3, 32, 32), 128, width=64)
    first, block = critic.blocks[0], generator.blocks[0]
    for layer, variance in (
        (first.conv1, 4 / (27 + 1152)),
        (first.conv2, 4 / (1152 + 1152)),
        (first.shortcut, 2 / (3 + 128)),
        (critic.embedding, 2 / (10 + 128)),
        (block.conv1, 4 / (576 + 576)),
        (block.conv2, 4 / (576 + 576)),
        (block.shortcut, 2 / (64 + 64)),
        (generator.linear, 2 / (128 + 1024)),
        (generator.conv, 2 / (576 + 27)),
    ):
        # uniform: the bound is sqrt(3) deviations, and hundreds of draws come close to it
        bound = (3 * variance) ** 0.5
        assert layer.weight.abs().max() <= bound * (1 + 1e-6)
        assert_close(layer.weight.abs().max().item(), bound, rtol=0.03, atol=0)
        assert layer.bias is None or layer.bias.abs().max() == 0
