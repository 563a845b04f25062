"""Lightning's callbacks that monitor a metric which is not measured at every validation."""

from collections.abc import Collection
from functools import partial
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

__all__ = ["wait_for_measurements"]


def wait_for_measurements(trainer: Trainer, names: Collection[str]) -> None:
    """Have ``ModelCheckpoint`` and ``EarlyStopping`` pass over validations without their metric.

    By themselves they end the training there. A figure of an earlier validation in its place would
    stand for weights that it was not measured of, and use up patience.

    Args:
        trainer: with these callbacks.
        names: of the metrics that are measured now and then.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if getattr(callback, "monitor", None) not in names:
            continue
        # in place of the method of this one object; a partial can be pickled, a closure cannot
        if isinstance(callback, ModelCheckpoint):
            vars(callback)["_save_topk_checkpoint"] = partial(_save_if_measured, callback)
        elif isinstance(callback, EarlyStopping):
            vars(callback)["_validate_condition_metric"] = partial(_is_measured, callback)


def _save_if_measured(callback: ModelCheckpoint, trainer: Trainer, found: dict[str, Any]) -> None:
    if callback.monitor in found:
        type(callback)._save_topk_checkpoint(callback, trainer, found)


def _is_measured(callback: EarlyStopping, found: dict[str, Any]) -> bool:
    return callback.monitor in found
