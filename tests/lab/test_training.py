from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch.distributions import Independent, Normal

from gan_modules.lab.players import Critic, Discriminator, Drawn
from gan_modules.lab.training import Lab, Looks, draw, fresh

REAL, FAKE = Normal(0.5, 1.0), Normal(-0.5, 1.0)


def said(seed: int, fake: Normal = FAKE) -> torch.Tensor:
    lab = Lab(seed, effort=0.01)
    model = lab.fit(fresh(lab, lambda: Discriminator(Drawn(fake), hidden=(4,))), REAL, 500, 8)
    return model.at(torch.linspace(-1, 1, 5))


class Counted(Callback):
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.sizes: list[int] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, _: int) -> None:
        self.steps.append(trainer.global_step)
        self.sizes.append(len(batch))


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    first = said(0)
    torch.rand(7)  # whatever was drawn before
    assert torch.equal(said(0), first)
    assert not torch.allclose(said(1), first)


def test_another_seed_draws_other_points_for_the_same_weights() -> None:
    def trained(seed: int) -> torch.Tensor:
        model = fresh(Lab(), lambda: Discriminator(Drawn(FAKE), hidden=(4,)))
        return Lab(seed, effort=0.01).fit(model, REAL, 500, 8).at(torch.zeros(1))

    assert torch.equal(trained(0), trained(0))
    assert not torch.equal(trained(0), trained(1))


def test_each_training_of_a_laboratory_draws_points_of_its_own_and_starts_from_the_same() -> None:
    def start(lab: Lab) -> torch.Tensor:
        return torch.cat([p.flatten() for p in make(lab).parameters()])

    def make(lab: Lab) -> Discriminator:
        return fresh(lab, lambda: Discriminator(Drawn(FAKE), hidden=(4,)))

    lab = Lab(3, effort=0.01)
    assert torch.equal(start(lab), start(lab))
    one, other = (lab.fit(make(lab), REAL, 500, 8) for _ in range(2))
    assert not torch.allclose(one.at(torch.zeros(1)), other.at(torch.zeros(1)))


def test_what_is_drawn_ahead_of_any_training_follows_from_the_seed() -> None:
    def drawn(seed: int) -> torch.Tensor:
        Lab(seed)
        return draw(REAL, 3)

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


def test_weights_leave_the_random_state_alone() -> None:
    lab = Lab()
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    fresh(lab, lambda: Discriminator(Drawn(FAKE)))
    # fake(...) is drawn from to see its shape, within
    assert torch.equal(torch.rand(1), expected)


def test_effort_scales_updates_and_parts_scale_batches() -> None:
    counted = Counted()
    lab = Lab(effort=0.05)
    assert [lab.updates(n) for n in (100, 30, 1)] == [5, 2, 1]
    critic = fresh(lab, lambda: Critic(Drawn(FAKE), hidden=(4,), n_critic=3))
    lab.fit(critic, REAL, 80, 8, [counted])
    assert counted.steps == [0, 1, 2, 3]
    assert counted.sizes == [24] * 4


@pytest.mark.parametrize("effort", [0.0, -1.0])
def test_effort_must_be_positive(effort: float) -> None:
    with pytest.raises(ValueError, match="effort"):
        Lab(effort=effort)


def test_looks_are_taken_when_asked_for_in_evaluation_mode() -> None:
    seen: list[tuple[int, bool]] = []
    lab = Lab(effort=0.01)
    model = fresh(lab, lambda: Discriminator(Drawn(FAKE), hidden=(4,)))
    looks = Looks([2, 4, 99], lambda step, model: seen.append((step, model.training)))
    lab.fit(model, REAL, 500, 8, [looks, looking := Modes()])
    assert seen == [(2, False), (4, False)]
    assert looking.training == [True] * 5


class Modes(Callback):
    def __init__(self) -> None:
        self.training: list[bool] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.training.append(pl_module.training)


def test_points_are_drawn_as_rows() -> None:
    assert draw(REAL, 5).shape == (5, 1)
    plane = Independent(Normal(torch.zeros(2, dtype=torch.float64), 1.0), 1)
    assert draw(plane, 5).shape == (5, 2)
    assert draw(plane, 5).dtype == torch.float32


def test_a_model_is_handed_back_trained_and_in_evaluation_mode() -> None:
    lab = Lab(effort=0.01)
    model = fresh(lab, lambda: Discriminator(Drawn(FAKE), hidden=(4,)))
    before = model.at(torch.zeros(1))
    assert lab.fit(model, REAL, 200, 8) is model
    assert not model.training
    assert not torch.equal(model.at(torch.zeros(1)), before)
