"""Latent directions, by hand for linear generators."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_modules.tools.directions import image_metric, latent_directions, principal_directions


def test_the_metric_of_a_linear_generator_is_its_square() -> None:
    # G(z) = (3 z1, 4 z2, 4 z1) + 7: A^T A = [[9 + 16, 0], [0, 16]], and the 7 is of no account
    weight = torch.tensor([[3.0, 0.0], [0.0, 4.0], [4.0, 0.0]])
    expected = torch.tensor([[25.0, 0.0], [0.0, 16.0]], dtype=torch.float64)
    for z in (torch.zeros(2), torch.tensor([0.5, -2.0])):
        metric = image_metric(lambda z: (z @ weight.T + 7).reshape(-1, 1, 3, 1), z)
        assert_close(metric, expected, rtol=1e-4, atol=1e-4)


def test_the_metric_is_taken_where_the_latent_is() -> None:
    # G(z) = (z1^2, sin z2): J = diag(2 z1, cos z2), and sin by differences has sin(h) / h
    z, step = torch.tensor([3.0, math.pi / 3], dtype=torch.float64), 0.1
    metric = image_metric(lambda z: torch.stack([z[:, 0] ** 2, z[:, 1].sin()], 1), z, step)
    expected = [36.0, (0.5 * math.sin(step) / step) ** 2]
    assert_close(metric, torch.diag(torch.tensor(expected, dtype=torch.float64)))


def test_latents_of_more_components_than_are_tried_at_a_time() -> None:
    weight = torch.randn(130, 7, dtype=torch.float64)
    metric = image_metric(lambda z: z @ weight, torch.zeros(130, dtype=torch.float64))
    assert_close(metric, weight @ weight.T)


def test_directions_are_eigenvectors_the_strongest_first() -> None:
    # eigenvectors (1, 1) and (1, -1) of [[5, -3], [-3, 5]], with eigenvalues 2 and 8
    root = math.sqrt(0.5)
    metric = torch.tensor([[5.0, -3.0, 0.0], [-3.0, 5.0, 0.0], [0.0, 0.0, 6.0]]).double()
    directions, shares = principal_directions(metric, 2)
    assert_close(shares, torch.tensor([8 / 16, 6 / 16]).double())
    assert_close(directions[0].abs(), torch.tensor([root, root, 0.0]).double())
    assert directions[0, 0] * directions[0, 1] < 0
    assert_close(directions[1], torch.tensor([0.0, 0.0, 1.0]).double())


def test_signs_do_not_depend_on_the_solver() -> None:
    vectors, _ = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))
    metric = vectors @ torch.diag(torch.arange(1.0, 6.0).double()) @ vectors.T
    directions, _ = principal_directions(metric, 5)
    for direction, vector in zip(directions, vectors.T.flip(0), strict=True):
        assert_close(direction, vector * vector[vector.abs().argmax()].sign())


def test_where_nothing_changes_there_are_no_shares() -> None:
    directions, shares = principal_directions(torch.zeros(3, 3).double(), 3)
    assert_close(shares, torch.zeros(3).double())
    assert_close(directions @ directions.T, torch.eye(3).double())
    with pytest.raises(ValueError, match=r"n=4 must be in \[1, 3\], the size of a latent"):
        principal_directions(torch.eye(3), 4)


class Linear(nn.Module):
    """A linear generator; of the second class its weight is another. It cannot be differentiated.

    In training mode it would give noise.
    """

    def __init__(self, image_shape: tuple[int, ...], latent_dim: int, num_classes: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, latent_dim, math.prod(image_shape)))
        self.image_shape = image_shape

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        labels = torch.zeros(len(z), dtype=torch.long) if labels is None else labels
        images = torch.einsum("nd,ndp->np", z, self.weight.detach()[labels])
        noise = torch.randn_like(images) if self.training else 0
        return (images + noise).unflatten(1, self.image_shape)


@pytest.mark.parametrize("conditional", [False, True])
def test_directions_of_a_model_are_those_of_its_averaged_generator(
    make_model: Any, conditional: bool
) -> None:
    model = make_model(generator=Linear, num_classes=2, conditional=conditional)
    # one pixel follows each component: first class 1, 2, 3, 0 times, second 7, 0, 1, 0 times
    for network, factor in ((model.averaged_generator, 0.01), (model.generator, -1.0)):
        for k, gains in enumerate(([1.0, 2.0, 3.0, 0.0], [7.0, 0.0, 1.0, 0.0])):
            network.weight.data[k, :, 5:9] = torch.diag(torch.tensor(gains)) * factor
    model.train()
    state = torch.get_rng_state()
    directions, shares = latent_directions(model, 3, n_latents=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert model.sampler.training
    if conditional:
        # the means of the squares: 50 / 2, 4 / 2 and 10 / 2
        order, values = [0, 2, 1], [25 / 32, 5 / 32, 2 / 32]
    else:
        order, values = [2, 1, 0], [9 / 14, 4 / 14, 1 / 14]
    assert_close(directions, torch.eye(4)[order], rtol=1e-3, atol=1e-3)
    assert_close(shares, torch.tensor(values).double(), rtol=1e-3, atol=1e-3)
