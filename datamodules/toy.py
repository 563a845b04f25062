"""Distributions in the plane: what a model has learnt of them can be counted."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.base import ImageTensorDataset, InMemoryDataModule, Split, require_at_least
from gan_modules.seeding import derive_seed

__all__ = ["ToyDataModule"]

NAMES = ("ring", "grid", "swiss_roll", "parallel_lines", "two_points")

# divisors that bring all points into [-1, 1]
RING_SCALE = 2.25  # radius 2 and 12 sigma
GRID_SCALE = 4.5  # outermost centres at 4 and 10 sigma
SWISS_ROLL_SCALE = 16.0  # the roll ends at 4.5 pi = 14.1; 7 sigma beyond


class ToyDataModule(InMemoryDataModule):
    """Points in the plane, drawn once and scaled by a constant to lie in [-1, 1].

    Batches are ``(points, labels)``: float32 in [-1, 1] of shape ``(N, 2)``, and the index of the
    mode that a point belongs to (0 where there are no modes).

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
        n: points for training; a tenth as many each for validation and test.
        batch_size: points per update and process.
        **kwargs: options of :class:`InMemoryDataModule`. The points are the same for every seed.

    Attributes:
        centers: the modes, scaled, shape ``(K, 2)``; K is 0 where there are none.
        sigma: standard deviation of each mode, scaled; 0 where the modes are not Gaussian.

    Raises:
        ValueError: if the name is unknown or an option is out of its range.
    """

    def __init__(
        self, *, name: str = "grid", n: int = 100_000, batch_size: int = 256, **kwargs: Any
    ) -> None:
        if name not in NAMES:
            raise ValueError(f"name={name!r} must be one of {', '.join(NAMES)}")
        require_at_least("n", n, 10)
        super().__init__(batch_size=batch_size, **kwargs)
        self.name: str = name
        self.n = n
        self.centers, self.sigma = _modes(name)
        self.num_classes = 2 if name == "parallel_lines" else len(self.centers)

    @property
    def has_modes(self) -> bool:
        """Whether the modes are Gaussian, and :meth:`count_modes` can count them."""
        return self.sigma > 0

    @property
    def image_shape(self) -> tuple[int]:
        """Shape ``(2,)`` of one point."""
        return (2,)

    def make_split(self, split: Split) -> ImageTensorDataset:
        """Points ``(N, 2)`` and labels of one split, the same at every call."""
        n = self.n if split == "train" else self.n // 10
        seed = derive_seed(self.name, split)
        if self.name == "swiss_roll":
            from sklearn.datasets import make_swiss_roll

            points, _ = make_swiss_roll(n, noise=0.25, random_state=seed)
            scaled = points[:, [0, 2]] / SWISS_ROLL_SCALE
            labels = torch.zeros(n, dtype=torch.long)
            return ImageTensorDataset(torch.from_numpy(scaled.astype(np.float32)), labels)
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(self.num_classes, (n,), generator=generator)
        if self.name == "parallel_lines":
            y = torch.rand(n, generator=generator) * 2 - 1
            return ImageTensorDataset(torch.stack([labels - 0.5, y], dim=1), labels)
        noise = torch.randn(n, 2, generator=generator)
        return ImageTensorDataset(self.centers[labels] + self.sigma * noise, labels)

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
        if not self.has_modes:
            raise ValueError(
                f"name={self.name!r} has no Gaussian modes to count: choose ring or grid"
            )
        if points.ndim != 2 or points.shape[1] != 2 or not len(points):
            raise ValueError(f"points of shape {tuple(points.shape)} must be of shape (N, 2)")
        points = points.detach().float().cpu()
        # the circles around the centres do not touch: a point is in one of them at most
        near = torch.cdist(points, self.centers) <= 3 * self.sigma
        counts = near.sum(dim=0)
        modes = int((counts * 2_500 >= 20 * len(points)).sum())
        return modes, int(counts.sum()) / len(points)


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
