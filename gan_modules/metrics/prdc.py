"""How much of one set of features lies in the neighbourhoods of another.

Improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991) and density and coverage
(Naeem et al. 2020, arXiv:2002.09797). Around every feature lies a ball that reaches to its k-th
nearest neighbour in its own set, itself not counted; k is 3 for the first two and 5 for the others,
as in the papers. Distances are computed block by block: memory grows with N, not with N².
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["COVERAGE_K", "PRDC", "PRECISION_K", "compute_prdc", "squared_radii"]

PRECISION_K = 3
COVERAGE_K = 5
BLOCK = 256  # whose distances stay in a processor's cache


class PRDC(NamedTuple):
    """The four scores."""

    precision: float
    """Share of fakes that lie in the ball of a real feature."""
    recall: float
    """Share of real features that lie in the ball of a fake."""
    density: float
    """Number of real balls that a fake lies in, on average, divided by k; it may exceed 1."""
    coverage: float
    """Share of real features in whose ball there is a fake."""


def squared_radii(features: Tensor) -> Tensor:
    """Squared distances ``(N, 2)`` to the third and to the fifth neighbour within a set.

    Args:
        features: float, shape ``(N, D)``.

    Raises:
        ValueError: if there are fewer than 6 features.
    """
    if len(features) <= COVERAGE_K:
        raise ValueError(
            f"precision, recall, density and coverage need {COVERAGE_K + 1} images at least, "
            f"there are {len(features)}"
        )
    radii = []
    features = features - features.mean(dim=0)
    for start in range(0, len(features), BLOCK):
        block = features[start : start + BLOCK]
        squared = _squared_distances(block, features)
        # no feature is its own neighbour; the diagonal is not exactly zero
        squared[torch.arange(len(block)), torch.arange(start, start + len(block))] = torch.inf
        nearest = squared.topk(COVERAGE_K, largest=False).values
        radii.append(nearest[:, [PRECISION_K - 1, COVERAGE_K - 1]])
    return torch.cat(radii)


def compute_prdc(real: Tensor, fake: Tensor, radii_of_real: Tensor | None = None) -> PRDC:
    """Precision, recall, density and coverage of fake features.

    Args:
        real: float, shape ``(N, D)``.
        fake: float, shape ``(M, D)``.
        radii_of_real: what :func:`squared_radii` gives for the real ones, if known.

    Raises:
        ValueError: if one of the sets has fewer than 6 features.
    """
    if radii_of_real is None:
        radii_of_real = squared_radii(real)
    narrow, wide = radii_of_real.T
    # distances stay, but rounding is relative to the norms, which shrink
    centre = real.mean(dim=0)
    real, fake = real - centre, fake - centre
    of_fake = squared_radii(fake)[:, 0]
    precise = dense = torch.zeros((), device=fake.device, dtype=torch.long)
    nearest, excess = (real.new_full((len(real),), torch.inf) for _ in range(2))
    for block, radii in zip(fake.split(BLOCK), of_fake.split(BLOCK), strict=True):
        squared = _squared_distances(block, real)
        # inside a ball means a distance not above its radius: the least difference tells
        precise = precise + ((squared - narrow).amin(dim=1) <= 0).sum()
        dense = dense + torch.count_nonzero(squared <= wide)
        nearest = torch.minimum(nearest, squared.amin(dim=0))
        excess = torch.minimum(excess, (squared - radii[:, None]).amin(dim=0))
    return PRDC(
        precision=precise.item() / len(fake),
        recall=(excess <= 0).double().mean().item(),
        density=dense.item() / (COVERAGE_K * len(fake)),
        coverage=(nearest <= wide).double().mean().item(),
    )


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Shape ``(len(x), len(y))``; by |x|² + |y|² - 2xy, whose cost is that of a product."""
    norms = x.square().sum(dim=1, keepdim=True) + y.square().sum(dim=1)
    return torch.addmm(norms, x, y.T, alpha=-2)
