"""Folders of small images, and what a data module makes of them."""

from pathlib import Path
from typing import Any

from PIL import Image

from datamodules import ImageFolderDataModule

__all__ = ["broken", "classes", "folder", "paint", "values"]


def paint(path: str, value: Any = 0, size: tuple[int, int] = (6, 6), mode: str = "L") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def classes(root: str, n: int = 10) -> None:
    """Grey images of two classes, each of a value of its own."""
    for i in range(n):
        paint(f"{root}/{'ab'[i % 2]}/{i:02}.png", 5 * i)


def folder(root: str, **kwargs: Any) -> ImageFolderDataModule:
    return ImageFolderDataModule(**{"root": root, "image_size": 4, "batch_size": 2} | kwargs)


def values(data: ImageFolderDataModule, split: Any) -> list[int]:
    """The value of each image, which is the same in all of its pixels."""
    images = data.splits[split].images.flatten(1)
    assert (images == images[:, :1]).all()
    return images[:, 0].tolist()  # type: ignore[no-any-return]


def broken(root: str) -> None:
    classes(root)
    Path(root, "a/broken.png").write_bytes(b"no image at all")
    data = Path(root, "a/00.png").read_bytes()
    Path(root, "b/cut.png").write_bytes(data[: len(data) // 2])
    Path(root, "b/empty.jpg").write_bytes(b"")
