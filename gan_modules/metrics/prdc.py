"""How much of one set of features lies in the neighbourhoods of another.

Improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991) and density and coverage
(Naeem et al. 2020, arXiv:2002.09797). Around every feature lies a ball that reaches to its k-th
nearest neighbour in its own set, itself not counted; k is 3 for the first two and 5 for the others,
as in the papers. As in the authors' package ``prdc``, what lies exactly on the edge of a ball is
outside. Distances are computed block by block: memory grows with N, not with N².
"""

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
# neighbours beyond the k-th that rounding may have put behind it
SPARE = 3
# squared distances that differ by less, relatively, are the same, in whatever unit features are
TIE = 1e-12
# pairs whose coordinates are subtracted at a time
PAIRS = 4096


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
    """Squared distances to the k-th neighbours within a set, to the last digits of float64.

    Args:
        features: float, shape ``(N, D)``.
        ks: of which neighbours, 1 for the nearest; up to 5.

    Returns:
        Float64, shape ``(N, len(ks))``.

    Raises:
        ValueError: if there are fewer than 6 features.
    """
    if len(features) <= COVERAGE_K:
        raise ValueError(
            f"precision, recall, density and coverage need {COVERAGE_K + 1} images at least, "
            f"there are {len(features)}"
        )
    n = len(features)
    features = features.double()
    centred = features - features.mean(dim=0)
    rows, columns = _factors(centred, centred)
    room = features.new_full((BLOCK, -(-n // GROUP) * GROUP), torch.inf)
    wanted = min(max(ks) + SPARE, n - 1)
    radii = []
    for start in range(0, n, BLOCK):
        squared = room[: len(rows[start : start + BLOCK])]
        torch.mm(rows[start : start + BLOCK], columns, out=squared[:, :n])
        # no feature is its own neighbour
        own = torch.arange(len(squared), device=features.device)
        squared[own, own + start] = torch.inf
        # the nearest ones lie in the groups whose nearest ones are the nearest
        groups = squared.view(len(squared), -1, GROUP)
        chosen = groups.amin(dim=2).topk(min(wanted, groups.shape[1]), largest=False).indices
        candidates = groups.gather(1, chosen[:, :, None].expand(-1, -1, GROUP)).flatten(1)
        places = candidates.topk(wanted, largest=False).indices
        nearest = chosen.gather(1, places // GROUP) * GROUP + places % GROUP
        first = (own + start)[:, None].expand_as(nearest)
        exact = _squared_distances(features, features, first.flatten(), nearest.flatten())
        ordered = exact.view_as(nearest).sort(dim=1).values
        radii.append(ordered[:, [k - 1 for k in ks]])
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
    real, fake = real.double(), fake.double()
    if radii_of_real is None:
        radii_of_real = squared_radii(real)
    # products of matrices round relative to the norms, which are smaller around the middle
    centre = real.mean(dim=0)
    rows, columns = _factors(fake - centre, real - centre)
    rounding = columns.shape[0] * torch.finfo(torch.float64).eps
    narrow, wide = (radii_of_real * (1 - TIE)).T
    of_fake = squared_radii(fake, (PRECISION_K,)) * (1 - TIE)
    precise = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    inside = torch.zeros(len(real), dtype=torch.long, device=real.device)
    for top in range(0, len(fake), BLOCK):
        block = rows[top : top + BLOCK]
        its = of_fake[top : top + BLOCK]
        for left in range(0, len(real), TILE):
            here = slice(left, left + TILE)
            squared = block @ columns[:, here]
            slack = 2 * rounding * (block[:, -2].max() + columns[-1, here].max())
            close = (squared - narrow[here]).abs_() <= slack
            for radii in (wide[here], its):
                close |= (squared - radii).abs_() <= slack
            i, j = close.nonzero(as_tuple=True)
            squared[i, j] = _squared_distances(fake, real, i + top, j + left)
            precise[top : top + BLOCK] |= (squared < narrow[here]).any(dim=1)
            recalled[here] |= (squared < its).any(dim=0)
            inside[here] += (squared < wide[here]).sum(dim=0)
    return PRDC(
        precision=precise.double().mean().item(),
        recall=recalled.double().mean().item(),
        density=inside.sum().item() / (COVERAGE_K * len(fake)),
        coverage=(inside > 0).double().mean().item(),
    )


def _factors(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """``(len(x), D + 2)`` and ``(D + 2, len(y))``, whose product is ``|x - y|²``, up to rounding.

    The last column but one of the first, and the last row of the second, are the squared norms.
    """
    of_x, of_y = x.square().sum(dim=1), y.square().sum(dim=1)
    rows = torch.cat([x, of_x[:, None], torch.ones_like(of_x)[:, None]], dim=1)
    columns = torch.cat([-2 * y.T, torch.ones_like(of_y)[None], of_y[None]])
    return rows, columns


def _squared_distances(x: Tensor, y: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """``|x[i] - y[j]|²`` of some pairs, by differences, which lose nothing; shape of ``i``."""
    parts = zip(i.split(PAIRS), j.split(PAIRS), strict=True)
    found = [(x[first] - y[second]).square_().sum(dim=1) for first, second in parts]
    return torch.cat(found)
