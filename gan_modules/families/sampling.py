"""The sampling interface: models that map a random latent vector to an image."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.families.factories import GeneratorFactory, build
from gan_modules.families.labels import class_numbers, class_page
from gan_modules.families.latents import LatentDistribution, Latents, make_latents
from gan_modules.training.batches import Batch, as_batch, check_labels, is_shape
from gan_modules.training.fitting import Check, check_fakes
from gan_modules.training.module import GenerativeModule

__all__ = ["LatentModel"]


class LatentModel(GenerativeModule):
    """A model that maps a random latent vector to an image, adversarial or not.

    Args:
        image_shape: ``(C, H, W)`` of the images, or ``(D,)`` for points in ``D`` dimensions; from
            the command line it comes with the data.
        latent_dim: size of the latent vector.
        latent_distribution: ``"normal"`` draws latents from N(0, 1), ``"uniform"`` from [-1, 1),
            ``"sphere"`` from the sphere of radius ``sqrt(latent_dim)``.
        num_classes: number of classes in the data; from the command line it comes with the data.
            The attribute of this name is 0 unless the model is conditional.
        conditional: give the networks the labels of the images.
        generator: a generator, or a class or function that builds one, in place of the paper's.
        **kwargs: options of the family.

    Raises:
        ValueError: if an option is out of its range or a network does not fit ``image_shape``.
    """

    generator: nn.Module

    def __init__(
        self,
        *,
        image_shape: Sequence[int],
        latent_dim: int = 100,
        latent_distribution: LatentDistribution = "normal",
        num_classes: int = 0,
        conditional: bool = False,
        generator: GeneratorFactory | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        right = "(C, H, W), or (D,) for points"
        require(is_shape(image_shape, (1, 3)), "image_shape", image_shape, right)
        require(
            num_classes >= 2 or not conditional,
            "num_classes",
            num_classes,
            "at least 2 if conditional",
        )
        self.image_shape = tuple(image_shape)
        self.latent: Latents = make_latents(latent_distribution, latent_dim)
        self.num_classes = num_classes if conditional else 0
        # what networks are made of, until they are: a module kept here is no part of this one
        self._given: dict[str, Any] = {"generator": generator}

    @property
    def latent_dim(self) -> int:
        """Size of a latent."""
        return self.latent.dim

    @property
    def latent_distribution(self) -> str:
        """Name of what latents are drawn from."""
        return self.latent.name

    @abstractmethod
    def build_generator(self) -> nn.Module:
        """The paper's generator, used unless another one is passed as ``generator``."""

    def new_generator(self) -> nn.Module:
        """A generator: what was passed, what it builds, or the paper's."""
        classes = {"num_classes": self.num_classes} if self.num_classes else {}
        return build(
            "generator",
            self._given["generator"],
            self.build_generator,
            image_shape=self.image_shape,
            latent_dim=self.latent_dim,
            **classes,
        )

    def sample_noise(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` latents from the latent distribution, shape ``(n, latent_dim)``.

        Args:
            n: number of latents.
            generator: where the randomness comes from; by default the device's own.
        """
        device = self.device if generator is None else generator.device
        dtype = cast(torch.dtype, self.dtype)
        z = torch.empty(n, self.latent.dim, device=device, dtype=dtype)
        return self.latent.fill(z, generator).to(self.device)

    def fakes(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the generator in training makes of latents, given labels if it is conditional."""
        images: Tensor = self.generator(z, *self.condition(labels))
        return images

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
        """Map latents ``(N, latent_dim)`` to images in [-1, 1] with the averaged generator."""
        images: Tensor = self.sampler(z, *self.condition(labels))
        return images

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Images of a batch of latents ``(N, latent_dim)``, or of a pair of latents and labels."""
        images: Tensor = self(*as_batch(batch))
        return images

    def latents(self, n: int, seed: int | None = None, truncation: float | None = None) -> Tensor:
        """The latents that :meth:`sample` turns into images, shape ``(n, latent_dim)``.

        Args:
            n: number of latents.
            seed: fixes them, on every device the same, and leaves the global random state alone;
                by default the global random state is used.
            truncation: largest magnitude of a component: the truncation trick of Brock et al. 2018
                (arXiv:1809.11096), who draw components beyond it again. The lower, the closer to
                the mean of the latents, which gives up variety for, it is hoped, fidelity.

        Raises:
            ValueError: if ``n`` or ``truncation`` is not positive, or uniform latents, which end
                at 1, are truncated above.
        """
        require(n >= 1, "n", n, "at least 1")
        z = self.sample_noise(n, None if seed is None else torch.Generator().manual_seed(seed))
        return z if truncation is None else self.latent.truncate(z, truncation)

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
        chosen = self.sample_labels(n, labels)
        with self.evaluating():
            images: Tensor = self(z, chosen)
        return images

    @torch.no_grad()
    def interpolate(
        self,
        n: int,
        steps: int,
        seed: int | None = None,
        labels: Tensor | Sequence[int | str] | None = None,
    ) -> Tensor:
        """Walk from one latent to another: on great circles, or straight if they are uniform.

        Args:
            n: number of walks, each between two latents of its own.
            steps: images in a walk, both ends among them.
            seed: fixes the latents, see :meth:`latents`.
            labels: of the walks, as in :meth:`sample`.

        Returns:
            Float images in [-1, 1], shape ``(n, steps, C, H, W)``, on the model's device.

        Raises:
            ValueError: if an option is out of its range, or labels as in :meth:`sample`.
        """
        require(n >= 1, "n", n, "at least 1")
        require(steps >= 2, "steps", steps, "at least 2")
        first, second = self.latents(2 * n, seed).unflatten(0, (2, n)).unsqueeze(2)
        weight = torch.linspace(0, 1, steps).to(first)[:, None]
        chosen = self.sample_labels(n, labels)
        with self.evaluating():
            images: Tensor = self(
                self.between(first, second, weight).flatten(0, 1),
                None if chosen is None else chosen.repeat_interleave(steps),
            )
        walks: Tensor = images.unflatten(0, (n, steps))
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

    def check_batch(self, batch: Batch) -> None:
        """Check the range of the images, their shape, and the range of the labels."""
        super().check_batch(batch)
        images, labels = batch
        if tuple(images.shape[1:]) != self.image_shape:
            raise ValueError(
                f"the DataLoader gives images of shape {tuple(images.shape[1:])}, "
                f"but the model was built with image_shape={self.image_shape}"
            )
        for chosen in self.condition(labels):
            check_labels(chosen, len(images), self.num_classes)

    def checks(self, images: Tensor) -> dict[str, tuple[nn.Module, Check]]:
        """The generator makes images of the real ones' shape."""
        return {"generator": (self.generator, check_fakes(images))}
