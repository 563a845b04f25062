"""Self-attention over the pixels of a map."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SelfAttention"]


class SelfAttention(nn.Module):
    """Every pixel takes up what it finds in all others (Zhang et al. 2018, arXiv:1805.08318).

    Of a map ``x``, with 1x1 convolutions without bias, ``theta`` and ``phi`` to an eighth of the
    channels, ``g`` to half and ``out`` back to all::

        x_i + sigma * out(sum_j softmax_j(<theta(x)_i, phi(x)_j>) g(x)_j)

    where ``phi`` and ``g`` are max-pooled over 2x2 pixels, as in the authors' code: a quarter of
    the products. ``sigma`` starts at 0, so that training begins without attention.

    Args:
        channels: of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        few, half = max(1, channels // 8), max(1, channels // 2)
        self.theta = nn.Conv2d(channels, few, 1, bias=False)
        self.phi = nn.Conv2d(channels, few, 1, bias=False)
        self.g = nn.Conv2d(channels, half, 1, bias=False)
        self.out = nn.Conv2d(half, channels, 1, bias=False)
        self.sigma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to the same shape."""
        query = self.theta(x).flatten(2)  # (N, C / 8, H W)
        key = F.max_pool2d(self.phi(x), 2, ceil_mode=True).flatten(2)  # (N, C / 8, H W / 4)
        value = F.max_pool2d(self.g(x), 2, ceil_mode=True).flatten(2)  # (N, C / 2, H W / 4)
        weights = (query.transpose(1, 2) @ key).softmax(2)  # (N, H W, H W / 4)
        found = (value @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        attended: Tensor = x + self.sigma * self.out(found)
        return attended
