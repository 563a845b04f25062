"""Samples as rows of a table in Weights & Biases."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_warn
from torchvision.transforms.v2.functional import to_pil_image

from gan_modules.batches import Batch
from gan_modules.callbacks.pictures import Periodic, grid

__all__ = ["SampleTable"]


class SampleTable(Periodic):
    """Log samples to Weights & Biases as the table ``sample_table``: step, image and label.

    Each time ``n`` rows, always of the same latents; labels are 0, 1, 2, ... in turn, or empty if
    the model is not conditional. Tables can be filtered and sorted there, and runs compared row by
    row. Where nothing is logged to Weights & Biases, a warning says so at the start.

    Args:
        every_n_steps: generator updates between two tables; the end of training always has one,
            with None it alone.
        n: rows of a table; every image is uploaded as a file.
        seed: of the latents.

    Raises:
        ValueError: if an option is out of its range, the model has no ``sample`` or makes points.
    """

    def __init__(self, every_n_steps: int | None = None, n: int = 32, seed: int = 0) -> None:
        super().__init__(every_n_steps, n, seed)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say if there is nowhere to log to."""
        super().on_train_start(trainer, pl_module)
        if not any(isinstance(logger, WandbLogger) for logger in trainer.loggers):
            rank_zero_warn("SampleTable has no effect: this run does not log to Weights & Biases")

    def show(self, trainer: Trainer, model: Any, batch: Batch) -> None:
        """Log one table."""
        loggers = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
        if not loggers:
            return
        import wandb

        step = trainer.global_step
        labels = model.sample_labels(self.n)
        classes = [None] * self.n if labels is None else labels.tolist()
        images = model.sample(self.n, labels, self.seed)
        pictures = [to_pil_image(grid(image[None, None], 1)) for image in images]
        rows = [[step, wandb.Image(p), c] for p, c in zip(pictures, classes, strict=True)]
        for logger in loggers:
            logger.log_table("sample_table", ["step", "image", "label"], rows, step=step)
