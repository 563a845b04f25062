"""What an experiment hands back."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

__all__ = ["Check", "Experiment", "Findings", "at_least", "at_most", "near"]


class Check(NamedTuple):
    """A number that was measured beside what theory says of it.

    Args:
        what: in a few words.
        theory: in a word or two.
        seen: the measurement.
        low: the least for the claim to hold.
        high: the most.
    """

    what: str
    theory: str
    seen: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether theory and measurement agree."""
        return self.low <= self.seen <= self.high

    def plain(self) -> dict[str, Any]:
        """As a file of JSON has it, which knows no infinity."""
        bounds = {"low": self.low, "high": self.high}
        finite = {k: v if math.isfinite(v) else None for k, v in bounds.items()}
        return {**self._asdict(), **finite, "holds": self.holds}


def near(what: str, theory: float, seen: float, within: float) -> Check:
    """The number is known."""
    return Check(what, f"{theory:.4g} +- {within:g}", seen, theory - within, theory + within)


def at_least(what: str, bound: float, seen: float) -> Check:
    """The number must not be smaller."""
    return Check(what, f"at least {bound:g}", seen, bound, math.inf)


def at_most(what: str, bound: float, seen: float) -> Check:
    """The number must not be larger."""
    return Check(what, f"at most {bound:g}", seen, -math.inf, bound)


class Findings(NamedTuple):
    """What an experiment found.

    Args:
        checks: claims, each with its number.
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
