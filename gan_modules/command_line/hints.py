"""Where an option lies that was typed under another name."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from inspect import isabstract, signature
from typing import Any

from lightning.pytorch import LightningDataModule
from torch import nn
from torch.optim import Adam

from gan_modules.checkpoints.class_paths import subclasses
from gan_modules.training.module import GenerativeModule

__all__ = ["elsewhere", "model_with", "parameters_of", "suggestion"]

NETWORKS = ("generator", "discriminator")


def suggestion(word: str, choices: Iterable[str]) -> str:
    """``"; nearest: ..."`` where something is near, else all of a short list, else nothing."""
    names = sorted(set(choices))
    lowered = {name.lower(): name for name in names}
    near = [lowered[match] for match in get_close_matches(word.lower(), lowered, 3, 0.5)]
    if near:
        return f"; nearest: {', '.join(near)}"
    return f"; choose from: {', '.join(names)}" if 0 < len(names) <= 12 else ""


def elsewhere(word: str) -> str:
    """``"; it is ..."`` with the full names of options whose last part was typed, if any are.

    Args:
        word: as it was typed, ``--lr`` or ``--model.width``.
    """
    if word.endswith((".yaml", ".yml")):
        return f"; a config is given as --config {word}"
    if not word.startswith("-") and ("/" in word or word.endswith(".ckpt")):
        return f"; a checkpoint or a run is given as --ckpt_path {word}"
    leaf = word.lstrip("-").rsplit(".", 1)[-1]
    found = [name for name in dict.fromkeys(_places(leaf)) if name != word]
    return f"; it is {' or '.join(found)}" if found else ""


def model_with(option: str) -> str | None:
    """Name of a model that has an option, if any has."""
    found = (c.__name__ for c in _concrete(GenerativeModule) if option in parameters_of(c))
    return next(found, None)


def _places(leaf: str) -> Iterator[str]:
    if any(leaf in parameters_of(c) for c in _concrete(LightningDataModule)):
        yield f"--data.{leaf}"
    if any(leaf in parameters_of(c) for c in _concrete(GenerativeModule)):
        yield f"--model.{leaf}"
    if leaf in parameters_of(Adam):
        yield from (f"--model.{name}_optimizer.{leaf}" for name in NETWORKS)
    for name in NETWORKS:
        kinds = (c for c in _concrete(nn.Module) if c.__name__.endswith(name.capitalize()))
        if any(leaf in parameters_of(c) for c in kinds):
            yield f"--model.{name}.{leaf}"


def _concrete(base: type[Any]) -> Iterator[type[Any]]:
    """Subclasses of this project that can be made."""
    for cls in subclasses(base):
        if cls.__module__.startswith(("gan_modules", "datamodules")) and not isabstract(cls):
            yield cls


def parameters_of(cls: type[Any]) -> set[str]:
    """Every argument of a class and its ancestors."""
    names = {name for c in cls.__mro__[:-1] for name in signature(c).parameters}
    return names - {"self", "args", "kwargs", "params", "defaults", "optimizer"}
