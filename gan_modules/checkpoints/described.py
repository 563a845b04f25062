"""Plain values, as a checkpoint holds them, and objects that can be told by plain values."""

import inspect
from collections import OrderedDict
from copy import deepcopy
from functools import partial
from pathlib import PurePath
from types import FunctionType
from typing import Any, Self

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gan_modules.checkpoints.class_paths import exported_path, resolve

__all__ = ["Described", "NotPlainError", "plain", "rebuilt"]

FACTORIES = (nn.Module, Optimizer, LRScheduler)
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class NotPlainError(Exception):
    """There is something that plain values cannot tell.

    Args:
        value: which.
    """

    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value = value


class Described:
    """Base of objects that a model is given, and that its checkpoint tells by plain values.

    An object notes its class and its arguments when it is made. Without a class that can be
    imported, or with arguments that are more than plain values, it is not told, and a checkpoint
    asks for it again.
    """

    _description: dict[str, Any] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Note the arguments, as they are now."""
        made = super().__new__(cls)
        # not as a module does it, which is not set up yet
        object.__setattr__(made, "_description", _describe(cls, args, kwargs))
        return made


def plain(value: Any) -> Any:
    """A copy of plain values, with texts in place of paths and descriptions in place of objects.

    Raises:
        NotPlainError: if there is anything else among them.
    """
    if isinstance(value, Described) and value._description is not None:
        return deepcopy(value._description)
    if isinstance(value, PurePath):
        return str(value)
    if callable(value) and (told := _factory(value)) is not None:
        return told
    # no subclass, which would come back as something else or not at all
    kind = type(value)
    if kind in (type(None), bool, int, float, str):
        return value
    if kind is list:
        return [plain(part) for part in value]
    if kind in (tuple, torch.Size):
        return tuple(plain(part) for part in value)
    if kind in (dict, OrderedDict):
        return {plain(key): plain(part) for key, part in value.items()}
    raise NotPlainError(value)


def rebuilt(value: Any) -> Any:
    """What :func:`plain` made, with the objects; the value itself if it describes none.

    What it names must have been checked: classes are called.
    """
    if isinstance(value, dict):
        parts = {key: rebuilt(part) for key, part in value.items()}
        path = value.get("class_path")
        kind = resolve(path) if isinstance(path, str) else None
        options = parts.get("init_args", {})
        if isinstance(kind, type) and issubclass(kind, Described):
            return kind(**options)
        if callable(kind) and _is_factory(kind):
            return partial(kind, **options) if options else kind
        return value if all(part is value[key] for key, part in parts.items()) else parts
    if isinstance(value, list | tuple):
        items = [rebuilt(part) for part in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else items
    return value


def _factory(value: Any) -> dict[str, Any] | None:
    """What tells a class of networks, optimizers or schedulers, or a partial call of one."""
    kind, keywords = value, {}
    if isinstance(value, partial) and not value.args:
        kind, keywords = value.func, value.keywords
    if not _is_factory(kind) or resolve(exported_path(kind)) is not kind:
        return None
    try:
        return {"class_path": exported_path(kind), "init_args": plain(keywords)}
    except NotPlainError:
        return None


def _is_factory(kind: Any) -> bool:
    """Whether a checkpoint may name it: see :func:`check_named_classes`."""
    if isinstance(kind, FunctionType):
        return kind.__module__.partition(".")[0] == __name__.partition(".")[0]
    return isinstance(kind, type) and issubclass(kind, FACTORIES)


def _describe(
    cls: type[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any] | None:
    path = exported_path(cls)
    if resolve(path) is not cls:
        return None
    signature = inspect.signature(cls.__init__)
    try:
        bound = signature.bind(None, *args, **kwargs)
    except TypeError:  # a copy, whose arguments come later, or a call that is about to fail
        return None
    bound.apply_defaults()
    arguments: dict[str, Any] = {}
    for name, parameter in [*signature.parameters.items()][1:]:
        value = bound.arguments[name]
        try:
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments |= plain(value)
            elif parameter.kind in NAMED:
                arguments[name] = plain(value)
            elif value:
                return None
        except NotPlainError:
            if value is not parameter.default:
                return None
    return {"class_path": path, "init_args": arguments}
