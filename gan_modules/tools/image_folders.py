"""The images in a folder, and the files that are left out."""

import os
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn
from PIL import Image, ImageFile

__all__ = ["FoundImages", "find_images", "grouped"]

FOREIGN = "not of a format that Pillow decodes"
HIDDEN = "hidden"
MISSING = "links to nothing"
READ = "links to a folder that is read already or holds this one"


@dataclass
class FoundImages:
    """What lies in a folder.

    Args:
        names: paths of the images, with forward slashes, sorted.
        left_out: paths of what is left out, by its reason. Hidden folders, and hidden files that do
            not end like an image, are not looked at.
    """

    names: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def add(self, other: "FoundImages") -> None:
        """Append what was found elsewhere."""
        self.names += other.names
        for reason, names in other.left_out.items():
            self.left_out.setdefault(reason, []).extend(names)

    def warn(self, place: str) -> None:
        """Say in one warning what is left out of a place, if anything is."""
        if self.left_out:
            rank_zero_warn(f"left out of {place}: {grouped(self.left_out)}")

    def none_in(self, place: str) -> str:
        """The line for a place that has no images."""
        rest = f": left out are {grouped(self.left_out)}" if self.left_out else ""
        return f"{place} holds no images (.png, .jpg, ...){rest}"


def grouped(reasons: Mapping[str, Sequence[str]]) -> str:
    """Numbers and first names of files by what is the matter with them."""
    return ", ".join(
        f"{len(names)} {reason} ({', '.join(names[:3])}{', ...' * (len(names) > 3)})"
        for reason, names in reasons.items()
    )


def find_images(root: Path, part: str = "", skip: Collection[str] = ()) -> FoundImages:
    """The images in a folder, at any depth.

    Links are followed, to folders, too: large data are often linked to where they are needed. Each
    folder and each file is read once, where it lies rather than through a link, and no folder that
    holds the root.

    Args:
        root: folder from which paths are counted.
        part: folder in it, to look only there.
        skip: paths of folders not to look into.

    Raises:
        OSError: if a folder cannot be read.
    """
    endings = _endings()
    found = FoundImages()
    start = root / part
    above = {*start.absolute().parents, *start.resolve().parents}
    seen = {_identity(str(folder)) for folder in above}
    folders, links = deque([f"{part}/" if part else ""]), deque[str]()
    linked_images: list[str] = []
    while folders or links:
        linked = not folders
        prefix = links.popleft() if linked else folders.popleft()
        identity = _identity(f"{root}/{prefix}")
        if identity in seen:
            if linked:
                found.left_out.setdefault(READ, []).append(prefix[:-1])
            continue
        seen.add(identity)
        with os.scandir(f"{root}/{prefix}") as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = prefix + entry.name
                # asked of the path, a link that leads to itself is nothing; of the entry, an error
                is_link = entry.is_symlink()
                is_folder = os.path.isdir(entry.path) if is_link else entry.is_dir()  # noqa: PTH112
                if is_folder:
                    if entry.name[0] != "." and name not in skip:
                        (links if is_link else folders).append(f"{name}/")
                    continue
                is_image = os.path.splitext(name)[1].lower() in endings  # noqa: PTH122
                if entry.name[0] == ".":
                    reason = HIDDEN if is_image else ""
                elif is_link and not os.path.exists(entry.path):  # noqa: PTH110
                    reason = MISSING
                elif is_image and is_link:
                    linked_images.append(name)
                    continue
                elif is_image:
                    found.names.append(name)
                    # as _identity gives it, without another look at the disk
                    seen.add((identity[0], entry.inode()))
                    continue
                else:
                    reason = FOREIGN
                if reason:
                    found.left_out.setdefault(reason, []).append(name)
    for name in linked_images:
        if (identity := _identity(f"{root}/{name}")) in seen:
            found.left_out.setdefault(READ, []).append(name)
        else:
            seen.add(identity)
            found.names.append(name)
    found.names.sort()
    return found


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116
    return status.st_dev, status.st_ino


def _endings() -> set[str]:
    """Endings of what Pillow decodes; it also opens formats of which it only knows the header."""
    return {
        ending
        for ending, name in Image.registered_extensions().items()
        if name in Image.OPEN and name != "MPEG" and not _is_stub(Image.OPEN[name][0])
    }


def _is_stub(factory: object) -> bool:
    return isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile)
