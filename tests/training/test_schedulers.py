"""Learning rate schedules."""

from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn
from torch.optim import SGD

from gan_modules.training.players import SchedulerFactory
from gan_modules.training.schedulers import ConstantThenLinearLR


def make_optimizer() -> SGD:
    groups = [
        {"params": [nn.Parameter(torch.zeros(1))], "lr": 0.8},
        {"params": [nn.Parameter(torch.zeros(1))], "lr": 0.08},
    ]
    return SGD(groups)


def rates(optimizer: Any) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def advance(scheduler: ConstantThenLinearLR, steps: int) -> list[float]:
    first: list[float] = []
    for _ in range(steps):
        first.append(rates(scheduler.optimizer)[0])
        scheduler.optimizer.step()
        scheduler.step()
    return first


def test_values_by_hand() -> None:
    optimizer = make_optimizer()
    scheduler = ConstantThenLinearLR(optimizer, constant_steps=3, decay_steps=4)
    assert advance(scheduler, 9) == pytest.approx([0.8, 0.8, 0.8, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0])


def test_every_group_keeps_its_own_rate() -> None:
    optimizer = make_optimizer()
    scheduler = ConstantThenLinearLR(optimizer, 0, 4)
    advance(scheduler, 1)
    assert rates(optimizer) == pytest.approx([0.6, 0.06])
    assert scheduler.get_last_lr() == pytest.approx([0.6, 0.06])


@pytest.mark.parametrize("steps", [2, 5])
def test_state_round_trip(steps: int) -> None:
    optimizer, again = make_optimizer(), make_optimizer()
    scheduler = ConstantThenLinearLR(optimizer, 3, 4)
    advance(scheduler, steps)
    states = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    torch.save(states, "state.pt")
    resumed = ConstantThenLinearLR(again, 3, 4)
    states = torch.load("state.pt", weights_only=True)
    again.load_state_dict(states["optimizer"])
    resumed.load_state_dict(states["scheduler"])
    assert advance(resumed, 5) == advance(scheduler, 5)


def test_it_can_start_in_the_middle() -> None:
    optimizer = make_optimizer()
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    # steps 0 to 4 are made: what follows is step 5
    ConstantThenLinearLR(optimizer, 3, 4, last_epoch=4)
    assert rates(optimizer) == pytest.approx([0.4, 0.04])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((-1, 4), "constant_steps=-1 must be at least 0"),
        ((3, 0), "decay_steps=0 must be at least 1"),
    ],
)
def test_out_of_range(arguments: tuple[int, int], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        ConstantThenLinearLR(make_optimizer(), *arguments)


def test_from_yaml() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--scheduler", type=SchedulerFactory)
    config = parser.parse_args(
        [
            "--scheduler=gan_modules.training.schedulers.ConstantThenLinearLR",
            "--scheduler.constant_steps=1",
            "--scheduler.decay_steps=2",
        ]
    )
    scheduler = parser.instantiate_classes(config).scheduler(make_optimizer())
    assert isinstance(scheduler, ConstantThenLinearLR)
    assert advance(scheduler, 4) == pytest.approx([0.8, 0.8, 0.4, 0.0])
