"""Turn what libraries say about bad input into one line that helps."""

import re
import traceback
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from inspect import isabstract, signature
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

import gan_modules
from gan_modules.base import GANModule

__all__ = ["explain_exception", "explain_parser_error", "suggestion"]

# which classes an option takes, by the end of its name
CLASSES: dict[str, type[Any]] = {
    "model": GANModule,
    "data": LightningDataModule,
    "logger": Logger,
    "callbacks": Callback,
    "optimizer": Optimizer,
    "scheduler": LRScheduler,
    "generator": nn.Module,
    "discriminator": nn.Module,
}
LIBRARIES = ("lightning", "jsonargparse", "torch", "torchvision")


def suggestion(word: str, choices: Iterable[str]) -> str:
    """``"; nearest: ..."`` where something is near, else all of a short list, else nothing."""
    names = sorted(set(choices))
    lowered = {name.lower(): name for name in names}
    near = [lowered[match] for match in get_close_matches(word.lower(), lowered, 3, 0.5)]
    if near:
        return f"; nearest: {', '.join(near)}"
    return f"; choose from: {', '.join(names)}" if 0 < len(names) <= 12 else ""


def explain_parser_error(message: str, options: Iterable[str], arguments: Iterable[str]) -> str:
    """Say in one line what a message of the argument parser means.

    Args:
        message: what jsonargparse or argparse reports, often over many lines.
        options: every ``--option`` that exists.
        arguments: the command line, to name an option as the user wrote it.
    """
    keys = re.findall(r'Parser key "([\w.]+)"', message)
    key = keys[-1] if keys else ""
    if found := re.search(r"unrecognized arguments: (\S+)", message):
        word = found[1].split("=")[0]
        return f"there is no option {word}{suggestion(word, options)}"
    if found := re.search(r"does not accept option '([\w.]+)'", message):
        key = re.split(r"\.(class_path|init_args)", found[1])[0]
        return f"there is no option {key!r}{suggestion(f'--{key}', options)}"
    if found := re.search(r"Option '([\w.]+)' is not accepted", message):
        word = found[1].rsplit(".", 1)[-1]
        written = [a.split("=")[0] for a in arguments if re.match(rf"--[\w.]*\b{word}\b", a)]
        name = written[0] if written else repr(found[1])
        if word in _parameters():
            owner = name.rpartition(".")[0] or "this"
            return f"there is no option {name} yet: name the class first, as in {owner} CLASS"
        return f"there is no option {name}{suggestion(word, _parameters())}"
    if found := re.search(r"Expected a dot import path string: (\S+)", message):
        return f"{key} has no class {found[1]!r}{suggestion(found[1], _class_names(key))}"
    if found := re.search(r"invalid choice: '(\S+)' \(choose from (.+?)\)", message):
        return f"there is no command {found[1]!r}; choose from: {found[2].replace(chr(39), '')}"
    if found := re.search(r"arguments are required: ([\w.,= ]+)", message):
        missing = [name.split(".", 1)[-1] for name in found[1].split(", ")]
        examples = {name: _class_names(name) for name in missing}
        return "; ".join(
            f"--{name} is missing" + (f", one of: {', '.join(classes)}" if classes else "")
            for name, classes in examples.items()
        )
    if "subcommand" in message and "was not provided" in message:
        return "a command is missing; choose from: fit, validate, test"
    literal = re.search(
        r'key "([\w.]+)":\s+Expected a typing\.Literal\[(.+?)\]\.\s+Got value:\s+(\S+)', message
    )
    if literal:
        return f"{literal[1]}={literal[3]} must be one of {literal[2].replace(chr(39), '')}"
    if found := re.search(r"Expected a <class '(\w+)'>\. Got value: (\S+)", message):
        return f"{key}={found[2]} must be of type {found[1]}"
    return " ".join(message.split())[:400]


def explain_exception(error: BaseException) -> str | None:
    """One line for an error that the input explains; None for one that needs its traceback.

    Input is to blame where this package, or a library it hands the input to, raised a
    ``ValueError``, ``TypeError`` or ``OSError``; code of the user's own is shown in full.
    """
    chain = list(_chain(error))
    own = (ValueError, OSError, FloatingPointError)
    for link in chain:
        if isinstance(link, AttributeError) and isinstance(link.obj, LightningDataModule):
            return f"{type(link.obj).__name__} must have the attribute {link.name}"
        if isinstance(link, own) and _raised_in(link, _own_folders()):
            return _first_line(link)
    cause = chain[-1]
    kinds = (ValueError, TypeError, OSError)
    misconfigured = type(cause).__name__ == "MisconfigurationException"
    if (isinstance(cause, kinds) or misconfigured) and _raised_in_library(cause):
        return _first_line(cause)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, then what caused it, and so on."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _own_folders() -> list[Path]:
    package = Path(gan_modules.__file__).parent
    return [package, package.parent / "datamodules"]


def _raised_in(error: BaseException, folders: list[Path]) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and any(Path(frames[-1].filename).is_relative_to(f) for f in folders)


def _raised_in_library(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    parts = Path(frames[-1].filename).parts if frames else ()
    return "site-packages" in parts and any(name in parts for name in LIBRARIES)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return " ".join(text.splitlines()[0].split())


def _class_names(key: str) -> list[str]:
    """Names of the classes an option takes: this project's first of all."""
    last = key.rsplit(".", 1)[-1]
    base = next((base for end, base in CLASSES.items() if last.endswith(end)), None)
    if base is None:
        return []
    found = [c for c in _subclasses(base) if not isabstract(c) and not c.__name__.startswith("_")]
    if base is nn.Module:
        found = [c for c in found if c.__name__.lower().endswith(last)]
    if base is LightningDataModule:
        found = [c for c in found if not c.__module__.startswith("lightning.")]
    return sorted({c.__name__ for c in found})


def _subclasses(base: type[Any]) -> Iterator[type[Any]]:
    for subclass in base.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _parameters() -> set[str]:
    """Every argument of every model, data module, network and optimizer there is."""
    names: set[str] = set()
    for key in ("model", "data", "generator", "discriminator", "optimizer", "scheduler"):
        wanted = set(_class_names(key))
        for subclass in _subclasses(CLASSES[key]):
            if subclass.__name__ in wanted:
                for ancestor in subclass.__mro__[:-1]:
                    names |= set(signature(ancestor).parameters)
    return names - {"self", "args", "kwargs"}
