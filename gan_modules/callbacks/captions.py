"""Words on pictures."""

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from gan_modules.families.labels import class_page
from gan_modules.families.latent_model import LatentModel

__all__ = ["row_names", "with_row_names"]

SIZE = 14
"""Pixels of the letters."""
MARGIN = 6
"""Pixels around a name."""
LONGEST = 24
"""Letters of a name that are shown."""


def row_names(model: object, n: int, rows: int) -> list[str]:
    """The name of each row of a page of samples by class; empty for all rows but its first.

    Args:
        model: that drew the samples.
        n: number of images that were asked for.
        rows: of the page.

    Returns:
        ``rows`` names; of none if the classes have none, or a row holds several.
    """
    if not isinstance(model, LatentModel) or not model.num_classes:
        return []
    names, page = model.class_names, class_page(n, model.num_classes)
    if len(names) != model.num_classes or len(page) != rows or (page != page[:, :1]).any():
        return []
    classes = page[:, 0].tolist()
    begins = [i == 0 or classes[i - 1] != k for i, k in enumerate(classes)]
    return [names[k] if first else "" for k, first in zip(classes, begins, strict=True)]


def with_row_names(page: Tensor, names: Sequence[str]) -> Tensor:
    """A page of images with the name of each row at its left.

    Args:
        page: ``(3, height, width)`` in [0, 1], of rows of one height.
        names: one per row; as it is if there are none.
    """
    if not any(names):
        return page
    font = ImageFont.load_default(SIZE)
    shown = [n if len(n) <= LONGEST else f"{n[: LONGEST - 1]}…" for n in names]
    width = max(int(font.getlength(name)) for name in shown) + 2 * MARGIN
    column = Image.new("RGB", (width, page.shape[1]), "white")
    draw = ImageDraw.Draw(column)
    height = page.shape[1] / len(names)
    for row, name in enumerate(shown):
        place = (width - MARGIN, (row + 0.5) * height)
        draw.text(place, name, fill="black", font=font, anchor="rm")
    return torch.cat([pil_to_tensor(column).to(page) / 255, page], dim=2)
