"""Exponential moving averages of networks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gan_modules.networks.layers.blocks import running_statistics

__all__ = ["Averaging", "evaluation_mode"]


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


class Averaging:
    """Has a copy follow a network: its weights and running statistics are averaged.

    All other buffers are copied. The vectors of spectral normalisation are unit vectors found by
    iteration: their average is none, and would make the copy another network.

    The decay rises to its value as ``(1 + t) / (10 + t)``.

    Args:
        copies: networks that follow.
        lives: networks that are followed, of the same structure.
        decay: per update, in [0, 1).
    """

    def __init__(
        self, copies: Sequence[nn.Module], lives: Sequence[nn.Module], decay: float
    ) -> None:
        self.decay = decay
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
    def update(self, step: int) -> None:
        """Follow; ``step`` is the number of updates made."""
        if self._averaged[0]:
            decay = min(self.decay, (1 + step) / (10 + step))
            get_ema_multi_avg_fn(decay)(*self._averaged, step)
        for copy, live in self._copied:
            copy.copy_(live)
