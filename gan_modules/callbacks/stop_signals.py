"""Ctrl-C and SIGTERM, noted for a better moment."""

import signal
import threading
from types import FrameType
from typing import Any, cast

import torch
from lightning.pytorch import Trainer
from torch.distributed import ReduceOp

__all__ = ["StopSignals"]

EVERY = 10
"""Iterations between two moments at which several processes ask each other: it is a collective."""


class StopSignals:
    """Notes ``SIGINT`` and ``SIGTERM`` between :meth:`install` and :meth:`remove`.

    A second one has the effect it had before. Outside the main thread, where Python allows no
    handlers, nothing is noted.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        """Begin to note."""
        self.received = None
        if threading.current_thread() is threading.main_thread():
            # Lightning's own for SIGTERM broadcasts wherever the other processes may be
            for number in (signal.SIGINT, signal.SIGTERM):
                # a process in the background of a script is not meant to hear Ctrl-C
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)

    def remove(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        handler = self._before[self.received]
        # a second SIGTERM must not get into Lightning's broadcast either
        signal.signal(number, handler if number == signal.SIGINT else signal.SIG_DFL)

    def ask(self, trainer: Trainer) -> signal.Signals | None:
        """The signal that this process, or one of the others, was sent; the same on all of them."""
        if trainer.world_size == 1:
            return self.received
        if trainer.global_step % EVERY:
            return None
        sent = torch.tensor(float(self.received or 0), device=trainer.strategy.root_device)
        number = int(trainer.strategy.reduce(sent, reduce_op=cast(ReduceOp, ReduceOp.MAX)))
        return signal.Signals(number) if number else None
