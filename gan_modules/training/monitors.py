"""What callbacks monitor: checked before the first update, and waited for."""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

__all__ = ["check_monitors", "wait_for_measurements"]

# Lightning's ModelCheckpoint adds them
ALWAYS = ("epoch", "step")
OURS = ("gan_modules.", "lightning.", "pytorch_lightning.")


def check_monitors(trainer: Trainer, find_names: Callable[[], Iterable[str]]) -> None:
    """Raise ``ValueError`` if a callback monitors what is never logged.

    Of what is logged less often than validated, callbacks wait for the first value. Metrics are
    known by the ``metric_names`` of the callbacks that measure them. Where a callback of the user's
    own may log anything, nothing is refused.

    Args:
        trainer: that is about to train.
        find_names: gives the names of all that the model logs in training; asked where a callback
            monitors something else than a metric.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    measured = [name for c in callbacks for name in getattr(c, "metric_names", ())]
    wanted: list[Any] = [c for c in callbacks if isinstance(getattr(c, "monitor", None), str)]
    wanted = [c for c in wanted if c.monitor not in (*measured, *ALWAYS)]
    may_log_more = not all(type(c).__module__.startswith(OURS) for c in callbacks)
    if not wanted or trainer.fast_dev_run:  # type: ignore[attr-defined]
        return
    logged = [*find_names()]
    wait_for_measurements(trainer, logged)
    if may_log_more:
        return
    held_out = [f"val/{name}" for name in logged if trainer.enable_validation]
    real = sorted({*measured, *logged, *held_out})
    for callback in wanted:
        if callback.monitor not in real:
            raise ValueError(
                f"{type(callback).__name__}.monitor={callback.monitor!r} must be one of "
                f"{', '.join(real)}"
            )


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
