"""The Kernel Inception Distance (Bińkowski et al. 2018, arXiv:1801.01401)."""

import torch
from torch import Tensor

from gan_modules.metrics.statistics import require_two

__all__ = ["kernel_distance", "kernel_embedding", "mean_kernel"]

# a processor's cache holds the kernel of a block with a tile
BLOCK = 256
TILE = 1024
# features of which the products of all pairs of coordinates are made at a time
FEW = 256


def kernel_distance(
    real: Tensor,
    fake: Tensor,
    kernel_of_real: Tensor | None = None,
    embedding_of_real: Tensor | None = None,
) -> float:
    """Unbiased squared maximum mean discrepancy under the kernel ``(x.y / D + 1)³``.

    It is taken over all pairs of features. The usual implementations average it over random
    subsets of 1,000, whose mean has the same expectation, and a spread of its own. All in float64:
    where features lie far from the origin it is a small difference of large numbers.

    Args:
        real: float, shape ``(N, D)``.
        fake: float, shape ``(M, D)``.
        kernel_of_real: what :func:`mean_kernel` gives for the real ones, if known.
        embedding_of_real: what :func:`kernel_embedding` gives for them, if known.

    Raises:
        ValueError: if one of the sets has fewer than 2 features.
    """
    require_two("kid", len(real), len(fake))
    if embedding_of_real is None:
        embedding_of_real = kernel_embedding(real)
    if kernel_of_real is None:
        kernel_of_real = mean_kernel(real, embedding_of_real)
    embedding = kernel_embedding(fake)
    if len(embedding) and len(embedding_of_real):
        across = embedding @ embedding_of_real
    else:
        across = _kernel_sum(real, fake)
    across = across / (len(real) * len(fake))
    return float(kernel_of_real + mean_kernel(fake, embedding) - 2 * across)


def kernel_embedding(features: Tensor) -> Tensor:
    """The sum of all φ(x), where φ(x).φ(y) is the kernel; float64, ``1 + D + (D + 1)² D / 2`` long.

    The kernel summed over all pairs of two sets is the product of their embeddings. Empty where
    going through the pairs costs less: unless D² is less than the number of features.
    """
    n, dim = features.shape
    if dim**2 >= n:
        return features.new_zeros(0, dtype=torch.float64)
    # of the products x_i x_j one of two that are the same, which counts twice
    sizes = list(range(dim, 0, -1))
    times = [2.0 if j > i else 1.0 for i in range(dim) for j in range(i, dim)]
    weight = torch.tensor(times, dtype=torch.float64, device=features.device).sqrt()
    first = weight.new_zeros(dim)
    second = weight.new_zeros(len(weight))
    third = weight.new_zeros(len(weight), dim)
    room = weight.new_empty(FEW * len(weight))
    for block in features.split(FEW):
        x = block.T.double().contiguous() / dim**0.5
        products = room[: len(weight) * len(block)].view(len(weight), -1)
        for i, part in enumerate(products.split(sizes)):
            torch.mul(x[i], x[i:], out=part)
        first += x.sum(dim=1)
        second += products.sum(dim=1)
        third.addmm_(products, x.T)
    # (x.y / D + 1)³ by the binomial theorem
    return torch.cat(
        [
            first.new_full((1,), n),
            3**0.5 * first,
            3**0.5 * weight * second,
            (weight[:, None] * third).flatten(),
        ]
    )


def mean_kernel(features: Tensor, embedding: Tensor) -> Tensor:
    """Mean of the kernel over all pairs of different features, float64, shape ``()``.

    Args:
        features: float, shape ``(N, D)``.
        embedding: of these features.

    Returns:
        NaN if there are fewer than 2.
    """
    n = len(features)
    itself = (features.double().square().mean(dim=1) + 1).pow(3).sum()
    total = embedding @ embedding if len(embedding) else _kernel_sum_within(features)
    return total.sub(itself).div(n * (n - 1))


def _kernel_sum_within(features: Tensor) -> Tensor:
    """Sum over all pairs of one set, float64, shape ``()``."""
    total = features.new_zeros((), dtype=torch.float64)
    for number, block in enumerate(features.split(BLOCK)):
        # the kernel is symmetric: what lies beyond the block counts twice
        beyond = features[(number + 1) * BLOCK :]
        total += _kernel_sum(block, block) + 2 * _kernel_sum(block, beyond)
    return total


def _kernel_sum(x: Tensor, y: Tensor) -> Tensor:
    """Sum over all pairs of two sets, float64, shape ``()``."""
    total = x.new_zeros((), dtype=torch.float64)
    columns = [part.T.contiguous() for part in (y.double() / y.shape[1]).split(TILE)]
    for rows in x.double().split(BLOCK):
        for part in columns:
            values = (rows @ part).add_(1).flatten()
            total += torch.dot(values.square(), values)
    return total
