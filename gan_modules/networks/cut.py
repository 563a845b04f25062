"""The projection head of CUT (Park et al. 2020, arXiv:2007.15651)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.errors import require
from gan_modules.networks.layers.blocks import check_sizes, init_normal

__all__ = ["PatchProjector"]


class PatchProjector(nn.Module):
    """Features of patches, layer by layer, to unit vectors: two linear layers with ReLU between.

    One such network per layer of the generator (section 3.2). Weights start from N(0, 0.02),
    biases at 0. Under mixed precision the head computes in the precision of its weights.

    Args:
        channels: of the features of each layer.
        width: units of the hidden layer and components of the vectors, 256 in the paper.

    Raises:
        ValueError: if ``channels`` is empty or a size is not positive.
    """

    def __init__(self, channels: Sequence[int], width: int = 256) -> None:
        super().__init__()
        require(len(channels) > 0, "channels", channels, "those of one layer at least")
        check_sizes(width=width, channels=channels)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(n, width), nn.ReLU(), nn.Linear(width, width)) for n in channels
        )
        self.apply(init_normal)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Map features ``(N, P, C)`` of each layer to vectors ``(N, P, width)`` of length 1."""
        pairs = zip(self.heads, features, strict=True)
        return [self._project(head, x) for head, x in pairs]

    @staticmethod
    def _project(head: nn.Module, features: Tensor) -> Tensor:
        # vectors are short before they are normalised, and their gradients large: too short and
        # too large for 16 bits
        with torch.autocast(features.device.type, enabled=False):
            weight = next(head.parameters())
            return F.normalize(head(features.to(weight.dtype)), dim=-1, eps=1e-7)
