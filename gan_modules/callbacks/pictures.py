"""What every picture drawn during training has in common: when, where to and for which loggers."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from math import ceil, sqrt
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import pil_to_tensor
from torchvision.utils import make_grid, save_image

from gan_modules.callbacks.captions import with_row_names
from gan_modules.callbacks.paths import check_writable, is_trial, unused
from gan_modules.errors import require
from gan_modules.tools.files import whole_file
from gan_modules.training.batches import Batch, as_batch, join_batches
from gan_modules.training.module import GenerativeModule

__all__ = [
    "Periodic",
    "Picture",
    "grid",
    "held_out_batches",
    "picture",
    "rule",
    "there_and_back",
    "write_animation",
]

FRAME = 80
"""Milliseconds that a frame of an animation lasts."""
GAP = 2
"""Pixels between two images."""


class Periodic(Callback, ABC):
    """Base of what is made of the model now and then during training, by the first process alone.

    Args:
        every_n_steps: generator updates between two times; the end of training always is one, with
            None the only one.
        n: images to be shown, more or less.
        seed: of the latents, the same every time.

    Raises:
        ValueError: if an option is out of its range; at the start of a training, if the model
            cannot do what is asked of it.
    """

    needs = "sample"
    """Method of the model that is used."""
    takes_points = False
    """Whether points, ``image_shape=(D,)``, and sequences, ``(C, L)``, can be shown."""

    def __init__(
        self, every_n_steps: int | None = None, n: int = 16, seed: int = 0, **options: int
    ) -> None:
        for name, value in {"every_n_steps": every_n_steps, "n": n, **options}.items():
            require(value is None or value >= 1, name, value, "at least 1")
        self.every_n_steps = every_n_steps
        self.n = n
        self.seed = seed

    @abstractmethod
    def show(self, trainer: Trainer, model: Any, batch: Batch) -> None:
        """Show what the model makes; ``batch`` holds at least ``n`` held-out images if possible."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check that the model can do what is asked of it."""
        own, model = type(self).__name__, type(pl_module).__name__
        if not isinstance(pl_module, GenerativeModule):
            raise ValueError(f"{own} draws from a GenerativeModule, not a {model}")
        if not hasattr(pl_module, self.needs):
            raise ValueError(
                f"{own} draws from a model with the method {self.needs}, not a {model}"
            )
        shape: tuple[int, ...] | None = getattr(pl_module, "image_shape", None)
        if shape is not None and len(shape) != 3 and not self.takes_points:
            kind = "points" if len(shape) == 1 else "sequences"
            raise ValueError(f"{own} draws images, not {kind}: image_shape={shape}")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Settle the held-out batch."""
        self._shown = -1
        self._batches: list[Batch] = []
        if self._is_due(trainer):
            for batch in held_out_batches(trainer):
                if not self._wants_more():
                    break
                self._keep(trainer.strategy.batch_to_device(batch))
        self._held_out = bool(self._batches)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show when it is time."""
        if self._is_due(trainer) and not self._held_out and self._wants_more():
            self._keep(batch)
        if self.every_n_steps is not None and trainer.global_step % self.every_n_steps == 0:
            self._show(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the end."""
        if self._batches:
            self._show(trainer, pl_module)

    def _wants_more(self) -> bool:
        return sum(len(images) for images, _ in self._batches) < self.n

    def _keep(self, batch: Any) -> None:
        self._batches.append(as_batch(batch))

    def _is_due(self, trainer: Trainer) -> bool:
        return trainer.is_global_zero and not is_trial(trainer)

    def _show(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._is_due(trainer) and trainer.global_step != self._shown:
            self.show(trainer, pl_module, join_batches(self._batches))
            self._shown = trainer.global_step


class Picture(Periodic):
    """Base of the pictures: a file per drawing, which goes to the loggers that show images.

    Files are ``<name>/step_XXXXXX.png``; Weights & Biases and TensorBoard get them as ``<name>``.
    A second one of the same kind has ``<name>_2``.
    A subclass says what to :meth:`draw`.

    Args:
        every_n_steps: generator updates between two pictures; the end of training is always drawn,
            with None it alone.
        n: images in a picture, more or less.
        seed: of the latents, the same in every picture.
        width: images are enlarged by a whole factor until the picture has about this many pixels.
        dirpath: folder; by default ``<name>`` in the trainer's ``default_root_dir``. Where it
            exists, ``-v1`` and so on is appended.

    Raises:
        ValueError: if an option is out of its range; at the start of a training, if the model
            cannot do what is asked of it, or nothing can be written to ``dirpath``.
    """

    name: str
    """Of the folder, and in the loggers."""

    def __init__(
        self,
        every_n_steps: int | None = None,
        n: int = 16,
        seed: int = 0,
        width: int = 512,
        dirpath: str | None = None,
        **options: int,
    ) -> None:
        super().__init__(every_n_steps, n, seed, width=width, **options)
        self.width = width
        self.dirpath = dirpath

    @abstractmethod
    def draw(self, model: Any, batch: Batch) -> Tensor:
        """Float images in [-1, 1], shape ``(rows, columns, C, H, W)``."""

    def save(self, images: Tensor, batch: Batch, file: BinaryIO) -> None:
        """Write what was drawn as a PNG."""
        save_image(self.grid(images), file, format="png")

    def frames(self, images: Tensor) -> list[Image.Image]:
        """What was drawn as an animation, which is written beside the picture; none by default."""
        return []

    def grid(self, images: Tensor) -> Tensor:
        """The images of :meth:`draw` as one, see :func:`grid`."""
        return grid(images, self.width)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Settle the folder and the held-out batch."""
        super().on_train_start(trainer, pl_module)
        # two of a kind are kept apart
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        alike = [c for c in callbacks if isinstance(c, Picture) and c.name == self.name]
        number = next((i for i, callback in enumerate(alike, 1) if callback is self), 1)
        self._key = self.name if number == 1 else f"{self.name}_{number}"
        folder = Path(self.dirpath or Path(trainer.default_root_dir, self._key))
        check_writable(f"{self.name}.dirpath", folder)
        self._folder = unused(folder)

    def show(self, trainer: Trainer, model: Any, batch: Batch) -> None:
        """Draw, write and send."""
        step = trainer.global_step
        images = self.draw(model, batch)
        path = self._folder / f"step_{step:06d}.png"
        with whole_file(path) as file:
            self.save(images, batch, file)
        frames = self.frames(images)
        animation = path.with_suffix(".gif")
        if frames:
            write_animation(frames, animation)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image(key=self._key, images=[str(path)], step=step)
                if frames:
                    key = f"{self._key}_animated"
                    logger.log_video(key=key, videos=[str(animation)], step=step)
            elif isinstance(logger, TensorBoardLogger):
                with Image.open(path) as image:
                    logger.experiment.add_image(self._key, pil_to_tensor(image), step)


def grid(images: Tensor, width: int) -> Tensor:
    """Lay images in [-1, 1], shape ``(rows, columns, C, H, W)``, out on a page.

    Of images that are neither grey nor coloured the first channels are shown.

    Args:
        images: what to lay out.
        width: images are enlarged by a whole factor until the page has about this many pixels.

    Returns:
        ``(3, height, width)`` in [0, 1].
    """
    rows, columns, channels = images.shape[:3]
    factor = max(1, round(width / (max(rows, columns) * images.shape[-1])))
    images = images.flatten(0, 1).float().cpu()
    if channels not in (1, 3):
        images = images[:, : 3 if channels > 3 else 1]
    images = F.interpolate(images, scale_factor=factor)
    page: Tensor = make_grid(images, columns, padding=GAP, normalize=True, value_range=(-1, 1))
    return page


def picture(images: Tensor, width: int, names: Sequence[str] = ()) -> Image.Image:
    """What :func:`grid` makes of images, in 8 bits, rounded; with names of the rows, if given."""
    page = with_row_names(grid(images, width), names).mul(255).round().byte()
    return Image.fromarray(page.permute(1, 2, 0).numpy())


def there_and_back(walks: Tensor, width: int) -> list[Image.Image]:
    """Frames of all walks at once, side by side, to their ends and back.

    Args:
        walks: images in [-1, 1], shape ``(n, steps, C, H, W)``.
        width: of a frame, see :func:`grid`.
    """
    columns = ceil(sqrt(len(walks)))
    missing = -len(walks) % columns
    walks = torch.cat([walks, -torch.ones_like(walks[:1]).expand(missing, *walks.shape[1:])])
    tiles = walks.unflatten(0, (-1, columns)).movedim(2, 0)
    there = [picture(frame, width) for frame in tiles]
    return [*there, *there[-2:0:-1]]


def write_animation(frames: Sequence[Image.Image], path: Path, duration: int = FRAME) -> None:
    """Write a GIF that runs for ever, each frame for so many milliseconds."""
    with whole_file(path) as file:
        moving = {"save_all": True, "append_images": frames[1:], "loop": 0}
        frames[0].save(file, format="gif", duration=duration, **moving)


def rule(page: Tensor, images: Tensor, dim: int, places: Iterable[int]) -> Tensor:
    """Draw white lines into the gaps of a page.

    Args:
        page: what :func:`grid` makes of the images; it is drawn on.
        images: the images, shape ``(rows, columns, C, H, W)``.
        dim: 0 for lines between rows, 1 for lines between columns.
        places: number of rows above each line, or of columns left of it.

    Returns:
        The page.
    """
    step = (page.shape[1 + dim] - GAP) // images.shape[dim]
    for place in places:
        page.narrow(1 + dim, place * step, GAP).fill_(1)
    return page


def held_out_batches(trainer: Trainer) -> Iterator[Any]:
    """Batches of the first validation loader, if any; the random state is left alone."""
    loaders: Any = trainer.val_dataloaders
    if isinstance(loaders, dict):
        loaders = list(loaders.values())
    loader = next(iter(loaders), None) if isinstance(loaders, (list, tuple)) else loaders
    if loader is not None:
        with torch.random.fork_rng(devices=[]):
            yield from loader
