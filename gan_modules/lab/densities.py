"""Distances between distributions over numbers, as integrals."""

import torch
from torch import Tensor
from torch.distributions import Distribution

__all__ = ["grid", "js_divergence", "kl_divergence", "wasserstein_distance"]


def grid(*sources: Distribution, deviations: float = 5.0, steps: int = 2001) -> Tensor:
    """Equally spaced numbers on which all of some distributions lie, for integrals.

    In double precision: the step is a difference of neighbours, and densities get very small.
    """
    low = min((s.mean - deviations * s.stddev).item() for s in sources)
    high = max((s.mean + deviations * s.stddev).item() for s in sources)
    return torch.linspace(low, high, steps, dtype=torch.float64)


def kl_divergence(p: Tensor, q: Tensor, step: float) -> float:
    """``KL(p || q)`` of densities on a grid, in nats; infinite where q is 0 and p is not."""
    p, q = p.double(), q.double()
    # a difference of logarithms: a quotient of densities that are small enough is 0
    return (p.xlogy(p) - p.xlogy(q)).sum().item() * step


def js_divergence(p: Tensor, q: Tensor, step: float) -> float:
    """The Jensen-Shannon divergence of densities on a grid, in nats: log 2 at most."""
    p, q = p.double(), q.double()
    # half of the sum is 0 where densities are as small as numbers get; the sum is not
    both = p + q
    terms = p.xlogy(2 * p) - p.xlogy(both) + q.xlogy(2 * q) - q.xlogy(both)
    return terms.sum().item() * step / 2


def wasserstein_distance(p: Tensor, q: Tensor, step: float) -> float:
    """``W_1`` of densities on a grid: the area between their distribution functions."""
    return (p.cumsum(0) - q.cumsum(0)).abs().sum().item() * step * step
