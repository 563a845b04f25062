import math

import pytest
import torch
from torch.distributions import Normal

from gan_modules.lab.densities import grid, js_divergence, kl_divergence, wasserstein_distance


def on_grid(p: Normal, q: Normal) -> tuple[torch.Tensor, torch.Tensor, float]:
    x = grid(p, q, deviations=10, steps=20_001)
    return p.log_prob(x).exp(), q.log_prob(x).exp(), (x[1] - x[0]).item()


def test_grid_reaches_as_many_deviations_as_asked_of_all() -> None:
    x = grid(Normal(-1.0, 0.5), Normal(2.0, 0.1), deviations=4, steps=11)
    assert len(x) == 11
    assert x[0].item() == pytest.approx(-3)
    assert x[-1].item() == pytest.approx(2.4)


@pytest.mark.parametrize(("mean", "sigma"), [(0.0, 1.0), (0.7, 1.0), (-1.0, 0.5)])
def test_kl_of_normals_has_a_closed_form(mean: float, sigma: float) -> None:
    p, q = Normal(mean, sigma), Normal(0.0, 1.0)
    by_hand = (mean**2 + sigma**2 - 1) / 2 - math.log(sigma)
    assert kl_divergence(*on_grid(p, q)) == pytest.approx(by_hand, abs=1e-4)


def test_kl_is_infinite_where_q_is_0_and_p_is_not_and_counts_nothing_where_p_is_0() -> None:
    p, q = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])
    assert kl_divergence(p, q, 1.0) == pytest.approx(math.log(2))
    assert kl_divergence(q, p, 1.0) == math.inf


def test_js_is_log_2_apart_0_alike_and_by_hand_between() -> None:
    p, q = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert js_divergence(p, q, 1.0) == pytest.approx(math.log(2))
    assert js_divergence(p, p, 1.0) == 0
    # half of KL(p || m) + KL(h || m) with m = (3/4, 1/4)
    h = torch.tensor([0.5, 0.5])
    by_hand = (math.log(4 / 3) + math.log(2 / 3) / 2 + math.log(2) / 2) / 2
    assert js_divergence(p, h, 1.0) == pytest.approx(by_hand)
    assert js_divergence(h, p, 1.0) == pytest.approx(by_hand)


def test_js_is_finite_where_densities_are_as_small_as_numbers_get() -> None:
    smallest = torch.tensor([5e-324, 1.0], dtype=torch.float64)
    nothing = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert js_divergence(smallest, nothing, 1.0) == pytest.approx(0)
    far = Normal(-0.6, 0.03), Normal(0.6, 0.03)
    assert js_divergence(*on_grid(*far)) == pytest.approx(math.log(2), abs=1e-4)


@pytest.mark.parametrize("shift", [0.0, 0.1, 1.5, -1.5])
def test_wasserstein_of_equally_wide_normals_is_the_distance_of_their_means(shift: float) -> None:
    p, q = Normal(0.2, 0.4), Normal(0.2 + shift, 0.4)
    assert wasserstein_distance(*on_grid(p, q)) == pytest.approx(abs(shift), abs=1e-4)
