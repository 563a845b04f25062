"""Histograms of what the networks are made of, and of what moves them."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor
from torch.optim import Optimizer

from gan_modules.callbacks.paths import is_trial
from gan_modules.callbacks.steps import StepHooks, unscaled_gradients
from gan_modules.errors import require

__all__ = ["NetworkWatch"]

CHOICES = ("gradients", "parameters", "all")
BINS = 64


class NetworkWatch(Callback):
    """Log histograms of the networks' parameters and gradients to W&B or TensorBoard.

    Named ``parameters/generator.layers.0.weight``, ``gradients/discriminator.layers.0.weight`` and
    so on, over generator updates. A gradient is the one that an optimizer is about to use: averaged
    over processes and pieces, unscaled, but not clipped yet. Of several discriminator updates in
    one step it is the last one's. Parameters are those after the step, as in a checkpoint made
    then. Values that are not finite are left out.

    ``wandb.watch`` would count every backward pass, see half-made and scaled gradients, and put
    them on the x-axis where something else is logged next.

    Args:
        what: ``gradients``, ``parameters`` or ``all``; None for nothing.
        every_n_steps: generator updates between two times. In between, it costs nothing; when it
            is time, every watched tensor is copied to the CPU.

    Raises:
        ValueError: if an option is out of its range; when training starts, if no logger shows
            histograms.
    """

    def __init__(
        self,
        what: Literal["gradients", "parameters", "all"] | None = "all",
        every_n_steps: int = 100,
    ) -> None:
        require(what is None or what in CHOICES, "what", what, "gradients, parameters or all")
        require(every_n_steps >= 1, "every_n_steps", every_n_steps, "at least 1")
        self.what = what
        self.every_n_steps = every_n_steps
        self._gradients: dict[str, Tensor] = {}
        self._hooks: StepHooks | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check that there is a logger for histograms."""
        if stage == "fit" and self.what is not None and not is_trial(trainer):
            kinds = [type(logger).__name__ for logger in trainer.loggers]
            shown = any(isinstance(x, (WandbLogger, TensorBoardLogger)) for x in trainer.loggers)
            right = (
                "left out without a logger for histograms, Weights & Biases or TensorBoard: "
                f"this run logs to {', '.join(kinds) or 'none'}"
            )
            require(shown, "watch.what", self.what, right)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier training."""
        self._gradients = {}

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Look at the gradients of this iteration, if it is time at its end."""
        if self.what not in (None, "parameters") and self._is_due(trainer, trainer.global_step + 1):
            names = {id(p): name for name, p in pl_module.named_parameters()}
            self._hooks = StepHooks(partial(self._keep, names))
            self._hooks.attach(trainer.optimizers)

    def _keep(self, names: Mapping[int, str], optimizer: Optimizer) -> None:
        for parameter, gradient in unscaled_gradients(optimizer):
            self._gradients[f"gradients/{names[id(parameter)]}"] = _flat(gradient)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log when it is time."""
        if self._hooks is not None:
            self._hooks.remove()
            self._hooks = None
        step = trainer.global_step
        if self.what is None or not self._is_due(trainer, step):
            return
        watched = dict(self._gradients)
        self._gradients = {}
        if self.what != "gradients":
            watched |= {f"parameters/{name}": _flat(p) for name, p in _trained(pl_module)}
        finite = {name: values[values.isfinite()] for name, values in watched.items()}
        shown = {name: values.numpy() for name, values in finite.items() if len(values)}
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                import wandb

                # in float64: bins of nearly equal or tiny values cannot be told apart in float32
                histograms: Any = {
                    name: wandb.Histogram(np_histogram=np.histogram(values.astype(float), BINS))
                    for name, values in shown.items()
                }
                logger.log_metrics(histograms, step)
            elif isinstance(logger, TensorBoardLogger):
                for name, values in shown.items():
                    logger.experiment.add_histogram(name, values, step)

    def _is_due(self, trainer: Trainer, step: int) -> bool:
        """Whether the histograms are to be logged after that many generator updates."""
        return step % self.every_n_steps == 0 and trainer.is_global_zero and not is_trial(trainer)


def _trained(model: LightningModule) -> Iterator[tuple[str, Tensor]]:
    """Parameters that an optimizer has, with their names."""
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)


def _flat(tensor: Tensor) -> Tensor:
    return tensor.detach().flatten().to("cpu", torch.float32, copy=True)
