"""Images looked for in a model's latent space, edited, added up. Nothing here knows of pages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from gan_modules.callbacks.pictures import picture
from gan_modules.callbacks.sums import sum_page
from gan_modules.demo.pictures import WIDTH, SamplePictures
from gan_modules.families.encoding import EncodingModel
from gan_modules.tools.arithmetic import (
    Operand,
    Term,
    images_of,
    operand_of_class,
    operand_of_images,
)
from gan_modules.tools.image_files import read_image
from gan_modules.tools.inversion import invert

__all__ = ["EditingPictures", "Found"]

SUMS = 8
"""Columns of a sum of classes."""


class Found(NamedTuple):
    """Latents whose image is most like a given one."""

    image: Tensor
    """The given one, in [-1, 1], shape ``(1, C, H, W)``."""
    latents: Tensor
    """Shape ``(1, latent_dim)``."""
    error: float
    """Mean squared difference of the two images."""


class EditingPictures(SamplePictures):
    """Pictures of a model that draws samples, and of images of which there is a file."""

    @property
    def encodes(self) -> bool:
        """Whether latents are found by the model's encoder, at once, in place of step by step."""
        return isinstance(self.model, EncodingModel) and self.model.codes_are_latents

    def find(self, path: str | Path, label: int | None, steps: int) -> Found:
        """Look for an image.

        Args:
            path: of its file, of any format that PIL knows; its middle is cut out.
            label: its class, of a conditional model.
            steps: of the search, where there is no encoder.

        Raises:
            ValueError: if it cannot be read, or its class is missing.
        """
        images = self._read(path)
        labels = None if label is None else [label]
        if self.encodes:
            latents = cast(EncodingModel, self.model).encode(images)
        else:
            latents = invert(self.model, images, labels, steps=steps).latents
        made = self._images(latents, self.model.sample_labels(1, labels))
        return Found(images, latents, float((made - images).square().mean()))

    def edited(self, found: Found, label: int | None, offsets: Sequence[float]) -> Image.Image:
        """The image, what was found, and that moved in latent space, side by side.

        Args:
            found: of :meth:`find`.
            label: the class as which it is shown, of a conditional model.
            offsets: standard deviations of the latents to go along each direction.
        """
        labels = None if label is None else torch.tensor([label], device=self.model.device)
        z = torch.cat([found.latents, found.latents + self._shift(offsets)])
        made = self._images(z, None if labels is None else labels.expand(2))
        return picture(torch.cat([found.image, made])[None], WIDTH)

    def sum_of_classes(self, labels: Sequence[int], part: float, seed: int) -> Image.Image:
        """A part of ``a - b``, plus c, of three classes, with latents of a seed."""
        operands = [operand_of_class(self.model, label, SUMS, seed) for label in labels]
        names = [self.names[label] if self.names else str(label) for label in labels]
        return self._sum(operands, names, part, {})

    def sum_of_images(
        self, files: Sequence[Sequence[str | Path]], part: float, steps: int
    ) -> Image.Image:
        """A part of ``A - B``, plus C, of mean latents of images; of a model without classes.

        Args:
            files: of each of the three sets.
            part: of the difference.
            steps: of the search, where there is no encoder.

        Raises:
            ValueError: if a set is empty or a file cannot be read.
        """
        names = ["A", "B", "C"]
        for name, paths in zip(names, files, strict=True):
            if not paths:
                raise ValueError(f"{name} has no images: choose one file or more")
        sets = [torch.cat([self._read(path) for path in paths]) for paths in files]
        options: Any = {} if isinstance(self.model, EncodingModel) else {"steps": steps}
        found = [operand_of_images(self.model, images, **options) for images in sets]
        examples = dict(zip(names, sets, strict=True))
        return self._sum([operand.averaged() for operand in found], names, part, examples)

    def _sum(
        self,
        operands: Sequence[Operand],
        names: Sequence[str],
        part: float,
        examples: dict[str, Tensor],
    ) -> Image.Image:
        a, b, c = operands
        images = [images_of(self.model, operand) for operand in operands]
        terms = [Term(weight, name) for weight, name in zip((part, -part, 1), names, strict=True)]
        shown = dict(zip(names, images, strict=True))
        page = sum_page(terms, shown, images_of(self.model, part * (a - b) + c), examples)
        image: Image.Image = to_pil_image(page)
        return image

    def _read(self, path: str | Path) -> Tensor:
        channels, height, width = self.model.image_shape
        try:
            image = read_image(Path(path), channels, (height, width))
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError("this file cannot be read as an image") from error
        return image[None].to(self.model.device)
