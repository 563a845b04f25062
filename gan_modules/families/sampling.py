"""The sampling interface, which models with latents share."""

import math
from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor

from gan_modules.errors import require
from gan_modules.families.labels import class_numbers, class_page
from gan_modules.families.latents import Latents
from gan_modules.families.spaces import LatentSpace, Space
from gan_modules.seeding import derive_seed
from gan_modules.training.batches import Batch
from gan_modules.training.module import GenerativeModule

__all__ = ["Sampling"]

BLOCK = 64
"""Latents that one seed draws."""
TOGETHER = 256
"""Images that are sampled in one forward pass."""


class Sampling(GenerativeModule):
    """The sampling interface: images of random latents, ways between them, grids of them."""

    image_shape: tuple[int, ...]
    num_classes: int
    latent: Latents

    spaces: ClassVar[tuple[type[Space], ...]] = (LatentSpace,)
    """What has points between which there are ways, and that images can be found in."""

    @property
    def latent_dim(self) -> int:
        """Size of a latent."""
        return self.latent.dim

    @property
    def latent_distribution(self) -> str:
        """Name of what latents are drawn from."""
        return self.latent.name

    def sample_noise(self, n: int) -> Tensor:
        """Draw ``n`` latents from the device's own random state, shape ``(n, latent_dim)``."""
        dtype = cast(torch.dtype, self.dtype)
        z = torch.empty(n, self.latent.dim, device=self.device, dtype=dtype)
        return self.latent.fill(z, None)

    def condition(self, labels: Tensor | None) -> tuple[Tensor, ...]:
        """What follows the input of both networks: the labels if the model is conditional.

        Raises:
            ValueError: if the model is conditional and the batch has no labels.
        """
        if not self.num_classes:
            return ()
        if labels is None:
            raise ValueError(
                f"{type(self).__name__} is conditional: its DataLoader must give (images, labels)"
            )
        return (labels,)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images in [-1, 1] with the averaged generator.

        In evaluation mode: batch normalisation neither depends on the batch nor learns from it.
        """
        with self.evaluating():
            images: Tensor = self.sampler(z, *self.condition(labels))
        return images

    def latents(self, n: int, seed: int | None = None, truncation: float | None = None) -> Tensor:
        """The latents that :meth:`sample` turns into images, shape ``(n, latent_dim)``.

        Args:
            n: number of latents.
            seed: fixes them, on every device and in every precision the same, the first ones
                whatever ``n`` is, and leaves the global random state alone; by default the global
                random state is used.
            truncation: largest magnitude of a component: the truncation trick of Brock et al. 2018
                (arXiv:1809.11096), who draw components beyond it again. The lower, the closer to
                the mean of the latents, which gives up variety for, it is hoped, fidelity.

        Raises:
            ValueError: if ``n`` or ``truncation`` is not positive, or uniform latents, which end
                at 1, are truncated above.
        """
        require(n >= 1, "n", n, "at least 1")
        z = self.sample_noise(n) if seed is None else self._seeded_noise(n, seed)
        return z if truncation is None else self.latent.truncate(z, truncation)

    def _seeded_noise(self, n: int, seed: int) -> Tensor:
        """Latents of which the first are the same however many there are, in whatever type."""
        blocks = []
        for number in range(math.ceil(n / BLOCK)):
            generator = torch.Generator().manual_seed(derive_seed(seed, "latents", number))
            blocks.append(self.latent.fill(torch.empty(BLOCK, self.latent.dim), generator))
        return torch.cat(blocks)[:n].to(self.device, cast(torch.dtype, self.dtype))

    @torch.no_grad()
    def sample(
        self,
        n: int,
        labels: Tensor | Sequence[int | str] | None = None,
        seed: int | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Draw ``n`` images from the averaged generator, in evaluation mode.

        Args:
            n: number of images.
            labels: ``n`` classes, for a conditional model, by number or by the data's name; by
                default 0, 1, 2, ... in turn.
            seed: fixes the latents, see :meth:`latents`.
            truncation: of the latents, likewise.

        Returns:
            Float images in [-1, 1], shape ``(n, C, H, W)``, on the model's device.

        Raises:
            ValueError: if an option is out of its range, or labels are given to an unconditional
                model, or are not ``n`` classes that there are.
        """
        z = self.latents(n, seed, truncation)
        return self.images_of(z, self.sample_labels(n, labels))

    def images_of(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Images of latents, in batches: memory for the layers between does not grow with them."""
        return LatentSpace(self).in_batches(z, labels, TOGETHER)

    def space(self, name: str) -> Space:
        """The space of that name: ``z``, and ``w`` and ``w+`` of models with styles.

        Raises:
            ValueError: if the model has none of that name.
        """
        known = {space.name: space(self) for space in self.spaces}
        require(name in known, "space", name, f"{' or '.join(known)} for {type(self).__name__}")
        return known[name]

    @torch.no_grad()
    def interpolate(
        self,
        n: int,
        steps: int,
        seed: int | None = None,
        labels: Tensor | Sequence[int | str] | None = None,
        space: str = "z",
    ) -> Tensor:
        """Walk from one latent to another: on great circles, or straight if they are uniform.

        Args:
            n: number of walks, each between two latents of its own.
            steps: images in a walk, both ends among them.
            seed: fixes the latents, see :meth:`latents`.
            labels: of the walks, as in :meth:`sample`.
            space: where to walk, see :meth:`space`; straight between styles.

        Returns:
            Float images in [-1, 1], shape ``(n, steps, C, H, W)``, on the model's device.

        Raises:
            ValueError: if an option is out of its range, or labels as in :meth:`sample`.
        """
        require(n >= 1, "n", n, "at least 1")
        require(steps >= 2, "steps", steps, "at least 2")
        there = self.space(space)
        chosen = self.sample_labels(n, labels)
        both = None if chosen is None else chosen.repeat_interleave(2)
        ends = there.points(self.latents(2 * n, seed), both).unflatten(0, (n, 2))
        weight = torch.linspace(0, 1, steps).to(ends).reshape(steps, *[1] * len(there.shape))
        points = there.between(ends[:, :1], ends[:, 1:], weight).flatten(0, 1)
        classes = None if chosen is None else chosen.repeat_interleave(steps)
        walks: Tensor = there.in_batches(points, classes, TOGETHER).unflatten(0, (n, steps))
        return walks

    def between(self, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """Latents between two, as their distribution has it: on the great circle if normal.

        Args:
            first: where weight is 0, shape ``(..., latent_dim)``.
            second: where weight is 1, shape ``(..., latent_dim)``.
            weight: from 0 to 1, broadcast against ``(..., 1)``.

        Returns:
            Shape ``(..., latent_dim)``.
        """
        return self.latent.between(first, second, weight)

    def sample_grid(self, n: int, seed: int, batch: Batch) -> Tensor:
        """Samples, shape ``(rows, columns, C, H, W)``: a square, or by class, see class_page."""
        if self.num_classes:
            page = class_page(n, self.num_classes)
            rows, columns, labels = *page.shape, page.flatten()
        else:
            columns = math.ceil(math.sqrt(n))
            rows, labels = math.ceil(n / columns), None
        images = self.sample(rows * columns, labels, seed)
        return images.reshape(rows, columns, *images.shape[1:])

    def real_and_fake(self, n: int, seed: int, batch: Batch) -> Tensor:
        """At most ``n`` images of a batch, and samples of the same classes if conditional.

        Returns:
            Float images in [-1, 1], shape ``(2, n, C, H, W)``, real ones first.
        """
        images, labels = batch
        real = images[:n]
        classes = next((labels[:n] for labels in self.condition(labels)), None)
        fake = self.sample(len(real), classes, seed)
        return torch.stack([real.to(fake), fake])

    def sample_table(self, n: int, seed: int, batch: Batch) -> dict[str, Tensor]:
        """``n`` samples as columns: ``image``, shape ``(n, C, H, W)``, and ``label`` if there is.

        The batch is not used.
        """
        labels = self.sample_labels(n)
        images = {"image": self.sample(n, labels, seed)}
        return images if labels is None else {**images, "label": labels}

    def sample_labels(
        self, n: int, labels: Tensor | Sequence[int | str] | None = None
    ) -> Tensor | None:
        """The classes of ``n`` samples, shape ``(n,)``, see :meth:`sample`; None if there are none.

        Raises:
            ValueError: as in :meth:`sample`.
        """
        if not self.num_classes:
            if labels is not None:
                raise ValueError(f"{type(self).__name__} is not conditional: it takes no labels")
            return None
        if labels is None:
            return torch.arange(n, device=self.device) % self.num_classes
        names = self.class_names if len(self.class_names) == self.num_classes else ()
        return class_numbers(labels, n, self.num_classes, names).to(self.device)
