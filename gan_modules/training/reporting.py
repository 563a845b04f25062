"""What loggers, the progress bar and callbacks are told."""

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import add
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

__all__ = ["Reporting", "logging_is_due", "named", "together", "with_sum"]

PREFIXES = {"discriminator": "d", "generator": "g"}


def with_sum(player: str, terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """A player's terms and their sum, ``loss``.

    Raises:
        ValueError: if there are none, one is no scalar, or one has the name of the sum.
    """
    if not isinstance(terms, Mapping) or not terms:
        given = "no term" if isinstance(terms, Mapping) else f"a {type(terms).__name__}"
        raise ValueError(
            f"{player}_losses gives {given}: it must give named scalars, "
            'such as {"adversarial": loss}'
        )
    for name, term in terms.items():
        if term.ndim or name == "loss":
            raise ValueError(
                f"term {name!r} of shape {tuple(term.shape)} must be a scalar, under any name but "
                "'loss', which is that of the sum"
            )
    return {**terms, "loss": reduce(add, terms.values())}


def together(steps: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Terms of several steps as those of one, with one sum."""
    first, *others = steps
    for terms in others:
        first = {**first, **terms, "loss": first["loss"] + terms["loss"]}
    return first


def whole_name(player: str, term: str) -> str:
    """``d/<term>``, ``g/<term>``, or ``<player>/<term>`` of any other player."""
    return f"{PREFIXES.get(player, player)}/{term}"


def named(terms: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The players' terms by their whole names."""
    return {
        whole_name(player, name): term
        for player, its in terms.items()
        for name, term in its.items()
    }


def logging_is_due(trainer: Trainer) -> bool:
    """Whether the iteration just made is one to log; an interval of 0 is never."""
    interval = cast(int, trainer.log_every_n_steps)  # type: ignore[attr-defined]
    return interval > 0 and trainer.global_step % interval == 0


class Reporting(LightningModule):
    """A module whose x-axis is iterations, whichever way its terms go."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, dict[str, Tensor]] = {}

    def with_last(self, terms: Mapping[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
        """Players' terms and, of those that are not taken in every iteration, the last ones."""
        self._last = {player: self._last.get(player, {}) | its for player, its in terms.items()}
        return self._last

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the last values of terms that are not due in every iteration."""
        super().on_save_checkpoint(checkpoint)
        if self.is_fitting:
            # as they are reported: means over ranks
            checkpoint["last_terms"] = {p: self._means(its) for p, its in self._last.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on reporting them."""
        super().on_load_checkpoint(checkpoint)
        last = checkpoint.get("last_terms", {}).items()
        self._last = {p: {k: torch.tensor(v) for k, v in its.items()} for p, its in last}

    def report(self, terms: Mapping[str, Tensor]) -> dict[str, float]:
        """Send training terms to the loggers, at the number of iterations, and to callbacks.

        Loggers are called directly: ``self.log`` would count from zero, and cost more.

        Returns:
            The means over all ranks.
        """
        values = self._means(terms)
        for name, value in values.items():
            self.log(name, value, logger=False, prog_bar=name.endswith("/loss"))
        self._send_to_loggers(values)
        return values

    def _means(self, terms: Mapping[str, Tensor]) -> dict[str, float]:
        """Each term's mean over ranks."""
        # those of a checkpoint lie on the processor
        stacked = torch.stack([term.float().to(self.device) for term in terms.values()])
        stacked = self.trainer.strategy.reduce(stacked, reduce_op="mean")
        return dict(zip(terms, stacked.tolist(), strict=True))

    def report_evaluation(self, prefix: str, terms: dict[str, Tensor], images: int) -> None:
        """Have Lightning average held-out terms over all images of all ranks."""
        # as an integer it would be rounded down where ranks have unequal numbers (lightning#21859)
        weight = torch.tensor(images, dtype=torch.float32)
        self.log_dict(
            {f"{prefix}{name}": term for name, term in terms.items()},
            logger=False if self.is_fitting else None,
            on_epoch=True,
            batch_size=cast(int, weight),
            sync_dist=True,
        )

    def on_validation_end(self) -> None:
        """While fitting, send the held-out terms to the loggers, at the same step as the others."""
        if self.is_fitting and not self.trainer.sanity_checking:
            metrics = self.trainer.callback_metrics.items()
            self._send_to_loggers({k: v.item() for k, v in metrics if k.startswith("val/")})

    def _send_to_loggers(self, values: dict[str, Any]) -> None:
        for logger in self.loggers:
            logger.log_metrics({**values, "epoch": self.current_epoch}, step=self.global_step)
            # a killed run keeps what it has logged
            logger.save()

    @property
    def is_fitting(self) -> bool:
        """Whether a trainer fits this module; it returns then what self.log sends to loggers."""
        return self._trainer is not None and self._trainer.state.fn == TrainerFn.FITTING
