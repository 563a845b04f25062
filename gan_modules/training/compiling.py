"""Methods compiled by ``torch.compile``, each whole."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from gan_modules.training.averaging import evaluation_mode

__all__ = ["check_compiler", "compile_methods", "run_without_effect"]

Method = Callable[..., Any]


def compile_methods(module: nn.Module, names: Iterable[str]) -> dict[str, Method]:
    """Compiled forms of a module's methods, by name; nothing is compiled before they are called.

    Random numbers are those that the methods draw when they are not compiled, from the same
    generators. Weights stay where they are, under the same names.

    Returns:
        Functions that raise ``ValueError`` if the method cannot be compiled whole.
    """
    return {name: _Compiled(module, name) for name in names}


class _Compiled:
    """A method that is compiled when it is first called."""

    def __init__(self, module: nn.Module, name: str) -> None:
        self._name = f"{type(module).__name__}.{name}"
        self._is_first = True
        self._function: Method = torch.compile(
            getattr(module, name),
            # a part left out would be slow without a word
            fullgraph=True,
            # all batches are of one size
            dynamic=False,
            # the backend's own random numbers would make training another one
            options={"fallback_random": True},
        )

    def __call__(self, *arguments: Any) -> Any:
        with self._first() if self._is_first else nullcontext(), self._without_autocast_backward():
            if not torch.distributed.is_initialized():
                return self._function(*arguments)
            # no gradient is averaged by DDP's hooks, for which it would be compiled in parts
            with torch._dynamo.config.patch(optimize_ddp=False):
                return self._function(*arguments)

    @staticmethod
    def _without_autocast_backward() -> AbstractContextManager[None]:
        """As the loop does where nothing is compiled, go back outside autocast."""
        patch: AbstractContextManager[None] = torch._functorch.config.patch(
            backward_pass_autocast="off"
        )
        return patch

    @contextmanager
    def _first(self) -> Iterator[None]:
        with warnings.catch_warnings():
            # of what one method made and another takes: the compiler looks, training does not
            warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")
            try:
                yield
            except torch._dynamo.exc.TorchDynamoException as error:
                raise ValueError(
                    f"compile=True cannot be used with {self._name}, which cannot be compiled "
                    f"whole: {_first_line(error)}"
                ) from error
        self._is_first = False


def check_compiler(device: torch.device) -> None:
    """Raise ``ValueError`` if this machine cannot compile for a device, by trying."""
    try:
        torch.compile(_increment)(torch.zeros(8, device=device))
    except Exception as error:  # of whatever is missing: a compiler, its headers, Triton
        raise ValueError(
            f"compile=True needs a compiler for {device.type}, which does not work on this "
            f"machine: {_first_line(error)}"
        ) from error


def _increment(x: torch.Tensor) -> torch.Tensor:
    return x + 1


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")


def run_without_effect(module: nn.Module, methods: Iterable[Method], *arguments: Any) -> None:
    """Call methods once in evaluation mode, so that nothing but their first-use checks is left.

    A compiled call cannot check a network and say in one line what is wrong with it. Random numbers
    are drawn.
    """
    try:
        with evaluation_mode(module), torch.no_grad():
            for method in methods:
                method(*arguments)
    finally:
        # autocast would hand on weights that were cast without graph
        torch.clear_autocast_cache()
