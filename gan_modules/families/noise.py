"""The family of GANs whose generator maps a random latent vector to an image."""

import math
from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor

from gan_modules.families.factories import DiscriminatorFactory, GeneratorFactory, build
from gan_modules.families.latents import slerp, truncate_normal
from gan_modules.networks.layers.blocks import has_batch_norm
from gan_modules.training.batches import Batch, as_batch, check_labels, is_shape
from gan_modules.training.fitting import FirstUse
from gan_modules.training.module import GANModule, require

__all__ = ["NoiseGAN"]


class NoiseGAN(GANModule):
    """A GAN whose generator maps a random latent vector to an image.

    Args:
        image_shape: ``(C, H, W)`` of the images, or ``(D,)`` for points in ``D`` dimensions; from
            the command line it comes with the data.
        latent_dim: size of the latent vector.
        latent_distribution: ``"normal"`` draws latents from N(0, 1), ``"uniform"`` from [-1, 1).
        num_classes: number of classes in the data; from the command line it comes with the data.
            The attribute of this name is 0 unless the model is conditional.
        conditional: give both networks the labels of the images.
        generator: a generator, or a class or function that builds one, in place of the paper's.
        discriminator: a discriminator, or a class or function that builds one, likewise.
        **kwargs: options of :class:`GANModule`.

    Raises:
        ValueError: if an option is out of its range or a network does not fit ``image_shape``.
    """

    def __init__(
        self,
        *,
        image_shape: Sequence[int],
        latent_dim: int,
        latent_distribution: Literal["normal", "uniform"] = "normal",
        num_classes: int = 0,
        conditional: bool = False,
        generator: GeneratorFactory | None = None,
        discriminator: DiscriminatorFactory | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        right = "(C, H, W), or (D,) for points"
        require(is_shape(image_shape, (1, 3)), "image_shape", image_shape, right)
        require(latent_dim >= 1, "latent_dim", latent_dim, "at least 1")
        require(
            latent_distribution in ("normal", "uniform"),
            "latent_distribution",
            latent_distribution,
            "normal or uniform",
        )
        require(
            num_classes >= 2 or not conditional,
            "num_classes",
            num_classes,
            "at least 2 if conditional",
        )
        self.image_shape = tuple(image_shape)
        self.latent_dim = latent_dim
        self.latent_distribution = latent_distribution
        self.num_classes = num_classes if conditional else 0
        classes = {"num_classes": num_classes} if conditional else {}
        self.set_networks(
            build(
                "generator",
                generator,
                self.build_generator,
                image_shape=self.image_shape,
                latent_dim=latent_dim,
                **classes,
            ),
            build(
                "discriminator",
                discriminator,
                self.build_discriminator,
                image_shape=self.image_shape,
                **classes,
            ),
        )
        self._judges_singly = not has_batch_norm(self.discriminator)
        self._first_use = FirstUse()

    def sample_noise(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` latents from the latent distribution, shape ``(n, latent_dim)``.

        Args:
            n: number of latents.
            generator: where the randomness comes from; by default the device's own.
        """
        device = self.device if generator is None else generator.device
        z = torch.empty(n, self.latent_dim, device=device, dtype=cast(torch.dtype, self.dtype))
        if self.latent_distribution == "normal":
            z.normal_(generator=generator)
        else:
            z.uniform_(-1, 1, generator=generator)
        return z.to(self.device)

    def generate(self, batch: Batch) -> Tensor:
        """As many fakes as the batch has images, with its labels if the model is conditional."""
        images, labels = batch
        z = self.sample_noise(len(images))
        conditions = self.condition(labels)
        return self._first_use.fakes("generator", self.generator, images, z, *conditions)

    def discriminate(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Logits ``(N,)`` of the images, given their labels if the model is conditional."""
        conditions = self.condition(labels)
        return self._first_use.logits("discriminator", self.discriminator, images, *conditions)

    def discriminate_both(
        self, real: Tensor, fake: Tensor, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Logits of real and of fake images, in one forward pass where that changes nothing.

        Batch normalisation would mix the two, which its users keep apart: they take two passes.
        Override this for a discriminator that mixes samples in another way.
        """
        if not self._judges_singly:
            return self.discriminate(real, labels), self.discriminate(fake, labels)
        conditions = [condition.repeat(2) for condition in self.condition(labels)]
        images = torch.cat([real, fake])
        logits = self._first_use.logits("discriminator", self.discriminator, images, *conditions)
        real_logits, fake_logits = logits.chunk(2)
        return real_logits, fake_logits

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
        if truncation is None:
            return z
        if self.latent_distribution == "normal":
            require(truncation > 0, "truncation", truncation, "positive")
            return truncate_normal(z, truncation)
        require(0 < truncation <= 1, "truncation", truncation, "in (0, 1] for uniform latents")
        truncated: Tensor = z * truncation
        return truncated

    @torch.no_grad()
    def sample(
        self,
        n: int,
        labels: Tensor | Sequence[int] | None = None,
        seed: int | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Draw ``n`` images from the averaged generator, in evaluation mode.

        Args:
            n: number of images.
            labels: ``n`` classes, for a conditional model; by default 0, 1, 2, ... in turn.
            seed: fixes the latents, see :meth:`latents`.
            truncation: of the latents, likewise.

        Returns:
            Float images in [-1, 1], shape ``(n, C, H, W)``, on the model's device.

        Raises:
            ValueError: if an option is out of its range, or labels are given to an unconditional
                model, or are not ``n`` integers in ``[0, num_classes)``.
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
        labels: Tensor | Sequence[int] | None = None,
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
        """Latents between two: on the great circle, or straight if latents are uniform.

        Args:
            first: where weight is 0, shape ``(..., latent_dim)``.
            second: where weight is 1, shape ``(..., latent_dim)``.
            weight: from 0 to 1, broadcast against ``(..., 1)``.

        Returns:
            Shape ``(..., latent_dim)``.
        """
        path = slerp if self.latent_distribution == "normal" else torch.lerp
        return path(first, second, weight)

    def sample_grid(self, n: int, seed: int, batch: Batch) -> Tensor:
        """Samples, shape ``(rows, columns, C, H, W)``: a square, or one class per row."""
        if not self.num_classes:
            columns = math.ceil(math.sqrt(n))
            rows = math.ceil(n / columns)
            labels = None
        else:
            rows = min(n, self.num_classes)
            columns = n // rows
            labels = torch.arange(rows).repeat_interleave(columns)
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

    def sample_labels(self, n: int, labels: Tensor | Sequence[int] | None = None) -> Tensor | None:
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
        chosen = torch.as_tensor(labels)
        in_range = bool(((chosen >= 0) & (chosen < self.num_classes)).all())
        if chosen.shape != (n,) or chosen.is_floating_point() or not in_range:
            raise ValueError(
                f"labels={chosen.tolist()} must be {n} integers in [0, {self.num_classes - 1}]"
            )
        return chosen.long().to(self.device)

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
