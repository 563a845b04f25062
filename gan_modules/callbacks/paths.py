"""Where callbacks write."""

from itertools import count
from pathlib import Path

__all__ = ["unused"]


def unused(path: Path) -> Path:
    """The path itself, or the first of ``name-v1``, ``name-v2``, ... that does not exist yet."""
    candidates = (path.with_name(f"{path.stem}-v{n}{path.suffix}") for n in count(1))
    return path if not path.exists() else next(p for p in candidates if not p.exists())
