"""Modes that samples cover, where the data know theirs."""

from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from gan_modules.callbacks.paths import is_trial
from gan_modules.errors import require

__all__ = ["ModeCount"]


class ModeCount(Callback):
    """Count the modes of the data that samples cover, at the end of validation and in ``test``.

    ``val/modes`` is their number, ``val/share`` the share of samples within 3 standard deviations
    of one. It asks the data module for ``count_modes``, as :class:`ToyDataModule` has it, and
    whether there are any, ``has_modes``: data without modes are not counted. Samples are always
    those of the same latents, through the averaged generator.

    Args:
        n: number of samples, 2,500 in the papers.
        seed: of the latents.

    Raises:
        ValueError: if an option is out of its range; when training starts, if the data module
            counts no modes, or the model draws no samples.
    """

    def __init__(self, n: int = 2500, seed: int = 0) -> None:
        require(n >= 1, "n", n, "at least 1")
        self.n = n
        self.seed = seed
        self.metric_names = ["val/modes", "val/share"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check that data and model can do what is asked of them."""
        data = _data_of(trainer)
        if not hasattr(data, "count_modes"):
            name = type(data).__name__ if data is not None else "DataLoader"
            raise ValueError(
                f"ModeCount needs a data module with the method count_modes, not {name}"
            )
        if not hasattr(pl_module, "sample"):
            raise ValueError(f"ModeCount needs samples, which {type(pl_module).__name__} draws not")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count."""
        if not trainer.sanity_checking and not is_trial(trainer):
            self._count(trainer, pl_module, "val")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count."""
        if not is_trial(trainer):
            self._count(trainer, pl_module, "test")

    def _count(self, trainer: Trainer, model: Any, held_out: Literal["val", "test"]) -> None:
        data = _data_of(trainer)
        if not getattr(data, "has_modes", True):
            return
        modes, share = data.count_modes(model.sample(self.n, seed=self.seed))
        values = {f"{held_out}/modes": float(modes), f"{held_out}/share": share}
        # while fitting, the module sends what begins with val/ to the loggers at its own steps
        logger = False if trainer.state.fn == TrainerFn.FITTING else None
        model.log_dict(values, logger=logger, sync_dist=True)


def _data_of(trainer: Trainer) -> Any:
    return getattr(trainer, "datamodule", None)
