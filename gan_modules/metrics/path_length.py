"""Perceptual path length: how much images change on the ways between random ones."""

from typing import Literal

import torch
from torch import Tensor

__all__ = ["EPSILON", "PATHS", "PathName", "perceptual_path_length"]

EPSILON = 1e-4
"""Of a way, the part that is gone."""

PathName = Literal["ppl_zfull", "ppl_wfull", "ppl_zend", "ppl_wend"]
PATHS: dict[PathName, tuple[str, bool]] = {
    "ppl_zfull": ("z", True),
    "ppl_wfull": ("w", True),
    "ppl_zend": ("z", False),
    "ppl_wend": ("w", False),
}
"""The space of the ways, and whether places are anywhere on them, or all at their beginnings."""


def perceptual_path_length(distances: Tensor, epsilon: float = EPSILON) -> float:
    """``E[d(G(way(t)), G(way(t + epsilon)))] / epsilon^2`` (Karras et al. 2019, arXiv:1812.04948).

    As in that paper's own code, the mean is that of the distances from their 1st to their 99th
    percentile, these two included.

    Args:
        distances: squared distances of features, one for each way, shape ``(N,)``.
        epsilon: the part of a way that is between them.

    Returns:
        The length; NaN where one of the distances is.
    """
    lengths = distances.cpu().double() / epsilon**2
    low = torch.quantile(lengths, 0.01, interpolation="lower")
    high = torch.quantile(lengths, 0.99, interpolation="higher")
    return lengths[(lengths >= low) & (lengths <= high)].mean().item()
