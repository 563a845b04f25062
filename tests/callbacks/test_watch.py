"""Histograms of parameters and gradients that are known beforehand."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from wandb_files import read_offline_run

from gan_modules import GAN, NoiseGAN
from gan_modules.callbacks import NetworkWatch
from gan_modules.callbacks.steps import StepHooks, unscaled_gradients

pytestmark = [
    # W&B opens files and connections that live until the process ends
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FACTORS = torch.tensor([-3.0, -1.0, 0.0, 2.0, 5.0])


class Weights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class Known(NoiseGAN):
    """Each player's gradient is FACTORS, times how many updates it has begun."""

    updates = 0

    def build_generator(self) -> nn.Module:
        return Weights()

    def build_discriminator(self) -> nn.Module:
        return Weights()

    def discriminator_losses(self, batch: Any) -> dict[str, Tensor]:
        if len(batch[0]) == 4:  # once per update, which is made in pieces
            self.updates += 1
        return {"known": (self.discriminator.weight * FACTORS * self.updates).sum()}

    def generator_losses(self, batch: Any) -> dict[str, Tensor]:
        return {"known": (self.generator.weight * FACTORS).sum()}


@pytest.fixture
def make_known() -> Any:
    def make(**kwargs: Any) -> Known:
        rate = partial(torch.optim.SGD, lr=0.5)
        options = {"generator_optimizer": rate, "discriminator_optimizer": rate, "n_critic": 2}
        return Known(image_shape=(1, 8, 8), latent_dim=4, **options | kwargs)

    return make


def places(scale: float) -> tuple[list[int], list[float]]:
    """Counts and edges of 64 bins from the least of FACTORS times a number to the greatest."""
    ends = sorted((-3 * scale, 5 * scale))
    edges = [ends[0] + (ends[1] - ends[0]) * k / 64 for k in range(65)]
    # eighths of the way: 0, 2, 3, 5, 8 upwards, and 0, 3, 5, 6, 8 downwards
    eighths = (0, 2, 3, 5) if scale > 0 else (0, 3, 5, 6)
    counts = [0] * 64
    for eighth in eighths:
        counts[8 * eighth] = 1
    counts[63] = 1  # the last bin has its upper end
    return counts, edges


def test_known_gradients_and_parameters(
    make_known: Any, make_trainer: Any, make_loader: Any
) -> None:
    loggers = [WandbLogger(save_dir=Path("w").absolute(), mode="offline"), TensorBoardLogger("b")]
    # clipping comes after, and pieces are averaged before
    model = make_known(
        generator_gradient_clip_val=1e-3, generator_accumulate_grad_batches=2, ema_decay=0.5
    )
    callback = NetworkWatch(every_n_steps=2)
    trainer = make_trainer(max_steps=5, callbacks=[callback], logger=loggers, log_every_n_steps=1)
    trainer.fit(model, make_loader(8))
    wandb.finish()
    logged = read_offline_run("w")
    keys = {key for row in logged.history for key in row}
    assert {key for key in keys if "weight" in key} == {
        f"{kind}/{player}.weight"
        for kind in ("gradients", "parameters")
        for player in ("generator", "discriminator")
    }
    # two discriminator updates per step: the last ones are numbers 4 and 8
    expected = {
        "gradients/generator.weight": {2: 1, 4: 1},
        "gradients/discriminator.weight": {2: 4, 4: 8},
        # a rate of 0.5: -(1 + 2 + 3 + 4) / 2 and -(1 + ... + 8) / 2
        "parameters/discriminator.weight": {2: -5, 4: -18},
    }
    for name, scales in expected.items():
        found = logged.values(name)
        assert [*found] == [2, 4]
        for step, scale in scales.items():
            counts, edges = places(scale)
            assert found[step]["values"] == counts
            assert found[step]["bins"] == pytest.approx(edges)
    # beside everything else, on the same axis
    assert [*logged.values("d/loss")] == [1, 2, 3, 4, 5]
    (events,) = Path("b").rglob("events.out.tfevents.*")
    board = EventAccumulator(str(events), {"histograms": 0}).Reload()
    for name, scales in expected.items():
        shown = {event.step: event.histogram_value for event in board.Histograms(name)}
        assert [*shown] == [2, 4]
        for step, scale in scales.items():
            ends = sorted((-3 * scale, 5 * scale))
            assert [shown[step].min, shown[step].max, shown[step].num] == [*ends, 5]
            assert shown[step].sum == 3 * scale
            assert shown[step].sum_squares == 39 * scale**2


@pytest.mark.parametrize(
    ("what", "kinds"), [("gradients", {"gradients"}), ("parameters", {"parameters"}), (None, set())]
)
def test_what_is_chosen_is_logged(
    what: Any, kinds: set[str], make_known: Any, make_trainer: Any, make_loader: Any
) -> None:
    callback = NetworkWatch(what, every_n_steps=1)
    logger = TensorBoardLogger("b")
    trainer = make_trainer(max_steps=1, callbacks=[callback], logger=logger)
    trainer.fit(make_known(), make_loader(8))
    logger.finalize("success")
    (events,) = Path("b").rglob("events.out.tfevents.*")
    tags = EventAccumulator(str(events)).Reload().Tags()["histograms"]
    assert {tag.split("/")[0] for tag in tags} == kinds


def test_what_is_not_finite_is_left_out(
    make_known: Any, make_trainer: Any, make_loader: Any
) -> None:
    model = make_known()
    logger = TensorBoardLogger("b")
    callback = NetworkWatch()
    trainer = make_trainer(max_steps=1, callbacks=[callback], logger=logger)
    trainer.fit(model, make_loader(8))
    with torch.no_grad():
        model.generator.weight[1:3] = torch.tensor([torch.nan, torch.inf])
        model.discriminator.weight.fill_(torch.nan)
    callback.every_n_steps = 1
    callback.on_train_batch_end(trainer, model, None, None, 0)
    logger.finalize("success")
    events = max(Path("b").rglob("events.out.tfevents.*"))
    board = EventAccumulator(str(events), {"histograms": 0}).Reload()
    (event,) = board.Histograms("parameters/generator.weight")
    assert event.histogram_value.num == 3
    assert "parameters/discriminator.weight" not in board.Tags()["histograms"]


def test_nothing_is_copied_between_times(
    make_known: Any, make_trainer: Any, make_loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        copied.append(trainer.global_step)
        return tensor.detach().clone()

    monkeypatch.setattr("gan_modules.callbacks.watch._flat", note)
    callback = NetworkWatch(every_n_steps=3)
    logger = TensorBoardLogger("b")
    trainer = make_trainer(max_steps=7, callbacks=[callback], logger=logger)
    trainer.fit(make_known(n_critic=1), make_loader(8))
    # two gradients before the third and the sixth step are counted, two parameters after
    assert copied == [2, 2, 3, 3, 5, 5, 6, 6]


def test_a_fused_optimizer_is_given_scaled_gradients() -> None:
    seen: list[Tensor] = []

    def look(optimizer: Any) -> None:
        seen.extend(gradient for _, gradient in unscaled_gradients(optimizer))

    for fused in (True, False):
        weights = nn.Parameter(torch.zeros(5))
        optimizer = torch.optim.Adam([weights], fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        scaler.scale((weights * FACTORS).sum()).backward()
        if not fused:
            # as Lightning does, for who looks at gradients
            scaler.unscale_(optimizer)
        hooks = StepHooks(look)
        hooks.attach([optimizer])
        scaler.step(optimizer)
        hooks.remove()
        optimizer.step()
    assert [gradient.tolist() for gradient in seen] == [FACTORS.tolist()] * 2


@pytest.mark.parametrize("logger", [False, CSVLogger("c")])
def test_no_logger_for_histograms(
    logger: Any, make_known: Any, make_trainer: Any, make_loader: Any
) -> None:
    kind = "CSVLogger" if logger else "none"
    line = re.escape(
        "watch.what='all' must be left out without a logger for histograms, Weights & Biases or "
        f"TensorBoard: this run logs to {kind}"
    )
    model = make_known()
    trainer = make_trainer(max_steps=1, callbacks=[NetworkWatch()], logger=logger)
    with pytest.raises(ValueError, match=line):
        trainer.fit(model, make_loader(8))
    assert model.updates == 0
    make_trainer(fast_dev_run=1, callbacks=[NetworkWatch()]).fit(model, make_loader(8))


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: NetworkWatch("weights"), "what='weights' must be gradients, parameters or all"),
        (lambda: NetworkWatch(every_n_steps=0), "every_n_steps=0 must be at least 1"),
    ],
)
def test_wrong_options(make: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make()


def test_wrong_options_on_the_command_line(fails: Any) -> None:
    command = "fit --config small.yaml"
    assert fails(f"{command} --watch.what all").startswith("watch.what='all' must be left out wi")
    line = fails(f"{command} --watch.what al")
    assert line == "watch.what=al must be gradients, parameters, all or null"
    assert fails(f"{command} --watch all").startswith("watch=all must be a mapping of options")


@pytest.mark.parametrize("values", [[0.0, 1e-44], [1.0, 1.0 + 2e-7], [-3e-45, 0.0, 1e-38]])
def test_values_that_hardly_differ(
    values: list[float], make_trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: dict[str, Any] = {}

    class Noting(WandbLogger):
        def log_metrics(self, metrics: Any, step: Any = None) -> None:
            sent.update(metrics)

    monkeypatch.setattr("gan_modules.callbacks.watch._flat", lambda _: torch.tensor(values))
    trainer = make_trainer(logger=Noting(save_dir="w", mode="offline"))
    model = GAN(image_shape=(1, 8, 8), latent_dim=4)
    NetworkWatch("parameters", every_n_steps=1).on_train_batch_end(trainer, model, None, None, 0)
    for histogram in sent.values():
        assert sum(histogram.histogram) == len(values)
        assert histogram.bins[0] == pytest.approx(min(values), rel=1e-6)
