"""Training that was interrupted and went on is the training that was not, bit for bit."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.testing import assert_close
from variants import MODELS, mlp_generator, pools, small, translates

import gan_modules
from datamodules import DigitsDataModule, UnpairedDigitsDataModule
from gan_modules.callbacks import StepCheckpoint
from gan_modules.training.optimizers import lay_out_like_weights


class Recorder(Logger):
    """Keeps what is logged."""

    name = version = None

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int | None, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append((step, dict(metrics)))

    def log_hyperparams(self, params: Any, *args: Any) -> None:
        pass


class Batches(Callback):
    """Keeps the sum of the images, and of what comes with them, of every training batch."""

    def __init__(self) -> None:
        self.sums: dict[int, list[float]] = {}

    def on_train_batch_end(
        self, trainer: Any, model: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        self.sums[trainer.global_step] = [part.double().sum().item() for part in batch[:2]]


def fit(
    variant: Any, steps: int, ckpt_path: str | None = None, workers: int = 0, **kwargs: Any
) -> dict[str, Any]:
    """Train for some iterations, four of them an epoch; everything that came of it."""
    # a resumed process starts from another seed: everything must come from the checkpoint
    torch.manual_seed(0 if ckpt_path is None else 1)
    options: dict[str, Any]
    if translates(variant):
        data: Any = UnpairedDigitsDataModule(batch_size=2, num_workers=workers)
        options = pools(variant, 5)
    else:
        data = DigitsDataModule(batch_size=4, num_workers=workers)
        options = {"generator": mlp_generator(variant, hidden=(8,), batch_norm=True)}
        if variant is gan_modules.AEGAN:
            # it ends between the points
            options["autoencoder_steps"] = 5
    first = next(iter(variant.players))
    options[f"{first}_scheduler"] = partial(torch.optim.lr_scheduler.StepLR, step_size=3)
    model = small(variant, image_shape=data.image_shape, **options)
    checkpoint = StepCheckpoint(1, dirpath=f"saved/{variant.__name__}")
    recorder, batches = Recorder(), Batches()
    trainer = Trainer(
        accelerator="cpu", max_steps=steps, limit_train_batches=4, log_every_n_steps=1,
        check_val_every_n_epoch=None, val_check_interval=2, limit_val_batches=2,
        num_sanity_val_steps=0, enable_progress_bar=False, enable_model_summary=False,
        logger=recorder, callbacks=[checkpoint, batches], **kwargs,
    )  # fmt: skip
    trainer.fit(model, data, ckpt_path=ckpt_path)
    return {
        "steps": trainer.global_step,
        "epochs": trainer.current_epoch,
        "weights": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
        "schedulers": [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs],
        "pools": {name: pool.state_dict() for name, pool in getattr(model, "pools", {}).items()},
        "batches": batches.sums,
        "rows": recorder.rows,
    }


def saved(variant: Any, step: int) -> str:
    return f"saved/{variant.__name__}/step_{step:06d}.ckpt"


def assert_went_on(resumed: dict[str, Any], whole: dict[str, Any], saved_at: int) -> None:
    for name in ("steps", "epochs", "weights", "optimizers", "schedulers", "pools"):
        assert_close(resumed[name], whole[name], rtol=0, atol=0)
    assert resumed["batches"] == {k: v for k, v in whole["batches"].items() if k > saved_at}
    # a validation that was due when the checkpoint was written comes first
    logged = [
        (step, values)
        for step, values in whole["rows"]
        if step + any(name.startswith("val/") for name in values) > saved_at
    ]
    assert resumed["rows"] == logged
    # training terms at every step, held-out ones at every second
    assert len(logged) == 12 - saved_at + 12 // 2 - (saved_at - 1) // 2


# in the middle of an epoch; where validation is due there, and at its end; after it
POINTS = [3, 6, 8, 9]
# where in an epoch is the loop's affair: all points for one of each family
EVERYWHERE = [gan_modules.GAN, gan_modules.VAE, gan_modules.CycleGAN]
# and both phases
SOME = dict.fromkeys(EVERYWHERE, POINTS) | {gan_modules.AEGAN: [3, 6]}
CASES = [
    *((v, SOME.get(v, [6])) for v in MODELS),
    *(pytest.param(v, [3, 8, 9], marks=pytest.mark.slow) for v in MODELS if v not in EVERYWHERE),
]


@pytest.mark.parametrize(("variant", "points"), CASES)
def test_every_variant_goes_on_exactly(variant: Any, points: list[int]) -> None:
    whole = fit(variant, 12)
    for saved_at in points:
        resumed = fit(variant, 12, saved(variant, saved_at))
        assert_went_on(resumed, whole, saved_at)


@pytest.mark.filterwarnings("ignore:.*use_fork_safe|.*multi-threaded, use of fork")
@pytest.mark.parametrize("variant", [gan_modules.WGANGP, gan_modules.CycleGAN])
def test_with_workers(variant: Any) -> None:
    whole = fit(variant, 12)
    assert_went_on(fit(variant, 12, saved(variant, 7), workers=2), whole, 7)


class ChannelsLast(gan_modules.CycleGAN):
    """Networks that lie in memory as those of earlier versions did."""

    memory_format = torch.channels_last


def test_networks_may_lie_in_another_order(double: None) -> None:
    whole = fit(ChannelsLast, 12, precision="64-true")
    assert not next(iter(whole["weights"].values())).is_contiguous()
    resumed = fit(gan_modules.CycleGAN, 12, saved(ChannelsLast, 6), precision="64-true")
    assert next(iter(resumed["weights"].values())).is_contiguous()
    for name in ("weights", "optimizers"):
        assert_close(resumed[name], whole[name])


TWO = """
import sys

import torch

sys.path[:0] = {folders!r}
from test_resume import MODELS, fit, saved

if __name__ == "__main__":
    torch.set_num_threads(1)
    for variant in MODELS:
        if variant.__name__ not in sys.argv[1:]:
            continue
        for saved_at in (0, 7):
            path = saved(variant, saved_at) if saved_at else None
            result = fit(variant, 12, path, devices=2)
            rank = torch.distributed.get_rank()
            torch.save(result, f"{{variant.__name__}}_{{saved_at}}_{{rank}}.pt")
"""


@pytest.mark.thorough
# with batch normalisation, whose running statistics each process would have of its own
@pytest.mark.parametrize(
    "variants", [[gan_modules.GAN], pytest.param(MODELS, marks=pytest.mark.slow)], ids=len
)
def test_two_processes_go_on_exactly(variants: list[Any]) -> None:
    Path("two.py").write_text(TWO.format(folders=[str(p) for p in Path(__file__).parents[:2]]))
    command = [sys.executable, "two.py", *(v.__name__ for v in variants)]
    subprocess.run(command, check=True, timeout=600)
    for variant in variants:
        whole, resumed = (
            [torch.load(f"{variant.__name__}_{saved_at}_{rank}.pt") for rank in (0, 1)]
            for saved_at in (0, 7)
        )
        for rank in (0, 1):
            assert_went_on(resumed[rank], whole[rank], 7)
        assert_close(whole[0]["weights"], whole[1]["weights"], rtol=0, atol=0)
        assert whole[0]["batches"] != whole[1]["batches"]


def test_optimizers_may_keep_numbers_of_their_own() -> None:
    weight = nn.Parameter(torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last))
    optimizer = torch.optim.SGD([weight])
    moment = torch.arange(96.0).view(2, 3, 4, 4)
    optimizer.state[weight]["moment"] = moment
    optimizer.state["k"] = torch.tensor([0])
    lay_out_like_weights(optimizer)
    assert optimizer.state[weight]["moment"].stride() == weight.stride()
    assert_close(optimizer.state[weight]["moment"], moment, rtol=0, atol=0)
    assert_close(optimizer.state["k"], torch.tensor([0]))
