"""Modes and divergences by hand; the networks and the models that are tried."""

import math
from collections.abc import Iterator

import pytest
import torch
from stacked_mnist import MODELS, SIZES, Judge, divergence, score_triples
from torch import Tensor, nn
from torch.testing import assert_close
from unrolled_networks import UnrolledDiscriminator, UnrolledGenerator


def test_modes_and_divergences() -> None:
    shares = torch.zeros(1000)
    shares[[7, 123]] = torch.tensor([0.25, 0.75])
    scores = score_triples(torch.tensor([7, 7, 123, 123]), shares)
    assert scores["modes"] == 2
    assert scores["kl_uniform"] == pytest.approx(math.log(500))
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert scores["kl_training"] == pytest.approx(expected)
    counts = torch.tensor([1, 3])
    assert divergence(counts, torch.tensor([0.25, 0.75])) == pytest.approx(0, abs=1e-7)
    assert divergence(counts, torch.tensor([0.0, 1.0])) == math.inf


class Brightness(nn.Module):
    """Says of an image filled with -1 + 0.2 n that it is an n."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        centres = torch.arange(10) / 5 - 1
        return images, -1000 * (images.mean((1, 2, 3))[:, None] - centres).square()


def test_channels_are_judged_one_by_one() -> None:
    images = torch.tensor([[4, 0, 7], [9, 9, 1]])[..., None, None].expand(2, 3, 28, 28) / 5 - 1
    judge = Judge(Brightness(), {}, torch.full((1000,), 1e-3))  # type: ignore[arg-type]

    def batches() -> Iterator[Tensor]:
        yield images
        yield images[:1]

    scores = judge.score(batches())
    assert scores["modes"] == 2
    counts = torch.zeros(1000)
    counts[407], counts[991] = 2, 1
    assert scores["kl_uniform"] == pytest.approx(divergence(counts, torch.full((1000,), 1e-3)))
    assert scores["classifier_is_sure"] == pytest.approx(1, abs=1e-3)


def test_the_networks_of_the_unrolled_gan() -> None:
    generator = UnrolledGenerator((3, 28, 28), 256)
    images = generator(torch.randn(4, 256))
    assert images.shape == (4, 3, 28, 28)
    assert [m.weight.shape[1] for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)] == [32, 16, 8]  # fmt: skip  # noqa: E501
    discriminator = UnrolledDiscriminator((6, 28, 28))
    assert discriminator(torch.cat([images, images], 1)).shape == (4,)
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [layer.weight.shape for layer in convolutions] == [(2, 6, 3, 3), (4, 2, 3, 3), (8, 4, 3, 3)]  # fmt: skip  # noqa: E501
    plain = UnrolledDiscriminator((3, 28, 28), norm="none").eval()
    assert_close(plain(images)[:2], plain(images[:2]))
    with pytest.raises(ValueError, match=r"image_shape=\(3, 32, 32\) must be of 28x28 pixels"):
        UnrolledGenerator((3, 32, 32), 2)


def test_models_differ_in_what_they_are_about() -> None:
    assert {*MODELS} == {*SIZES}
    for models in MODELS.values():
        generators = [dict(setup.model["init_args"]["generator"]) for setup in models.values()]
        assert all(generator == generators[0] for generator in generators)
