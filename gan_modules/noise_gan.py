"""The family of GANs whose generator maps a random latent vector to an image."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from gan_modules.base import GANModule, raised_by, require
from gan_modules.batches import Batch, is_shape
from gan_modules.networks.blocks import has_batch_norm
from gan_modules.networks.fitting import FirstUse

__all__ = ["DiscriminatorFactory", "GeneratorFactory", "NoiseGAN"]


class GeneratorFactory(Protocol):
    """A class or function that builds a generator; ``num_classes`` is passed if conditional."""

    def __call__(
        self, *, image_shape: tuple[int, ...], latent_dim: int, num_classes: int = 0
    ) -> nn.Module:
        """Build it."""
        ...


class DiscriminatorFactory(Protocol):
    """A class or function that builds a discriminator; ``num_classes`` is passed if conditional."""

    def __call__(self, *, image_shape: tuple[int, ...], num_classes: int = 0) -> nn.Module:
        """Build it."""
        ...


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
            _build(
                "generator",
                generator,
                self.build_generator,
                image_shape=self.image_shape,
                latent_dim=latent_dim,
                **classes,
            ),
            _build(
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

    @torch.no_grad()
    def sample(
        self, n: int, labels: Tensor | Sequence[int] | None = None, seed: int | None = None
    ) -> Tensor:
        """Draw ``n`` images from the averaged generator, in evaluation mode.

        Args:
            n: number of images.
            labels: ``n`` classes, for a conditional model; by default 0, 1, 2, ... in turn.
            seed: fixes the latents, on every device the same, and leaves the global random state
                alone; by default the global random state is used.

        Returns:
            Float images in [-1, 1], shape ``(n, C, H, W)``, on the model's device.

        Raises:
            ValueError: if ``n`` is not positive, or labels are given to an unconditional model,
                or are not ``n`` integers in ``[0, num_classes)``.
        """
        require(n >= 1, "n", n, "at least 1")
        chosen = self._sample_labels(n, labels)
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        z = self.sample_noise(n, generator)
        with self.evaluating():
            images: Tensor = self(z, chosen)
        return images

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

    def _sample_labels(self, n: int, labels: Tensor | Sequence[int] | None) -> Tensor | None:
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
            if chosen.shape != (len(images),) or chosen.is_floating_point():
                raise ValueError(
                    f"the DataLoader gives {chosen.dtype} labels of shape {tuple(chosen.shape)} "
                    f"with {len(images)} images: they must be integers, one per image"
                )
            low, high = int(chosen.min()), int(chosen.max())
            if low < 0 or high >= self.num_classes:
                raise ValueError(
                    f"the DataLoader gives labels from {low} to {high}, "
                    f"but num_classes={self.num_classes} allows 0 to {self.num_classes - 1}"
                )


def _build(name: str, given: Any, default: Callable[[], nn.Module], **arguments: Any) -> nn.Module:
    """A network passed as a module, built by what was passed, or the paper's."""
    if given is None:
        return default()
    if isinstance(given, nn.Module):
        return given
    with raised_by(name, *arguments):
        network: nn.Module = given(**arguments)
    return network
