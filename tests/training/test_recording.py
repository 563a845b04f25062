"""Iterations as CUDA graphs: on any machine what stands around a graph, itself on a GPU."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset
from variants import batches, small

from gan_modules import R1, VAEGAN, WGAN, WGANGP, CycleGAN
from gan_modules.callbacks import Diagnostics
from gan_modules.networks import MLPDiscriminator, MLPGenerator
from gan_modules.training import recording
from gan_modules.training.recording import check_recordable

SIZE = (1, 8, 8)
PLAYERS = ("generator", "discriminator")


def _model(kind: type[WGANGP] = WGANGP, **options: Any) -> WGANGP:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "generator": partial(MLPGenerator, hidden=(8,)),
        "discriminator": partial(MLPDiscriminator, hidden=(8,)),
        "regularizers": [R1(every=3)],
        "generator_scheduler": partial(torch.optim.lr_scheduler.LinearLR, total_iters=9),
        **options,
    }
    return kind(image_shape=SIZE, latent_dim=4, n_critic=2, **given)


def _trainer(folder: Path, max_steps: int = 20, **options: Any) -> Trainer:
    given: dict[str, Any] = {"accelerator": "cpu", **options}
    return Trainer(
        max_steps=max_steps, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, **given,
    )  # fmt: skip


def _fit(model: Any, folder: Path, **options: Any) -> Trainer:
    images = torch.rand(20 * 8, *SIZE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    trainer = _trainer(folder, **options)
    trainer.fit(model, DataLoader(TensorDataset(images), batch_size=8))
    return trainer


class _Recording:
    """In place of a CUDA graph: what is recorded leaves no trace, and a replay does it again."""

    def __init__(self) -> None:
        self.replays = 0

    @contextmanager
    def records(self, recorded: Any, module: Any) -> Iterator[None]:
        self.recorded, self.module = recorded, module
        tensors = [*module.state_dict().values()]
        for one in module.optimizers_by_player().values():
            tensors += [t for state in one.optimizer.state.values() for t in state.values()]
        before = [tensor.clone() for tensor in tensors]
        with torch.random.fork_rng(devices=[]):
            yield
        for tensor, value in zip(tensors, before, strict=True):
            tensor.detach().copy_(value)

    def replay(self) -> None:
        self.replays += 1
        with recording._stepped_by(self.module, recording._RecordedStepper()):
            rates = [group["lr"] for group, _ in self.recorded._rates]
            for group, rate in self.recorded._rates:
                group["lr"] = rate.item()
            self.recorded._values.copy_(self.recorded._iterate(self.module))
            for (group, _), rate in zip(self.recorded._rates, rates, strict=True):
                group["lr"] = rate


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[_Recording]:
    """What stands for graphs, in the order in which they were recorded."""
    made: list[_Recording] = []

    class Recorded(recording._Recorded):
        def __init__(self, module: Any, whole: Any) -> None:
            made.append(_Recording())
            monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: made[-1])
            monkeypatch.setattr(torch.cuda, "graph", lambda graph, **_: graph.records(self, module))
            super().__init__(module, whole)

    monkeypatch.setattr(recording, "_Recorded", Recorded)
    for check in ("check_recordable", "_host_randomness"):
        monkeypatch.setattr(recording, check, lambda *_: None)
    return made


def test_iterations_are_the_same(graphs: list[_Recording], tmp_path: Path) -> None:
    """Batches, rates, noise, counts and kinds of iterations."""
    ends = []
    for recorded in (False, True):
        model = _model(cuda_graphs=recorded)
        trainer = _fit(model, tmp_path)
        assert trainer.global_step == 20
        ends.append((model.state_dict(), trainer.callback_metrics))
        assert model._recorder is None
    assert_close(ends[0], ends[1], rtol=0, atol=0)
    # 7 iterations with R1 and 13 without, 3 of each before it is recorded
    assert [graph.replays for graph in graphs] == [10, 4]


def test_what_is_looked_at_is_played_as_it_is(graphs: list[_Recording], tmp_path: Path) -> None:
    seen = []
    for recorded in (False, True):
        model = _model(cuda_graphs=recorded, regularizers=[], generator_gradient_clip_val=0.1)
        trainer = _fit(model, tmp_path / str(recorded), callbacks=[Diagnostics(every_n_steps=5)])
        seen.append(trainer.callback_metrics)
    assert "diagnostics/generator/gradient_norm" in seen[0]
    assert_close(seen[0], seen[1], rtol=0, atol=0)
    # 20 iterations, of which 4 are looked at and 3 more come before it is recorded
    assert [graph.replays for graph in graphs] == [13]


def test_shapes_that_change_again_and_again_are_refused(
    graphs: list[_Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording.Recorder, "LIMIT", 1)
    with pytest.raises(ValueError, match="more than 1 kinds of iterations, in shapes of batches"):
        _fit(_model(cuda_graphs=True), tmp_path)


def test_betas_that_a_schedule_changes_are_refused(
    graphs: list[_Recording], tmp_path: Path
) -> None:
    """Each iteration would be of another kind, none of which comes a fourth time."""
    steps = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=1e-3, total_steps=30)
    model = _model(cuda_graphs=True, regularizers=[], generator_scheduler=steps)
    with pytest.raises(ValueError, match=r"more than 16 kinds of .* such as betas that a schedule"):
        _fit(model, tmp_path)
    assert not graphs


def test_clipped_critics_are_recorded(graphs: list[_Recording], tmp_path: Path) -> None:
    """Their weights are clipped by a hook of the optimizer, which is part of the iteration."""
    ends = []
    for recorded in (False, True):
        torch.manual_seed(0)
        model = small(WGAN, image_shape=SIZE, cuda_graphs=recorded, **ADAM)
        trainer = _trainer(tmp_path, 9)
        trainer.fit(model, batches(model, 8, 9 * 40))
        ends.append(model.state_dict())
        clipped = [p.detach().abs().max() for p in model.discriminator.parameters()]
        assert max(clipped) == pytest.approx(0.01)
    # a graph reads rates in float32
    assert_close(ends[0], ends[1], rtol=0, atol=1e-7)
    assert [graph.replays for graph in graphs] == [6]


class _Told(Callback):
    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        """Nothing: it is enough to be asked."""


class _StepsOfItsOwn(WGANGP):
    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Nothing: it is enough to be asked."""


SGD = {f"{player}_optimizer": partial(torch.optim.SGD, lr=0.1) for player in PLAYERS}
ADAM = {f"{player}_optimizer": partial(torch.optim.Adam, fused=True) for player in PLAYERS}
TENSORS = {
    f"{player}_optimizer": partial(torch.optim.Adam, lr=torch.tensor(1e-3)) for player in PLAYERS
}
NOBODY = "nobody who is told of single updates, as"


@pytest.mark.parametrize(
    ("needs", "kind", "options", "trainer"),
    [
        ("optimizers that can be recorded, such as Adam, not SGD", WGANGP, SGD, {}),
        ("learning rates that are no tensors", WGANGP, TENSORS, {}),
        ("precision 32-true or bf16-mixed, not 64-true", WGANGP, {}, {"precision": "64-true"}),
        (f"{NOBODY} _Told.on_after_backward is", WGANGP, {}, {"callbacks": [_Told()]}),
        (f"{NOBODY} _StepsOfItsOwn.on_before_optimizer_step is", _StepsOfItsOwn, {}, {}),
        ("losses that are functions of tensors alone", CycleGAN, None, {}),
    ],
)
def test_what_cannot_be_recorded_is_said(
    needs: str, kind: Any, options: Any, trainer: Any,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if options is None:
        model: Any = small(kind, image_shape=(1, 16, 16))
        trainer = _trainer(tmp_path, 1, **trainer)
        trainer.fit(model, batches(model, 4, 4))
    else:
        model = _model(kind, **options)
        _fit(model, tmp_path, max_steps=1, **trainer)
    monkeypatch.setattr(kind, "device", torch.device("cuda"))
    said = (
        f"cuda_graphs=True of {kind.__name__} needs {needs} "
        "(--model.cuda_graphs false goes on without it)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        check_recordable(model)


def test_a_cpu_is_refused_before_training(tmp_path: Path) -> None:
    model = _model(cuda_graphs=True)
    before = deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="cuda_graphs=True of WGANGP needs a GPU with CUDA, not c"):
        _fit(model, tmp_path)
    assert_close(model.state_dict(), before, rtol=0, atol=0)


def _draws_on_the_host(model: Any) -> None:
    torch.rand(())


def _replaces_a_buffer(model: Any) -> None:
    model.discriminator.seen = torch.zeros(1)


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (_draws_on_the_host, "the losses draw random numbers on the host"),
        (_replaces_a_buffer, "discriminator.seen is replaced by another tensor"),
    ],
)
def test_what_a_replay_would_not_repeat_is_refused(does: Any, reason: str) -> None:
    model = _model()
    model.discriminator.register_buffer("seen", torch.zeros(1))
    with pytest.raises(ValueError, match=reason), recording._explained(model):  # noqa: SIM117
        with recording._unchanged(model):
            does(model)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("kind", [WGANGP, VAEGAN])
def test_on_a_gpu(kind: Any, precision: str, tmp_path: Path) -> None:
    ends = []
    for recorded in (False, True):
        torch.manual_seed(0)
        options = {"balance": (0.68, 0.4)} if kind is VAEGAN else {"regularizers": [R1(every=3)]}
        model = small(kind, image_shape=SIZE, cuda_graphs=recorded, **options)
        trainer = _trainer(tmp_path, 20, accelerator="gpu", devices=1, precision=precision)
        trainer.fit(model, batches(model, 8, 20 * 8))
        ends.append(model.cpu().state_dict())
    # cuDNN's float32 kernels are not deterministic
    assert_close(ends[0], ends[1], rtol=1e-3, atol=1e-3)
