"""Ways through latent space, as pure functions."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["slerp", "truncate_normal"]


def slerp(first: Tensor, second: Tensor, weight: float | Tensor) -> Tensor:
    """Interpolate along the great circle between two directions (Shoemake 1985).

    Almost all normal latents lie near a sphere, which a straight line between two of them leaves:
    its middle is shorter than any latent the generator was trained on (White 2016,
    arXiv:1609.04468). Here vectors of one norm keep it all the way, and the norm changes smoothly
    between vectors of two.

    Args:
        first: where weight is 0, shape ``(..., D)``.
        second: where weight is 1, shape ``(..., D)``.
        weight: from 0 to 1; a tensor is broadcast against ``(..., 1)``.

    Returns:
        Shape ``(..., D)``. On parallel vectors the straight line, which then is the great circle;
        also on opposite ones, between which no great circle is the shortest.
    """
    weight = torch.as_tensor(weight, dtype=first.dtype, device=first.device)
    one, other = F.normalize(first, dim=-1), F.normalize(second, dim=-1)
    # exact also for nearly opposite vectors, where the arc cosine of the product is percents off
    angle = 2 * torch.atan2((one - other).norm(dim=-1), (one + other).norm(dim=-1))[..., None]
    sine = angle.sin()
    # such vectors are parallel or opposite to the last digit
    straight = sine < 4 * torch.finfo(first.dtype).eps
    safe = torch.where(straight, 1.0, sine)
    start = torch.where(straight, 1 - weight, ((1 - weight) * angle).sin() / safe)
    end = torch.where(straight, weight, (weight * angle).sin() / safe)
    return start * first + end * second


def truncate_normal(z: Tensor, threshold: float) -> Tensor:
    """Turn N(0, 1) into the truncation trick's distribution (Brock et al. 2018, arXiv:1809.11096).

    There, components beyond the threshold are drawn again until they are within it. This gives the
    same distribution by its quantiles, ``F^-1(F(z))``, so that a latent moves inwards steadily as
    the threshold falls and its image can be followed.

    Args:
        z: drawn from N(0, 1), any shape.
        threshold: largest magnitude of a component, positive.

    Returns:
        Of the shape of ``z``, in ``[-threshold, threshold]``, in the order of ``z``.
    """
    # in float64, as the tails of the error function need it, and on the CPU, as not all have it
    share = torch.erf(z.cpu().double() / math.sqrt(2)) * math.erf(threshold / math.sqrt(2))
    return (math.sqrt(2) * torch.erfinv(share)).clamp(-threshold, threshold).to(z)
