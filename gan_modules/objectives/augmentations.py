"""Augmentations in front of a discriminator: modules that map images to images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.checkpoints.described import Described
from gan_modules.errors import require

__all__ = ["Augmentation", "InstanceNoise", "RandomShift", "require_images"]


class Augmentation(Described, nn.Module):
    """What a discriminator's images go through, real ones and fakes, in training only.

    ``forward`` maps images ``(N, C, H, W)`` to images of that shape, differentiably. What changes
    with time is a buffer, set by :meth:`schedule`; what follows from what was observed is one that
    a checkpoint holds.
    """

    def check(self, image_shape: Sequence[int]) -> None:
        """Raise ``ValueError`` if images of that shape cannot be augmented."""

    def schedule(self, step: int, images: int) -> None:
        """Set what changes with time, from the iterations and images before this iteration."""

    def observe(self, real_logits: Tensor) -> None:
        """Note what the discriminator said of real images in an update of its own."""

    def to_average(self) -> Sequence[Tensor]:
        """Buffers that are averaged over ranks at the end of every iteration."""
        return ()

    def measures(self) -> dict[str, Tensor]:
        """Scalars to be logged, as ``augment/<name>``."""
        return {}


def require_images(augmentation: Augmentation, image_shape: Sequence[int]) -> None:
    """Raise ``ValueError`` for what an augmentation of images cannot transform."""
    right = f"(C, H, W) with {type(augmentation).__name__}, which transforms images"
    require(len(image_shape) == 3, "image_shape", tuple(image_shape), right)


class InstanceNoise(Augmentation):
    """Normal noise on every image, less and less of it (Sønderby et al. 2016, arXiv:1610.04490).

    Real and fake distributions overlap under it, so that the discriminator cannot be sure.

    Args:
        sigma: standard deviation at the start; images are in [-1, 1].
        steps: iterations until it is 0, linearly.

    Raises:
        ValueError: if an option is out of its range.
    """

    sigma: Tensor

    def __init__(self, sigma: float = 0.1, steps: int = 10_000) -> None:
        super().__init__()
        require(sigma >= 0, "sigma", sigma, "at least 0")
        require(steps >= 1, "steps", steps, "at least 1")
        self.start, self.steps = sigma, steps
        self.register_buffer("sigma", torch.tensor(float(sigma)), persistent=False)

    def schedule(self, step: int, images: int) -> None:
        """Anneal linearly."""
        self.sigma.fill_(self.start * max(0.0, 1 - step / self.steps))

    def forward(self, images: Tensor) -> Tensor:
        """Add noise to images ``(N, C, H, W)``."""
        return images + self.sigma.to(images.dtype) * torch.randn_like(images)


class RandomShift(Augmentation):
    """Every image shifted by up to some pixels in both directions.

    The discriminator cannot learn images by heart that it never sees twice in one place; a shift is
    small enough for the generator not to learn it instead (Zhao et al. 2020, arXiv:2006.10738, and
    Karras et al. 2020, arXiv:2006.06676, on when augmentations do leak).

    Args:
        pixels: largest shift.
        flip: exchange left and right of every other image, by chance.
        fill: value in [-1, 1] of what comes in from outside; None repeats the edge. Where the
            background has one value, as that of digits has -1, the discriminator sees images as
            the data has them.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(self, pixels: int = 1, flip: bool = False, fill: float | None = None) -> None:
        super().__init__()
        require(pixels >= 1, "pixels", pixels, "at least 1")
        require(fill is None or -1 <= fill <= 1, "fill", fill, "in [-1, 1], or null")
        self.pixels, self.flip, self.fill = pixels, flip, fill

    def check(self, image_shape: Sequence[int]) -> None:
        """Refuse points."""
        require_images(self, image_shape)

    def forward(self, images: Tensor) -> Tensor:
        """Shift images ``(N, C, H, W)``."""
        n, _, height, width = images.shape
        outside = [self.pixels] * 4
        if self.fill is None:
            padded = F.pad(images, outside, mode="replicate")
        else:
            padded = F.pad(images, outside, value=self.fill)
        shifts = torch.randint(2 * self.pixels + 1, (n, 2, 1), device=images.device)
        rows = shifts[:, 0] + torch.arange(height, device=images.device)
        columns = shifts[:, 1] + torch.arange(width, device=images.device)
        if self.flip:
            flips = torch.rand(n, 1, device=images.device) < 0.5
            columns = torch.where(flips, columns.flip(1), columns)
        every = torch.arange(n, device=images.device)[:, None, None]
        # channels come last: the three index tensors stand on both sides of them
        shifted: Tensor = padded[every, :, rows[:, :, None], columns[:, None, :]]
        return shifted.movedim(3, 1)
