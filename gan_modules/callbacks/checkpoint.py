"""Checkpoints counted and named by generator updates."""

import warnings
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from gan_modules.base import require
from gan_modules.callbacks.paths import unused

__all__ = ["StepCheckpoint"]


class StepCheckpoint(ModelCheckpoint):
    """Write ``checkpoints/step_XXXXXX.ckpt`` every k generator updates and at the end of training.

    ``checkpoints/last.ckpt`` links to the newest. An older file is only removed, if at all, once a
    newer one is complete.

    Args:
        every_n_train_steps: generator updates between two checkpoints.
        save_top_k: -1 keeps all of them, 1 only the newest.
        dirpath: folder; by default ``checkpoints`` in the trainer's ``default_root_dir``. Where it
            exists, ``-v1`` and so on is appended.
    """

    def __init__(
        self,
        every_n_train_steps: int = 1000,
        save_top_k: Literal[-1, 1] = -1,
        dirpath: str | None = None,
    ) -> None:
        require(every_n_train_steps >= 1, "every_n_train_steps", every_n_train_steps, "at least 1")
        super().__init__(
            dirpath=dirpath,
            filename="step_{step:06d}",
            auto_insert_metric_name=False,
            every_n_train_steps=every_n_train_steps,
            save_top_k=save_top_k,
            save_last="link",
        )
        self._settled = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Settle the folder: one that no other training has written to."""
        if stage == "fit" and not self._settled:
            folder = Path(self.dirpath or Path(trainer.default_root_dir, "checkpoints"))
            self.dirpath = str(unused(folder))
            self._settled = True
        super().setup(trainer, pl_module, stage)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when it is due."""
        if trainer.global_step % self._every_n_train_steps == 0:
            with warnings.catch_warnings():
                # Lightning supposes that manual optimization wants the state before the step
                warnings.filterwarnings("ignore", "Using ModelCheckpoint with manual optimization")
                super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Start afresh: a resumed run is a new folder and leaves the old one's files alone."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end of the training, whatever step it is."""
        if not self._should_skip_saving_checkpoint(trainer):
            candidates = self._monitor_candidates(trainer)
            self._save_topk_checkpoint(trainer, candidates)
            self._save_last_checkpoint(trainer, candidates)
