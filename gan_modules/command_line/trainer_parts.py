"""The callbacks that a trainer of the command line gets."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelSummary, ProgressBar

from gan_modules.callbacks import (
    BestCheckpoint,
    Diagnostics,
    GANProgressBar,
    GenerativeMetrics,
    LossPlot,
    NetworkWatch,
    RealExamples,
    SampleGrid,
    StepCheckpoint,
)
from gan_modules.callbacks.summary import NetworkSummary

__all__ = ["CALLBACKS", "switched_off", "with_own_callbacks"]

CALLBACKS: dict[str, type[Callback]] = {
    "checkpoint": StepCheckpoint,
    "samples": SampleGrid,
    "loss_plot": LossPlot,
    "diagnostics": Diagnostics,
    "metrics": GenerativeMetrics,
    "best_checkpoint": BestCheckpoint,
    "watch": NetworkWatch,
}
"""That every run has, and the name of their options."""


def switched_off(options: Any, enable_checkpointing: bool | None) -> tuple[type[Callback], ...]:
    """Kinds of this project's callbacks that the options of a command leave out."""
    unwanted: list[type[Callback]] = []
    if not options["metrics"]["names"]:
        unwanted.append(GenerativeMetrics)
        if options["best_checkpoint"]["monitor"] is None:
            unwanted.append(BestCheckpoint)
    if options["diagnostics"]["every_n_steps"] is None:
        unwanted.append(Diagnostics)
    if not options["watch"]["what"]:
        unwanted.append(NetworkWatch)
    if enable_checkpointing is False:
        unwanted += [StepCheckpoint, BestCheckpoint]
    return tuple(unwanted)


def with_own_callbacks(trainer: Mapping[str, Any]) -> list[Callback]:
    """The callbacks among the trainer's options, and ours for what else a trainer has."""
    callbacks = trainer["callbacks"] or []
    callbacks = list(callbacks) if isinstance(callbacks, list) else [callbacks]
    has_bar = any(isinstance(callback, ProgressBar) for callback in callbacks)
    if trainer["enable_progress_bar"] is not False and not has_bar:
        callbacks.append(GANProgressBar())
    if not any(isinstance(callback, RealExamples) for callback in callbacks):
        callbacks.append(RealExamples())
    has_summary = any(isinstance(callback, ModelSummary) for callback in callbacks)
    if trainer["enable_model_summary"] is not False and not has_summary:
        callbacks.append(NetworkSummary())
    return callbacks
