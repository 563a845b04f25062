"""The progress bar."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import (
    BatchesProcessedColumn,
    CustomBarColumn,
    RichProgressBarTheme,
)
from rich.progress import TextColumn, TimeRemainingColumn
from rich.table import Column

__all__ = ["GANProgressBar"]


class GANProgressBar(RichProgressBar):
    """Rich progress over generator updates, with both players' losses and images per second.

    Where ``max_steps`` is set the bar runs over all of it: an epoch of a small data set lasts a
    fraction of a second. Images per second counts the real images of all processes. It is one line
    of 80 columns; what is logged meanwhile comes above it.

    Args:
        refresh_rate: drawings per second.
    """

    def __init__(self, refresh_rate: int = 5) -> None:
        super().__init__(refresh_rate, theme=RichProgressBarTheme(metrics_format=".4g"))
        self._streams: list[tuple[Any, Any]] = []
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

    def configure_columns(self, trainer: Trainer) -> list[Any]:
        """What is done, of how much, and the time left: only the bar gives way to the others."""
        bar = {"complete_style": self.theme.progress_bar, "pulse_style": self.theme.progress_bar}
        columns = [
            TextColumn("{task.description}"),
            CustomBarColumn(None, finished_style=self.theme.progress_bar_finished, **bar),  # type: ignore[arg-type]
            BatchesProcessedColumn(self.theme.batch_progress),
            TimeRemainingColumn(elapsed_when_finished=True),
        ]
        for column in columns[2:]:
            column._table_column = Column(no_wrap=True)
        return columns

    def _init_progress(self, trainer: Trainer) -> None:
        before = self.progress
        super()._init_progress(trainer)
        if self.progress is not before and self._metric_component is not None:
            self._metric_component._table_column = Column(no_wrap=True)
            # Lightning's messages would be written into the bar, which would be drawn once more:
            # by now sys.stderr puts them above it
            for name in ("lightning.pytorch", "lightning.fabric"):
                for handler in logging.getLogger(name).handlers:
                    if type(handler) is logging.StreamHandler:
                        self._streams.append((handler, handler.setStream(sys.stderr)))

    def _stop_progress(self) -> None:
        super()._stop_progress()
        for handler, stream in self._streams:
            if stream is not None:
                handler.setStream(stream)
        self._streams = []

    @contextmanager
    def part(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar below the other one while something else takes its time.

        Args:
            description: of what is done.
            total: how much there is to do.

        Yields:
            A function to be told how much more is done.
        """
        progress = self.progress
        if progress is None or self.is_disabled:
            yield lambda more: None
            return
        task = progress.add_task(description, total=total)

        def advance(more: int) -> None:
            progress.update(task, advance=more)
            progress.soft_refresh()

        try:
            yield advance
        finally:
            progress.remove_task(task)

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

    def _update_metrics(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._metric_component is not None:
            metrics = self.get_metrics(trainer, pl_module).items()
            # as short as can be: the line is 80 columns wide
            short = {name.removesuffix("/loss").replace("images", "img"): v for name, v in metrics}
            self._metric_component.update(short)

    def _get_train_description(self, current_epoch: int) -> str:
        if self._whole:
            return "Updates"
        if self.trainer.max_epochs == -1:
            return f"Epoch {current_epoch}"
        description: str = super()._get_train_description(current_epoch)
        return description
