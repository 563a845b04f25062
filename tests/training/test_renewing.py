"""A new rate scales a schedule that is under way."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR, LinearLR, SequentialLR, StepLR


def warm_up(optimizer: torch.optim.Optimizer) -> SequentialLR:
    first = LinearLR(optimizer, 0.5, total_iters=4)
    return SequentialLR(optimizer, [first, LambdaLR(optimizer, lambda t: 1 / (1 + t))], [4])


SCHEDULES = [
    partial(StepLR, step_size=2, gamma=0.5),
    partial(LambdaLR, lr_lambda=lambda t: 1 / (1 + t)),
    warm_up,
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_go_on_in_proportion(
    schedule: Any, make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    def train(rate: float, steps: int, resumed: str | None = None, **renewed: Any) -> Any:
        optimizer = partial(torch.optim.Adam, lr=rate)
        model = make_model(generator_optimizer=optimizer, generator_scheduler=schedule)
        model.renewed_players = frozenset(renewed.get("players", ()))
        trainer = make_trainer(max_steps=steps)
        trainer.fit(model, make_loader(20), ckpt_path=resumed, weights_only=True)
        return trainer

    train(1e-3, 3).save_checkpoint("three.ckpt")
    whole = train(1e-3, 6).optimizers[0].param_groups[0]["lr"]
    resumed = train(1e-5, 6, "three.ckpt", players=["generator"])
    assert resumed.optimizers[0].param_groups[0]["lr"] == pytest.approx(whole / 100, rel=1e-9)
    # without being told, the checkpoint's goes on
    kept = train(1e-5, 6, "three.ckpt").optimizers[0].param_groups[0]["lr"]
    assert kept == pytest.approx(whole, rel=1e-9) or not isinstance(schedule, partial)
    assert Path("three.ckpt").is_file()


@pytest.mark.parametrize(("schedule", "rate"), [(None, 1e-3), (SCHEDULES[0], 5e-4)])
def test_a_rate_that_was_set_to_0_is_renewed(
    schedule: Any, rate: float, make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    def train(steps: int, resumed: str | None = None, **options: Any) -> Any:
        model = make_model(generator_optimizer=partial(torch.optim.Adam, lr=1e-3), **options)
        model.renewed_players = frozenset(["generator"])
        trainer = make_trainer(max_steps=steps)
        trainer.fit(model, make_loader(20), ckpt_path=resumed, weights_only=True)
        return trainer

    trainer = train(3)
    trainer.optimizers[0].param_groups[0]["lr"] = 0.0
    trainer.save_checkpoint("three.ckpt")
    # a schedule that begins halves the rate after 2 of the 3 updates that are left
    resumed = train(6, "three.ckpt", generator_scheduler=schedule)
    assert resumed.optimizers[0].param_groups[0]["lr"] == pytest.approx(rate, rel=1e-9)
