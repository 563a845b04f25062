"""Samples of the generator, during training."""

from io import BytesIO
from math import ceil
from typing import Any, BinaryIO

from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from torch import Tensor

from gan_modules.callbacks.captions import row_names, with_row_names
from gan_modules.callbacks.pictures import Picture, write_animation
from gan_modules.callbacks.scatter import plane, scatter
from gan_modules.callbacks.sequences import draw_sequences
from gan_modules.training.batches import Batch
from gan_modules.training.module import GenerativeModule

__all__ = ["SampleGrid"]

SIDE = 64
"""Points of the discriminator's surface along an axis."""
MOST_FRAMES = 100
"""Pictures of the animation."""
FRAME = 200
"""Milliseconds that each of them lasts."""


class SampleGrid(Picture):
    """Save ``samples/step_XXXXXX.png``: always the same latents, through the averaged generator.

    What is drawn is the model's ``sample_grid``: a square of samples, for a conditional model by
    class, with the names that the data has for them, held-out images with their translations for
    one that translates. Sequences are drawn as curves. Points in the plane are drawn as such, over
    the real ones of a held-out batch and, unless the model is conditional, over the discriminator's
    surface, the brighter the more real; at the end of training ``training.gif`` shows one such
    picture after the other.
    Loggers that show images (Weights & Biases, TensorBoard) get the picture too, as ``samples``.

    Args:
        every_n_steps: generator updates between two pictures; the end of training is always drawn.
        n: images, or points, in a picture, more or less.
        seed: of the latents.
        width: images are enlarged by a whole factor until the grid has about this many pixels.
        dirpath: folder; by default ``samples`` in the trainer's ``default_root_dir``. Where it
            exists, ``-v1`` and so on is appended.

    Raises:
        ValueError: if an option is out of its range, the model is not a
            :class:`GenerativeModule`, or nothing can be written to ``dirpath``.
    """

    name = "samples"
    needs = "sample_grid"
    takes_points = True

    def __init__(
        self,
        every_n_steps: int | None = 500,
        n: int = 64,
        seed: int = 0,
        width: int = 512,
        dirpath: str | None = None,
    ) -> None:
        super().__init__(every_n_steps, n, seed, width, dirpath)
        self._names: list[str] = []
        self._surface: Tensor | None = None

    def draw(self, model: GenerativeModule, batch: Batch) -> Tensor:
        """The model's ``sample_grid``: ``(rows, columns, *image_shape)``."""
        images = model.sample_grid(self.n, self.seed, batch)
        self._names = row_names(model, self.n, len(images))
        self._surface = _surface(model)
        return images

    def grid(self, images: Tensor) -> Tensor:
        """The images as one, with the names of the classes beside their rows."""
        return with_row_names(super().grid(images), self._names)

    def save(self, images: Tensor, batch: Batch, file: BinaryIO) -> None:
        """Write images as a grid, sequences as curves, points as a scatter plot."""
        if images.ndim == 5:
            super().save(images, batch, file)
        elif images.ndim == 4:
            draw_sequences(images, self.width, file)
        else:
            points = {"real": batch[0], "generated": images.flatten(0, 1)}
            scatter(points, self.width, file, self._surface)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the end, and of points the way there."""
        super().on_train_end(trainer, pl_module)
        shape: tuple[int, ...] = getattr(pl_module, "image_shape", ())
        files = sorted(self._folder.glob("step_*.png")) if len(shape) == 1 else []
        if self._is_due(trainer) and len(files) > 1:
            # at most so many, the last one among them
            some = files[:: -ceil(len(files) / MOST_FRAMES)][::-1]
            frames = [Image.open(BytesIO(path.read_bytes())).convert("RGB") for path in some]
            write_animation(frames, self._folder / "training.gif", FRAME)


def _surface(model: Any) -> Tensor | None:
    """What an unconditional discriminator says of the plane."""
    if getattr(model, "image_shape", ()) != (2,) or not hasattr(model, "scores"):
        return None
    if model.num_classes:
        return None
    scores: Tensor = model.scores(plane(SIDE).to(model.device, model.dtype))
    return scores
