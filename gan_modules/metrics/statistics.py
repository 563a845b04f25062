"""What is kept of the features of a set of images, however large it is."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["FeatureStatistics", "InceptionStatistics", "require_two"]


class FeatureStatistics:
    """Moments of all features, and some of the features themselves.

    Memory is ``D² + n_kept x D`` numbers, whatever the number of images. Each process of several
    adds the images it has; :meth:`reduce` makes all of them hold the whole.

    Args:
        num_features: D.
        n_kept: how many features are kept, for scores that compare them with each other.
        device: where the statistics are held.

    Attributes:
        count: number of images, shape ``()``.
        total: sum of their features, float64, shape ``(D,)``.
        outer: sum of the products of each feature vector with itself, float64, shape ``(D, D)``.
        kept: float32, shape ``(n_kept, D)``.
    """

    def __init__(self, num_features: int, n_kept: int, device: torch.device) -> None:
        # float64 does not exist everywhere
        self.device = torch.device("cpu") if device.type == "mps" else device
        double: dict[str, Any] = {"dtype": torch.float64, "device": self.device}
        self.count = torch.zeros((), dtype=torch.long, device=self.device)
        self.total = torch.zeros(num_features, **double)
        self.outer = torch.zeros(num_features, num_features, **double)
        self.kept = torch.zeros(n_kept, num_features, device=self.device)

    def add(self, features: Tensor, rows: Tensor) -> None:
        """Count features in.

        Args:
            features: float32, shape ``(N, D)``.
            rows: where in :attr:`kept` each of them belongs, shape ``(N,)``; one that has no place
                there, such as -1, is not kept.
        """
        features, rows = features.to(self.device), rows.to(self.device)
        exact = features.double()
        self.count += len(features)
        self.total += exact.sum(dim=0)
        self.outer.addmm_(exact.T, exact)
        has_place = (rows >= 0) & (rows < len(self.kept))
        self.kept[rows[has_place]] = features[has_place]

    def reduce(self, strategy: Any) -> None:
        """Add up what the processes of a strategy hold."""
        for name in ("count", "total", "outer", "kept"):
            # a feature is kept by one process and zero in the others
            setattr(self, name, strategy.reduce(getattr(self, name), reduce_op="sum"))


class InceptionStatistics:
    """What the Inception Score needs of the logits of a classifier, whatever their number.

    The score is the mean over parts of the images, ``exp(E KL(p(y|x) || p(y)))`` of each, which is
    ``exp(E sum p log p - sum q log q)`` with the mean q of the probabilities p of the part.

    Args:
        num_classes: C.
        n: number of images.
        device: where the statistics are held.
        parts: 10 in the paper (Salimans et al. 2016, arXiv:1606.03498).

    Attributes:
        sums: number of images of each part, sum of p log p, and sum of p, float64, shape
            ``(parts, 2 + C)``.
    """

    def __init__(self, num_classes: int, n: int, device: torch.device, parts: int = 10) -> None:
        self.n, self.parts = n, parts
        self.device = torch.device("cpu") if device.type == "mps" else device
        self.sums = torch.zeros(parts, 2 + num_classes, dtype=torch.float64, device=self.device)

    def add(self, logits: Tensor, rows: Tensor) -> None:
        """Count images in.

        Args:
            logits: shape ``(N, C)``.
            rows: number of each image, shape ``(N,)``, which decides its part.
        """
        log_p = logits.to(self.device).double().log_softmax(dim=1)
        p = log_p.exp()
        entropies = (p * log_p).sum(dim=1, keepdim=True)
        values = torch.cat([torch.ones_like(entropies), entropies, p], dim=1)
        self.sums.index_add_(0, self._part(rows.to(self.device)), values)

    def _part(self, rows: Tensor) -> Tensor:
        """The part of each image: part i begins at ``i n // parts``, as in the paper's own code."""
        ends = torch.arange(1, self.parts + 1, device=rows.device) * self.n // self.parts
        return torch.searchsorted(ends, rows, right=True)

    def reduce(self, strategy: Any) -> None:
        """Add up what the processes of a strategy hold."""
        self.sums = strategy.reduce(self.sums, reduce_op="sum")

    def scores(self) -> Tensor:
        """The score of each part that has images, shape ``(parts,)`` or fewer."""
        sums = self.sums[self.sums[:, 0] > 0]
        count, entropies, p = sums.split([1, 1, sums.shape[1] - 2], dim=1)
        q = p / count
        scores: Tensor = (entropies / count - torch.special.xlogy(q, q).sum(1, keepdim=True)).exp()
        return scores.flatten()


def require_two(name: str, real: int, fake: int) -> None:
    """Raise ``ValueError`` if one of the sets that a metric compares has fewer than 2 images."""
    if min(real, fake) < 2:
        raise ValueError(f"{name} needs 2 images of each at least: {real} are real, {fake} fake")
