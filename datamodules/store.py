"""Image files decoded once into one file of raw pixels, which is mapped into memory.

The file holds the images, uint8 ``(N, C, H, W)``, and then one byte per image: 1 if it could be
decoded, otherwise why not. Its name is a hash of all that decides its content.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from datamodules.mapped import MappedDataset, MappedPairs
from datamodules.resizing import Resize, Size, as_pair, fitting, window
from gan_modules.tools.image_files import (
    Unreadable,
    UnreadableImageError,
    find_ranges,
    opened,
    unreadable_line,
    upright,
)
from gan_modules.tools.image_values import Range

__all__ = ["ImageStore", "decode"]

FORMAT = 2  # to be raised whenever the same files give other pixels
GOOD = 1  # an image that could be decoded
PIECE = 64  # images that a thread decodes at a time
PATIENCE = 3.0  # seconds before progress is shown


def decode(
    path: str | Path,
    size: Size,
    channels: int,
    ranges: Mapping[str, Range] | None = None,
    half: int | None = None,
    resize: Resize = "crop",
) -> NDArray[np.uint8]:
    """Read an image file as ``(channels, *size)``.

    Turned upright as its EXIF data says, what is transparent on white, resized (bicubic,
    antialiased).

    Args:
        path: file of any format that PIL knows.
        size: of the result.
        channels: 1 for grey, 3 for colour.
        ranges: which values are black and white where there are more than 8 bits, as
            :func:`gan_modules.tools.image_files.upright` takes them.
        half: 0 for the left half alone, 1 for the right one; None for the whole image.
        resize: what becomes of images of another shape.

    Raises:
        UnreadableImageError: if it cannot be read.
        ValueRangeError: if nothing says which of its values are black and white.
    """
    with opened(path) as file:
        whole = file.size
        # only JPEG can: decode at a fraction of the size, where that is still twice what is needed
        rows, columns = as_pair(size)
        needed = 2 * max(rows, columns)  # it may lie on its side
        drafted = file.draft(None, (needed, needed))
        scale = drafted[1][2] / whole[0] if drafted else 1.0
        image = upright(file, channels, ranges, path)
        wide = image.width >= image.height
        width, height = sorted(whole, reverse=wide)
        if half is not None:
            width //= 2
            start = half * (image.width - image.width // 2)
            image = image.crop((start, 0, start + image.width // 2, image.height))
        box: tuple[float, float, float, float] = (0, 0, width, height)
        shape = rows, columns
        if resize == "crop":
            top, left, bottom, right = window((height, width), size)
            box = left, top, right, bottom
        elif resize == "fit":
            shape = fitting((height, width), size)
        if image.size != shape[::-1]:
            left, top, right, bottom = (scale * edge for edge in box)
            box = left, top, right, bottom
            image = image.resize(shape[::-1], Image.Resampling.BICUBIC, box)
        if shape != (rows, columns):
            black = Image.new(image.mode, (columns, rows))
            black.paste(image, ((columns - shape[1]) // 2, (rows - shape[0]) // 2))
            image = black
        pixels: NDArray[np.uint8] = np.asarray(image).reshape(rows, columns, channels)
        return pixels.transpose(2, 0, 1)


class ImageStore:
    """Image files under a folder, decoded at the first :meth:`open` and only mapped later.

    The cache file is found again as long as names, sizes and times of the files and the options
    are the same; another one is made when they are not, and the old one left to the user. Several
    processes may open a store at once: each file appears whole or not at all.

    Args:
        root: folder of the images.
        names: their paths within it, with forward slashes.
        size: to which they are resized.
        channels: 1 for grey, 3 for colour.
        cache_dir: folder of the cache file; None for ``gan_modules`` in ``$XDG_CACHE_HOME``, or in
            ``~/.cache`` where that is not set.
        skip_corrupt: leave out files that cannot be decoded, with a warning.
        value_range: the values of black and white in images with more than 8 bits per channel; None
            for what format and values say.
        halves: each file holds two images side by side, which are decoded one by one and lie one
            behind the other along the channels.
        resize: what becomes of images of another shape.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        size: Size,
        channels: int,
        cache_dir: str | None = None,
        skip_corrupt: bool = False,
        value_range: Range | None = None,
        halves: bool = False,
        resize: Resize = "crop",
    ) -> None:
        if cache_dir is None:
            base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
            self.folder = Path(base) / "gan_modules"
        else:
            self.folder = Path(cache_dir)
        self.root = root
        self.names = names
        self.channels = channels
        self.halves: tuple[int | None, ...] = (0, 1) if halves else (None,)
        self.shape = len(names), channels * len(self.halves), *as_pair(size)
        self.resize = resize
        self.skip_corrupt = skip_corrupt
        self.value_range = value_range
        self._sizes = [-1] * len(names)
        self.path: Path | None = None
        self.good = torch.empty(0, dtype=torch.bool)

    def open(self) -> None:
        """Find the cache file or make it, once.

        Raises:
            ValueError: if files cannot be decoded and are not to be skipped, nothing says which of
                their values are black and white, or ``cache_dir`` cannot be written to.
        """
        if self.path is not None:
            return
        path = self.folder / f"{self.root.resolve().name}-{self._key()}.u8"
        pixels, n = int(np.prod(self.shape)), len(self.names)
        # a file of another size is one that a full disk or a copy has cut off
        if not path.is_file() or path.stat().st_size != pixels + n:
            self._write(path)
        codes = np.fromfile(path, np.uint8, offset=pixels)
        bad = np.flatnonzero(codes != GOOD).tolist()
        self._report({self.names[i]: Unreadable(codes[i]) for i in bad})
        self.good, self.path = torch.from_numpy(codes == GOOD), path

    def fingerprint(self, rows: Tensor) -> str:
        """A hash of the names and sizes of all files and of which rows are chosen, shape ``(M,)``.

        Times do not count: a copy of the files has others. :meth:`open` comes first.
        """
        digest = hashlib.blake2b(digest_size=16)
        for name, size in zip(self.names, self._sizes, strict=True):
            digest.update(f"\0{name}\0{size}".encode())
        digest.update(rows.sort().values.numpy().tobytes())
        return digest.hexdigest()

    def dataset(self, rows: Tensor, labels: Tensor) -> MappedDataset:
        """The images of some rows, with their labels; :meth:`open` comes first.

        Raises:
            ValueError: if there are none, all files of a split being corrupt.
        """
        return MappedDataset(self._path_of(rows), self.shape, rows, labels)

    def pairs(self, rows: Tensor, partners: Tensor, labels: Tensor) -> MappedPairs:
        """Pairs of the images of some rows and of others, as :meth:`dataset` has single ones."""
        return MappedPairs(self._path_of(rows), self.shape, rows, partners, labels)

    def _path_of(self, rows: Tensor) -> Path:
        assert self.path is not None
        if not len(rows):
            raise ValueError(f"root={str(self.root)!r} has a split without images that can be read")
        return self.path

    def _key(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        # what is refused as too large now may be decoded with another limit
        options: tuple[Any, ...] = self.shape, self.value_range, Image.MAX_IMAGE_PIXELS
        if len(self.halves) > 1:
            options = (*options, "halves")
        # files of versions that only cropped are still found
        if self.resize != "crop":
            options = (*options, self.resize)
        digest.update(f"{FORMAT} {options}".encode())
        root = str(self.root)
        for i, name in enumerate(self.names):
            try:
                status = os.stat(f"{root}/{name}")  # noqa: PTH116  (thrice as fast for many files)
                self._sizes[i] = status.st_size
                digest.update(f"\0{name}\0{status.st_size}\0{status.st_mtime_ns}".encode())
            except OSError:
                # decoding will fail on it and report it with the others
                digest.update(f"\0{name}\0".encode())
        return digest.hexdigest()

    def _write(self, path: Path) -> None:
        """Decode all files beside the path, then rename the result."""
        self._ranges = find_ranges(
            self.root, self.names, f"root={str(self.root)!r}", self.value_range
        )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = tempfile.NamedTemporaryFile(  # noqa: SIM115  (outlives its block by a rename)
                dir=self.folder, prefix=path.stem, suffix=".part", delete=False
            )
        except OSError as error:
            raise ValueError(
                f"cache_dir={str(self.folder)!r} cannot be written to ({error.strerror}): "
                "name a folder that can"
            ) from error
        part = Path(file.name)
        try:
            with file:
                self._decode_into(file)
            part.chmod(0o644)  # temporary files are for one user only
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _decode_into(self, file: Any) -> None:
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4
        # so many at a time that all threads are busy, and that memory does not grow with the data
        block = PIECE * threads * 4
        codes = []
        console = Console(stderr=True)
        start = time.monotonic()
        with (
            ThreadPoolExecutor(threads) as pool,
            Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
        ):
            task = progress.add_task("decoding images", total=len(self.names), visible=False)
            for first in range(0, len(self.names), block):
                names = self.names[first : first + block]
                pieces = [names[i : i + PIECE] for i in range(0, len(names), PIECE)]
                for pixels, piece in pool.map(self._decode_piece, pieces):
                    file.write(pixels.data)
                    codes.append(piece)
                visible = time.monotonic() - start > PATIENCE
                progress.update(task, completed=first + len(names), visible=visible)
        file.write(np.concatenate(codes).data)

    def _decode_piece(self, names: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        size = self.shape[-2], self.shape[-1]
        pixels = np.zeros((len(names), *self.shape[1:]), np.uint8)
        codes = np.full(len(names), GOOD, np.uint8)
        root = str(self.root)
        for i, name in enumerate(names):
            try:
                path = f"{root}/{name}"
                parts = [
                    decode(path, size, self.channels, self._ranges, half, self.resize)
                    for half in self.halves
                ]
                pixels[i] = np.concatenate(parts)
            except UnreadableImageError as error:
                codes[i] = error.reason
        return pixels, codes

    def _report(self, corrupt: dict[str, Unreadable]) -> None:
        if not corrupt:
            return
        names = unreadable_line(corrupt)
        line = f"{len(corrupt)} of {len(self.names)} images in root={str(self.root)!r}"
        if not self.skip_corrupt:
            raise ValueError(
                f"{line} cannot be decoded: {names}; remove them, or pass skip_corrupt=True to "
                "leave them out"
            )
        if len(corrupt) == len(self.names):
            raise ValueError(f"{line} cannot be decoded: {names}; nothing is left")
        rank_zero_warn(f"{line} cannot be decoded and are left out: {names}")
