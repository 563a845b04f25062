"""The dotted paths by which files name classes."""

import sys
from types import FunctionType
from typing import Any

__all__ = ["exported_path", "resolve"]


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
