"""Networks that no optimizer trains: averages of others, and what is frozen."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import ClassVar, Self, cast

from lightning.pytorch import LightningModule
from torch import nn

from gan_modules.training.averaging import Averaging, Forgetting, evaluation_mode

__all__ = ["UntrainedNetworks"]


class UntrainedNetworks(LightningModule):
    """A module with averages of its networks, which are what is sampled, and frozen networks."""

    frozen: ClassVar[tuple[str, ...]] = ()
    """Networks that nobody trains, in evaluation mode and without gradients; they are saved."""
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    """Networks of which ``averaged_<name>`` is an average, and what is sampled."""

    forgetting: Forgetting

    def start_averages(self) -> None:
        """Make the averaged copies, and freeze what is to be."""
        for name in self.averaged:
            network = getattr(self, name)
            copy = deepcopy(network).requires_grad_(False) if self.forgetting.averages else None
            setattr(self, f"averaged_{name}", copy)
        for name in self.frozen:
            getattr(self, name).requires_grad_(False).eval()
        if self.frozen:
            # Lightning asks whether what is in evaluation mode is meant to be
            warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode at the start")

    def averaged_or_live(self, name: str) -> nn.Module:
        """The average of a network, or the network where it is not averaged."""
        copy = getattr(self, f"averaged_{name}", None)
        return cast(nn.Module, getattr(self, name) if copy is None else copy)

    @property
    def sampler(self) -> nn.Module:
        """The generator to sample from, the averaged one, or the live one without averaging."""
        return self.averaged_or_live("generator")

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put what is sampled from in evaluation mode, and every part back afterwards."""
        with evaluation_mode(*(self.averaged_or_live(name) for name in self.averaged)):
            yield

    def train(self, mode: bool = True) -> Self:
        """Leave what is frozen in evaluation mode."""
        super().train(mode)
        for name in self.frozen:
            getattr(self, name).eval()
        return self

    def averages_by_player(self, players: Mapping[str, tuple[str, ...]]) -> dict[str, Averaging]:
        """What has the copies follow, by whose step they do.

        Raises:
            ValueError: if what is to be averaged is not trained.
        """
        owners = {name: player for player, names in players.items() for name in names}
        followed: dict[str, list[str]] = {}
        for name in self.averaged if self.forgetting.averages else ():
            if name not in owners:
                raise ValueError(f"averaged={name!r} must be a network that a player trains")
            followed.setdefault(owners[name], []).append(name)
        return {
            player: Averaging(
                [getattr(self, f"averaged_{name}") for name in names],
                [getattr(self, name) for name in names],
                self.forgetting,
            )
            for player, names in followed.items()
        }
