"""Losses that are no numbers any more."""

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

__all__ = ["TermWatch", "require_finite"]


class TermWatch:
    """Keeps the loss terms of every iteration until it is time to look at them, all at once.

    Looking at each term when it is computed would make every step wait for the device.
    """

    LIMIT = 1000
    """Iterations after which it is time in any case."""

    def __init__(self) -> None:
        self._terms: list[tuple[int, dict[str, Tensor]]] = []

    @property
    def is_full(self) -> bool:
        """Whether it is time to look."""
        return len(self._terms) >= self.LIMIT

    def note(self, step: int, terms: dict[str, Tensor]) -> None:
        """Keep the terms of an iteration: scalars without graph."""
        self._terms.append((step, terms))

    def check(self, trainer: Trainer) -> None:
        """Look at the terms kept, and keep them no longer; all ranks do this at the same time.

        Raises:
            FloatingPointError: on every rank, if one of them had a NaN or an infinity; it names the
                first such step and term.
        """
        if not self._terms:
            return
        terms, self._terms = self._terms, []
        values = torch.stack([value.float() for _, named in terms for value in named.values()])
        if trainer.world_size > 1:
            # the mean over ranks is finite where all of them are
            values = trainer.strategy.reduce(values, reduce_op="mean")
        if values.isfinite().all():
            return
        names = [(step, name) for step, named in terms for name in named]
        step, name, value = next(
            (*where, value)
            for where, value in zip(names, values.tolist(), strict=True)
            if not abs(value) < float("inf")
        )
        raise FloatingPointError(
            f"{name} was {value:g} at generator update {step}: lower the learning rate, "
            "or clip gradients with generator_gradient_clip_val and discriminator_gradient_clip_val"
        )


def require_finite(network: nn.Module, step: int) -> None:
    """Look at the weights, which a gradient can spoil where no loss shows it yet.

    Raises:
        FloatingPointError: if a weight is NaN or infinite.
    """
    named = dict(network.named_parameters())
    if not named:
        return
    finite = torch.stack([weight.detach().isfinite().all() for weight in named.values()])
    for name, is_finite in zip(named, finite.tolist(), strict=True):
        if not is_finite:
            raise FloatingPointError(
                f"weights of {name} are no finite numbers after generator update {step}"
            )
