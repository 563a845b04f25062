"""What lies in folders of images, and how it is divided."""

import os
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from gan_modules.seeding import derive_seed

__all__ = [
    "check_channels",
    "check_fraction",
    "check_root",
    "hold_out",
    "image_files",
    "subfolders",
]


def check_root(root: str) -> Path:
    """The folder of that name.

    Raises:
        FileNotFoundError: if there is none.
    """
    if not Path(root).is_dir():
        raise FileNotFoundError(f"root={root!r} must be a folder of images; there is none")
    return Path(root)


def check_channels(channels: int) -> None:
    """Raise a ``ValueError`` unless images are to be grey or coloured."""
    if channels not in (1, 3):
        raise ValueError(f"channels={channels} must be 1 (grey) or 3 (colour)")


def check_fraction(name: str, value: float) -> None:
    """Raise a ``ValueError`` unless the value is a proper part of the whole."""
    if not 0 < value < 1:
        raise ValueError(f"{name}={value} must be between 0 and 1")


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; hidden ones do not count."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def image_files(folder: Path, deep: bool = True) -> list[str]:
    """Paths within a folder of the files whose endings PIL reads, sorted; hidden ones left out.

    Args:
        folder: where to look.
        deep: also in the folders below it, to any depth.
    """
    formats = Image.registered_extensions()
    endings = {ending for ending, name in formats.items() if name in Image.OPEN}
    found = []
    # links to folders are followed: large data are often linked to where they are needed
    for path, folders, files in os.walk(folder, followlinks=True):
        inner = Path(path).relative_to(folder).as_posix()
        prefix = "" if inner == "." else f"{inner}/"
        found += [
            prefix + name
            for name in files
            if os.path.splitext(name)[1].lower() in endings  # noqa: PTH122  (fast for many)
            and not name.startswith(".")
        ]
        folders[:] = [name for name in folders if deep and not name.startswith(".")]
    return sorted(found)


def hold_out(rows: Tensor, count: int, seed: int, purpose: str) -> tuple[Tensor, Tensor]:
    """Take some rows out at random.

    Args:
        rows: shape ``(N,)``.
        count: how many to take out.
        seed: of the choice.
        purpose: makes choices for different purposes independent.

    Returns:
        The rows that stay and those taken out, both in their order.

    Raises:
        ValueError: if none would stay.
    """
    if count >= len(rows):
        raise ValueError(f"{len(rows)} training images are too few to hold out {count}")
    generator = torch.Generator().manual_seed(derive_seed(seed, purpose))
    out = torch.zeros(len(rows), dtype=torch.bool)
    out[torch.randperm(len(rows), generator=generator)[:count]] = True
    return rows[~out], rows[out]
