"""Options of optimizers that a resumed training takes anew."""

from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_info
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

__all__ = ["RenewedOptions", "options_of"]

Options = list[dict[str, Any]]


def options_of(groups: Iterable[Mapping[str, Any]]) -> Options:
    """What an optimizer's groups of weights say besides the weights."""
    return [{k: v for k, v in group.items() if k != "params"} for group in groups]


class RenewedOptions(LightningModule):
    """A module whose optimizers go on from a checkpoint, some of them with new options."""

    renewed_players: frozenset[str] = frozenset()
    """Whose optimizers have the options that they are built with, not the checkpoint's."""

    def __init__(self) -> None:
        super().__init__()
        self._built_with: dict[str, Options] = {}
        self._saved_with: dict[str, Options] = {}

    def renew_options(
        self, optimizers: Mapping[str, Optimizer], schedulers: Mapping[str, LRScheduler]
    ) -> None:
        """Give resumed optimizers the options they were built with, where that is wanted.

        Their moments stay. A schedule goes on from where it is, in proportion to the new rate; one
        that the checkpoint does not know begins.

        Raises:
            ValueError: if an optimizer is of another kind than the checkpoint's.
        """
        saved, self._saved_with = self._saved_with, {}
        for player in sorted(self.renewed_players & saved.keys()):
            optimizer, scheduler = optimizers[player], schedulers.get(player)
            told: dict[str, str] = {}
            factors = []
            built_with, groups = self._built_with[player], optimizer.param_groups
            for group, built, before in zip(groups, built_with, saved[player], strict=True):
                new, old = _at_the_start(built), _at_the_start(before)
                if new.keys() != old.keys():
                    kind = type(optimizer).__name__
                    raise ValueError(
                        f"{player}_optimizer={kind!r} must be of the kind that the checkpoint was "
                        "trained with, whose moments it is to go on with"
                    )
                for name in new:
                    if new[name] != old[name]:
                        told[name] = f"{name} {new[name]} in place of {old[name]}"
                # a rate without a schedule is whatever it was set to, also 0
                goes_on = scheduler is not None and "initial_lr" in before
                factor = new["lr"] / old["lr"] if goes_on else 1.0
                rate = group["lr"] * factor if goes_on else built["lr"]
                group.update({**built, "lr": rate})
                factors.append(factor)
            if scheduler is not None:
                _scale(scheduler, factors)
            if told:
                step = self.trainer.global_step
                rank_zero_info(
                    f"{player}_optimizer: {', '.join(told.values())}, after generator update {step}"
                )


def _at_the_start(group: Mapping[str, Any]) -> dict[str, Any]:
    """A group's options before any schedule."""
    options = {**group, "lr": group.get("initial_lr", group["lr"])}
    options.pop("initial_lr", None)
    return options


def _scale(scheduler: LRScheduler, factors: list[float]) -> None:
    """Have a schedule, and those that it is made of, go on in proportion to new rates."""
    for inner in getattr(scheduler, "_schedulers", ()):
        _scale(inner, factors)
    if hasattr(scheduler, "base_lrs"):
        pairs = zip(scheduler.base_lrs, factors, strict=True)
        scheduler.base_lrs = [rate * factor for rate, factor in pairs]
