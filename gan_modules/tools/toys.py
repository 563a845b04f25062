"""Distributions in the plane of which it is known what there is to learn."""

import math

import torch
from torch import Tensor

__all__ = ["TOYS", "Toy"]

TOYS = ("ring", "grid", "swiss_roll", "parallel_lines", "two_points")

# divisors that bring all points into [-1, 1]
RING_SCALE = 2.25  # radius 2 and 12 sigma
GRID_SCALE = 4.5  # outermost centres at 4 and 10 sigma
SWISS_ROLL_SCALE = 16.0  # the roll ends at 4.5 pi = 14.1; 7 sigma beyond
SWISS_ROLL_NOISE = 0.25


class Toy:
    """A distribution in the plane, scaled by a constant to lie in [-1, 1].

    - ``ring``: 8 Gaussians on a circle of radius 2, sigma 0.02 (Metz et al. 2017,
      arXiv:1611.02163), divided by 2.25.
    - ``grid``: 25 Gaussians at ``2 (i, j)`` with i, j from -2 to 2, sigma 0.05 (Gulrajani et al.
      2017, arXiv:1704.00028; Srivastava et al. 2017, arXiv:1705.07761), divided by 4.5.
    - ``swiss_roll``: the first and third coordinate of scikit-learn's Swiss roll with noise 0.25
      (Gulrajani et al. 2017), divided by 16.
    - ``parallel_lines``: x is -1/2 or 1/2, y uniform in [-1, 1]: two distributions without common
      support (after example 1 of Arjovsky et al. 2017, arXiv:1701.07875).
    - ``two_points``: (-1/2, 0) or (1/2, 0).

    Args:
        name: one of the above.

    Attributes:
        centers: the modes, shape ``(K, 2)``; K is 0 where there are none.
        sigma: standard deviation of each mode; 0 where the modes are not Gaussian.
        num_classes: kinds of points.

    Raises:
        ValueError: if the name is unknown.
    """

    def __init__(self, name: str) -> None:
        if name not in TOYS:
            raise ValueError(f"name={name!r} must be one of {', '.join(TOYS)}")
        self.name = name
        self.centers, self.sigma = _modes(name)
        self.num_classes = 2 if name == "parallel_lines" else len(self.centers)

    def sample(self, shape: torch.Size) -> Tensor:
        """Points, shape ``(*shape, 2)``."""
        points, _ = self.labelled(shape.numel())
        return points.reshape(*shape, 2)

    def labelled(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Points ``(n, 2)``, and the index of the mode that each belongs to, 0 without modes."""
        if self.name == "swiss_roll":
            angle = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=generator))
            roll = torch.stack([angle * angle.cos(), angle * angle.sin()], dim=1)
            noise = SWISS_ROLL_NOISE * torch.randn(n, 2, generator=generator)
            return (roll + noise) / SWISS_ROLL_SCALE, torch.zeros(n, dtype=torch.long)
        labels = torch.randint(self.num_classes, (n,), generator=generator)
        if self.name == "parallel_lines":
            y = torch.rand(n, generator=generator) * 2 - 1
            return torch.stack([labels - 0.5, y], dim=1), labels
        noise = torch.randn(n, 2, generator=generator)
        return self.centers[labels] + self.sigma * noise, labels

    def count_modes(self, points: Tensor) -> tuple[int, float]:
        """How many modes the points cover, and the share of points that belong to one.

        A point belongs to a mode within 3 sigma of its centre (Srivastava et al. 2017,
        arXiv:1705.07761). A mode counts if at least 20 of 2,500 points belong to it, and in the
        same proportion for any other number.

        Args:
            points: as a model makes them, shape ``(N, 2)``, scaled like the data.

        Raises:
            ValueError: if the modes are not Gaussian, or the shape is another.
        """
        near = self._distances(points) <= 3 * self.sigma
        # the circles around the centres do not touch: a point is in one of them at most
        counts = near.sum(dim=0)
        modes = int((counts * 2_500 >= 20 * len(points)).sum())
        return modes, int(counts.sum()) / len(points)

    def kl_to_uniform(self, points: Tensor) -> float:
        """``KL(q || uniform)`` in nats, q being the shares of points closest to each mode.

        0 where all modes have as many points, ``log K`` where one has all of them (Lin et al. 2017,
        arXiv:1712.04086).

        Args:
            points: shape ``(N, 2)``, scaled like the data.

        Raises:
            ValueError: as for :meth:`count_modes`.
        """
        closest = self._distances(points).argmin(dim=1)
        shares = closest.bincount(minlength=len(self.centers)) / len(points)
        return math.log(len(self.centers)) + torch.xlogy(shares, shares).sum().item()

    def _distances(self, points: Tensor) -> Tensor:
        """Of points to centres, ``(N, K)``."""
        if not self.sigma:
            raise ValueError(
                f"name={self.name!r} has no Gaussian modes to count: choose ring or grid"
            )
        if points.ndim != 2 or points.shape[1] != 2 or not len(points):
            raise ValueError(f"points of shape {tuple(points.shape)} must be of shape (N, 2)")
        return torch.cdist(points.detach().float().cpu(), self.centers)


def _modes(name: str) -> tuple[Tensor, float]:
    """Centres ``(K, 2)`` and sigma of a toy."""
    if name == "ring":
        angles = torch.arange(8) * (math.pi / 4)
        centers = 2 * torch.stack([angles.cos(), angles.sin()], dim=1)
        return centers / RING_SCALE, 0.02 / RING_SCALE
    if name == "grid":
        steps = 2.0 * torch.arange(-2, 3)
        return torch.cartesian_prod(steps, steps) / GRID_SCALE, 0.05 / GRID_SCALE
    if name == "two_points":
        return torch.tensor([[-0.5, 0.0], [0.5, 0.0]]), 0.0
    return torch.empty(0, 2), 0.0
