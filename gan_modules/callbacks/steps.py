"""Looks at what optimizers are about to step with, and at what came of it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

__all__ = ["StepHooks", "parameters_of", "unscaled_gradients"]

Look = Callable[[Optimizer], None]


class StepHooks:
    """Hooks around every step of some optimizers, of turns that Lightning does not count, too.

    They are there only between :meth:`attach` and :meth:`remove`: other iterations cost nothing,
    where a callback's ``on_before_optimizer_step`` would make every update slower.

    Args:
        before: called with the optimizer when gradients are complete: averaged over processes and
            pieces, but not clipped yet.
        after: called with it when the step is made, whatever else follows a step included.
    """

    def __init__(self, before: Look, after: Look | None = None) -> None:
        self._before, self._after = before, after
        self._handles: list[RemovableHandle] = []

    def attach(self, optimizers: Iterable[Optimizer]) -> None:
        """Look at the steps of these from now on."""
        self.remove()
        before, after = self._before, self._after

        def look_before(optimizer: Optimizer, *_: object) -> None:
            before(optimizer)

        def look_after(optimizer: Optimizer, *_: object) -> None:
            assert after is not None
            after(optimizer)

        for optimizer in optimizers:
            handle = optimizer.register_step_pre_hook(look_before)
            # clipping is such a hook, too
            cast(Any, optimizer)._optimizer_step_pre_hooks.move_to_end(handle.id, last=False)
            self._handles.append(handle)
            if after is not None:
                self._handles.append(optimizer.register_step_post_hook(look_after))

    def remove(self) -> None:
        """Look no longer."""
        for handle in self._handles:
            handle.remove()
        self._handles = []


def parameters_of(optimizer: Optimizer) -> list[nn.Parameter]:
    """All that an optimizer steps."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def unscaled_gradients(optimizer: Optimizer) -> Iterator[tuple[nn.Parameter, Tensor]]:
    """Parameters with their gradients, divided by the loss scale, from within a hook of its step.

    A fused optimizer divides by the scale itself, after this; others are given what is divided.
    """
    scale = getattr(optimizer, "grad_scale", None)
    for parameter in parameters_of(optimizer):
        if parameter.grad is not None:
            gradient = parameter.grad.detach()
            yield parameter, gradient if scale is None else gradient / scale
