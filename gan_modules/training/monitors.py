"""What callbacks monitor, checked before training starts."""

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities.seed import isolate_rng

from gan_modules.training.compiling import run_without_effect
from gan_modules.training.fitting import tried
from gan_modules.training.reporting import named, with_sum

if TYPE_CHECKING:
    from gan_modules.training.module import GenerativeModule

__all__ = ["check_monitors"]

# Lightning's ModelCheckpoint adds them
ALWAYS = ("epoch", "step")
OURS = ("gan_modules.", "lightning.", "pytorch_lightning.")


def check_monitors(trainer: Trainer, model: "GenerativeModule") -> None:
    """Raise ``ValueError`` if a callback monitors what is never logged.

    Terms of the objective are known from one held-out batch, metrics by the ``metric_names`` of the
    callbacks that measure them. Where a callback of the user's own may log anything, nothing is
    refused.

    Args:
        trainer: that is about to train.
        model: in its trainer.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    wanted = [c for c in callbacks if isinstance(getattr(c, "monitor", None), str)]
    known = [name for c in callbacks for name in getattr(c, "metric_names", ())]
    wanted = [c for c in wanted if _monitor(c) not in (*known, *ALWAYS)]
    may_log_more = not all(type(c).__module__.startswith(OURS) for c in callbacks)
    if not wanted or may_log_more or trainer.fast_dev_run:  # type: ignore[attr-defined]
        return
    terms = _names_of_terms(trainer, model)
    held_out = [f"val/{t}" for t in terms if trainer.enable_validation]
    real = sorted({*known, *terms, *held_out, *model.measures()})
    for callback in wanted:
        if _monitor(callback) not in real:
            raise ValueError(
                f"{type(callback).__name__}.monitor={_monitor(callback)!r} must be one of "
                f"{', '.join(real)}"
            )


def _monitor(callback: Any) -> str:
    monitor: str = callback.monitor
    return monitor


def _names_of_terms(trainer: Trainer, model: "GenerativeModule") -> list[str]:
    """Names of all terms and sums, as in training, from one batch and without a trace."""
    from gan_modules.metrics.data import RealData

    found: list[str] = []

    def note(batch: Any) -> None:
        terms = {
            player: with_sum(player, model.terms_of(player, part))
            for player, part in model.turns([batch])
        }
        found.extend(named(terms))

    with isolate_rng(include_cuda=model.device.type == "cuda"), torch.inference_mode(False):
        images, second = RealData(trainer).first("val" if trainer.enable_validation else "train")
        if second is not None and second.is_floating_point():
            second = second.to(model.dtype)
        batch = images.to(model.dtype), second
        model.check_batch(batch)
        with tried(model.checks(images)):
            run_without_effect(model, [note], batch)
    return found
