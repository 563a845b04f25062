"""One way backward and one way to step, chosen when training starts."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from gan_modules.training.listeners import updates_are_plain

__all__ = ["Stepper", "choose_stepper"]


class Stepper(Protocol):
    """How losses go backward and optimizers step."""

    def backward(self, module: LightningModule, loss: Tensor) -> None:
        """Compute gradients."""
        ...

    def step(self, module: LightningModule, optimizer: LightningOptimizer, counted: bool) -> None:
        """Make a step; those that are counted, by Lightning's ``global_step``, are iterations."""
        ...


class _PlainStepper:
    """One device, full precision, and nobody who has to be told of every update."""

    def backward(self, module: LightningModule, loss: Tensor) -> None:
        loss.backward()

    def step(self, module: LightningModule, optimizer: LightningOptimizer, counted: bool) -> None:
        if counted:
            optimizer.step()
        else:
            module.on_before_optimizer_step(optimizer.optimizer)
            optimizer.optimizer.step()


class _StrategyStepper:
    """Through Lightning, so that precision, loss scaling and hooks stay in place."""

    def backward(self, module: LightningModule, loss: Tensor) -> None:
        # under autocast a gradient of a gradient would be computed in half precision
        with _without_ddp_hooks(module), torch.autocast(module.device.type, enabled=False):
            module.manual_backward(loss)

    def step(self, module: LightningModule, optimizer: LightningOptimizer, counted: bool) -> None:
        if counted:
            optimizer.step()
        else:
            module.trainer.strategy.optimizer_step(optimizer.optimizer, _no_closure)


def choose_stepper(module: LightningModule) -> Stepper:
    """The plain one where all that Lightning adds to an update is nothing."""
    return _PlainStepper() if updates_are_plain(module.trainer, module) else _StrategyStepper()


def _without_ddp_hooks(module: LightningModule) -> AbstractContextManager[None]:
    # DDP expects every parameter in every backward pass, which no player gives it
    strategy = module.trainer.strategy
    return strategy.block_backward_sync() if isinstance(strategy, DDPStrategy) else nullcontext()


def _no_closure() -> None:
    """Gradients are computed before the optimizer is called."""
