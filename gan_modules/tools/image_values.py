"""Which values of images with more than 8 bits are black and white."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from PIL import Image

from gan_modules.errors import require

__all__ = [
    "Range",
    "ValueRangeError",
    "ValueSpread",
    "check_value_range",
    "deep_kind",
    "deep_values",
    "is_inverted",
    "rescaled",
    "spread_of",
]

Range = tuple[float, float]
"""The values of black and white."""

COLOUR = "16 bits per channel"
FIXED: Mapping[str, float] = {"12 bits": 4095, "16 bits, scaled": 65_535}
"""White where the format tells."""
POSSIBLE: Mapping[str, tuple[float, ...]] = {
    "16 bits": (65_535,),
    COLOUR: (65_535,),
    "32 bits": (255, 65_535, 2**32 - 1),
    "signed": (255, 65_535),
    "float": (1, 255, 65_535),
}
"""White as it is usual, where the values tell."""
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF


class ValueRangeError(ValueError):
    """Neither the format of an image nor its values say which are black and white."""


def check_value_range(value_range: Range | None) -> None:
    """Raise a ``ValueError`` unless an option names two values, the smaller one first."""
    right = value_range is None or -np.inf < value_range[0] < value_range[1] < np.inf
    require(right, "value_range", value_range, "two numbers, the smaller one first")


def deep_kind(file: Image.Image) -> str | None:
    """What an opened image, not yet loaded, has in place of 8 bits per channel; None for these."""
    codec, arguments = _tile(file)
    if file.mode == "F":
        return "float"
    if not file.mode.startswith("I"):
        # Pillow gives the upper 8 bits of each channel
        grey_or_colour = file.mode.startswith(("L", "RGB")) and file.mode != "LAB"
        full = file.format == "PPM" and 65_535 in arguments
        wide = codec == "SGI16" or any(";16" in str(argument) for argument in arguments)
        return COLOUR if grey_or_colour and (full or wide) else None
    tags = getattr(file, "tag_v2", None)
    if tags is not None:
        bits, sign = tags.get(BITS_PER_SAMPLE, (1,))[0], tags.get(SAMPLE_FORMAT, (1,))[0]
        return "signed" if sign == 2 else f"{bits} bits"
    if file.format == "PPM" and codec.startswith("ppm") and arguments[-1] != 65_535:
        return "16 bits, scaled"
    # 16 bits of a PNG were mode I before Pillow 10.3
    return "16 bits" if file.mode != "I" or file.format in ("PNG", "PPM") else "signed"


def _tile(file: Image.Image) -> tuple[str, tuple[Any, ...]]:
    """Name and arguments of the decoder."""
    tiles = getattr(file, "tile", None)
    if not tiles:
        return "", ()
    codec, _, _, arguments = tiles[0]
    return codec, arguments if isinstance(arguments, tuple) else (arguments,)


def deep_values(file: Image.Image, kind: str) -> NDArray[Any]:
    """The values of an image of a kind of :func:`deep_kind`, without transparency.

    Returns:
        Shape ``(H, W)``; ``(H, W, C)`` of several channels, of which Pillow reads the upper 8 bits.
    """
    values = np.asarray(file)
    if kind == "32 bits":
        return values.view(np.uint32)  # Pillow has none without sign
    if kind == COLOUR:
        channels = {"LA": 1, "La": 1}.get(file.mode, 3)
        return (values if values.ndim == 2 else values[..., :channels]) * np.uint16(257)
    return values


def rescaled(values: NDArray[Any], value_range: Range) -> NDArray[np.uint8]:
    """Values as 8 bits, 0 for the first of the range and 255 for the second, cut off beyond."""
    low, high = value_range
    parts = (values.astype(np.float64) - low) / (high - low)
    pixels: NDArray[np.uint8] = np.rint(parts.clip(0, 1) * 255).astype(np.uint8)
    return pixels


def is_inverted(file: Image.Image) -> bool:
    """Whether 0 is white, which Pillow heeds only for up to 8 bits."""
    tags = getattr(file, "tag_v2", None)
    return tags is not None and tags.get(PHOTOMETRIC) == 0


class ValueSpread:
    """Smallest and largest value of the images of a folder, for each kind of :func:`deep_kind`."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[float, float, int, str, str]] = {}

    def add(self, name: str, file: Image.Image, kind: str) -> None:
        """Take in an opened image."""
        mode = file.mode
        values = deep_values(file, kind)
        values = values[np.isfinite(values)]
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if kind in self._found:
            lowest, highest, count, first, mode = self._found[kind]
            name = first if highest >= high else name
            self._found[kind] = min(low, lowest), max(high, highest), count + 1, name, mode
        else:
            self._found[kind] = low, high, 1, name, mode

    def ranges(self, place: str, given: Range | None = None) -> dict[str, Range]:
        """The values of black and white, for each kind that was found.

        A usual range is certain where the largest value lies in its upper half: then all of its
        bits are in use.

        Args:
            place: where the images are, for messages.
            given: the range to take instead; what it cuts off is said in a warning.

        Raises:
            ValueRangeError: if values and format do not say, or ``given`` suits no image.
        """
        if given is not None and not self._found:
            raise ValueRangeError(
                f"value_range={given!r} must be left out: no image in {place} has more than 8 bits "
                "per channel"
            )
        return {kind: self._range(kind, place, given) for kind in self._found}

    def _range(self, kind: str, place: str, given: Range | None) -> Range:
        low, high, count, name, mode = self._found[kind]
        what = (
            f"{count} image{'s' * (count > 1)} of mode {mode} in {place}, such as {name}, "
            f"with values from {low:g} to {high:g}"
        )
        if given is not None:
            if kind == COLOUR and given[1] - given[0] < 2**14:
                raise ValueRangeError(
                    f"value_range={given!r} must span {2**14} at least for {what}: Pillow reads "
                    "only the upper 8 of their 16 bits; convert them to 8 bits"
                )
            if low < given[0] or high > given[1]:
                rank_zero_warn(f"value_range={given!r} cuts off values of {what}")
            return given
        if kind in FIXED:
            return 0, FIXED[kind]
        tops = POSSIBLE.get(kind, ())
        top = next((top for top in tops if high <= top), None)
        if low < 0 or top is None or 0 < high <= top / 2:
            raise ValueRangeError(
                "value_range=None must be the values of black and white, which nothing tells of "
                f"{what}: for example {_example(kind, low, high)}"
            )
        if kind in ("32 bits", "signed", "float") and top in (255, 65_535):
            rank_zero_warn(f"taken as black 0 and white {top}, unless value_range says so: {what}")
        return 0, top


def _example(kind: str, low: float, high: float) -> str:
    if kind == COLOUR:
        return "[0, 65535] where they are dark; convert them to 8 bits where they use fewer than 16"
    if kind == "float" or low < 0:
        return f"[{low:g}, {high:g}]"
    bits = int(high).bit_length()
    return f"[0, {2**bits - 1}], which is {bits} bits"


def spread_of(file: Image.Image, kind: str, path: Path) -> dict[str, Range]:
    """The ranges of an image by itself."""
    spread = ValueSpread()
    spread.add(path.name, file, kind)
    return spread.ranges(str(path.parent))
