"""Exponential moving averages of networks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gan_modules.errors import require
from gan_modules.networks.layers.blocks import running_statistics

__all__ = ["Averaging", "Forgetting", "evaluation_mode"]


@contextmanager
def evaluation_mode(*networks: nn.Module) -> Iterator[None]:
    """Put networks in evaluation mode, and every part of them back afterwards."""
    training = [m for network in networks for m in network.modules() if m.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


@dataclass(frozen=True)
class Forgetting:
    """How fast an average forgets: a function of the iteration alone, so that a run can go on.

    Args:
        decay: per update, in [0, 1); 0 for no average. It rises to this value as
            ``(1 + t) / (10 + t)``, unless there is a ``start``.
        half_life: in images, in place of ``decay``: what that many images ago was a weight counts
            half.
        ramp: the half-life is at most this share of the images seen so far.
        start: until this iteration the average is a copy.

    Raises:
        ValueError: if one is out of its range, or does nothing.
    """

    decay: float
    half_life: float | None = None
    ramp: float | None = None
    start: int = 0

    def __post_init__(self) -> None:
        """Refuse what is out of its range."""
        require(0 <= self.decay < 1, "ema_decay", self.decay, "in [0, 1)")
        for name, value in (("ema_half_life", self.half_life), ("ema_ramp", self.ramp)):
            require(value is None or value > 0, name, value, "positive, or null")
        require(self.start >= 0, "ema_start", self.start, "at least 0")
        grows = self.ramp is None or self.half_life is not None
        require(grows, "ema_ramp", self.ramp, "null without ema_half_life, which it ramps up")
        starts = self.start == 0 or self.averages
        require(starts, "ema_start", self.start, "0 without an average: ema_decay is 0")

    @property
    def averages(self) -> bool:
        """Whether there is an average at all."""
        return self.decay > 0 or self.half_life is not None

    def at(self, step: int, images: int) -> float:
        """The decay in an iteration, counted from 1, that takes so many images."""
        if step < self.start:
            return 0.0
        if self.half_life is None:
            return self.decay if self.start else min(self.decay, (1 + step) / (10 + step))
        half_life = self.half_life
        if self.ramp is not None:
            # StyleGAN2's, which counts the images of the iterations before
            half_life = min(half_life, self.ramp * (step - 1) * images)
        return float(0.5 ** (images / half_life)) if half_life else 0.0


class Averaging:
    """Has a copy follow a network: its weights and running statistics are averaged.

    All other buffers are copied. The vectors of spectral normalisation are unit vectors found by
    iteration: their average is none, and would make the copy another network.

    Args:
        copies: networks that follow.
        lives: networks that are followed, of the same structure.
        forgetting: how fast.
    """

    def __init__(
        self, copies: Sequence[nn.Module], lives: Sequence[nn.Module], forgetting: Forgetting
    ) -> None:
        self.forgetting = forgetting
        self._averaged: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._copied: list[tuple[Tensor, Tensor]] = []
        for copy, live in zip(copies, lives, strict=True):
            for side, network in zip(self._averaged, (copy, live), strict=True):
                side += [p.detach() for p in network.parameters()] + running_statistics(network)
            averaged = {id(statistic) for statistic in running_statistics(copy)}
            self._copied += [
                (mine, its)
                for mine, its in zip(copy.buffers(), live.buffers(), strict=True)
                if id(mine) not in averaged
            ]

    @torch.no_grad()
    def update(self, step: int, images: int) -> None:
        """Follow; ``step`` is the number of iterations made, the last one with so many images."""
        if self._averaged[0]:
            decay = self.forgetting.at(step, images)
            get_ema_multi_avg_fn(decay)(*self._averaged, step)
        for copy, live in self._copied:
            copy.copy_(live)
