"""Grids of samples during training."""

import math
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor
from torch.nn import functional as F
from torchvision.utils import make_grid, save_image

from gan_modules.base import require
from gan_modules.callbacks.paths import is_trial, unused
from gan_modules.noise_gan import NoiseGAN

__all__ = ["SampleGrid"]


class SampleGrid(Callback):
    """Save ``samples/step_XXXXXX.png``: always the same latents, through the averaged generator.

    Loggers that show images (Weights & Biases, TensorBoard) get the grid too, as ``samples``.

    Args:
        every_n_steps: generator updates between two grids; the end of training is always drawn.
        n: images in a grid, as close to a square as they go.
        seed: of the latents.
        width: images are enlarged by a whole factor until the grid has about this many pixels.
        dirpath: folder; by default ``samples`` in the trainer's ``default_root_dir``. Where it
            exists, ``-v1`` and so on is appended.
    """

    def __init__(
        self,
        every_n_steps: int = 500,
        n: int = 64,
        seed: int = 0,
        width: int = 512,
        dirpath: str | None = None,
    ) -> None:
        for name, value in (("every_n_steps", every_n_steps), ("n", n), ("width", width)):
            require(value >= 1, name, value, "at least 1")
        self.every_n_steps = every_n_steps
        self.n = n
        self.seed = seed
        self.width = width
        self.dirpath = dirpath

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Settle the folder."""
        if not isinstance(pl_module, NoiseGAN):
            raise ValueError(f"SampleGrid draws from a NoiseGAN, not a {type(pl_module).__name__}")
        self._drawn = -1
        self._folder = unused(Path(self.dirpath or Path(trainer.default_root_dir, "samples")))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Draw a grid when it is due."""
        if trainer.global_step % self.every_n_steps == 0:
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the final grid."""
        self._draw(trainer, pl_module)

    def _draw(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step = trainer.global_step
        if not trainer.is_global_zero or is_trial(trainer) or step == self._drawn:
            return
        assert isinstance(pl_module, NoiseGAN)
        grid = self.grid(pl_module.sample(self.n, seed=self.seed))
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"step_{step:06d}.png"
        save_image(grid, path)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image(key="samples", images=[str(path)], step=step)
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", grid, step)
        self._drawn = step

    def grid(self, images: Tensor) -> Tensor:
        """Lay images in [-1, 1] out in rows; returns ``(3, height, width)`` in [0, 1]."""
        columns = math.ceil(math.sqrt(len(images)))
        factor = max(1, round(self.width / (columns * images.shape[-1])))
        images = F.interpolate(images.float().cpu(), scale_factor=factor)
        grid: Tensor = make_grid(images, columns, padding=2, normalize=True, value_range=(-1, 1))
        return grid
