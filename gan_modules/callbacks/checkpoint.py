"""Checkpoints counted and named by generator updates."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from gan_modules.callbacks.checkpoint_io import AtomicCheckpointIO, save_checkpoint
from gan_modules.callbacks.paths import check_writable, unused
from gan_modules.callbacks.stop_signals import StopSignals
from gan_modules.checkpoints.newest import newest_checkpoint
from gan_modules.errors import require

__all__ = ["StepCheckpoint"]


class StepCheckpoint(ModelCheckpoint):
    """Write ``checkpoints/step_XXXXXX.ckpt`` every k generator updates and at the end of training.

    ``checkpoints/last.ckpt`` links to the newest. A file appears under its name when it is complete
    and on the disk; an older one is only removed, if at all, after that.

    ``SIGTERM`` and Ctrl-C end the training after the iteration at hand (with several processes: the
    next tenth) with a checkpoint and status 143 or 130; a second one ends it at once. Whatever else
    ends a training early, the last good checkpoint is named.

    Args:
        every_n_train_steps: generator updates between two checkpoints.
        save_top_k: -1 keeps all of them, 1 only the newest.
        dirpath: folder; by default ``checkpoints`` in the trainer's ``default_root_dir``. Where it
            exists, ``-v1`` and so on is appended.

    Raises:
        ValueError: if an option is out of its range, or nothing can be written to ``dirpath``.
        OSError: if a checkpoint cannot be written; those before it are whole.
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
        self._before_validation = False
        self._validate_first = False
        self._signals = StopSignals()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Settle how files are written, and where: in a folder of no other training."""
        if stage == "fit":
            AtomicCheckpointIO.install(trainer)
            if not self._settled:
                folder = self._folder(trainer)
                check_writable("checkpoint.dirpath", folder)
                self.dirpath = str(unused(folder))
                self._settled = True
        super().setup(trainer, pl_module, stage)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to wait for signals; do what the checkpoint was saved before."""
        super().on_train_start(trainer, pl_module)
        self._signals.install()
        if self._validate_first:
            self._validate_first = False
            _validate(trainer, self._epoch)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note whether a validation is due that a killed process will not have come to."""
        checkpoint["validation_is_due"] = self._before_validation and validation_is_due(trainer)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take the note."""
        self._validate_first = checkpoint.get("validation_is_due", False)
        self._epoch: int = checkpoint["epoch"]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when it is due, or when asked to stop."""
        number = self._signals.ask(trainer)
        if number or trainer.global_step % self._every_n_train_steps == 0:
            self._before_validation = True
            self._save_now(trainer)
            self._before_validation = False
        if number:
            self._tell(trainer, f"{number.name} after generator update {trainer.global_step}")
            # launchers kill what is left when one process fails, and rank 0 has more to finish
            raise SystemExit(128 + number if trainer.is_global_zero else 0)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Start afresh: a resumed run is a new folder and leaves the old one's files alone."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end of the training, whatever step it is."""
        self._save_now(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Say from where the training can go on."""
        if not isinstance(exception, SystemExit):
            self._tell(trainer, f"stopped after generator update {trainer.global_step}")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        self._signals.remove()
        super().teardown(trainer, pl_module, stage)

    def _folder(self, trainer: Trainer) -> Path:
        return Path(self.dirpath or Path(trainer.default_root_dir, "checkpoints"))

    def _find_last_checkpoints(self, trainer: Trainer) -> set[str]:
        """What ``ckpt_path="last"`` of a plain trainer means: the newest of all its trainings."""
        folder = self._folder(trainer)
        folders = folder.parent.glob(f"{folder.name.split('-v')[0]}*")
        return {str(path) for path in map(newest_checkpoint, folders) if path is not None}

    def _save_now(self, trainer: Trainer) -> None:
        """Save this step, once."""
        if not self._should_skip_saving_checkpoint(trainer):
            candidates = self._monitor_candidates(trainer)
            self._save_topk_checkpoint(trainer, candidates)
            self._save_last_checkpoint(trainer, candidates)

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        """Save, or end on every rank with what went wrong on the first one."""
        save_checkpoint(trainer, filepath)
        self._last_global_step_saved = trainer.global_step
        self._last_checkpoint_saved = filepath
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.after_save_checkpoint(self)

    @staticmethod
    def _link_checkpoint(trainer: Trainer, filepath: str, linkpath: str) -> None:
        """Point ``last.ckpt`` to the file in one stroke."""
        if trainer.is_global_zero:
            beside = Path(f"{linkpath}.{os.getpid()}.part")
            try:
                beside.symlink_to(Path(filepath).name)
            except OSError:
                # Windows reserves links for administrators
                shutil.copy(filepath, beside)
            beside.replace(linkpath)
        trainer.strategy.barrier()

    def _tell(self, trainer: Trainer, what: str) -> None:
        """Say from where the training can go on, if from anywhere."""
        path = self._last_checkpoint_saved or trainer.ckpt_path
        if path and trainer.is_global_zero:
            line = f"{what}; the last good checkpoint is {os.path.relpath(path)}: to go on from it"
            print(f"{line}, add --ckpt_path {os.path.relpath(path)}", file=sys.stderr)


def validation_is_due(trainer: Trainer) -> bool:
    """Whether Lightning will validate after the iteration at hand."""
    loop = trainer.fit_loop
    return bool(loop.epoch_loop._should_check_val_fx(loop._data_fetcher))  # type: ignore[arg-type]


def _validate(trainer: Trainer, epoch: int) -> None:
    """Validate as Lightning does between two iterations, in the epoch of the one before.

    After the last iteration of an epoch, a resumed training is in the next one already.
    """
    loop, progress = trainer.fit_loop.epoch_loop.val_loop, trainer.fit_loop.epoch_progress.current
    trainer.validating = True
    loop.restarting = False
    now, progress.completed = progress.completed, epoch
    loop.run()
    progress.completed = now
    trainer.training = True
