"""The checkpoint with the best figure so far, beside the last one."""

import math
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from gan_modules.base import require
from gan_modules.callbacks.checkpoint import StepCheckpoint
from gan_modules.callbacks.metrics import GenerativeMetrics
from gan_modules.callbacks.paths import is_trial, unused

__all__ = ["BestCheckpoint"]


class BestCheckpoint(Callback):
    """Keep ``checkpoints/best_<metric>.ckpt``, and say at the end how good best and last are.

    The file is replaced whenever a validation finds a better figure. The best so far is part of
    every checkpoint: a resumed run, which has a folder of its own, writes a file there only once
    it is better. A figure chosen for being best flatters the model: report the last one, too.

    Args:
        monitor: name of the metric as it is logged, such as ``val/fid_inception_10k``; by default
            the first one of :class:`GenerativeMetrics`.
        mode: ``min`` if lower is better, ``max`` if higher is; by default what suits that first
            one, and ``min`` for a ``monitor`` of one's own.
        dirpath: folder; by default that of :class:`StepCheckpoint`, or else ``checkpoints`` in the
            trainer's ``default_root_dir``, with ``-v1`` and so on appended where it exists.

    Raises:
        ValueError: if the mode is unknown; when training starts, if there is nothing to monitor.
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

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See that there is a metric, and settle the folder."""
        if is_trial(trainer):
            return
        measured = self.monitor is not None or _find(trainer, GenerativeMetrics) is not None
        require(measured, "monitor", self.monitor, "the name of a metric without GenerativeMetrics")
        beside = _find(trainer, StepCheckpoint)
        if self.dirpath is None and beside is not None:
            folder = Path(beside.dirpath)
        else:
            folder = unused(Path(self.dirpath or Path(trainer.default_root_dir, "checkpoints")))
        self._folder: Path = trainer.strategy.broadcast(folder)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, if this is better."""
        if trainer.sanity_checking or is_trial(trainer) or trainer.state.fn != TrainerFn.FITTING:
            return
        name, mode = self._choice(trainer)
        if name is None or name not in trainer.callback_metrics:
            return
        value = trainer.callback_metrics[name].item()
        path = str(self._folder / f"best_{name.removeprefix('val/').replace('/', '_')}.ckpt")
        now = {"name": name, "value": value, "step": trainer.global_step, "path": path}
        self._last = now
        sign = 1 if mode == "min" else -1
        known = self._best.get("name") == name
        if math.isfinite(value) and (not known or sign * value < sign * self._best["value"]):
            self._best = now
            trainer.save_checkpoint(path, weights_only=False)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report best and last."""
        if trainer.is_global_zero and self._best:
            best, last, beside = self._best, self._last, _find(trainer, StepCheckpoint)
            file = f" ({beside.last_model_path})" if beside is not None else ""
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
