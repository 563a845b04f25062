"""Methods compiled by ``torch.compile``, each whole."""

import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import nn

from gan_modules.training.averaging import evaluation_mode

__all__ = ["check_compiler", "compile_methods", "run_without_effect"]

Method = Callable[..., Any]
WITHOUT = "--model.compile false goes on without it"
FAILED = "torch's own compiler fails at"
COMPILERS = {"_dynamo", "_inductor", "_functorch", "triton"}
"""Folders of torch's compiler."""


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
        first = self._first() if self._is_first else nullcontext()
        with self._explained(), first, self._without_autocast_backward():
            if not torch.distributed.is_initialized():
                return self._function(*arguments)
            # no gradient is averaged by DDP's hooks, for which it would be compiled in parts
            with torch._dynamo.config.patch(optimize_ddp=False):
                return self._function(*arguments)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not _is_the_compilers(error):
                raise
            is_dynamo = isinstance(error, torch._dynamo.exc.TorchDynamoException)
            is_inner = isinstance(error, torch._dynamo.exc.BackendCompilerFailed)
            reason = "cannot be compiled whole" if is_dynamo and not is_inner else FAILED
            raise ValueError(
                f"compile=True cannot be used with {self._name}, which {reason} "
                f"({WITHOUT}): {_first_line(error)}"
            ) from error

    @staticmethod
    def _without_autocast_backward() -> AbstractContextManager[None]:
        """As the loop does where nothing is compiled, go back outside autocast."""
        patch: AbstractContextManager[None] = torch._functorch.config.patch(
            backward_pass_autocast="off"
        )
        return patch

    @contextmanager
    def _first(self) -> Iterator[None]:
        rank_zero_info(f"Compiling {self._name}, which may take a minute")
        with warnings.catch_warnings():
            # of what one method made and another takes: the compiler looks, training does not
            warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")
            yield
        self._is_first = False


def check_compiler(device: torch.device) -> None:
    """Raise ``ValueError`` if this machine cannot compile for a device, by trying."""
    try:
        torch.compile(_increment)(torch.zeros(8, device=device))
    except Exception as error:  # of whatever is missing: a compiler, its headers, Triton
        raise ValueError(
            f"compile=True needs a compiler for {device.type}, which does not work on this "
            f"machine ({WITHOUT}): {_first_line(error)}"
        ) from error


def _is_the_compilers(error: Exception) -> bool:
    """Whether an error is the compiler's, not one of what is computed."""
    if isinstance(error, torch.OutOfMemoryError):
        return False
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return bool({*Path(frames[-1].filename).parts} & COMPILERS) if frames else False


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
