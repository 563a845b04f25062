"""Which classes an option takes, by the end of its name."""

from inspect import isabstract
from typing import Any

from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gan_modules.checkpoints.class_paths import subclasses
from gan_modules.metrics import FeatureNetwork
from gan_modules.training.module import GenerativeModule

__all__ = ["base_of", "class_names", "classes_of"]

CLASSES: dict[str, type[Any]] = {
    "model": GenerativeModule,
    "data": LightningDataModule,
    "logger": Logger,
    "callbacks": Callback,
    "optimizer": Optimizer,
    "scheduler": LRScheduler,
    "features": FeatureNetwork,
    "generator": nn.Module,
    "discriminator": nn.Module,
}


def base_of(key: str) -> type[Any] | None:
    """The class of which an option takes subclasses."""
    last = key.rsplit(".", 1)[-1]
    return next((base for end, base in CLASSES.items() if last.endswith(end)), None)


def classes_of(key: str, base: type[Any] | None = None) -> list[type[Any]]:
    """The imported classes that an option takes, in the order of their names.

    Args:
        key: full name of the option, without dashes.
        base: of them, where the name does not say.
    """
    base = base or base_of(key)
    if base is None:
        return []
    found = [c for c in subclasses(base) if not isabstract(c) and not c.__name__.startswith("_")]
    if base is nn.Module:
        # among the thousands of modules there are, those that are called so
        found = [c for c in found if c.__name__.lower().endswith(key.rsplit(".", 1)[-1])]
        found = [c for c in found if not c.__module__.startswith("torchvision.")]
    if base is LightningDataModule:
        found = [c for c in found if not c.__module__.startswith("lightning.")]
    return sorted(found, key=lambda c: c.__name__)


def class_names(key: str) -> list[str]:
    """Names of the classes that an option takes."""
    return sorted({c.__name__ for c in classes_of(key)})
