"""Distributions in the plane: what a model has learnt of them can be counted."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.base import ImageTensorDataset, InMemoryDataModule, Split, require_at_least
from gan_modules.seeding import derive_seed
from gan_modules.tools.toys import SWISS_ROLL_NOISE, SWISS_ROLL_SCALE, Toy

__all__ = ["ToyDataModule"]


class ToyDataModule(InMemoryDataModule):
    """Points in the plane, drawn once and scaled by a constant to lie in [-1, 1].

    Batches are ``(points, labels)``: float32 in [-1, 1] of shape ``(N, 2)``, and the index of the
    mode that a point belongs to (0 where there are no modes).

    Args:
        name: ``ring``, ``grid``, ``swiss_roll``, ``parallel_lines`` or ``two_points``, see
            :class:`~gan_modules.tools.toys.Toy`.
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
        toy = Toy(name)
        require_at_least("n", n, 10)
        super().__init__(batch_size=batch_size, **kwargs)
        self.name: str = name
        self.n = n
        self.toy = toy
        self.centers, self.sigma, self.num_classes = toy.centers, toy.sigma, toy.num_classes

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

            points, _ = make_swiss_roll(n, noise=SWISS_ROLL_NOISE, random_state=seed)
            scaled = points[:, [0, 2]] / SWISS_ROLL_SCALE
            labels = torch.zeros(n, dtype=torch.long)
            return ImageTensorDataset(torch.from_numpy(scaled.astype(np.float32)), labels)
        generator = torch.Generator().manual_seed(seed)
        return ImageTensorDataset(*self.toy.labelled(n, generator))

    def count_modes(self, points: Tensor) -> tuple[int, float]:
        """How many modes the points cover, and the share of points that belong to one.

        See :meth:`~gan_modules.tools.toys.Toy.count_modes`.
        """
        return self.toy.count_modes(points)
