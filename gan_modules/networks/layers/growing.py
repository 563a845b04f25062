"""Networks that grow: from 4x4 pixels to the whole image (Karras et al. 2018, arXiv:1710.10196)."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.errors import require

__all__ = ["Growing", "averaged", "repeated"]


def averaged(images: Tensor, factor: int) -> Tensor:
    """Images ``(N, C, H, W)`` with every ``factor`` by ``factor`` pixels as their mean."""
    return F.avg_pool2d(images, factor) if factor > 1 else images


def repeated(images: Tensor, factor: int) -> Tensor:
    """Images ``(N, C, H, W)`` with every pixel ``factor`` by ``factor`` times."""
    return F.interpolate(images, scale_factor=factor) if factor > 1 else images


class Growing(nn.Module):
    """A network of several sizes, all built at once, of which the larger ones come in by and by.

    The buffer ``level`` is the number of the size, from 0: at 1.25 three quarters of the image are
    still those of size 0 and all beyond. Until :meth:`grow` is called the network is full-grown.

    Args:
        stages: number of sizes.

    Raises:
        ValueError: if there is none.
    """

    level: Tensor

    def __init__(self, stages: int) -> None:
        super().__init__()
        require(stages >= 1, "stages", stages, "at least 1")
        self.stages, self.stage = stages, stages - 1
        self.register_buffer("level", torch.tensor(float(stages - 1)))

    def grow(self, level: float) -> None:
        """Set the level, of which the largest is ``stages - 1``."""
        level = min(level, self.stages - 1)
        self.stage = math.ceil(level)
        self.level.fill_(level)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.grow(self.level.item())

    @property
    def factor(self) -> int:
        """Pixels of the whole image to a side of one pixel of this stage."""
        return int(2 ** (self.stages - 1 - self.stage))

    def faded(self, before: Tensor, now: Tensor) -> Tensor:
        """From the stage before, at the start of the fade, to this one at its end."""
        # the fade is a tensor: what is compiled takes the number that it has then
        return torch.lerp(before, now, (self.level - (self.stage - 1)).to(now.dtype))

    def at_level(self, images: Tensor) -> Tensor:
        """Whole images ``(N, C, H, W)`` as this level has them, in its own number of pixels."""
        images = averaged(images, self.factor)
        if self.stage == 0:
            return images
        return self.faded(repeated(averaged(images, 2), 2), images)
