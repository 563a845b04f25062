"""Networks that optimizers train: each player's options, optimizer and scheduler."""

from collections.abc import Container, Mapping
from typing import Any, ClassVar, cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from gan_modules.training.players import (
    PlayerOptions,
    configure_player,
    in_order_of,
    owned_parameters,
)
from gan_modules.training.renewing import RenewedOptions, options_of
from gan_modules.training.trainer_checks import check_trainer

__all__ = ["TrainedNetworks"]


class TrainedNetworks(RenewedOptions):
    """A module whose networks belong to players."""

    players: ClassVar[Mapping[str, tuple[str, ...]]]
    averaged: ClassVar[tuple[str, ...]]
    _options: dict[str, PlayerOptions]
    _parameters_of: dict[str, list[nn.Parameter]]

    @property
    def trainer(self) -> Trainer:
        """The trainer that this module is attached to."""
        return super().trainer

    @trainer.setter
    def trainer(self, trainer: Trainer | None) -> None:
        # before any hook of Lightning's, none of which a subclass must pass on
        if trainer is not None:
            check_trainer(trainer, self.players)
        LightningModule.trainer.fset(self, trainer)  # type: ignore[attr-defined]

    def play(self, **players: PlayerOptions) -> None:
        """Say how each player is trained; their names are those of ``players``."""
        for player, options in players.items():
            options.check(player)
        self._options = players

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimizer, and where wanted one scheduler, per player, in their order."""
        copies = [f"averaged_{name}" for name in self.averaged]
        self._parameters_of = owned_parameters(self, self.players, copies)
        configured = [
            configure_player(player, self._options[player], self._parameters_of[player])
            for player in self.players
        ]
        groups = [options_of(found["optimizer"].param_groups) for found in configured]
        self._built_with = dict(zip(self.players, groups, strict=True))
        return cast(OptimizerLRScheduler, configured)

    def optimizers_by_player(self) -> dict[str, LightningOptimizer]:
        """Each player's optimizer, as Lightning wraps it."""
        found = cast(Any, self.optimizers())
        return dict(zip(self.players, found if isinstance(found, list) else [found], strict=True))

    def schedulers_by_player(self) -> dict[str, LRScheduler]:
        """The schedulers of those who have one."""
        found = cast(Any, self.lr_schedulers())
        several = found if isinstance(found, list) else [found] * (found is not None)
        return dict(zip(self.scheduled, several, strict=True))

    def go_on_as_typed(self) -> None:
        """Give optimizers of a resumed training the options that were asked for."""
        optimizers = {p: o.optimizer for p, o in self.optimizers_by_player().items()}
        self.renew_options(optimizers, self.schedulers_by_player())

    def clear_optimizers(self) -> None:
        """Have every optimizer forget its moments, as if training began; rates stay."""
        for optimizer in self.optimizers_by_player().values() if self._trainer else ():
            optimizer.optimizer.state.clear()

    def step_schedulers(self, played: Container[str]) -> None:
        """Advance the schedules of those who stepped, so that a first phase uses up no other's."""
        for player, scheduler in self.schedulers_by_player().items():
            if player in played:
                scheduler.step()

    @property
    def scheduled(self) -> list[str]:
        """Players with a scheduler."""
        return [player for player in self.players if self._options[player].scheduler is not None]

    def find_own_states(self, checkpoint: dict[str, Any]) -> None:
        """Bring a checkpoint's states of optimizers and schedulers into the players' order.

        Raises:
            ValueError: if they are other players'.
        """
        saved = checkpoint.get("players", ["generator", "discriminator"])
        for key, present, then in (
            ("optimizer_states", [*self.players], saved),
            ("lr_schedulers", self.scheduled, checkpoint.get("scheduled_players")),
        ):
            states = checkpoint.get(key)
            if states and then is not None and (key == "optimizer_states" or present):
                checkpoint[key] = in_order_of(present, then, states)
        groups = [options_of(state["param_groups"]) for state in checkpoint["optimizer_states"]]
        self._saved_with = dict(zip(self.players, groups, strict=True))
