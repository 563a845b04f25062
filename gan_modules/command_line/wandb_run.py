"""Weights & Biases for a run: its logger, which keeps the model as well."""

from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from gan_modules.checkpoints.newest import newest_checkpoint
from gan_modules.checkpoints.reading import read_checkpoint

__all__ = ["RunWandbLogger"]


class RunWandbLogger(WandbLogger):
    """Upload one checkpoint at the end of a training that is logged online.

    The artifact ``model-<run id>`` holds ``best*.ckpt`` of the folder of checkpoints if there is
    one, else the newest; its alias is ``best`` or ``last``, its metadata say which class, how many
    generator updates, and how good the best is. A training that fails or is stopped uploads none.

    Args:
        mode: ``online``, or anything else for no upload.
        **kwargs: options of ``WandbLogger``.
    """

    def __init__(self, *, mode: str, **kwargs: Any) -> None:
        super().__init__(mode=mode, **kwargs)
        # an option that Lightning passes on, and that W&B warns of although it is None
        self._wandb_init.pop("anonymous", None)
        self._online = mode == "online"
        self._checkpoints: Path | None = None

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Note where checkpoints are."""
        if checkpoint_callback.dirpath is not None:
            self._checkpoints = Path(checkpoint_callback.dirpath)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Upload the model, if the training came to its end."""
        super().finalize(status)
        if status != "success" or not self._online or self._checkpoints is None:
            return
        best = next(iter(sorted(self._checkpoints.glob("best*.ckpt"))), None)
        path = best or newest_checkpoint(self._checkpoints)
        if path is None:
            return
        import wandb

        checkpoint = read_checkpoint(path)
        facts = {"class": checkpoint["class"], "step": checkpoint["global_step"], "file": path.name}
        found = checkpoint["callbacks"].get("BestCheckpoint", {}).get("best")
        if best and found:
            facts[found["name"]] = found["value"]
        run = self.experiment
        artifact = wandb.Artifact(f"model-{run.id}", "model", metadata=facts)
        # immutable: it is not copied before it is uploaded
        artifact.add_file(str(path.resolve()), "model.ckpt", policy="immutable")
        run.log_artifact(artifact, aliases=["best" if best else "last"])
