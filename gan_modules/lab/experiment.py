"""What an experiment is given, and what it hands back."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

__all__ = ["Check", "Experiment", "Findings"]


class Check(NamedTuple):
    """A number that theory knows beside the one that was measured.

    Args:
        what: in a few words.
        theory: what theory says.
        seen: what was measured.
        within: how far the two may be apart for the claim to hold.
    """

    what: str
    theory: float
    seen: float
    within: float

    @property
    def holds(self) -> bool:
        """Whether theory and measurement agree."""
        return math.isfinite(self.seen) and abs(self.seen - self.theory) <= self.within


class Findings(NamedTuple):
    """What an experiment found.

    Args:
        checks: numbers that theory knows.
        figure: to be looked at.
        numbers: further ones, plain values.
        frames: figures of an animation, where time is the point.
    """

    checks: Sequence[Check]
    figure: Figure
    numbers: dict[str, Any]
    frames: Sequence[Figure] = ()


Experiment = Callable[..., Findings]
"""Takes a :class:`~gan_modules.lab.training.Lab`. The first line of its docstring is its claim."""
