"""How much of one set of features lies in the neighbourhoods of another.

Improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991) and density and coverage
(Naeem et al. 2020, arXiv:2002.09797). Around every feature lies a ball that reaches to its k-th
nearest neighbour in its own set, itself not counted; k is 3 for the first two and 5 for the others,
as in the papers. Distances are computed block by block: memory grows with N, not with N².
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["COVERAGE_K", "PRDC", "PRECISION_K", "compute_prdc", "squared_radii"]

PRECISION_K = 3
COVERAGE_K = 5
# distances of so many pairs stay in a processor's cache
BLOCK = 128
TILE = 1024
GROUP = 100  # about the root of the usual 10,000


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


def squared_radii(features: Tensor, ks: Sequence[int] = (PRECISION_K, COVERAGE_K)) -> Tensor:
    """Squared distances ``(N, len(ks))`` to the k-th neighbours within a set.

    Args:
        features: float, shape ``(N, D)``.
        ks: of which neighbours, 1 for the nearest; up to 5.

    Raises:
        ValueError: if there are fewer than 6 features.
    """
    if len(features) <= COVERAGE_K:
        raise ValueError(
            f"precision, recall, density and coverage need {COVERAGE_K + 1} images at least, "
            f"there are {len(features)}"
        )
    n = len(features)
    features = features - features.mean(dim=0)
    rows, columns = _factors(features, features)
    room = features.new_full((BLOCK, -(-n // GROUP) * GROUP), torch.inf)
    radii = []
    for start in range(0, n, BLOCK):
        squared = room[: len(rows[start : start + BLOCK])]
        torch.mm(rows[start : start + BLOCK], columns, out=squared[:, :n])
        # no feature is its own neighbour; the diagonal is not exactly zero
        squared[torch.arange(len(squared)), torch.arange(start, start + len(squared))] = torch.inf
        # the nearest ones lie in the groups whose nearest ones are the nearest
        groups = squared.view(len(squared), -1, GROUP)
        count = min(max(ks), groups.shape[1])
        chosen = groups.amin(dim=2).topk(count, largest=False, sorted=False).indices
        candidates = groups.gather(1, chosen[:, :, None].expand(-1, -1, GROUP)).flatten(1)
        nearest = candidates.topk(max(ks), largest=False).values
        radii.append(nearest[:, [k - 1 for k in ks]])
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
    of_fake = squared_radii(fake, (PRECISION_K,))
    # what is computed is d² - narrow: no comparison changes by it, but a pass is saved
    rows, columns = _factors(fake, real, narrow)
    recalled = real.new_full((len(real),), torch.inf)
    inside = real.new_zeros(len(real), dtype=torch.float64)
    parts = [part.contiguous() for part in columns.split(TILE, dim=1)]
    of_real = [each.split(TILE) for each in (wide - narrow, inside, recalled)]
    tiles = list(zip(parts, *of_real, strict=True))
    precise = fake.new_full((len(fake),), torch.inf)
    room, other = (fake.new_empty(BLOCK * TILE) for _ in range(2))
    blocks = zip(rows.split(BLOCK), of_fake.split(BLOCK), precise.split(BLOCK), strict=True)
    for block, radii, least in blocks:
        for part, slack, count, excess in tiles:
            shape = (len(block), part.shape[1])
            squared = torch.mm(block, part, out=room[: math.prod(shape)].view(shape))
            # a ball holds what is not further than its radius: the least difference tells
            torch.minimum(least, squared.amin(dim=1), out=least)
            # as floats, which are compared and added faster than booleans, and counted exactly
            within = torch.le(squared, slack, out=other[: squared.numel()].view(shape))
            count += within.sum(dim=0)
            squared -= radii
            torch.minimum(excess, squared.amin(dim=0), out=excess)
    return PRDC(
        precision=(precise <= 0).double().mean().item(),
        recall=(recalled + narrow <= 0).double().mean().item(),
        density=inside.sum().item() / (COVERAGE_K * len(fake)),
        coverage=(inside > 0).double().mean().item(),
    )


def _factors(x: Tensor, y: Tensor, less: Tensor | float = 0) -> tuple[Tensor, Tensor]:
    """``(len(x), D + 2)`` and ``(D + 2, len(y))``, whose product is ``|x - y|² - less``."""
    of_x, of_y = x.square().sum(dim=1), y.square().sum(dim=1) - less
    rows = torch.cat([x, of_x[:, None], torch.ones_like(of_x)[:, None]], dim=1)
    columns = torch.cat([-2 * y.T, torch.ones_like(of_y)[None], of_y[None]])
    return rows, columns
