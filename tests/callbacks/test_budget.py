"""Trainings that end when a budget is spent."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger

from gan_modules import WGANGP
from gan_modules.callbacks import StepCheckpoint, TrainingBudget
from gan_modules.callbacks import budget as module
from gan_modules.command_line.run_records import rows_until


class Clock:
    """A clock that goes on only when it is told to."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def fit(make_trainer: Any, model: Any, loader: Any, *callbacks: Callback, **options: Any) -> Any:
    settings: dict[str, Any] = {
        "max_steps": -1, "max_epochs": -1, "check_val_every_n_epoch": None,
        "val_check_interval": 1_000, "limit_val_batches": 1, "num_sanity_val_steps": 1,
    }  # fmt: skip
    path = options.pop("ckpt_path", None)
    trainer = make_trainer(**settings | options, callbacks=[*callbacks])
    trainer.fit(model, loader, loader, ckpt_path=path, weights_only=True)
    return trainer


@pytest.mark.parametrize(
    ("budget", "steps"),
    [
        ({"updates": 7}, 7),
        # 6 images a time: 18 do not do, 24 do
        ({"images": 20}, 4),
        ({"images": 24}, 4),
    ],
)
def test_ends_when_it_is_spent(
    make_model: Any, make_trainer: Any, make_loader: Any, budget: Any, steps: int
) -> None:
    trainer = fit(make_trainer, make_model(n_critic=2), make_loader(6), TrainingBudget(**budget))
    assert trainer.global_step == steps
    assert "val/g/loss" in trainer.callback_metrics


class Slow(WGANGP):
    """One second an iteration, a thousand a validation."""

    clock: Clock

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.clock.now += 1
        super().training_step(batch, batch_idx)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        # reading data counts where it is trained on
        self.clock.now += 0.25 if self.trainer.training else 1_000
        return batch


class Painter(Callback):
    """A callback that takes its time, wherever it can."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def wait(self, *args: Any, **kwargs: Any) -> None:
        self.clock.now += 100_000

    setup = on_train_start = on_train_batch_end = on_validation_end = wait
    on_validation_start = on_train_end = wait


def test_seconds_are_those_of_training(
    make_model: Any, make_trainer: Any, make_loader: Any, clock: Clock
) -> None:
    model = make_model(Slow, n_critic=1)
    model.clock = clock
    budget, logger = TrainingBudget(seconds=6.0), CSVLogger(".")
    # painters before and after it, wherever the trainer would have put it
    callbacks = [Painter(clock), budget, Painter(clock)]
    options: dict[str, Any] = {"val_check_interval": 2, "logger": logger}
    trainer = fit(make_trainer, model, make_loader(4), *callbacks, **options)
    # 1.25 seconds each: 5 is over 6 for the first time
    assert trainer.global_step == 5
    assert budget.seconds == 6.25
    names = ("step", "spent/seconds", "spent/images")
    rows = rows_until(Path(logger.log_dir, "metrics.csv"))
    found = [tuple(float(row[n]) for n in names) for row in rows if "spent/seconds" in row]
    assert found == [(2, 2.5, 8.0), (4, 5.0, 16.0), (5, 6.25, 20.0)]


@pytest.mark.filterwarnings("ignore:You.re resuming from a checkpoint that ended")
def test_a_resumed_run_goes_on_counting(
    make_model: Any, make_trainer: Any, make_loader: Any, clock: Clock
) -> None:
    def train(seconds: float, path: Path | None = None) -> tuple[int, float]:
        torch.manual_seed(0)
        model = make_model(Slow, n_critic=1)
        model.clock = clock
        budget = TrainingBudget(seconds=seconds)
        keeper = StepCheckpoint(every_n_train_steps=2)
        options: dict[str, Any] = {"enable_checkpointing": True, "ckpt_path": path}
        trainer = fit(make_trainer, model, make_loader(4), budget, keeper, **options)
        return trainer.global_step, budget.seconds

    assert train(4.0) == (4, 5.0)
    middle = Path("checkpoints/step_000002.ckpt")
    assert train(4.0, middle) == (4, 5.0)
    # what is spent already is not trained on
    assert train(2.5, middle) == (2, 2.5)


def test_without_a_budget_the_trainers_end_is_validated(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    ends: list[dict[str, Any]] = [
        {"max_steps": 3},
        # 10 batches an epoch
        {"max_epochs": 2, "check_val_every_n_epoch": 5, "val_check_interval": 1.0},
    ]
    for end, steps in zip(ends, (3, 20), strict=True):
        budget = TrainingBudget()
        trainer = fit(make_trainer, make_model(n_critic=1), make_loader(6), budget, **end)
        assert trainer.global_step == steps
        assert "val/g/loss" in trainer.callback_metrics
        assert budget.state_dict()["is_over"]
        assert budget.seconds > 0


@pytest.mark.parametrize(
    ("budget", "line"),
    [
        ({"seconds": 0.0}, "seconds=0.0 must be positive"),
        ({"updates": -1}, "updates=-1 must be positive"),
        ({"seconds": 3.0, "images": 5}, "seconds=3.0 must be alone, without images=5"),
    ],
)
def test_wrong_budgets(budget: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        TrainingBudget(**budget)


def test_a_trainer_that_must_not_stop(make_model: Any, make_trainer: Any, make_loader: Any) -> None:
    with pytest.raises(ValueError, match=r"trainer\.min_steps=9 must be null or 0"):
        fit(
            make_trainer, make_model(n_critic=1), make_loader(6), TrainingBudget(updates=3),
            min_steps=9,
        )  # fmt: skip
