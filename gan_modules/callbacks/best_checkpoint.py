"""The checkpoint with the best figure so far, beside the last one."""

import math
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from gan_modules.callbacks.checkpoint import StepCheckpoint
from gan_modules.callbacks.checkpoint_io import AtomicCheckpointIO, save_checkpoint
from gan_modules.callbacks.metrics import GenerativeMetrics
from gan_modules.callbacks.paths import check_writable, is_trial, unused
from gan_modules.checkpoints.reading import read_checkpoint
from gan_modules.errors import require
from gan_modules.tools.files import whole_file

__all__ = ["BestCheckpoint"]


class BestCheckpoint(Callback):
    """Keep ``checkpoints/best_<metric>.ckpt``, and say at the end how good best and last are.

    The file is replaced whenever a validation finds a better figure. The best so far is part of
    every checkpoint: a resumed run, which has a folder of its own, takes its file there. A figure
    chosen for being best flatters the model: report the last one, too.

    Args:
        monitor: name of the metric as it is logged, such as ``val/fid_inception_10k``; by default
            the first one of :class:`GenerativeMetrics`.
        mode: ``min`` if lower is better, ``max`` if higher is; by default what suits that first
            one, and ``min`` for a ``monitor`` of one's own.
        dirpath: folder; by default that of :class:`StepCheckpoint`, or else ``checkpoints`` in the
            trainer's ``default_root_dir``, with ``-v1`` and so on appended where it exists.

    Raises:
        ValueError: if the mode is unknown; when training starts, if there is nothing to monitor, or
            nothing can be written to ``dirpath``.
        OSError: if a checkpoint cannot be written; an older one is whole.
    """

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] | None = None,
        dirpath: str | None = None,
    ) -> None:
        require(mode in (None, "min", "max"), "mode", mode, "min or max")
        self.monitor = monitor
        self.mode = mode
        self.dirpath = dirpath
        self._best: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._seen: set[str] = set()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Settle how files are written."""
        if stage == "fit":
            AtomicCheckpointIO.install(trainer)
            # an earlier training's; what a resumed one goes on from is loaded after this
            self._best, self._last, self._seen = {}, {}, set()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See that there is a metric, settle the folder, and take the best so far there."""
        if is_trial(trainer):
            return
        measured = self.monitor is not None or _find(trainer, GenerativeMetrics) is not None
        require(measured, "monitor", self.monitor, "the name of a metric without GenerativeMetrics")
        beside = _find(trainer, StepCheckpoint)
        if self.dirpath is None and beside is not None:
            folder = Path(beside.dirpath)
        else:
            folder = Path(self.dirpath or Path(trainer.default_root_dir, "checkpoints"))
            check_writable("best_checkpoint.dirpath", folder)
            folder = unused(folder)
        self._folder: Path = trainer.strategy.broadcast(folder)
        if self._best and Path(self._best["path"]).parent != self._folder:
            known = self._copied(trainer.ckpt_path) if trainer.is_global_zero else {}
            self._best = trainer.strategy.broadcast(known)

    def _copied(self, resumed: Any) -> dict[str, Any]:
        """The best so far, with its file in the new folder; nothing if the file is not to be had.

        The run that wrote it may have gone on since the checkpoint that is resumed, and found
        something better.
        """
        old = Path(self._best["path"])
        for path in (old, Path(resumed or "").parent / old.name):
            if path.is_file() and read_checkpoint(path)["global_step"] == self._best["step"]:
                new = self._folder / old.name
                with whole_file(new) as file:
                    file.write(path.read_bytes())
                return {**self._best, "path": str(new)}
        rank_zero_warn(f"{old} is not the best checkpoint of this training any more: begin anew")
        return {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, if this is better."""
        if trainer.sanity_checking or is_trial(trainer) or trainer.state.fn != TrainerFn.FITTING:
            return
        name, mode = self._choice(trainer)
        self._seen |= {seen for seen in trainer.callback_metrics if seen.startswith("val/")}
        if name is None or name not in trainer.callback_metrics:
            return
        value = trainer.callback_metrics[name].item()
        path = str(self._folder / f"best_{name.removeprefix('val/').replace('/', '_')}.ckpt")
        self._last = {"name": name, "value": value, "step": trainer.global_step}
        sign = 1 if mode == "min" else -1
        known = self._best.get("name") == name
        if math.isfinite(value) and (not known or sign * value < sign * self._best["value"]):
            self._best = {**self._last, "path": path}
            save_checkpoint(trainer, path)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report best and last; say so if the metric never came."""
        if self.monitor is not None and self._seen and not self._last:
            rank_zero_warn(
                f"there is no best checkpoint: monitor={self.monitor!r} must be one of "
                f"{', '.join(sorted(self._seen))}"
            )
        if trainer.is_global_zero and self._best:
            best, last, beside = self._best, self._last, _find(trainer, StepCheckpoint)
            # training may go on after the last measurement
            measured = beside is not None and last["step"] == trainer.global_step
            file = f" ({beside.last_model_path})" if measured else ""
            print(
                f"{best['name']}: best {best['value']:.6g} after {best['step']} generator updates "
                f"({best['path']}), last {last['value']:.6g} after {last['step']}{file}"
            )

    def state_dict(self) -> dict[str, Any]:
        """Best and last figure, with their steps and the file of the best."""
        return {"best": self._best, "last": self._last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._best, self._last = state_dict["best"], state_dict["last"]

    def _choice(self, trainer: Trainer) -> tuple[str | None, Literal["min", "max"]]:
        """What to monitor, once it is known, and which is best."""
        if self.monitor is not None:
            return self.monitor, self.mode or "min"
        metrics: GenerativeMetrics = _find(trainer, GenerativeMetrics)
        return metrics.main_metric, self.mode or metrics.mode


def _find(trainer: Trainer, kind: type[Any]) -> Any:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, kind)), None)
