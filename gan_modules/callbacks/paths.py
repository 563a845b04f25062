"""Where callbacks write, and whether they do."""

import os
from itertools import count
from pathlib import Path

from lightning.pytorch import Trainer

__all__ = ["check_writable", "is_trial", "unused"]


def check_writable(option: str, path: Path) -> None:
    """Raise ``ValueError`` if nothing can be made at a path: before training, not at its end.

    Args:
        option: that gives the path.
        path: of a file or folder to be made, with the folders around it.
    """
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    reason = "a file" if not parent.is_dir() else "read only"
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        shown, nearest = os.path.relpath(path), os.path.relpath(parent)
        raise ValueError(f"{option}={shown!r} cannot be written to: {nearest} is {reason}")


def is_trial(trainer: Trainer) -> bool:
    """Whether this is a ``fast_dev_run``, which leaves nothing behind."""
    return bool(trainer.fast_dev_run)  # type: ignore[attr-defined]


def unused(path: Path) -> Path:
    """The path itself, or the first of ``name-v1``, ``name-v2``, ... that does not exist yet."""
    candidates = (path.with_name(f"{path.stem}-v{n}{path.suffix}") for n in count(1))
    return path if not path.exists() else next(p for p in candidates if not p.exists())
