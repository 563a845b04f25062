"""What players minimise."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from torch import Tensor

from gan_modules.training.batches import Batch
from gan_modules.training.compiling import run_without_effect
from gan_modules.training.reporting import named, together, with_sum
from gan_modules.training.rules import Rules

__all__ = ["Objective", "PlayerTerms"]

Objective = Callable[[Batch], dict[str, Tensor]]
"""Named, weighted terms of a part of the batch."""


class PlayerTerms(Rules):
    """A module with the losses ``<player>_losses(batch)`` of every player."""

    def __init__(self) -> None:
        super().__init__()
        self._compiled: dict[str, Callable[..., Any]] = {}

    def terms_of(self, player: str, batch: Batch) -> dict[str, Tensor]:
        """A player's named, weighted terms of one update."""
        terms: dict[str, Tensor] = self.compiled(f"{player}_losses")(batch)
        return terms

    def objectives(self, player: str) -> Sequence[Objective]:
        """What a player minimises in its turn, by one step each; by default all by one step."""
        return [partial(self.terms_of, player)]

    def compiled(self, name: str) -> Callable[..., Any]:
        """A method of :attr:`compilable`, compiled if ``compile`` is set and this is training."""
        found = self._compiled.get(name) if self.training else None
        return found or cast(Callable[..., Any], getattr(self, name))

    def _terms_of_all(self, batch: Batch) -> dict[str, Tensor]:
        """Each player's terms of its last turn with one part, by their whole names.

        Those whose turn it is not now, as in another phase, are asked with that part.
        """
        turns = dict(self.turns([batch]))
        parts = turns | {player: batch for player in self.players if player not in turns}
        return named(
            {
                player: together(with_sum(player, of(part)) for of in self.objectives(player))
                for player, part in parts.items()
            }
        )

    def _names_of_terms(self, batch: Batch) -> list[str]:
        """Names of all that is logged in training; random numbers are drawn."""
        found: list[str] = []
        run_without_effect(self, [lambda part: found.extend(self._terms_of_all(part))], batch)
        return [*found, *self.names_in_training(), *self.measures()]
