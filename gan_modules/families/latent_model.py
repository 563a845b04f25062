"""Models that map a random latent vector to an image."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.families.factories import GeneratorFactory, build
from gan_modules.families.latents import LatentDistribution, make_latents
from gan_modules.families.truncation import Truncating
from gan_modules.training.batches import Batch, check_labels, is_shape
from gan_modules.training.fitting import Check, check_fakes
from gan_modules.training.range_watch import Range

__all__ = ["LatentModel"]


class LatentModel(Truncating):
    """A model that maps a random latent vector to an image, adversarial or not.

    Args:
        image_shape: ``(C, H, W)`` of the images, ``(C, L)`` of sequences, or ``(D,)`` for points in
            ``D`` dimensions; from the command line it comes with the data.
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
        right = "(C, H, W), (C, L) for sequences, or (D,) for points"
        require(is_shape(image_shape, (1, 2, 3)), "image_shape", image_shape, right)
        require(
            num_classes >= 2 or not conditional,
            "num_classes",
            num_classes,
            "at least 2 if conditional",
        )
        self.image_shape = tuple(image_shape)
        self.latent = make_latents(latent_distribution, latent_dim)
        self.num_classes = num_classes if conditional else 0
        # what networks are made of, until they are: a module kept here is no part of this one
        self._given: dict[str, Any] = {"generator": generator}

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

    def fakes(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the generator in training makes of latents, given labels if it is conditional."""
        images: Tensor = self.generator(z, *self.condition(labels))
        return images

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

    def ranges(self, batch: Batch) -> list[Range]:
        """The images, and the labels if the model is conditional."""
        labels = [Range("labels", c, 0, self.num_classes - 1) for c in self.condition(batch[1])]
        return [*super().ranges(batch), *labels]

    def checks(self, images: Tensor) -> dict[str, tuple[nn.Module, Check]]:
        """The generator makes images of the real ones' shape."""
        return {"generator": (self.generator, check_fakes(images))}
