"""Image files, to and from tensors in [-1, 1]: every mode that Pillow knows."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from gan_modules.tools.image_folders import grouped
from gan_modules.tools.image_values import (
    COLOUR,
    Range,
    ValueRangeError,
    ValueSpread,
    deep_kind,
    deep_values,
    is_inverted,
    rescaled,
    spread_of,
)

__all__ = [
    "Format",
    "Unreadable",
    "UnreadableImageError",
    "find_ranges",
    "image_size",
    "opened",
    "read_image",
    "unreadable_line",
    "upright",
    "write_image",
]

Format = Literal["png", "jpg", "npy", "pt"]
ORIENTATION = 0x0112  # in EXIF data
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""


class Unreadable(IntEnum):
    """Why an image cannot be read."""

    DAMAGED = 0
    TOO_LARGE = 2
    CLOSED = 3
    NOT_FINITE = 4

    def __str__(self) -> str:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # below it Pillow only warns
        return {
            Unreadable.DAMAGED: "damaged or no image",
            Unreadable.TOO_LARGE: (
                f"above Pillow's limit of {limit:,} pixels: shrink them, or raise "
                "PIL.Image.MAX_IMAGE_PIXELS, half of it, in Python"
            ),
            Unreadable.CLOSED: "cannot be opened",
            Unreadable.NOT_FINITE: "with NaN or infinity among the values",
        }[self]


class UnreadableImageError(OSError):
    """An image that cannot be read, and why."""

    def __init__(self, reason: Unreadable) -> None:
        super().__init__(str(reason))
        self.reason = reason


def unreadable_line(reasons: Mapping[str, Unreadable]) -> str:
    """Why files cannot be read, by their names."""
    groups: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        groups.setdefault(str(reason), []).append(name)
    if set(reasons.values()) == {Unreadable.DAMAGED}:
        names = list(reasons)
        return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return grouped(groups)


@contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """An image file, opened; what goes wrong with it in the block is one kind of error.

    Raises:
        UnreadableImageError: in place of any other, for a broken file can make Pillow raise nearly
            anything; but a :class:`ValueRangeError` or ``MemoryError`` is left as it is.
    """
    try:
        # of a path, Pillow 12 maps an uncompressed TIFF with width and height exchanged where it is
        # to be turned, and mixes up its rows
        with Path(path).open("rb") as stream, Image.open(stream) as file:
            yield file
    except (MemoryError, ValueRangeError, UnreadableImageError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError(Unreadable.TOO_LARGE) from error
    except Exception as error:
        closed = isinstance(error, OSError) and error.errno is not None
        raise UnreadableImageError(Unreadable.CLOSED if closed else Unreadable.DAMAGED) from error


def _orientation(file: Image.Image) -> int:
    """What EXIF data says, which may be damaged in a good picture."""
    try:
        return int(file.getexif().get(ORIENTATION, 1))
    except Exception:  # it can make Pillow raise nearly anything
        return 1


def image_size(path: Path) -> tuple[int, int]:
    """Height and width as seen upright, from the header of a file.

    Raises:
        OSError: if it is no image.
    """
    with opened(path) as file:
        turned = _orientation(file) in TURNED
        if turned and file.format == "TIFF":
            file.load()  # Pillow turns these itself, some versions only now
            turned = False
        return (file.width, file.height) if turned else (file.height, file.width)


def find_ranges(
    folder: Path, names: Sequence[str], place: str, value_range: Range | None = None
) -> dict[str, Range]:
    """Which values are black and white in the images of a folder that have more than 8 bits.

    Args:
        folder: where they are.
        names: their paths within it.
        place: the folder for messages.
        value_range: black and white, in place of what format and values say.

    Raises:
        ValueRangeError: if nothing says it.
    """
    spread = ValueSpread()
    endings = Image.registered_extensions()
    for name in names:
        # always of 8 bits, and many
        if endings.get(Path(name).suffix.lower()) == "JPEG":
            continue
        try:
            with opened(folder / name) as file:
                kind = deep_kind(file)
                if kind is not None:
                    spread.add(name, file, kind)
        except UnreadableImageError:
            continue  # reported by who reads it
    return spread.ranges(place, value_range)


def upright(
    file: Image.Image,
    channels: int,
    ranges: Mapping[str, Range] | None = None,
    path: str | Path = "image",
) -> Image.Image:
    """An opened image, turned as its EXIF data says, with white behind what is transparent.

    Args:
        file: of any mode that Pillow knows, not yet loaded.
        channels: 1 for grey, 3 for colour.
        ranges: of :func:`find_ranges`; what they lack is decided by this image alone.
        path: what it is called in messages.

    Returns:
        Of mode L or RGB.

    Raises:
        ValueRangeError: if nothing says which values are black and white.
        UnreadableImageError: if values are not finite.
    """
    kind = deep_kind(file)
    inverted = is_inverted(file)
    file.load()
    if kind is not None and (ranges is None or kind not in ranges):
        ranges = spread_of(file, kind, Path(path))
    image = file if kind is None else _shallow(file, kind, ranges or {}, inverted)
    orientation = _orientation(file)
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("RGBA", "RGBa", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if orientation in TURNS:
        image = image.transpose(TURNS[orientation])
    if image.mode == "LAB":
        image = image.convert("RGB")
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _shallow(
    file: Image.Image, kind: str, ranges: Mapping[str, Range], inverted: bool
) -> Image.Image:
    """A loaded image with 8 bits per channel."""
    low, high = ranges.get(kind, (0, 1))
    if kind == COLOUR:
        table = rescaled(np.arange(256) * 257, (low, high)).tolist()
        alpha = list(range(256))
        return file.point([x for b in file.getbands() for x in (alpha if b in "Aa" else table)])
    values = deep_values(file, kind)
    if not np.isfinite(values).all():
        raise UnreadableImageError(Unreadable.NOT_FINITE)
    pixels = rescaled(values, (high, low) if inverted else (low, high))
    if "transparency" in file.info:
        pixels[values == file.info["transparency"]] = 255
    return Image.fromarray(pixels)


def read_image(
    path: Path,
    channels: int,
    size: int | tuple[int, int] | None = None,
    ranges: Mapping[str, Range] | None = None,
) -> Tensor:
    """Read an image upright, with white behind what is transparent.

    Args:
        path: file of any format that Pillow knows.
        channels: 1 for grey, 3 for colour.
        size: side of the square, or height and width of the rectangle, to which the image is cut in
            the middle and resized; None for neither.
        ranges: which values are black and white where there are more than 8 bits, of
            :func:`find_ranges`; what they lack is decided by this image alone.

    Returns:
        Float in [-1, 1], shape ``(channels, H, W)``.

    Raises:
        OSError: if it cannot be read.
        ValueRangeError: if nothing says which of its values are black and white.
    """
    with opened(path) as file:
        image = upright(file, channels, ranges, path)
        if size is not None:
            height, width = (size, size) if isinstance(size, int) else size
            image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(image)).reshape(image.height, image.width, channels)
    return pixels.permute(2, 0, 1).float() / 127.5 - 1


def write_image(image: Tensor, path: Path) -> None:
    """Write an image, or for ``.npy`` and ``.pt`` any tensor, in the format of the path's ending.

    Args:
        image: in [-1, 1], shape ``(1, H, W)`` or ``(3, H, W)``. It is rounded to 8 bits as a
            picture, and float32 as an array.
        path: file, in a folder that need not exist.

    Raises:
        OSError: if it cannot be written.
    """
    image = image.detach().float().cpu()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, image.numpy())
    elif path.suffix == ".pt":
        torch.save(image.clone(), path)
    else:
        pixels = (image.clamp(-1, 1) + 1).mul(127.5).round().byte().permute(1, 2, 0)
        Image.fromarray(pixels.squeeze(2).numpy()).save(path, quality=95)
