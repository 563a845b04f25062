"""Where callbacks write, and whether they do."""

from itertools import count
from pathlib import Path

from lightning.pytorch import Trainer

__all__ = ["is_trial", "unused"]


def is_trial(trainer: Trainer) -> bool:
    """Whether this is a ``fast_dev_run``, which leaves nothing behind."""
    return bool(trainer.fast_dev_run)  # type: ignore[attr-defined]


def unused(path: Path) -> Path:
    """The path itself, or the first of ``name-v1``, ``name-v2``, ... that does not exist yet."""
    candidates = (path.with_name(f"{path.stem}-v{n}{path.suffix}") for n in count(1))
    return path if not path.exists() else next(p for p in candidates if not p.exists())
