"""Checkpoints that survive a crash while they are written."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO

from gan_modules.tools.files import whole_file

__all__ = ["AtomicCheckpointIO", "save_checkpoint"]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints beside and rename them when they are on the disk; read plain values only.

    :class:`StepCheckpoint` puts it in the place of Lightning's own, which writes into the folder
    for temporary files: moved from there to another disk, a checkpoint can be cut off.
    """

    _failures: list[str] | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Save to ``path``; an older file of this name is replaced in one stroke.

        Raises:
            OSError: if it cannot be written.
        """
        if "://" in str(path) or storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        # torch reports a full disk as an internal error of its archive: Python's own is clear
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            with whole_file(path) as file:
                file.write(buffer.getbuffer())
        except OSError as error:
            if self._failures is None:
                raise
            self._failures.append(error.strerror or str(error))

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = lambda storage, _: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint, and nothing but tensors and plain values unless asked to."""
        # to torch before 2.6, None means anything
        return super().load_checkpoint(path, map_location, weights_only is not False)

    @classmethod
    @contextmanager
    def failures(cls, trainer: Trainer) -> Iterator[list[str]]:
        """Gather what goes wrong in place of raising it, which would leave other ranks waiting."""
        plugin = trainer.strategy.checkpoint_io
        failures: list[str] = []
        if isinstance(plugin, cls):
            plugin._failures = failures
        try:
            yield failures
        finally:
            if isinstance(plugin, cls):
                plugin._failures = None

    @classmethod
    def install(cls, trainer: Trainer) -> None:
        """Have a trainer write its checkpoints so, unless it was given a way of its own."""
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = cls()


def save_checkpoint(trainer: Trainer, path: str) -> None:
    """Save a checkpoint, or end on every rank with what went wrong on the first one.

    Raises:
        OSError: if it cannot be written.
    """
    with AtomicCheckpointIO.failures(trainer) as failures:
        trainer.save_checkpoint(path, weights_only=False)
    failure = trainer.strategy.broadcast(failures[0] if failures else None)
    if failure is not None:
        raise OSError(f"{path} cannot be written ({failure}); no older file is touched")
