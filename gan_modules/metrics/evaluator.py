"""From real images and a generator to scores."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from gan_modules.metrics.cache import TensorCache, digest
from gan_modules.metrics.comparisons import Comparison
from gan_modules.metrics.data import RealData, subset_rows
from gan_modules.metrics.features import FeatureNetwork, full_precision
from gan_modules.metrics.path_length import PATHS, PathName, perceptual_path_length
from gan_modules.metrics.prdc import COVERAGE_K
from gan_modules.metrics.scores import NEEDS_KEPT, PRDC_NAMES, MetricName, RealStatistics, scores
from gan_modules.metrics.statistics import FeatureStatistics, InceptionStatistics

__all__ = ["Evaluator"]

MOST_CLASSES = 2**16
TOGETHER = 1000  # images


class Evaluator:
    """Scores fakes against real images, whose statistics it computes once.

    Args:
        names: of the metrics.
        features: the network, loaded and trained before it is used here.
        n_kept: features of each kind that are compared with each other at most.
        batch_size: real images whose features are computed at a time.
        cache: where statistics of real images are kept.
    """

    def __init__(
        self,
        names: Sequence[MetricName],
        features: FeatureNetwork,
        n_kept: int,
        batch_size: int,
        cache: TensorCache,
    ) -> None:
        self.names = names
        self.features = features
        self.n_kept = n_kept
        self.batch_size = batch_size
        self.cache = cache
        self._real: dict[str, RealStatistics] = {}

    def check(self, data: RealData, part: Comparison) -> None:
        """See by one real image that the metrics can be had, as far as the network is there.

        Raises:
            ValueError: if they need classes or more images, or the network another kind of image.
        """
        kept = min(self.n_kept, part.n)
        if {*self.names} & {*PRDC_NAMES} and kept <= COVERAGE_K:
            raise ValueError(
                f"precision, recall, density and coverage need {COVERAGE_K + 1} images at least: "
                f"metrics.n and metrics.n_kept leave {kept}"
            )
        for name in self._paths:
            precision = data.trainer.precision
            if precision in ("16-true", "bf16-true"):
                raise ValueError(
                    f"names={name} must be left out with trainer.precision={precision}, which "
                    "rounds small steps away"
                )
            space, _ = PATHS[name]
            if space not in part.spaces:
                known = f"{', '.join(part.spaces)} only" if part.spaces else "none"
                raise ValueError(
                    f"names={name} must be left out: of spaces with ways between samples the "
                    f"model has {known}"
                )
            if self.features.rounds:
                raise ValueError(
                    f"names={name} must be left out with features={self.features.name}, which "
                    "rounds images, and so small steps, away: choose others, such as "
                    "TorchvisionFeatures"
                )
        if self.features.module is not None:
            if "is" in self.names:
                self._num_classes(data, part)
            self._probe(data, part)

    def scores(self, data: RealData, part: Comparison) -> dict[MetricName, float]:
        """Make the fakes of a comparison and score them; NaN where they are.

        Every process makes its share, and all get the scores of the whole.

        Raises:
            ValueError: if the metrics need classes, labels or images that are not there.
        """
        real = self._statistics_of_real(data, part)
        found: dict[MetricName, float] = {}
        if len(self._paths) < len(self.names):
            found = self._scores_of_samples(data, part, real)
        return found | {name: self._path_length(name, data, part, real) for name in self._paths}

    @property
    def _paths(self) -> list[PathName]:
        """Those of the metrics that are path lengths."""
        return [name for name in PATHS if name in self.names]

    def _path_length(
        self, name: PathName, data: RealData, part: Comparison, real: RealStatistics
    ) -> float:
        assert part.step is not None
        strategy = data.trainer.strategy
        distances = torch.zeros(part.n, device=strategy.root_device)
        with data.progress("Ways", part.n) as advance:
            for rows, images in part.step(*PATHS[name], real.label_counts):
                before, after = self.features.extract(images).features.chunk(2)
                distances[rows.to(distances.device)] = (after - before).square().sum(1)
                advance(len(rows) * data.trainer.world_size)
        # one process has a way's distance, and the others zero
        return perceptual_path_length(strategy.reduce(distances, reduce_op="sum"))

    def _scores_of_samples(
        self, data: RealData, part: Comparison, real: RealStatistics
    ) -> dict[MetricName, float]:
        strategy = data.trainer.strategy
        n_kept = min(self.n_kept, part.n) if {*self.names} & {*NEEDS_KEPT} else 0
        fake = FeatureStatistics(len(real.total), n_kept, strategy.root_device)
        inception: InceptionStatistics | None = None
        if "is" in self.names:
            classes = self._num_classes(data, part)
            inception = InceptionStatistics(classes, part.n, strategy.root_device)
        drawn = part.draw(real.label_counts)
        with data.progress("Samples", part.n) as advance:
            for rows, features, logits in _together(
                (rows, *self.features.extract(images)) for rows, images in drawn
            ):
                fake.add(features, rows)
                if inception is not None:
                    inception.add(logits, rows)
                advance(len(rows) * data.trainer.world_size)
        fake.reduce(strategy)
        if inception is not None:
            inception.reduce(strategy)
        if not fake.total.isfinite().all():
            compared = [name for name in self.names if name not in PATHS]
            return dict.fromkeys(compared, float("nan"))
        with full_precision(fake.device):
            return scores(self.names, real.to(fake.device), fake, inception)

    def _probe(self, data: RealData, part: Comparison) -> tuple[Tensor, Tensor | None]:
        """Features and logits of one real image, to see how many there are."""
        images = data.first(part.reference, part.member)[part.member]
        assert images is not None
        return self.features.extract(images[:1])

    def _num_classes(self, data: RealData, part: Comparison) -> int:
        logits = self._probe(data, part)[1]
        if logits is None:
            raise ValueError(
                f"the Inception Score needs classes, which features={self.features.name} does "
                "not tell: leave 'is' out of names"
            )
        return logits.shape[1]

    def _statistics_of_real(self, data: RealData, part: Comparison) -> RealStatistics:
        """From memory, from disk, or from the images."""
        index = data.index(part.reference, part.member)
        key = f"real-{digest(index.fingerprint, self.features.fingerprint(), self.n_kept)}"
        if key not in self._real:
            first, strategy = data.trainer.is_global_zero, data.trainer.strategy
            known = strategy.broadcast(self.cache.read(key) if first else None)
            if known is None:
                found = self._look_at_real(data, part, index.count)
                if first:
                    self.cache.write(key, vars(found))
            else:
                found = RealStatistics(**known)
            self._real[key] = found
        return self._real[key]

    def _look_at_real(self, data: RealData, part: Comparison, count: int) -> RealStatistics:
        strategy = data.trainer.strategy
        features, _ = self._probe(data, part)
        n_kept = min(self.n_kept, count)
        statistics = FeatureStatistics(features.shape[1], n_kept, strategy.root_device)
        rows = subset_rows(count, n_kept)
        label_counts = torch.zeros(0, dtype=torch.long, device=strategy.root_device)
        with data.progress("Real images", count) as advance:
            for positions, batch in data.batches(part.reference, part.member):
                images, labels = batch[part.member], batch[1]
                assert images is not None
                parts = images.split(self.batch_size), positions.cpu().split(self.batch_size)
                for some, where in zip(*parts, strict=True):
                    statistics.add(self.features.extract(some).features, rows[where])
                    advance(len(some) * data.trainer.world_size)
                if labels is not None and labels.ndim == 1 and not labels.is_floating_point():
                    # what is no class may be anything, and make for a long list
                    classes = labels[(labels >= 0) & (labels < MOST_CLASSES)].long()
                    label_counts = _add(label_counts, classes.bincount())
        statistics.reduce(strategy)
        size = strategy.reduce(label_counts.new_tensor(len(label_counts)), reduce_op="max")
        label_counts = _add(label_counts, label_counts.new_zeros(int(size)))
        label_counts = strategy.reduce(label_counts, reduce_op="sum")
        with full_precision(statistics.device):
            return RealStatistics.of(statistics, label_counts)


def _together(
    batches: Iterable[tuple[Tensor, Tensor, Tensor | None]],
) -> Iterator[tuple[Tensor, ...]]:
    """Several batches as one: counting small ones in costs more than the sums themselves.

    Logits that are None come out as ``(N, 0)``.
    """
    waiting: list[tuple[Tensor, ...]] = []
    for rows, features, logits in batches:
        logits = features[:, :0] if logits is None else logits
        # a slice would keep the whole that it is taken from
        waiting.append((rows, features.clone(), logits.clone()))
        if sum(len(batch[0]) for batch in waiting) >= TOGETHER:
            yield tuple(map(torch.cat, zip(*waiting, strict=True)))
            waiting = []
    if waiting:
        yield tuple(map(torch.cat, zip(*waiting, strict=True)))


def _add(counts: Tensor, more: Tensor) -> Tensor:
    """Sum of two counts of classes, one of which may know of fewer classes."""
    total = counts.new_zeros(max(len(counts), len(more)))
    total[: len(counts)] += counts
    total[: len(more)] += more
    return total
