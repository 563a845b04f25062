"""Say in one line what is wrong with the input, where an exception is due to that."""

import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from jsonargparse import Namespace

import gan_modules
from gan_modules.command_line.parser_errors import shortened, without_middle

__all__ = ["explain_exception", "with_full_name"]

LIBRARIES = ("lightning", "jsonargparse", "torch", "torchvision")
INSTALLED = ("site-packages", "dist-packages")


def explain_exception(error: BaseException) -> str | None:
    """One line for an error that the input explains; None for one that needs its traceback.

    Input is to blame where this package, or a library it hands the input to, raised a
    ``ValueError``, ``TypeError``, ``OSError`` or ``ImportError``; what began in code of the user's
    own is shown in full.
    """
    chain = list(_chain(error))
    cause = chain[-1]
    if _began_in_users_code(cause):
        return None
    own = (ValueError, OSError, FloatingPointError)
    for link in chain:
        if isinstance(link, own) and _raised_in(link, _own_folders()):
            return _one_line(link, without_middle)
    kinds = (ValueError, TypeError, OSError, ImportError)
    misconfigured = type(cause).__name__ == "MisconfigurationException"
    if (isinstance(cause, kinds) or misconfigured) and _raised_in_library(cause):
        return _one_line(cause, shortened)
    return None


def with_full_name(line: str, options: Namespace) -> str:
    """Name the option that a line begins with as a config does, where its value tells which it is.

    Args:
        line: such as ``"n=0 must be at least 1"``, of a class that does not know its place.
        options: all options of the command.
    """
    name = line.partition("=")[0]
    if name == "num_classes" and (data := options.get("data")):
        kind = data.class_path.rpartition(".")[2]
        return (
            f"{line}: it comes from the data, and {kind} has no classes as it is set up; those of "
            "a folder of images are its subfolders"
        )
    keys = {
        key.replace("init_args.", "")
        for key, value in options.items()
        if key.rpartition(".")[2] == name and line.startswith(f"{name}={value!r} ")
    }
    return keys.pop() + line[len(name) :] if len(keys) == 1 else line


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, then what caused it, and so on."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _own_folders() -> list[Path]:
    package = Path(gan_modules.__file__).parent
    return [package, package.parent / "datamodules", package.parent / "cli.py"]


def _raised_in(error: BaseException, folders: list[Path]) -> bool:
    file = _file_of(error)
    return file is not None and any(file.is_relative_to(folder) for folder in folders)


def _raised_in_library(error: BaseException) -> bool:
    file = _file_of(error)
    if file is None:
        return False
    return bool({*file.parts} & {*INSTALLED}) and bool({*file.parts} & {*LIBRARIES})


def _began_in_users_code(error: BaseException) -> bool:
    """Whether it was raised neither here, nor in anything installed, nor in Python itself."""
    file = _file_of(error)
    if file is None or file.name.startswith("<") or {*file.parts} & {*INSTALLED}:
        return False
    return not _raised_in(error, [*_own_folders(), Path(sysconfig.get_path("stdlib"))])


def _file_of(error: BaseException) -> Path | None:
    """The file that raised an error."""
    frames = traceback.extract_tb(error.__traceback__)
    return Path(frames[-1].filename) if frames else None


def _one_line(error: BaseException, short: Callable[[str], str]) -> str:
    """The first paragraph of an error, and what was noted about it."""
    text = str(error).strip().split("\n\n")[0] or type(error).__name__
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", []))
    return short(text) + notes
