"""Minibatch standard deviation: lets a discriminator see how various its images are."""

import torch
from torch import Tensor, nn

__all__ = ["MinibatchStdDev"]


class MinibatchStdDev(nn.Module):
    """Append the standard deviation within a group of images as a channel (arXiv:1710.10196).

    Karras et al. 2018, section 3: the deviation of every feature over the group, averaged over
    channels and pixels, constant over the map. It mixes samples: real and fake images are judged in
    passes of their own. In training a batch, or each piece into which gradient accumulation cuts
    it, holds whole groups; in evaluation the last group is filled up with the first images.

    Args:
        group_size: images that are compared, 4 in the paper; a smaller batch is one group.

    Raises:
        ValueError: if it is below 2, or in training does not divide the batch.
    """

    mixes_samples = True

    def __init__(self, group_size: int = 4) -> None:
        super().__init__()
        if group_size < 2:
            raise ValueError(f"group_size={group_size} must be at least 2: one image has no spread")
        self.group_size = group_size

    def check_size(self, n: int) -> None:
        """Raise ``ValueError`` if ``n`` images of an update are not whole groups."""
        size = min(self.group_size, n)
        if n % size:
            raise ValueError(
                f"group_size={size} of minibatch standard deviation must divide the images of an "
                f"update (or of a piece of it, with accumulate_grad_batches): there are {n}"
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(N, C, H, W)`` to ``(N, C + 1, H, W)``."""
        n = len(x)
        if self.training:
            self.check_size(n)
        size = min(self.group_size, n)
        missing = -n % size
        groups = torch.cat([x, x[:missing]]).unflatten(0, (size, -1))
        # 1e-8: the square root has a slope where all images are alike
        spread = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
        channel = spread.repeat(size)[:n, None, None, None].expand(-1, 1, *x.shape[2:])
        return torch.cat([x, channel], dim=1)
