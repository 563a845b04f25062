"""Whether what a checkpoint names may be built."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gan_modules.checkpoints.class_paths import resolve
from gan_modules.checkpoints.described import Described

__all__ = ["check_named_classes"]

KINDS = (nn.Module, Optimizer, LRScheduler, Described)
PLAIN = (
    int, float, bool, str, list, tuple, dict, Path, type(None), inspect.Parameter.empty, Any
)  # fmt: skip
# what is left of the type of a plain value, such as "list[int] | Literal['a'] | None", is no word
PLAIN_WORDS = re.compile(
    r"Literal\[.*?\]|\b(typing|collections|abc|int|float|bool|str|None|NoneType|Any"
    r"|pathlib|_local|Path|list|tuple|dict|Sequence|Mapping|Iterable|Optional|Union)\b"
)


def check_named_classes(source: object, cls: type[Any], hparams: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` if hyper-parameters name something that must not be built.

    Those of the command line name networks, optimizers and schedulers, which are imported and
    called when a model is rebuilt. A checkpoint may come from anyone: what it names must be such a
    class, imported already, or a function of this package or of the model's own.

    Args:
        source: where they come from, for the message.
        cls: of the model.
        hparams: hyper-parameters as a checkpoint has them.
    """
    types = {
        name: parameter.annotation
        for ancestor in reversed(cls.__mro__[:-1])
        for name, parameter in inspect.signature(ancestor).parameters.items()
    }
    roots = {"gan_modules", cls.__module__.partition(".")[0]}
    for name, value in hparams.items():
        _check(source, name, value, types.get(name, Any), roots)


def _check(source: object, name: str, value: Any, kind: Any, roots: set[str]) -> None:
    if isinstance(value, Mapping) and "class_path" in value:
        found = _named(source, name, value["class_path"], roots)
        parameters = inspect.signature(found).parameters if found is not None else {}
        for key in ("init_args", "dict_kwargs"):
            given = value.get(key)
            for inner, content in given.items() if isinstance(given, Mapping) else ():
                known = parameters.get(inner)
                _check(source, inner, content, Any if known is None else known.annotation, roots)
    elif isinstance(value, Mapping):
        for inner, content in value.items():
            _check(source, f"{name}.{inner}", content, Any, roots)
    elif isinstance(value, (list, tuple)):
        for content in value:
            _check(source, name, content, kind, roots)
    # a text may hold a description, too, which the parser would read
    elif isinstance(value, str) and (_may_be_called(kind) or "class_path" in value):
        _named(source, name, value, roots)


def _named(source: object, name: str, path: Any, roots: set[str]) -> Any:
    """What a path names; None for a bare name, which stands for a known subclass only."""
    if isinstance(path, str) and path.isidentifier():
        return None
    found = resolve(str(path))
    if isinstance(found, type) and issubclass(found, KINDS):
        return found
    if inspect.isfunction(found) and found.__module__.partition(".")[0] in roots:
        return found
    raise ValueError(
        f"{source} names {name}={path}, which is no network, optimizer or scheduler that is "
        "imported: nothing else is built from a checkpoint; if it is one of yours, import it "
        "first, as predict does with the run's --config, and demo with --model my_project.MyClass"
    )


def _may_be_called(kind: Any) -> bool:
    """Whether a text given for a parameter of that type would be taken for something to import."""
    if kind in PLAIN:
        return False
    return isinstance(kind, type) or re.search(r"\w", PLAIN_WORDS.sub("", str(kind))) is not None
