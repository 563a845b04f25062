"""What latents are drawn from, and ways through their space."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_modules.checkpoints.described import Described
from gan_modules.errors import require

__all__ = [
    "CodedLatents",
    "LatentDistribution",
    "Latents",
    "NormalLatents",
    "SphereLatents",
    "UniformLatents",
    "make_coded_latents",
    "make_latents",
    "slerp",
    "truncate_normal",
]

LatentDistribution = Literal["normal", "uniform", "sphere"]


class Latents(Described):
    """A distribution of latents.

    Args:
        dim: size of a latent.
    """

    name: str

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def fill(self, z: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw into an empty tensor ``(n, dim)``, and return it."""
        raise TypeError(f"{type(self).__name__} must say what it draws")

    def truncate(self, z: Tensor, threshold: float) -> Tensor:
        """Draw in towards the middle; raises ``ValueError`` for a threshold that has no meaning."""
        raise ValueError(f"truncation={threshold} must be left out with {self.name} latents")

    def between(self, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """From ``first`` at weight 0 to ``second`` at 1, along what is drawn often."""
        return slerp(first, second, weight)

    def within(self, z: Tensor) -> Tensor:
        """The nearest point to each latent among those that may be drawn; by default itself."""
        return z


class NormalLatents(Latents):
    """N(0, 1)."""

    name = "normal"

    def fill(self, z: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw from N(0, 1)."""
        return z.normal_(generator=generator)

    def truncate(self, z: Tensor, threshold: float) -> Tensor:
        """See :func:`truncate_normal`."""
        require(threshold > 0, "truncation", threshold, "positive")
        return truncate_normal(z, threshold)


class UniformLatents(Latents):
    """Uniform in [-1, 1)."""

    name = "uniform"

    def fill(self, z: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw from [-1, 1)."""
        return z.uniform_(-1, 1, generator=generator)

    def truncate(self, z: Tensor, threshold: float) -> Tensor:
        """Scale by the threshold, in (0, 1]."""
        require(0 < threshold <= 1, "truncation", threshold, "in (0, 1] for uniform latents")
        return z * threshold

    def between(self, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """A straight line."""
        return torch.lerp(first, second, weight)

    def within(self, z: Tensor) -> Tensor:
        """In the cube."""
        return z.clamp(-1, 1)


class SphereLatents(Latents):
    """Uniform on the sphere of radius ``sqrt(dim)``."""

    name = "sphere"

    def fill(self, z: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw from the sphere."""
        return self.within(z.normal_(generator=generator))

    def within(self, z: Tensor) -> Tensor:
        """On the sphere, in the same direction."""
        return F.normalize(z, dim=-1) * math.sqrt(self.dim)


class CodedLatents(Latents):
    """Noise, then categorical codes as one-hot vectors, then continuous codes in [-1, 1).

    Args:
        noise: the distribution of what no code says.
        categorical: number of categories of each categorical code.
        continuous: number of continuous codes.
    """

    name = "coded"

    def __init__(self, noise: Latents, categorical: tuple[int, ...], continuous: int) -> None:
        self.code_dim = sum(categorical) + continuous
        super().__init__(noise.dim + self.code_dim)
        self.noise, self.categorical, self.continuous = noise, categorical, continuous

    def split(self, z: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Noise, one-hot codes and continuous codes of latents ``(n, dim)``."""
        noise, *codes, continuous = z.split(
            [self.noise.dim, *self.categorical, self.continuous], dim=-1
        )
        return noise, codes, continuous

    def split_codes(self, codes: Tensor) -> tuple[Tensor, ...]:
        """Each categorical code, then all continuous ones, of ``(n, code_dim)``."""
        parts: tuple[Tensor, ...] = codes.split([*self.categorical, self.continuous], dim=-1)
        return parts

    def in_turn(self, z: Tensor) -> Tensor:
        """Latents ``(n, dim)`` whose first categorical code is 0, 1, 2, ... in turn."""
        noise, codes, continuous = self.split(z)
        if codes:
            size = self.categorical[0]
            turns = torch.arange(len(z), device=z.device) % size
            codes = [F.one_hot(turns, size).to(z), *codes[1:]]
        return torch.cat([noise, *codes, continuous], dim=-1)

    def with_continuous(self, z: Tensor, code: int, values: Tensor) -> Tensor:
        """Latents ``(n, dim)`` whose continuous code of that number has these values, ``(n,)``."""
        place = self.dim - self.continuous + code
        return z.index_copy(1, torch.tensor([place], device=z.device), values.to(z)[:, None])

    def fill(self, z: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw noise and codes."""
        noise, codes, continuous = self.split(z)
        parts = [self.noise.fill(torch.empty_like(noise), generator)]
        for code in codes:
            n, size = code.shape
            drawn = torch.randint(size, (n,), device=z.device, generator=generator)
            parts.append(F.one_hot(drawn, size).to(z.dtype))
        parts.append(torch.empty_like(continuous).uniform_(-1, 1, generator=generator))
        return torch.cat(parts, dim=1)

    def truncate(self, z: Tensor, threshold: float) -> Tensor:
        """Truncate the noise; codes stay."""
        noise, codes, continuous = self.split(z)
        return torch.cat([self.noise.truncate(noise, threshold), *codes, continuous], dim=-1)

    def within(self, z: Tensor) -> Tensor:
        """Each part by itself; what is between the categories stays so."""
        noise, codes, continuous = self.split(z)
        parts = [self.noise.within(noise), *(code.clamp(0, 1) for code in codes)]
        return torch.cat([*parts, continuous.clamp(-1, 1)], dim=-1)

    def between(self, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """Codes of a category fade into one another in a straight line."""
        a, b = self.split(first)[0], self.split(second)[0]
        codes = torch.lerp(first[..., self.noise.dim :], second[..., self.noise.dim :], weight)
        return torch.cat([self.noise.between(a, b, weight), codes], dim=-1)


def make_latents(distribution: LatentDistribution, dim: int) -> Latents:
    """The distribution of that name.

    Raises:
        ValueError: for any other name, or a size below 1.
    """
    kinds = {kind.name: kind for kind in (NormalLatents, UniformLatents, SphereLatents)}
    require(dim >= 1, "latent_dim", dim, "at least 1")
    right = "normal, uniform or sphere"
    require(distribution in kinds, "latent_distribution", distribution, right)
    return kinds[distribution](dim)


def make_coded_latents(
    distribution: LatentDistribution, dim: int, categorical: Sequence[int], continuous: int
) -> CodedLatents:
    """Latents of size ``dim``, codes included, whose noise is drawn from what is so named.

    Raises:
        ValueError: if there is no such distribution, no such code, or no room for noise.
    """
    right = "one number of categories, at least 2, for each code"
    require(all(size >= 2 for size in categorical), "categorical", [*categorical], right)
    require(continuous >= 0, "continuous", continuous, "at least 0")
    code_dim = sum(categorical) + continuous
    require(code_dim > 0, "categorical", [], "not empty if continuous=0")
    require(dim > code_dim, "latent_dim", dim, f"more than the {code_dim} numbers of the codes")
    noise = make_latents(distribution, dim - code_dim)
    return CodedLatents(noise, tuple(categorical), continuous)


def slerp(first: Tensor, second: Tensor, weight: float | Tensor) -> Tensor:
    """Interpolate along the great circle between two directions (Shoemake 1985).

    Almost all normal latents lie near a sphere, which a straight line between two of them leaves:
    its middle is shorter than any latent the generator was trained on (White 2016,
    arXiv:1609.04468). Here the direction turns evenly, and the norm goes straight from that of the
    one vector to that of the other.

    Args:
        first: where weight is 0, shape ``(..., D)``.
        second: where weight is 1, shape ``(..., D)``.
        weight: from 0 to 1; a tensor is broadcast against ``(..., 1)``.

    Returns:
        Shape ``(..., D)``. Between opposite vectors, where no great circle is the shortest, one of
        them; from or to a zero vector, which has no direction, the straight line.
    """
    weight = torch.as_tensor(weight, dtype=first.dtype, device=first.device)
    norms = [vector.norm(dim=-1, keepdim=True) for vector in (first, second)]
    one, other = F.normalize(first, dim=-1), F.normalize(second, dim=-1)
    one, other = torch.where(norms[0] == 0, other, one), torch.where(norms[1] == 0, one, other)
    # exact also for nearly opposite vectors, where the arc cosine of the product is percents off
    angle = 2 * torch.atan2((one - other).norm(dim=-1), (one + other).norm(dim=-1))[..., None]
    # Shoemake's weights divide by the sine of the angle; a second direction at right angles to the
    # first keeps the norm up to opposite vectors
    across = _rejection(other, one)
    size = across.norm(dim=-1, keepdim=True)
    axis = F.one_hot(one.abs().argmin(dim=-1), one.shape[-1]).to(one)
    across = torch.where(size < 4 * torch.finfo(one.dtype).eps, _rejection(axis, one), across)
    # twice: what rounding left of the first direction counts where the rest is small
    across = F.normalize(_rejection(F.normalize(across, dim=-1), one), dim=-1)
    turned = (weight * angle).cos() * one + (weight * angle).sin() * across
    path = torch.lerp(*torch.broadcast_tensors(*norms, weight)) * turned
    path = torch.where(weight == 0, first, path)
    return torch.where(weight == 1, second, path)


def _rejection(vector: Tensor, unit: Tensor) -> Tensor:
    """What is left of a vector without its part along a unit vector."""
    return vector - (vector * unit).sum(dim=-1, keepdim=True) * unit


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
