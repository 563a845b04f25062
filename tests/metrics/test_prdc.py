"""Precision, recall, density and coverage against their definitions, pair by pair."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch_fidelity.metric_prc import calculate_precision_recall_full

from gan_modules.metrics import PRDC, compute_prdc, prdc
from gan_modules.metrics.prdc import squared_radii


def cloud(n: int, seed: int, dimensions: int = 3, spread: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, dimensions, generator=generator) * spread


def straight(real: Tensor, fake: Tensor) -> PRDC:
    """As the papers define them, one pair of points at a time."""
    x, y = real.tolist(), fake.tolist()

    def radius(points: list[list[float]], i: int, k: int) -> float:
        return sorted(math.dist(points[i], p) for j, p in enumerate(points) if j != i)[k - 1]

    def inside(p: list[float], centre: list[float], r: float) -> bool:
        return math.dist(p, centre) < r

    x3, x5 = ([radius(x, i, k) for i in range(len(x))] for k in (3, 5))
    y3 = [radius(y, j, 3) for j in range(len(y))]
    n, m = range(len(x)), range(len(y))
    return PRDC(
        precision=sum(any(inside(y[j], x[i], x3[i]) for i in n) for j in m) / len(m),
        recall=sum(any(inside(x[i], y[j], y3[j]) for j in m) for i in n) / len(n),
        density=sum(inside(y[j], x[i], x5[i]) for i in n for j in m) / (5 * len(m)),
        coverage=sum(any(inside(y[j], x[i], x5[i]) for j in m) for i in n) / len(n),
    )


@pytest.mark.parametrize(("n", "m", "spread"), [(40, 60, 1.0), (61, 23, 0.4), (30, 30, 2.5)])
@pytest.mark.parametrize("block", [7, 1000])
def test_all_four_are_the_papers(
    n: int, m: int, spread: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prdc, "BLOCK", block)
    monkeypatch.setattr(prdc, "TILE", 2 * block)
    # far from the origin, where sloppy distances would lose their digits
    real, fake = cloud(n, 0) + 50, cloud(m, 1, spread=spread) + 50.5
    expected = straight(real, fake)
    assert sum(0 < value < 1 for value in expected) >= 2
    assert_close(torch.tensor(compute_prdc(real, fake)), torch.tensor(expected), rtol=0, atol=1e-7)


def test_precision_and_recall_are_torch_fidelitys() -> None:
    real, fake = cloud(300, 0, 8), cloud(200, 1, 8, spread=0.8)
    precision, recall = calculate_precision_recall_full(fake, real)
    assert 0.3 < recall < precision < 1
    assert_close(compute_prdc(real, fake)[:2], (precision, recall), rtol=0, atol=1e-6)


def test_by_hand() -> None:
    # seven points in a row: the third neighbour is at distance 2, of the ends at 3, of those
    # beside them at 2; the fifth at 5, 4, 3, 3, 3, 4, 5
    real = torch.arange(7.0)[:, None]
    expected = [[3, 5], [2, 4], [2, 3], [2, 3], [2, 3], [2, 4], [3, 5]]
    assert_close(squared_radii(real), torch.tensor(expected).double().square())
    # five fakes far away, two beside the first; those five have each other within 0.4, 0.3, 0.2,
    # 0.3, 0.4, and the two reach out to the third neighbour, among the five
    fake = torch.tensor([-1.0, -1.5, 100.0, 100.1, 100.2, 100.3, 100.4])[:, None]
    score = compute_prdc(real, fake)
    assert score.precision == pytest.approx(2 / 7)
    # the balls of the first two fakes reach beyond 100 and hold everything
    assert score.recall == 1
    # -1 and -1.5 are in the balls of 0 (5) and 1 (4), -1 on the edge of that of 2 (3): outside
    assert score.density == pytest.approx(4 / (5 * 7))
    assert score.coverage == pytest.approx(2 / 7)


def test_the_real_ones_themselves_strangers_and_a_single_point() -> None:
    real = cloud(200, 0)
    same = compute_prdc(real, real.clone())
    assert same[:2] == (1, 1)
    assert same.coverage == 1
    # of each ball the centre and four neighbours: the fifth is on its edge
    assert same.density == pytest.approx(1, abs=0)
    assert compute_prdc(real, real + 1000) == (0, 0, 0, 0)
    collapsed = compute_prdc(real, real.mean(0).expand(200, 3))
    assert collapsed.precision == 1
    assert collapsed.recall == 0
    assert collapsed.coverage < 0.5


def test_too_few() -> None:
    with pytest.raises(ValueError, match="need 6 images at least, there are 5"):
        compute_prdc(cloud(6, 0), cloud(5, 1))
