"""Sizes of images, squares or rectangles, and how images of another shape are brought to them."""

from typing import Literal

from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import resize as resize_image

__all__ = [
    "Enlarged",
    "Resize",
    "Size",
    "as_pair",
    "check_size",
    "enlarged",
    "fitting",
    "resized",
    "scaled",
    "window",
]

Size = int | tuple[int, int]
"""Side of a square, or height and width."""

Enlarged = Literal["enlarged"]
"""An eighth larger than what the model sees: 286 for 256 pixels."""

Resize = Literal["crop", "fit", "stretch"]
"""What becomes of images of another shape: ``"crop"`` cuts off what is too much in the middle,
``"fit"`` keeps all and puts black beside it, ``"stretch"`` distorts."""


def as_pair(size: Size) -> tuple[int, int]:
    """Height and width."""
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def check_size(name: str, size: Size) -> None:
    """Raise a ``ValueError`` unless an option is a size of at least one pixel."""
    sides = [size] if isinstance(size, int) else [*size]
    if isinstance(size, int) and size < 1:
        raise ValueError(f"{name}={size} must be at least 1")
    if min(sides, default=0) < 1 or (len(sides) != 2 and not isinstance(size, int)):
        right = "an integer, or height and width, each at least 1"
        raise ValueError(f"{name}={size} must be {right}")


def enlarged(load_size: Size | Enlarged | None, image_size: Size) -> Size | None:
    """A ``load_size`` as a number: ``"enlarged"`` is 286 / 256 of the size of the images."""
    if load_size != "enlarged":
        return load_size
    if isinstance(image_size, int):
        return round(image_size * 286 / 256)
    height, width = (round(side * 286 / 256) for side in image_size)
    return height, width


def scaled(side: Size, shape: Size) -> Size:
    """A size in proportion: of an integer, the longer side of a rectangle of that shape."""
    if not isinstance(side, int) or isinstance(shape, int):
        return side
    height, width = (round(side * x / max(shape)) for x in shape)
    return height, width


def window(shape: tuple[int, int], size: Size) -> tuple[float, float, float, float]:
    """The largest part in the middle that has the proportions of a size.

    Args:
        shape: height and width of the image.
        size: to which it is to be resized.

    Returns:
        Top, left, bottom and right.
    """
    (height, width), (rows, columns) = shape, as_pair(size)
    high = min(height, width * rows / columns)
    wide = min(width, height * columns / rows)
    top, left = (height - high) // 2, (width - wide) // 2
    return top, left, top + high, left + wide


def fitting(shape: tuple[int, int], size: Size) -> tuple[int, int]:
    """Height and width of an image that is scaled until it just fits into a size."""
    (height, width), (rows, columns) = shape, as_pair(size)
    scale = min(rows / height, columns / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized(images: Tensor, size: Size, how: Resize) -> Tensor:
    """Images of a batch in another size, bilinearly with antialiasing.

    Args:
        images: uint8, or float in [0, 1], shape ``(N, C, H, W)``.
        size: of the result.
        how: what becomes of another shape.

    Returns:
        Of the same kind, shape ``(N, C, *size)``.
    """
    shape = images.shape[-2], images.shape[-1]
    rows, columns = as_pair(size)
    if how == "crop":
        top, left, bottom, right = (round(edge) for edge in window(shape, size))
        images = images[..., top : max(top + 1, bottom), left : max(left + 1, right)]
    elif how == "fit":
        height, width = fitting(shape, size)
        images = resize_image(images, [height, width], antialias=True)
        above, before = (rows - height) // 2, (columns - width) // 2
        return F.pad(images, (before, columns - width - before, above, rows - height - above))
    out: Tensor = resize_image(images, [rows, columns], antialias=True)
    return out
