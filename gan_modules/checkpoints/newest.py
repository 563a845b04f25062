"""Finding the checkpoint to go on from."""

import re
from pathlib import Path

from gan_modules.checkpoints.rebuilding import read_checkpoint

__all__ = ["newest_checkpoint"]


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
