import pytest
import torch
from torch.distributions import Normal

from gan_modules.lab import Lab
from gan_modules.lab.distances import FIRST_GP_WEIGHT, GP_WEIGHT, Point, _quantile
from gan_modules.lab.players import Critic, Drawn
from gan_modules.lab.training import fresh


def test_quantiles_are_those_of_a_normal() -> None:
    levels = torch.tensor([0.5, 0.8413447460685429])
    assert torch.allclose(_quantile(Normal(1.0, 2.0), levels), torch.tensor([1.0, 3.0]))


@pytest.mark.thorough
@pytest.mark.parametrize("weight", [FIRST_GP_WEIGHT, GP_WEIGHT])
def test_on_a_line_a_critic_that_starts_downhill_stays_unless_the_penalty_is_small(
    weight: float,
) -> None:
    lab = Lab()
    model = fresh(
        lab,
        lambda: Critic(Drawn(Point(0.5)), n_critic=1, gp_weight=weight, hidden=(8,), rate=2e-2),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()  # rises to the right, where the fakes are
    lab.fit(model, Point(-0.4), 150, 16)
    gap = (model.at(torch.tensor([-0.4])) - model.at(torch.tensor([0.5]))).item()
    assert (gap > 0) == (weight == FIRST_GP_WEIGHT)
