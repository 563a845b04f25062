"""What lies in folders of images, and how it is divided."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from datamodules.base import Split
from gan_modules.seeding import derive_seed
from gan_modules.tools.image_folders import find_images

__all__ = [
    "SPLITS",
    "check_channels",
    "check_fraction",
    "check_root",
    "divide",
    "hold_out",
    "split_folders",
]

SPLITS: tuple[Split, ...] = ("train", "val", "test")


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


def hold_out(
    rows: Tensor, names: Sequence[str], fraction: float, seed: int, purpose: str, least: int = 1
) -> tuple[Tensor, Tensor]:
    """Take some files out at random: those whose hash, in [0, 1), is below a fraction.

    A file's hash is that of its path, so that others that come or go do not change what becomes of
    it, unless the fraction is about one file: at least one is taken out, and some stay.

    Args:
        rows: of the files, shape ``(N,)``.
        names: paths of all files, by their rows.
        fraction: probability with which each is taken out.
        seed: of the choice.
        purpose: makes choices for different purposes independent.
        least: how many stay at least, if there are more.

    Returns:
        The rows that stay and those taken out, both in their order.

    Raises:
        ValueError: if none would stay.
    """
    if len(rows) < 2:
        raise ValueError(f"{len(rows)} training images are too few to hold out 1")
    hashes = torch.tensor([derive_seed(seed, purpose, names[row]) for row in rows.tolist()])
    count = int((hashes < fraction * 2**32).sum())
    out = torch.zeros(len(rows), dtype=torch.bool)
    out[hashes.argsort()[: max(1, min(count, len(rows) - least))]] = True
    return rows[~out], rows[out]


def divide(
    rows: Mapping[Split, Tensor], names: Sequence[str], fractions: Mapping[Split, float], seed: int
) -> dict[Split, Tensor]:
    """Rows of all splits: of those that are missing, some of the training images.

    Args:
        rows: of the splits that there are, the training split among them.
        names: paths of all files, by their rows.
        fractions: of the training images, held out for ``val`` and of the rest for ``test``.
        seed: of the choice.
    """
    found = {**rows}
    missing = [split for split in SPLITS if split not in found]
    for i, split in enumerate(missing):
        found["train"], found[split] = hold_out(
            found["train"], names, fractions[split], seed, split, len(missing) - i
        )
    return found


def split_folders(root: Path) -> Iterator[tuple[Split, Path]]:
    """The folders of the splits that exist; the whole root as training data where none do."""
    present = [split for split in SPLITS if (root / split).is_dir()]
    if not present:
        yield "train", root
        return
    if "train" not in present:
        raise ValueError(f"{root} has {present[0]}/ but no train/: name it {root / 'train'}")
    strays = find_images(root, skip=SPLITS).names
    if strays:
        stray = strays[0].split("/")[0]
        raise ValueError(
            f"{root} has train/ and, beside it, images in {stray}: move them into one "
            "of the splits, or give root a folder that holds only classes or only train/, val/ "
            "and test/"
        )
    yield from ((split, root / split) for split in present)
