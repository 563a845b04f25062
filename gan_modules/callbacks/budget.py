"""An end of training by time, updates or images."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from gan_modules.callbacks.stop_signals import EVERY
from gan_modules.errors import require

__all__ = ["TrainingBudget"]


class TrainingBudget(Callback):
    """End the training when a budget is spent, after a validation; say what was spent.

    Seconds are those by the clock in which the training trains or waits for its data. Validation,
    and what callbacks do (pictures, checkpoints, metrics, their preparation), do not count;
    ``Trainer(max_time=...)`` counts all of it. A GPU's clock is read without waiting for it, which
    is a few updates off. A resumed run goes on counting.

    The end comes after an iteration (with several processes, for seconds and images: the next
    tenth), with a validation whatever ``val_check_interval`` and ``every_n_validations`` say.
    Without a budget the training ends where the trainer ends it, with that validation too.

    At every validation, and at the end, the loggers get ``spent/seconds`` and ``spent/images``: of
    training, all processes together.

    Args:
        seconds: of training.
        updates: of the generator.
        images: real ones, in batches of training.

    Raises:
        ValueError: if one is not positive, or there are several; when training starts, if the
            trainer must not stop so early.
    """

    def __init__(
        self,
        seconds: float | None = None,
        updates: int | None = None,
        images: int | None = None,
    ) -> None:
        budgets: dict[str, float | None]
        budgets = {"seconds": seconds, "updates": updates, "images": images}
        given = {unit: amount for unit, amount in budgets.items() if amount is not None}
        for unit, amount in given.items():
            require(amount > 0, unit, amount, "positive")
            others = [f"{other}={given[other]}" for other in given if other != unit]
            require(not others, unit, amount, f"alone, without {' and '.join(others)}")
        self.unit: str | None = next(iter(given), None)
        self.amount: float | None = next(iter(given.values()), None)
        self._seconds = 0.0
        self._images = 0
        self._since: float | None = None
        self._is_over = False
        self._reported = -1

    @property
    def seconds(self) -> float:
        """Spent so far."""
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return self._seconds + running

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Be the first of all callbacks, and have the clock go on after the last."""
        if stage == "fit":
            callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
            others = [c for c in callbacks if c is not self and not isinstance(c, _Last)]
            trainer.callbacks = [self, *others, _Last(self)]  # type: ignore[attr-defined]
            self._seconds, self._images, self._since = 0.0, 0, None
            self._is_over, self._reported = False, -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End at once if a resumed run has nothing left to spend."""
        for name in ("min_steps", "min_epochs"):
            least = getattr(trainer, name)
            right = "null or 0: a budget ends the training earlier"
            require(self.unit is None or not least, f"trainer.{name}", least, right)
        has_no_end = self.unit is None and trainer.max_steps == trainer.max_epochs == -1
        if self._is_spent(trainer) or (self._is_over and has_no_end):
            trainer.should_stop = True
            self._report(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop the clock; see whether this is the end."""
        self.stop()
        images = batch[0] if isinstance(batch, (tuple, list)) else batch
        self._images += len(images) * trainer.world_size
        is_last_epoch = trainer.current_epoch + 1 == trainer.max_epochs
        ends = trainer.global_step == trainer.max_steps or (trainer.is_last_batch and is_last_epoch)
        self._is_over = ends or self._all_have_spent(trainer)
        if self._is_over:
            # with this set Lightning validates, in any epoch in which it may
            trainer.should_stop = True
            trainer.check_val_every_n_epoch = 1

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock, when the device is done."""
        if self._since is not None and pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        self.stop()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what was spent on what was measured."""
        if not trainer.sanity_checking:
            self._report(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what was spent where nothing was measured."""
        self.stop()
        self._report(trainer)

    def start(self) -> None:
        """Have the clock go on."""
        if self._since is None:
            self._since = time.monotonic()

    def stop(self) -> None:
        """Have the clock stand still."""
        self._seconds, self._since = self.seconds, None

    def state_dict(self) -> dict[str, Any]:
        """What was spent, and whether that was all."""
        return {"seconds": self.seconds, "images": self._images, "is_over": self._is_over}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self._seconds, self._images = state_dict["seconds"], state_dict["images"]
        self._is_over = state_dict["is_over"]

    def _is_spent(self, trainer: Trainer) -> bool:
        spent = {"seconds": self.seconds, "updates": trainer.global_step, "images": self._images}
        return self.amount is not None and spent[str(self.unit)] >= self.amount

    def _all_have_spent(self, trainer: Trainer) -> bool:
        """The same on all processes: it is enough that one has."""
        if trainer.world_size == 1 or self.unit in (None, "updates"):
            return self._is_spent(trainer)
        if trainer.global_step % EVERY:
            return False
        return trainer.strategy.reduce_boolean_decision(self._is_spent(trainer), all=False)

    def _report(self, trainer: Trainer) -> None:
        if self._reported != trainer.global_step:
            self._reported = trainer.global_step
            spent = {"spent/seconds": self.seconds, "spent/images": float(self._images)}
            for logger in trainer.loggers:
                logger.log_metrics(spent, step=trainer.global_step)
                logger.save()


class _Last(Callback):
    """Comes after all other callbacks."""

    def __init__(self, budget: TrainingBudget) -> None:
        self._budget = budget

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._budget.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._budget.start()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # the sanity check comes before the training
        if not trainer.sanity_checking:
            self._budget.start()
