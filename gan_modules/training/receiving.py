"""What comes before the losses: a batch that is checked, and noise of its own for every step."""

from typing import Any

import torch

from gan_modules.training.batches import Batch, as_batch
from gan_modules.training.range_watch import RangeWatch
from gan_modules.training.rules import Rules
from gan_modules.training.seeding import seed_iteration

__all__ = ["Receiving"]


class Receiving(Rules):
    """A module that looks at what it is given."""

    def __init__(self) -> None:
        super().__init__()
        # of all randomness in training; torch's own seed unless it is set before
        self.noise_seed: int | None = None
        self._batch_is_checked = False
        self._ranges = RangeWatch()

    def _seed_noise(self) -> None:
        if self.noise_seed is None:
            self.noise_seed = self.trainer.strategy.broadcast(torch.initial_seed())
        seed_iteration(self.noise_seed, self.global_rank, self.global_step, self.device)

    def _receive(self, batch: Any) -> Batch:
        """A batch in the module's precision; the first one of a stage is checked."""
        images, second = as_batch(batch)
        if not self._batch_is_checked:
            self.check_batch((images, second))
            self._batch_is_checked = True
        if second is not None and second.is_floating_point():
            second = second.to(self.dtype)
        return images.to(self.dtype), second
