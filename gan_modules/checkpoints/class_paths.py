"""The dotted paths by which files name classes, and the classes that are there to be named."""

import inspect
import sys
from types import FunctionType
from typing import Any

__all__ = ["exported_path", "imported_subclass", "resolve", "subclasses"]


def resolve(path: str) -> Any:
    """What a dotted path leads to among what is imported, or None.

    A file written before a class moved has a path that still leads to it, through the names that
    the package gives its modules.
    """
    module, _, rest = path.partition(".")
    found: Any = sys.modules.get(module)
    for name in rest.split(".") if rest else ():
        module = f"{module}.{name}"
        found = getattr(found, name, sys.modules.get(module))
    return found


def exported_path(cls: type[Any] | FunctionType) -> str:
    """``gan_modules.WGANGP`` for a class that its top package exports, else its full path.

    The first stays true when files move.
    """
    package, name = cls.__module__.partition(".")[0], cls.__qualname__
    if getattr(sys.modules.get(package), name, None) is cls:
        return f"{package}.{name}"
    return f"{cls.__module__}.{name}"


def subclasses(base: type[Any]) -> list[type[Any]]:
    """Every imported class below one, once; what is below a class comes right after it."""
    found: dict[type[Any], None] = {}
    for cls in base.__subclasses__():
        # a class of two bases is met twice
        found |= dict.fromkeys([cls, *subclasses(cls)])
    return [*found]


def imported_subclass(cls: type[Any], path: str) -> type[Any]:
    """Find a concrete subclass by its path, or by its name alone where a script has moved."""
    known = [c for c in subclasses(cls) if not inspect.isabstract(c)]
    exact = [c for c in known if path == f"{c.__module__}.{c.__qualname__}" or c is resolve(path)]
    named = [c for c in known if c.__qualname__ == path.rsplit(".", 1)[-1]]
    found = exact or named
    if len(found) != 1:
        raise ValueError(
            f"the checkpoint holds a {path}, which is not imported: import it first, "
            "or call load_from_checkpoint on that class"
        )
    return found[0]
