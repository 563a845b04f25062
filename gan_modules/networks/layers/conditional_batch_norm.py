"""Batch normalisation whose scale and shift depend on the class, or on a vector."""

import torch
from torch import Tensor, nn

from gan_modules.networks.layers.conditioning import embedded

__all__ = ["ConditionalBatchNorm2d", "ConditionedSequential", "VectorBatchNorm2d"]


class ConditionalBatchNorm2d(nn.Module):
    """Normalise over the batch; scale and shift by the class (de Vries et al. 2017, 1707.00683).

    Scales start at 1 and shifts at 0, for every class.

    Args:
        channels: of the features.
        num_classes: number of classes; 0 is plain batch normalisation.
    """

    takes_labels = True

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=num_classes == 0)
        if num_classes:
            self.scale = nn.Embedding(num_classes, channels)
            self.shift = nn.Embedding(num_classes, channels)
            nn.init.ones_(self.scale.weight)
            nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Features ``(N, C, H, W)`` of classes ``(N,)``, or of mixtures ``(N, num_classes)``."""
        out: Tensor = self.norm(x)
        if labels is None or not hasattr(self, "scale"):
            return out
        tables = self.scale, self.shift
        scale, shift = (embedded(table, labels)[..., None, None] for table in tables)
        return torch.addcmul(shift, scale, out)


class ConditionedSequential(nn.Sequential):
    """Layers one after the other; those that have ``takes_labels = True`` are given labels, too."""

    takes_labels = True

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """As ``nn.Sequential``, with classes ``(N,)``."""
        for layer in self:
            x = layer(x, labels) if getattr(layer, "takes_labels", False) else layer(x)
        return x


class VectorBatchNorm2d(nn.Module):
    """Normalise over the batch; scale by ``1 + A v`` and shift by ``B v`` (arXiv:1809.11096).

    Args:
        channels: of the features.
        size: of the vector.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Linear(size, channels, bias=False)
        self.shift = nn.Linear(size, channels, bias=False)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """Features ``(N, C, H, W)`` and vectors ``(N, size)``."""
        scale, shift = (layer(vector)[..., None, None] for layer in (self.scale, self.shift))
        return torch.addcmul(shift, 1 + scale, self.norm(x))
