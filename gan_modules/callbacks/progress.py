"""The progress bar."""

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar

__all__ = ["GANProgressBar"]


class GANProgressBar(RichProgressBar):
    """Rich progress over generator updates, with both players' losses and images per second.

    Where ``max_steps`` is set the bar runs over all of it: an epoch of a small data set lasts a
    fraction of a second. Images per second counts the real images of all processes.

    Args:
        refresh_rate: drawings per second.
    """

    def __init__(self, refresh_rate: int = 5) -> None:
        super().__init__(refresh_rate=refresh_rate)
        self._images = 0
        self._images_per_second = 0.0
        self._since = self._next_update = 0.0

    @property
    def total_train_batches(self) -> int | float:
        """Generator updates of the whole training, or of an epoch where it has no end."""
        return self.trainer.max_steps if self._whole else super().total_train_batches

    @property
    def _whole(self) -> bool:
        return self.trainer.max_steps > 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        self._since = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start one bar for the whole training, or one per epoch."""
        if not self._whole or self.train_progress_bar_id is None:
            super().on_train_epoch_start(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count images at every step; draw only as often as the bar is refreshed."""
        images = batch[0] if isinstance(batch, (tuple, list)) else batch
        self._images += len(images) * trainer.world_size
        now = time.monotonic()
        if now < self._next_update and trainer.global_step != trainer.max_steps:
            return
        self._next_update = now + 1 / max(self.refresh_rate, 1)
        if now - self._since >= 1:
            self._images_per_second = self._images / (now - self._since)
            self._images, self._since = 0, now
        done = trainer.global_step - 1 if self._whole else batch_idx
        super().on_train_batch_end(trainer, pl_module, outputs, batch, done)

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The losses logged last and, once known, images per second."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        if self._images_per_second:
            metrics["images/s"] = f"{self._images_per_second:,.0f}"
        return metrics

    def _get_train_description(self, current_epoch: int) -> str:
        if self._whole:
            return "Generator updates"
        description: str = super()._get_train_description(current_epoch)
        return description
