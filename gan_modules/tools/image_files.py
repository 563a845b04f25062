"""Image files, to and from tensors in [-1, 1]."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

__all__ = ["Format", "find_images", "image_size", "read_image", "upright", "write_image"]

Format = Literal["png", "jpg", "npy", "pt"]
TURNED = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""


def find_images(folder: Path) -> list[Path]:
    """Paths within a folder, at any depth, of what PIL reads, sorted; hidden files left out."""
    readable = {end for end, name in Image.registered_extensions().items() if name in Image.OPEN}
    inside = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        path
        for path in inside
        if path.suffix.lower() in readable and not any(part[0] == "." for part in path.parts)
    )


def image_size(path: Path) -> tuple[int, int]:
    """Height and width as seen upright, from the header of a file.

    Raises:
        OSError: if it is no image.
    """
    with Image.open(path) as file:
        turned = file.getexif().get(0x0112) in TURNED
        return (file.width, file.height) if turned else (file.height, file.width)


def upright(file: Image.Image, channels: int) -> Image.Image:
    """An opened image, turned as its EXIF data says, with white behind what is transparent.

    Args:
        file: of any mode that PIL knows; of 16 bits per pixel the upper 8 are kept.
        channels: 1 for grey, 3 for colour.
    """
    ImageOps.exif_transpose(file, in_place=True)
    image = file
    if image.mode.startswith("I"):
        # 16 bits per pixel; PIL would cut off all above 255
        deep = np.asarray(image).astype(np.int64).clip(0, 65_535)
        image = Image.fromarray((deep >> 8).astype(np.uint8))
    elif image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def read_image(path: Path, channels: int, size: int | tuple[int, int] | None = None) -> Tensor:
    """Read an image upright, with white behind what is transparent.

    Args:
        path: file of any format that PIL knows.
        channels: 1 for grey, 3 for colour.
        size: side of the square, or height and width of the rectangle, to which the image is cut in
            the middle and resized; None for neither.

    Returns:
        Float in [-1, 1], shape ``(channels, H, W)``.

    Raises:
        OSError: if it cannot be read.
    """
    with Image.open(path) as file:
        image = upright(file, channels)
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
