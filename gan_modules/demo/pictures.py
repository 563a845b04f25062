"""What the page shows, as functions of what is set on it. Nothing here knows of pages."""

import base64
from collections.abc import Sequence
from io import BytesIO
from math import ceil, sqrt
from threading import Lock

import torch
from PIL import Image
from torch import Tensor

from gan_modules.callbacks.pictures import FRAME, picture, there_and_back
from gan_modules.families.labels import rows_of_each
from gan_modules.families.latent_model import LatentModel
from gan_modules.families.styled import StyledGAN
from gan_modules.tools.directions import Directions, latent_directions

__all__ = ["SamplePictures"]

WIDTH = 640
"""Pixels that a picture is wide, more or less."""
SUBJECTS = 8
"""Samples that directions are shown with."""
CLASSES = 10
"""Classes that are shown side by side, at most."""
DIRECTIONS = 6
"""Directions that have a slider, at most."""
REACH = 4.0
"""Standard deviations that a slider goes to either side."""
COLUMNS = 9
"""Images in a strip; the number is odd, so that one is in the middle."""
MIXED = 6
"""Samples in the first column, and in the first row, of mixtures."""
FRAMES = 17
"""Images in an animation, from one end to the other."""


class SamplePictures:
    """Pictures of a model that draws samples.

    They depend on the arguments alone: one seed, one picture, whoever else asks for another at the
    same time. The model is put in evaluation mode for good.

    Args:
        model: of images, not of points.
        real: real images to be shown beside, float in [-1, 1], shape ``(N, C, H, W)``.
    """

    def __init__(self, model: LatentModel, real: Tensor | None = None) -> None:
        self.real = real
        # otherwise two requests at once would leave each other's mode behind
        self.model = model.eval().requires_grad_(False)
        uniform = model.latent_distribution == "uniform"
        self.most_truncation = model.least_truncation
        """Where the slider of truncation ends: from there on nothing is truncated."""
        self.deviation = sqrt(1 / 3) if uniform else 1.0
        """Standard deviation of a component of the latents."""
        self.n_directions = min(DIRECTIONS, model.latent_dim)
        self._directions: Directions | None = None
        self._lock = Lock()

    @property
    def directions(self) -> Directions:
        """The model's latent directions; found when they are first asked for."""
        with self._lock:
            if self._directions is None:
                self._directions = latent_directions(self.model, self.n_directions)
        return self._directions

    def samples(
        self, seed: int, n: int = 64, label: int | None = None, truncation: float | None = None
    ) -> Image.Image:
        """Samples in a square, or of a conditional model class by class, each in rows of its own.

        Args:
            seed: of the latents.
            n: number of samples; in rows of classes as many as fit, at least one of each.
            label: a class for all of them; None for every class.
            truncation: see :meth:`Truncating.truncated`; from ``most_truncation`` on there is none.
        """
        columns, labels, names = ceil(sqrt(n)), None, []
        if self.model.num_classes and label is None:
            each = max(1, n // self.model.num_classes)
            rows = rows_of_each(each, self.model.num_classes)
            columns = each // rows
            n = columns * rows * self.model.num_classes
            labels = torch.arange(n) // (columns * rows)
            names = [part for name in self.names for part in (name, *[""] * (rows - 1))]
        elif label is not None:
            labels = torch.full((n,), label)
        if truncation is None or truncation >= self.most_truncation:
            images = self.model.sample(n, labels, seed)
        else:
            images = self.model.truncated(n, truncation, labels, seed)
        missing = -len(images) % columns
        images = torch.cat([images, -torch.ones_like(images[:1]).expand(missing, -1, -1, -1)])
        page = images.unflatten(0, (-1, columns))
        return picture(page, WIDTH, names)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes; empty where they have none."""
        names = self.model.class_names
        return names if len(names) == self.model.num_classes else ()

    def real_images(self) -> Image.Image | None:
        """Real images in a square; None if there are none."""
        if self.real is None:
            return None
        columns = ceil(sqrt(len(self.real)))
        missing = -len(self.real) % columns
        blank = -torch.ones_like(self.real[:1]).expand(missing, -1, -1, -1)
        return picture(torch.cat([self.real, blank]).unflatten(0, (-1, columns)), WIDTH // 2)

    def moved(self, seed: int, label: int | None, offsets: Sequence[float]) -> Image.Image:
        """Samples above, and below them the same samples moved in latent space.

        Args:
            seed: of the latents.
            label: a class for all; None for one latent in every class of a conditional model.
            offsets: standard deviations of the latents to go along each direction.
        """
        z, labels = self._subjects(seed, label)
        images = self._images(z, labels), self._images(z + self._shift(offsets), labels)
        return picture(torch.stack(images), WIDTH)

    def overview(self, seed: int, label: int | None) -> Image.Image:
        """One direction per row, from the left end of its slider to the right, of one sample."""
        z, labels = self._subjects(seed, label)
        amounts = torch.linspace(-REACH, REACH, COLUMNS).to(z)
        steps = amounts[:, None] * self.deviation * self.directions.directions[:, None]
        path = (z[0] + steps).flatten(0, 1)
        one = None if labels is None else labels[:1].expand(len(path))
        return picture(self._images(path, one).unflatten(0, (-1, COLUMNS)), WIDTH)

    def between(self, first: int, second: int, label: int | None, position: float) -> Image.Image:
        """The image between those of two seeds, at ``position`` in [0, 1]; one for each class."""
        return picture(
            self._walks(first, second, label, torch.tensor([position])).movedim(1, 0), WIDTH
        )

    def strip(self, first: int, second: int, label: int | None) -> Image.Image:
        """The way from one seed's image to the other's; one row for each class."""
        walks = self._walks(first, second, label, torch.linspace(0, 1, COLUMNS))
        return picture(walks, WIDTH, self.names[: len(walks)] if label is None else ())

    def animation(self, first: int, second: int, label: int | None) -> str:
        """The same way there and back, moving, as the address (``data:``) of a GIF."""
        walks = self._walks(first, second, label, torch.linspace(0, 1, FRAMES))
        first_frame, *others = there_and_back(walks, WIDTH // 2)
        file = BytesIO()
        first_frame.save(file, "gif", save_all=True, append_images=others, loop=0, duration=FRAME)
        return f"data:image/gif;base64,{base64.b64encode(file.getvalue()).decode()}"

    @property
    def layers(self) -> int:
        """Layers that have styles; 0 for a model without."""
        return self.model.generator.num_layers if isinstance(self.model, StyledGAN) else 0

    def mixtures(self, seed: int, crossover: int, psi: float = 1.0) -> Image.Image:
        """Samples and their mixtures, see :class:`StyleMixing`; of a model with styles.

        Args:
            seed: of the latents.
            crossover: layers, from the coarsest on, whose styles are those of the first row; with
                all of them cells are as the first row.
            psi: how far styles are from their mean, in [0, 1].
        """
        assert isinstance(self.model, StyledGAN)
        last = max(1, min(crossover, self.layers))
        images = self.model.mix(MIXED, MIXED, seed, last=last, psi=psi)
        return picture(images, WIDTH)

    def _walks(self, first: int, second: int, label: int | None, positions: Tensor) -> Tensor:
        """Shape ``(classes or 1, len(positions), C, H, W)``."""
        start, end = (self.model.latents(1, seed) for seed in (first, second))
        path = self.model.between(start, end, positions.to(start)[:, None])
        labels = self._classes(label)
        rows = [None] if labels is None else labels
        return torch.stack(
            [self._images(path, None if k is None else k.expand(len(path))) for k in rows]
        )

    def _shift(self, offsets: Sequence[float]) -> Tensor:
        directions = self.directions.directions
        return torch.tensor(offsets).to(directions) * self.deviation @ directions

    def _subjects(self, seed: int, label: int | None) -> tuple[Tensor, Tensor | None]:
        """Latents and labels of the samples that are shown before and after."""
        labels = self._classes(label)
        if labels is None or label is not None:
            z = self.model.latents(SUBJECTS, seed)
            return z, None if labels is None else labels.expand(SUBJECTS)
        return self.model.latents(1, seed).expand(len(labels), -1), labels

    def _classes(self, label: int | None) -> Tensor | None:
        """The class, the first ones where none is chosen, or None without classes."""
        if not self.model.num_classes:
            return None
        if label is None:
            return torch.arange(min(CLASSES, self.model.num_classes), device=self.model.device)
        return self.model.sample_labels(1, [label])

    def _images(self, z: Tensor, labels: Tensor | None) -> Tensor:
        with torch.no_grad():
            images: Tensor = self.model(z, labels)
        return images
