"""Scores of generated images, from the statistics of their features and of the real ones'."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gan_modules.metrics.kernel import kernel_distance, kernel_embedding, mean_kernel
from gan_modules.metrics.path_length import PATHS
from gan_modules.metrics.prdc import compute_prdc, squared_radii
from gan_modules.metrics.statistics import FeatureStatistics, InceptionStatistics, require_two

__all__ = [
    "HIGHER_IS_BETTER",
    "METRICS",
    "NEEDS_KEPT",
    "PRDC_NAMES",
    "MetricName",
    "RealStatistics",
    "frechet_distance",
    "scores",
]

MetricName = Literal[
    "fid", "kid", "is", "precision", "recall", "density", "coverage",
    "ppl_zfull", "ppl_wfull", "ppl_zend", "ppl_wend",
]  # fmt: skip
PRDC_NAMES: tuple[MetricName, ...] = ("precision", "recall", "density", "coverage")
METRICS: tuple[MetricName, ...] = ("fid", "kid", "is", *PRDC_NAMES, *PATHS)
NEEDS_KEPT: tuple[MetricName, ...] = ("kid", *PRDC_NAMES)
HIGHER_IS_BETTER: tuple[MetricName, ...] = ("is", *PRDC_NAMES)


@dataclass
class RealStatistics:
    """Of real images: what every comparison with them needs again.

    Attributes:
        count, total, outer, kept: as in :class:`FeatureStatistics`.
        radii: of the kept ones, see :func:`squared_radii`, shape ``(n_kept, 2)``; of none if they
            are too few.
        embedding: of the kept ones, see :func:`kernel_embedding`.
        kernel: mean of the kernel between different kept ones, shape ``()``.
        label_counts: images of each class, shape ``(C,)``; none if there are no labels.
    """

    count: Tensor
    total: Tensor
    outer: Tensor
    kept: Tensor
    radii: Tensor
    embedding: Tensor
    kernel: Tensor
    label_counts: Tensor

    @classmethod
    def of(cls, statistics: FeatureStatistics, label_counts: Tensor) -> "RealStatistics":
        """What follows from statistics that hold all real images."""
        kept = statistics.kept
        enough = len(kept) > 5
        embedding = kernel_embedding(kept)
        return cls(
            count=statistics.count,
            total=statistics.total,
            outer=statistics.outer,
            kept=kept,
            radii=squared_radii(kept) if enough else kept.new_zeros(0, 2),
            embedding=embedding,
            kernel=mean_kernel(kept, embedding),
            label_counts=label_counts,
        )

    def to(self, device: torch.device) -> "RealStatistics":
        """The same on another device."""
        return RealStatistics(**{name: value.to(device) for name, value in vars(self).items()})


def scores(
    names: Collection[MetricName],
    real: RealStatistics,
    fake: FeatureStatistics,
    inception: InceptionStatistics | None,
) -> dict[MetricName, float]:
    """The scores of those names, in the order of :data:`METRICS`.

    Raises:
        ValueError: if there are too few images.
    """
    found: dict[MetricName, float] = {}
    if "fid" in names:
        found["fid"] = frechet_distance(real, fake)
    if "kid" in names:
        found["kid"] = kernel_distance(real.kept, fake.kept, real.kernel, real.embedding)
    if "is" in names:
        assert inception is not None
        found["is"] = inception.scores().mean().item()
    if any(name in names for name in PRDC_NAMES):
        radii = real.radii if len(real.radii) else squared_radii(real.kept)
        four = compute_prdc(real.kept, fake.kept, radii)._asdict()
        found |= {name: four[name] for name in PRDC_NAMES if name in names}
    return found


class _Given(nn.Module):
    """What torchmetrics takes for a feature network: the features are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(
    real: RealStatistics | FeatureStatistics, fake: RealStatistics | FeatureStatistics
) -> float:
    """Frechet distance between the Gaussians of two sets of features (arXiv:1706.08500).

    Raises:
        ValueError: if one of the sets has fewer than 2 features.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    require_two("fid", int(real.count), int(fake.count))
    metric = FrechetInceptionDistance(_Given(len(real.total)), sync_on_compute=False)
    metric.to(real.total.device)
    metric.update(real.total.new_zeros(0, len(real.total)), real=True)  # for the result's precision
    for side, statistics in (("real", real), ("fake", fake)):
        setattr(metric, f"{side}_features_sum", statistics.total)
        setattr(metric, f"{side}_features_cov_sum", statistics.outer)
        setattr(metric, f"{side}_features_num_samples", statistics.count)
    return float(metric.compute())
