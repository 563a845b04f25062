"""What the page of a model that translates shows. Nothing here knows of pages."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from gan_modules.callbacks.pictures import picture
from gan_modules.families.translation_model import DIRECTIONS, Direction, TranslationModel
from gan_modules.metrics.features import as_bytes
from gan_modules.tools.image_files import image_size, read_image

__all__ = ["Translated", "TranslationPictures"]

MOST_PIXELS = 1024 * 1024
"""Of an image that is translated in its own size."""
WIDTH = 384


class Translated(NamedTuple):
    """What went in, its translation, and that translated back, if there is a way back."""

    input: Image.Image
    translation: Image.Image
    reconstruction: Image.Image | None


class TranslationPictures:
    """Translations by a model, which is put in evaluation mode for good.

    Args:
        model: that translates.
        real: images of A and of B, float in [-1, 1], shape ``(N, C, H, W)``, if there are any.
    """

    def __init__(self, model: TranslationModel, real: Sequence[Tensor] = ()) -> None:
        self.model = model.eval().requires_grad_(False)
        self.real = real if len(real) == len(DIRECTIONS) else ()
        self.names = model.domain_names if len(model.domain_names) == 2 else ("A", "B")

    def example(self, direction: Direction, number: int) -> Image.Image | None:
        """A real image of the domain that a direction begins at, in its own size; None without.

        Args:
            direction: ``"a_to_b"`` or ``"b_to_a"``.
            number: which one; they go round.
        """
        if not self.real:
            return None
        images = self.real[DIRECTIONS.index(direction)]
        image: Image.Image = to_pil_image(as_bytes(images[number % len(images)]))
        return image

    @property
    def has_a_way_back(self) -> bool:
        """Whether the model translates in both directions."""
        return len(self.model.directions) > 1

    @torch.no_grad()
    def translate(
        self, path: str | Path, direction: Direction = "a_to_b", own_size: bool = False
    ) -> Translated:
        """Translate an image and, if the model can, back.

        Args:
            path: file of any format that PIL knows.
            direction: ``"a_to_b"`` or ``"b_to_a"``.
            own_size: leave the image as it is; otherwise its middle is cut out and resized to what
                the model was trained with.

        Raises:
            ValueError: if it cannot be read, or its own size is too large or none that the
                generator keeps.
        """
        channels, *trained = self.model.image_shape
        try:
            height, width = image_size(Path(path))
            if own_size and height * width > MOST_PIXELS:
                raise ValueError(
                    f"an image of {height} by {width} is too large to keep its size: choose "
                    f"{trained[0]} by {trained[1]}, or an image of at most {MOST_PIXELS:,} pixels"
                )
            size = None if own_size else cast(tuple[int, int], tuple(trained))
            images = read_image(Path(path), channels, size)[None].to(self.model.device)
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError("this file cannot be read as an image") from error
        back: Direction = DIRECTIONS[1 - DIRECTIONS.index(direction)]
        try:
            with self.model.drawing(0):
                made = [images, self.model(images.to(self.model.dtype), direction)]
                made += [self.model(made[1], back)] if self.has_a_way_back else []
        except RuntimeError as error:
            if not own_size:
                raise
            raise ValueError(_not_kept(height, width, trained)) from error
        if any(x.shape != images.shape for x in made):
            raise ValueError(_not_kept(height, width, trained))
        shown = [picture(x[None], WIDTH) for x in made]
        return Translated(shown[0], shown[1], shown[2] if self.has_a_way_back else None)


def _not_kept(height: int, width: int, trained: list[int]) -> str:
    return (
        f"the generator does not keep the size of an image of {height} by {width}: "
        f"choose {trained[0]} by {trained[1]}"
    )
