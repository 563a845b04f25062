"""Finding a checkpoint by its run."""

import re
from collections.abc import Iterator
from pathlib import Path

from gan_modules.checkpoints.reading import read_checkpoint

__all__ = ["checkpoint_in", "find_checkpoint", "newest_checkpoint"]


def find_checkpoint(path: str | Path, which: str | int = "last") -> Path:
    """The checkpoint that a path leads to.

    Args:
        path: a checkpoint file; a run's folder, ``runs/cgan/0``; that of all runs of a name,
            ``runs/cgan``, of which the newest with such a checkpoint is taken; any of these
            followed by ``/last`` or ``/best``.
        which: of a run: ``"last"`` for the readable ``step_XXXXXX.ckpt`` of the most updates,
            ``"best"`` for ``best*.ckpt``, or a number of updates.

    Raises:
        ValueError: if there is none.
    """
    path = Path(path)
    if path.is_file():
        return path
    if path.name in ("last", "best") and not path.exists():
        path, which = path.parent, path.name
    for folder in _folders(path):
        found = checkpoint_in(folder, which)
        if found is not None:
            return found
    there = sorted(file.name for folder in _folders(path) for file in folder.glob("*.ckpt"))
    raise ValueError(
        f"{path} has no readable checkpoint for which={which!r}; it has "
        f"{', '.join(dict.fromkeys(there)) or 'none'}"
    )


def checkpoint_in(folder: Path, which: str | int) -> Path | None:
    """The checkpoint of that kind in a folder of checkpoints, see :func:`find_checkpoint`.

    Raises:
        ValueError: if several are as good.
    """
    if which == "last":
        return newest_checkpoint(folder)
    pattern = "best*.ckpt" if which == "best" else f"step_{which:06d}.ckpt"
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ValueError(f"{folder} has {names}: load_from_checkpoint takes one of them")
    return next(iter(found), None)


def _folders(path: Path) -> Iterator[Path]:
    """Folders of checkpoints that a path may mean, the newest run first."""
    runs = [run for run in path.glob("*") if run.name.isdecimal()] if path.is_dir() else []
    for run in (path, *sorted(runs, key=lambda run: int(run.name), reverse=True)):
        checkpoints = run / "checkpoints"
        if checkpoints.is_dir() or run.is_dir():
            yield checkpoints if checkpoints.is_dir() else run


def newest_checkpoint(folder: str | Path) -> Path | None:
    """The readable ``step_XXXXXX.ckpt`` of the most generator updates in a folder, if any.

    ``last.ckpt`` is not asked: a process killed at the wrong moment leaves it one behind.
    """
    numbered = {
        path: int(found[1])
        for path in Path(folder).glob("step_*.ckpt")
        if (found := re.fullmatch(r"step_(\d+)(-v\d+)?\.ckpt", path.name))
    }
    return next(
        filter(_is_readable, sorted(numbered, key=numbered.__getitem__, reverse=True)), None
    )


def _is_readable(path: Path) -> bool:
    try:
        read_checkpoint(path)
    except (ValueError, OSError):
        return False
    return True
