"""The clock counts generator updates: every option that is a number of steps, for every variant."""

import csv
import inspect
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR
from variants import (
    MODELS,
    VARIANTS,
    all_steps,
    batches,
    corrected,
    critics,
    for_each_player,
    player_of,
    small,
    steps_in,
    turns_of,
)

from datamodules import ImageDataModule
from gan_modules import GAN
from gan_modules.callbacks import SampleGrid, StepCheckpoint

# an iteration takes 2 x 6 images: 4 iterations an epoch, 2 images left out
N_CRITIC, BATCH, IMAGES = 2, 6, 50
ITERATION = ["discriminator"] * N_CRITIC + ["generator"]
SHORT = {"generator": "g", "discriminator": "d"}


def updates_of(variant: Any, steps: int) -> list[str]:
    return all_steps(variant, N_CRITIC, steps)


@pytest.fixture(params=MODELS, ids=lambda variant: variant.__name__)
def variant(request: pytest.FixtureRequest) -> Any:
    return request.param


class Clock(Callback):
    """Notes who was stepped, at which rate, and at which step there was a validation."""

    def __init__(self) -> None:
        self.updates: list[str] = []
        self.rates: list[float] = []
        self.validations: list[int] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.updates.append(player_of(pl_module, optimizer))
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self.validations.append(trainer.global_step)


def sgd(parameters: Any) -> SGD:
    return SGD(parameters, lr=1e-3)


# what becomes of the rate of each player's optimizer, the last one's first
SCHEDULES = [lambda t: 1 - t / 10, lambda t: 0.5**t]


def fit(
    variant: Any, model_options: dict[str, Any] | None = None, **options: Any
) -> tuple[Trainer, Clock]:
    torch.manual_seed(0)
    arguments = {
        "image_shape": (1, 8, 8),
        **critics(variant, N_CRITIC),
        **for_each_player(variant, "optimizer", sgd),
    }
    for player, schedule in zip(variant.players, SCHEDULES, strict=False):
        arguments[f"{player}_scheduler"] = partial(LambdaLR, lr_lambda=schedule)
    model = small(variant, **arguments | (model_options or {}))
    clock = Clock()
    silent: dict[str, Any] = {
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "limit_val_batches": 1,
        "num_sanity_val_steps": 0,
    }
    options["callbacks"] = [clock, *options.get("callbacks", [])]
    trainer = Trainer(**silent | options)
    size = N_CRITIC * BATCH // model.parts_per_iteration
    trainer.fit(model, batches(model, size, IMAGES), batches(model, size, IMAGES))
    return trainer, clock


# ---- one training with all intervals, for every variant --------------------------------------


@pytest.fixture(scope="module", params=MODELS, ids=lambda variant: variant.__name__)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Ten steps of epochs that have four."""
    folder = tmp_path_factory.mktemp("trained")
    trainer, clock = fit(
        request.param,
        max_steps=10,
        val_check_interval=3,
        check_val_every_n_epoch=None,
        log_every_n_steps=5,
        logger=CSVLogger(folder, name="", version="log"),
        enable_checkpointing=True,
        callbacks=[
            StepCheckpoint(every_n_train_steps=4, dirpath=str(folder / "checkpoints")),
            SampleGrid(every_n_steps=6, n=2, dirpath=str(folder / "samples")),
        ],
    )
    return trainer, clock, folder, request.param


def steps_of(folder: Path) -> list[int]:
    return sorted(int(p.stem.removeprefix("step_")) for p in folder.glob("step_*"))


def test_max_steps(trained: Any) -> None:
    trainer, clock, _, variant = trained
    assert trainer.global_step == 10
    assert clock.updates == updates_of(variant, 10)


def test_val_check_interval(trained: Any) -> None:
    assert trained[1].validations == [3, 6, 9]


def test_log_every_n_steps(trained: Any) -> None:
    with (trained[2] / "log" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for player in trained[3].players:
        loss = f"{SHORT.get(player, player)}/loss"
        assert [row["step"] for row in rows if row[f"val/{loss}"]] == ["3", "6", "9"]
        if player in turns_of(trained[3]):
            assert [row["step"] for row in rows if row[loss]] == ["5", "10"]
            # the epoch that the step belongs to
            assert [row["epoch"] for row in rows if row[loss]] == ["1", "2"]


def test_every_n_train_steps(trained: Any) -> None:
    folder = trained[2] / "checkpoints"
    assert steps_of(folder) == [4, 8, 10]
    for step in steps_of(folder):
        checkpoint = torch.load(folder / f"step_{step:06d}.ckpt", weights_only=True)
        assert checkpoint["global_step"] == step


def test_samples_every_n_steps(trained: Any) -> None:
    assert steps_of(trained[2] / "samples") == [6, 10]


def test_schedulers(trained: Any) -> None:
    trainer, clock, _, variant = trained
    # all updates of an iteration are at the rate of that iteration
    turns = list(zip(clock.updates, clock.rates, strict=True))
    for number, (player, schedule) in enumerate(zip(variant.players, SCHEDULES, strict=False)):
        rates = [rate for name, rate in turns if name == player]
        # iterations of other phases do not count
        turns_at = [turns_of(variant, N_CRITIC, step) for step in range(10)]
        steps = [steps_in(variant, found, step) for step, found in enumerate(turns_at)]
        counts = [made.count(player) for made in steps]
        played = [count for count in counts if count]
        start = corrected(variant, player, 1e-3)
        expected = [start * schedule(t) for t, count in enumerate(played) for _ in range(count)]
        assert rates == pytest.approx(expected)
        # and the next one's is ready
        rate = trainer.optimizers[number].param_groups[0]["lr"]
        assert rate == pytest.approx(start * schedule(len(played)))


# ---- what ends a training --------------------------------------------------------------------


def test_max_epochs(variant: Any) -> None:
    trainer, clock = fit(variant, max_epochs=3)
    assert (trainer.global_step, trainer.current_epoch) == (12, 3)
    assert clock.updates == updates_of(variant, 12)
    assert clock.validations == [4, 8, 12]


class Fifty(ImageDataModule):
    channels, num_classes = 1, 3

    def load(self, split: Any) -> tuple[Tensor, Tensor]:
        return torch.zeros(IMAGES, 1, 8, 8, dtype=torch.uint8), torch.arange(IMAGES) % 3


@pytest.mark.parametrize(("n_critic", "iterations"), [(1, 8), (2, 4), (5, 1)])
def test_our_data_gives_an_iteration_n_critic_batches(
    n_critic: int, iterations: int, make_trainer: Any
) -> None:
    model = small(GAN, image_shape=(1, 8, 8), n_critic=n_critic)
    clock = Clock()
    trainer = make_trainer(max_epochs=2, callbacks=[clock])
    trainer.fit(model, datamodule=Fifty(image_size=8, batch_size=BATCH))
    # 50 // (n_critic x 6) iterations
    assert trainer.global_step == 2 * iterations
    assert clock.updates.count("discriminator") == 2 * iterations * n_critic


@pytest.mark.parametrize("limit", [3, 0.75])
def test_limit_train_batches(limit: float) -> None:
    trainer, clock = fit(GAN, max_epochs=2, limit_train_batches=limit)
    assert trainer.global_step == 6
    assert clock.updates == ITERATION * 6
    assert clock.validations == [3, 6]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # within epochs of four iterations
        ({"val_check_interval": 3}, [3, 7, 11]),
        ({"val_check_interval": 0.5}, [2, 4, 6, 8, 10, 12]),
        ({"val_check_interval": 1.0, "check_val_every_n_epoch": 2}, [8]),
        # across them
        ({"val_check_interval": 5, "check_val_every_n_epoch": None}, [5, 10]),
    ],
)
def test_validation_intervals(options: dict[str, Any], expected: list[int]) -> None:
    assert fit(GAN, max_epochs=3, **options)[1].validations == expected


# ---- what does not count ---------------------------------------------------------------------


def test_accumulation_changes_no_count(variant: Any) -> None:
    pieces = {
        f"{player}_accumulate_grad_batches": n
        for player, n in zip(variant.players, (3, 2), strict=False)
    }
    options = {"max_steps": 5, "val_check_interval": 2, "check_val_every_n_epoch": None}
    whole_trainer, whole = fit(variant, **options)
    trainer, clock = fit(variant, pieces, **options)
    assert trainer.global_step == whole_trainer.global_step == 5
    assert clock.updates == updates_of(variant, 5)
    assert clock.validations == whole.validations == [2, 4]
    assert clock.rates == whole.rates


WARMING_UP = [v for v in VARIANTS if "critic_warmup" in inspect.signature(v).parameters]


@pytest.mark.parametrize("variant", WARMING_UP)
def test_warm_up_changes_no_other_count(variant: Any) -> None:
    trainer, clock = fit(
        variant,
        {"critic_warmup": True},
        max_steps=4,
        val_check_interval=2,
        check_val_every_n_epoch=None,
    )
    assert trainer.global_step == 4
    assert clock.updates == (["discriminator"] * 100 + ["generator"]) * 4
    assert clock.validations == [2, 4]
    turns = zip(clock.updates, clock.rates, strict=True)
    generator = [rate for player, rate in turns if player == "generator"]
    assert generator == pytest.approx([1e-3 * (1 - t / 10) for t in range(4)])
    assert clock.rates[-2] == pytest.approx(1e-3 * 0.5**3)
