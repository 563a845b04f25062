"""Batches whose values leave their range after the first, which alone is looked at at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor

__all__ = ["Range", "RangeWatch"]


class Range(NamedTuple):
    """What a part of every batch must lie in, both ends included."""

    name: str
    values: Tensor
    low: float
    high: float


class RangeWatch:
    """Keeps the extremes of all batches until it is time to look at them.

    Looking at each batch would make every step wait for the device.
    """

    def __init__(self) -> None:
        self._extremes: dict[str, tuple[Range, Tensor]] = {}

    def note(self, ranges: list[Range]) -> None:
        """Take a batch into account."""
        for watched in ranges:
            # float first: labels may be of a type without a sign
            low, high = (extreme.float() for extreme in watched.values.aminmax())
            # maxima both, also of a NaN and a number, which is a NaN
            extremes = torch.stack([-low, high])
            _, before = self._extremes.get(watched.name, (None, extremes))
            kept = torch.maximum(before, extremes)
            self._extremes[watched.name] = watched._replace(values=kept), kept

    def check(self, trainer: Trainer) -> None:
        """Look at what was noted, and forget it; all ranks do this at the same time.

        Raises:
            ValueError: on every rank, if a batch of one of them has left its range.
        """
        extremes, self._extremes = self._extremes, {}
        if not extremes:
            return
        found = torch.stack([values for _, values in extremes.values()])
        if trainer.world_size > 1:
            found = trainer.strategy.all_gather(found).amax(0)
        _require_within([watched for watched, _ in extremes.values()], found)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Where something goes wrong, look at what this process has noted, whatever others do.

        A class that there is not ends in an error where it is looked up.

        Raises:
            ValueError: in place of that error, if a batch of this process has left its range.
        """
        try:
            yield
        except (RuntimeError, IndexError):
            if self._extremes:
                watched, extremes = zip(*self._extremes.values(), strict=True)
                _require_within(watched, torch.stack(extremes))
            raise


def _require_within(ranges: Sequence[Range], extremes: Tensor) -> None:
    for watched, (below, high) in zip(ranges, extremes.tolist(), strict=True):
        low = -below
        if not watched.low <= low <= high <= watched.high:
            raise ValueError(
                f"the DataLoader has given {watched.name} in [{low:g}, {high:g}] since the "
                f"last look: they must be in [{round(watched.low)}, {round(watched.high)}] in "
                "every batch, as in the first"
            )
