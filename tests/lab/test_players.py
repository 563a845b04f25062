from functools import partial

import pytest
import torch
from torch.distributions import Normal

from gan_modules.lab.distances import Point
from gan_modules.lab.parallel_lines import Line
from gan_modules.lab.players import ClippedCritic, Critic, Discriminator, Drawn
from gan_modules.lab.training import Lab, draw, fresh
from gan_modules.lab.transport import BY, REAL, Moved
from gan_modules.training.module import GenerativeModule

FAR = Normal(50.0, 1.0)


@pytest.mark.parametrize("player", [Discriminator, partial(Critic, n_critic=1), ClippedCritic])
def test_points_anywhere_are_judged_and_only_the_discriminator_learns(
    player: type[GenerativeModule],
) -> None:
    lab = Lab(effort=0.01)
    model = fresh(lab, lambda: player(Drawn(FAR), hidden=(4,)))
    before = [p.clone() for p in model.parameters()]
    lab.fit(model, Normal(-50.0, 1.0), 200, 8)
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert len(model.trainer.optimizers) == 1
    assert model.at(torch.tensor([-50.0, 50.0])).shape == (2,)


def test_a_clipped_critic_has_no_larger_weight() -> None:
    lab = Lab(effort=0.01)
    model = fresh(lab, lambda: ClippedCritic(Drawn(FAR), hidden=(4,), n_critic=1, clip_value=0.02))
    lab.fit(model, Normal(0.0, 1.0), 300, 8)
    assert max(p.abs().max().item() for p in model.parameters()) == pytest.approx(0.02)


def test_the_sources_of_experiments_are_what_they_say() -> None:
    assert torch.equal(draw(Point(0.25), 3), torch.full((3, 1), 0.25))
    line = draw(Line(-0.5), 2000)
    assert (line[:, 0] == -0.5).all()
    assert line[:, 1].mean().item() == pytest.approx(0.5, abs=0.03)
    assert 0 <= line[:, 1].min() < 0.01
    assert 0.99 < line[:, 1].max() <= 1
    torch.manual_seed(0)
    here = draw(REAL, 5)
    torch.manual_seed(0)
    assert torch.allclose(draw(Moved(REAL, BY), 5), here + BY)
