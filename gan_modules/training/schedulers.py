"""Schedules that papers ask for and torch has not."""

import math

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gan_modules.errors import require

__all__ = ["ConstantThenLinearLR", "CosineBurnIn", "cosine_between"]


class ConstantThenLinearLR(LRScheduler):
    """The initial rate for some steps, then linearly to zero (CycleGAN, arXiv:1703.10593).

    At step t (0, 1, 2, ...) the rate is the initial one times ``(end - t) / decay_steps`` with
    ``end = constant_steps + decay_steps``, at most 1 and at least 0. Steps are generator updates in
    this package; an epoch of a paper has as many as its data set has batches. Deviation: the
    official code lowers the rate once per epoch, and ends one such epoch above zero.

    Args:
        optimizer: whose rates are set.
        constant_steps: steps at the initial rate; the decay starts after them.
        decay_steps: steps from the initial rate down to zero.
        last_epoch: the last step already made; -1 to start.

    Raises:
        ValueError: if ``constant_steps`` is negative or ``decay_steps`` is not positive.
    """

    def __init__(
        self, optimizer: Optimizer, constant_steps: int, decay_steps: int, last_epoch: int = -1
    ) -> None:
        require(constant_steps >= 0, "constant_steps", constant_steps, "at least 0")
        require(decay_steps >= 1, "decay_steps", decay_steps, "at least 1")
        self.constant_steps = constant_steps
        self.decay_steps = decay_steps
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        """Rate of each parameter group at the present step."""
        left = self.constant_steps + self.decay_steps - self.last_epoch
        factor = min(1.0, max(0.0, left / self.decay_steps))
        return [rate * factor for rate in self.base_lrs]


class CosineBurnIn(LRScheduler):
    """Rate and Adam's second beta from where they are to where they stay, along half a cosine.

    R3GAN's burn-in (arXiv:2501.05441, ``train.py``): the rate falls from 2e-4 to 5e-5 while beta2
    rises from 0.9 to 0.99. Steps are generator updates.

    Args:
        optimizer: Adam or one with such betas.
        steps: of the burn-in.
        final_rate: what the initial rate is multiplied by at its end.
        final_beta2: at its end.
        last_epoch: the last step already made; -1 to start.

    Raises:
        ValueError: if an option is out of its range, or the optimizer has no betas.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        steps: int,
        final_rate: float = 0.25,
        final_beta2: float = 0.99,
        last_epoch: int = -1,
    ) -> None:
        require(steps >= 1, "steps", steps, "at least 1")
        require(final_rate > 0, "final_rate", final_rate, "positive")
        require(0 <= final_beta2 < 1, "final_beta2", final_beta2, "in [0, 1)")
        if any("betas" not in group for group in optimizer.param_groups):
            raise ValueError(
                f"CosineBurnIn needs an optimizer with betas, not {type(optimizer).__name__}"
            )
        self.steps, self.final_rate, self.final_beta2 = steps, final_rate, final_beta2
        self.base_beta2s = [group["betas"][1] for group in optimizer.param_groups]
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        """Rate of each parameter group at the present step; beta2 is set beside it."""
        part = self.last_epoch / self.steps
        for group, beta2 in zip(self.optimizer.param_groups, self.base_beta2s, strict=True):
            now = cosine_between(beta2, self.final_beta2, part)
            group["betas"] = (group["betas"][0], now)
        return [rate * cosine_between(1.0, self.final_rate, part) for rate in self.base_lrs]


def cosine_between(start: float, end: float, part: float) -> float:
    """Half a cosine from ``start``, at 0, to ``end``, at 1 and ever after."""
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, part))) / 2
