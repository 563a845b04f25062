"""Metrics where rounding used to decide: tight clusters, ties, duplicates, means far from zero."""

import math

import numpy
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.testing import assert_close

from gan_modules.families.latents import slerp
from gan_modules.metrics import compute_prdc
from gan_modules.metrics.kernel import kernel_distance
from gan_modules.metrics.prdc import squared_radii
from gan_modules.metrics.statistics import InceptionStatistics

Array = NDArray[numpy.float64]


def clusters(n: int, seed: int, size: float, dimensions: int = 16) -> Tensor:
    """Ten clusters of a relative size around centres that do not depend on the seed."""
    centres = torch.randn(10, dimensions, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    spread = torch.randn(n, dimensions, generator=generator) * size
    return centres[torch.arange(n) % 10] + spread


def distances(x: Array, y: Array) -> Array:
    """By differences of float64."""
    squared: Array = ((x[:, None] - y[None]) ** 2).sum(-1)
    return numpy.sqrt(squared)


def reference(real: Tensor, fake: Tensor) -> tuple[float, float, float, float]:
    """The lines of the package ``prdc``, with their strict comparisons, k = 3 and 5."""
    x, y = (features.double().numpy() for features in (real, fake))

    def radii(z: Array, k: int) -> Array:
        return numpy.partition(distances(z, z), k, axis=-1)[:, k]

    across = distances(x, y)
    narrow, wide, of_fake = radii(x, 3), radii(x, 5), radii(y, 3)
    return (
        (across < narrow[:, None]).any(0).mean(),
        (across < of_fake[None]).any(1).mean(),
        (across < wide[:, None]).sum(0).mean() / 5,
        (across.min(1) < wide).mean(),
    )


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-5])
@pytest.mark.parametrize("away", [0.0, 100.0])
def test_tight_clusters(size: float, away: float) -> None:
    real, fake = clusters(400, 0, size) + away, clusters(300, 1, 0.9 * size) + away
    expected = reference(real, fake)
    assert 0.1 < expected[0] <= 1
    assert_close(tuple(compute_prdc(real, fake)), expected, rtol=0, atol=1e-9)


def test_radii_are_scikit_learns() -> None:
    # kd_tree goes by differences
    features = clusters(500, 0, 1e-3).double()
    neighbours = NearestNeighbors(n_neighbors=6, algorithm="kd_tree").fit(features.numpy())
    found, _ = neighbours.kneighbors()
    expected = torch.from_numpy(found[:, [2, 4]]).square()
    assert_close(squared_radii(features), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("scale", [1.0, 0.1, 1e-3])
def test_ties_on_a_grid(scale: float) -> None:
    # whole numbers: every distance is met many times, and equal ones are equal to the last digit
    generator = torch.Generator().manual_seed(0)
    real = torch.randint(0, 6, (200, 3), generator=generator).float()
    fake = torch.randint(0, 6, (150, 3), generator=generator).float() + 1
    expected = reference(real, fake)
    assert 0 < expected[0] < 1
    assert 0 < expected[1] < 1
    # the same in other units: ties stay ties
    found = compute_prdc(real.double() * scale, fake.double() * scale)
    assert_close(tuple(found), expected, rtol=0, atol=1e-12)


def test_duplicates_and_identical_sets() -> None:
    real = clusters(100, 0, 1e-3)
    same = compute_prdc(real, real.clone())
    assert tuple(same) == (1, 1, 1, 1)
    # a memorised set in another order
    assert tuple(compute_prdc(real, real.flip(0))) == (1, 1, 1, 1)
    # each point twice: a ball of the third neighbour holds itself, its twin, and no edge
    twice = real.repeat(2, 1)
    assert_close(tuple(compute_prdc(twice, twice)), reference(twice, twice), rtol=0, atol=1e-12)
    # six of each: balls have no size, and what has no inside holds nothing, as in the package
    six = real[:20].repeat(6, 1)
    assert reference(six, six) == (0, 0, 0, 0)
    assert tuple(compute_prdc(six, six)) == (0, 0, 0, 0)
    # all the same, as from a collapsed generator
    assert tuple(compute_prdc(torch.zeros(50, 4), torch.zeros(60, 4))) == (0, 0, 0, 0)
    mixed = torch.cat([real[:40], real[:5].repeat(4, 1)])
    fake = torch.cat([real[:30], clusters(30, 1, 1e-3)])
    assert_close(tuple(compute_prdc(mixed, fake)), reference(mixed, fake), rtol=0, atol=1e-12)


# pair by pair and by sums of powers
@pytest.mark.parametrize("n", [150, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mean", [0.0, 100.0, 10_000.0])
def test_kid_where_the_mean_is_far_above_the_spread(mean: float, n: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, 32, generator=generator) + mean for _ in range(2))
    y += 0.2
    a, b = x.double().numpy(), y.double().numpy()
    # in extended precision, of which a quarter of the digits is enough
    within = []
    for z in (a, b):
        kernel = _kernel(z, z)
        within.append((kernel.sum() - numpy.trace(kernel)) / (n * (n - 1)))
    expected = float(sum(within) - 2 * _kernel(a, b).mean())
    assert expected > 0
    assert_close(kernel_distance(x, y), expected, rtol=1e-3, atol=0)


def _kernel(x: Array, y: Array) -> NDArray[numpy.longdouble]:
    if numpy.finfo(numpy.longdouble).eps == numpy.finfo(float).eps:
        pytest.skip("no extended precision here")
    exact = x.astype(numpy.longdouble)
    products = sum(exact[:, i : i + 1] * y[None, :, i] for i in range(x.shape[1]))
    kernel = (products / x.shape[1] + 1) ** 3
    sample = polynomial_kernel(x[:5], y[:5], degree=3, gamma=1 / x.shape[1], coef0=1)
    assert_close(kernel[:5, :5].astype(float), sample, rtol=1e-12, atol=0)
    return kernel


@pytest.mark.parametrize("n", [3, 13, 97, 100, 1009])
def test_inception_scores_parts_are_the_originals(n: int) -> None:
    logits = torch.randn(n, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    expected = []
    for i in range(10):
        # these three lines are improved-gan's and torch-fidelity's
        part = logits.softmax(1)[i * n // 10 : (i + 1) * n // 10].numpy()
        if len(part):
            kl = part * (numpy.log(part) - numpy.log(part.mean(0, keepdims=True)))
            expected.append(math.exp(kl.sum(1).mean()))
    found = InceptionStatistics(7, n, torch.device("cpu"))
    for rows in torch.randperm(n).split(10):
        found.add(logits[rows], rows)
    assert_close(found.scores(), torch.tensor(expected).double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tilt", [0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-2])
def test_slerp_keeps_the_norm_near_opposite_vectors(tilt: float, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    first, aside = torch.randn(2, 200, 8, generator=generator, dtype=dtype)
    second = -first + tilt * aside
    second *= first.norm(dim=1, keepdim=True) / second.norm(dim=1, keepdim=True)
    weight = torch.linspace(0, 1, 9, dtype=dtype)[:, None]
    path = slerp(first[:, None], second[:, None], weight)
    norms = first.norm(dim=1)[:, None].expand(200, 9)
    assert_close(path.norm(dim=2), norms, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=0)
    # half of the way is a right angle off, as far as the tilt leaves it
    across = torch.cosine_similarity(path[:, 4], first, dim=1)
    assert across.abs().max() < 4 * tilt + 1e-6
    # evenly: an eighth of half a turn each
    steps = torch.cosine_similarity(path[:, 1:], path[:, :-1], dim=2)
    assert_close(steps, torch.full_like(steps, math.cos(math.pi / 8)), rtol=0, atol=4 * tilt + 1e-5)


def test_slerp_between_opposite_vectors_of_two_norms() -> None:
    # Shoemake's weights on the vectors themselves would leave for thousands of their norms
    first = torch.tensor([1.0, 0.0])
    second = torch.tensor([-2.0, 1e-4])
    middle = slerp(first, second, torch.tensor([[0.25], [0.5], [0.75]]))
    assert_close(middle.norm(dim=1), torch.tensor([1.25, 1.5, 1.75]))
