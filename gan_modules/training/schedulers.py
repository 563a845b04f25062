"""Learning rate schedules that papers ask for and torch has not."""

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gan_modules.errors import require

__all__ = ["ConstantThenLinearLR"]


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
