"""What callbacks monitor, checked before the first update."""

from collections.abc import Callable, Iterable
from typing import Any

from lightning.pytorch import Callback, Trainer

__all__ = ["check_monitors"]

# Lightning's ModelCheckpoint adds them
ALWAYS = ("epoch", "step")
OURS = ("gan_modules.", "lightning.", "pytorch_lightning.")


def check_monitors(trainer: Trainer, find_names: Callable[[], Iterable[str]]) -> None:
    """Raise ``ValueError`` if a callback monitors what is never logged.

    Metrics are known by the ``metric_names`` of the callbacks that measure them. Where a callback
    of the user's own may log anything, nothing is refused.

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
    if not wanted or may_log_more or trainer.fast_dev_run:  # type: ignore[attr-defined]
        return
    logged = [*find_names()]
    held_out = [f"val/{name}" for name in logged if trainer.enable_validation]
    real = sorted({*measured, *logged, *held_out})
    for callback in wanted:
        if callback.monitor not in real:
            raise ValueError(
                f"{type(callback).__name__}.monitor={callback.monitor!r} must be one of "
                f"{', '.join(real)}"
            )
