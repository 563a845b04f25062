"""Samples as rows of a table in Weights & Biases."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from gan_modules.callbacks.pictures import Periodic, picture
from gan_modules.training.batches import Batch

__all__ = ["SampleTable"]


class SampleTable(Periodic):
    """Log samples to Weights & Biases as the table ``sample_table``, at every validation.

    One row per sample: step, index, and the columns of the model's ``sample_table``. These are
    image and label (if the model is conditional; the class's name where the data has names) of
    always the same latents, or held-out images with their translations and the way back. Tables can
    be filtered and sorted there, and runs compared row by row. Where nothing is logged to Weights &
    Biases, a warning says so.

    Args:
        every_n_steps: generator updates between two tables, in place of validations. The end of
            training always has one.
        n: rows of a table; every image is uploaded as a file.
        seed: of the latents.

    Raises:
        ValueError: if an option is out of its range, or the model makes points.
    """

    needs = "sample_table"

    def __init__(self, every_n_steps: int | None = None, n: int = 32, seed: int = 0) -> None:
        super().__init__(every_n_steps, n, seed)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say if there is nowhere to log to."""
        super().on_train_start(trainer, pl_module)
        if not any(isinstance(logger, WandbLogger) for logger in trainer.loggers):
            rank_zero_warn("SampleTable has no effect: this run does not log to Weights & Biases")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show what was just evaluated, unless another interval was asked for."""
        is_fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        if self.every_n_steps is None and is_fitting:
            self._show(trainer, pl_module)

    def show(self, trainer: Trainer, model: Any, batch: Batch) -> None:
        """Log one table."""
        loggers = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
        if not loggers:
            return
        step = trainer.global_step
        columns: dict[str, Tensor] = model.sample_table(self.n, self.seed, batch)
        names = getattr(model, "class_names", ())
        cells = [
            [names[v] if key == "label" and names else _cell(v) for v in column]
            for key, column in columns.items()
        ]
        rows = [[step, index, *row] for index, row in enumerate(zip(*cells, strict=True))]
        for logger in loggers:
            logger.log_table("sample_table", ["step", "index", *columns], rows, step=step)


def _cell(value: Tensor) -> Any:
    """An image as such, a number as such."""
    import wandb

    if not value.ndim:
        return value.item()
    return wandb.Image(picture(value[None, None], 1))
