"""Pictures of what the generator makes, during training."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import pil_to_tensor
from torchvision.utils import make_grid, save_image

from gan_modules.base import GANModule, require
from gan_modules.batches import Batch, as_batch, join_batches
from gan_modules.callbacks.paths import check_writable, is_trial, unused
from gan_modules.files import whole_file

__all__ = ["SampleGrid"]


class SampleGrid(Callback):
    """Save ``samples/step_XXXXXX.png``: always the same latents, through the averaged generator.

    What is drawn is the model's ``sample_grid``: a square of samples, one class per row for a
    conditional model, held-out images with their translations for one that translates. Points in
    the plane are drawn as such, over the real ones of a held-out batch. Loggers that show images
    (Weights & Biases, TensorBoard) get the picture too, as ``samples``.

    Args:
        every_n_steps: generator updates between two pictures; the end of training is always drawn.
        n: images, or points, in a picture, more or less.
        seed: of the latents.
        width: images are enlarged by a whole factor until the grid has about this many pixels.
        dirpath: folder; by default ``samples`` in the trainer's ``default_root_dir``. Where it
            exists, ``-v1`` and so on is appended.

    Raises:
        ValueError: if an option is out of its range, the model is not a :class:`GANModule`, or
            nothing can be written to ``dirpath``.
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
        """Settle the folder and the held-out batch."""
        if not isinstance(pl_module, GANModule):
            raise ValueError(f"SampleGrid draws from a GANModule, not a {type(pl_module).__name__}")
        self._drawn = -1
        folder = Path(self.dirpath or Path(trainer.default_root_dir, "samples"))
        check_writable("samples.dirpath", folder)
        self._folder = unused(folder)
        self._batches: list[Batch] = []
        if self._draws(trainer):
            for batch in _held_out_batches(trainer):
                if not self._wants_more():
                    break
                self._keep(trainer.strategy.batch_to_device(batch))
        self._held_out = bool(self._batches)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Draw when it is due."""
        if self._draws(trainer) and not self._held_out and self._wants_more():
            self._keep(batch)
        if trainer.global_step % self.every_n_steps == 0:
            self._draw(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the end."""
        if self._batches:
            self._draw(trainer, pl_module)

    def _wants_more(self) -> bool:
        return sum(len(images) for images, _ in self._batches) < self.n

    def _keep(self, batch: Any) -> None:
        self._batches.append(as_batch(batch))

    def _draws(self, trainer: Trainer) -> bool:
        return trainer.is_global_zero and not is_trial(trainer)

    def _draw(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step = trainer.global_step
        if not self._draws(trainer) or step == self._drawn:
            return
        assert isinstance(pl_module, GANModule)
        batch = join_batches(self._batches)
        samples = pl_module.sample_grid(self.n, self.seed, batch)
        path = self._folder / f"step_{step:06d}.png"
        with whole_file(path) as file:
            if samples.ndim == 5:
                save_image(self.grid(samples), file, format="png")
            else:
                self._scatter(batch[0], samples.flatten(0, 1), file)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image(key="samples", images=[str(path)], step=step)
            elif isinstance(logger, TensorBoardLogger):
                with Image.open(path) as image:
                    logger.experiment.add_image("samples", pil_to_tensor(image), step)
        self._drawn = step

    def grid(self, images: Tensor) -> Tensor:
        """Lay images in [-1, 1], shape ``(rows, columns, C, H, W)``, out on a page.

        Of images that are neither grey nor coloured the first channels are shown.

        Returns:
            ``(3, height, width)`` in [0, 1].
        """
        rows, columns, channels = images.shape[:3]
        factor = max(1, round(self.width / (max(rows, columns) * images.shape[-1])))
        images = images.flatten(0, 1).float().cpu()
        if channels not in (1, 3):
            images = images[:, : 3 if channels > 3 else 1]
        images = F.interpolate(images, scale_factor=factor)
        grid: Tensor = make_grid(images, columns, padding=2, normalize=True, value_range=(-1, 1))
        return grid

    def _scatter(self, real: Tensor, samples: Tensor, file: BinaryIO) -> None:
        """Draw generated points over real ones: the first two coordinates of each."""
        figure = Figure(figsize=(self.width / 100, self.width / 100), layout="constrained")
        axes = figure.subplots()
        for points, name, colour in ((real, "real", "tab:gray"), (samples, "generated", "tab:red")):
            # points on a line are drawn at height 0
            x, y = F.pad(points, (0, 1))[:, :2].float().cpu().numpy().T
            axes.scatter(x, y, s=4, alpha=0.4, linewidths=0, color=colour, label=name)
        axes.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal")
        axes.legend(loc="upper right", fontsize="small", markerscale=3)
        figure.savefig(file, format="png", dpi=100)


def _held_out_batches(trainer: Trainer) -> Iterator[Any]:
    """Batches of the first validation loader, if any; the random state is left alone."""
    loaders: Any = trainer.val_dataloaders
    if isinstance(loaders, dict):
        loaders = list(loaders.values())
    loader = next(iter(loaders), None) if isinstance(loaders, (list, tuple)) else loaders
    if loader is not None:
        with torch.random.fork_rng(devices=[]):
            yield from loader
