"""Models that map images back to latents."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.families.factories import EncoderFactory, build
from gan_modules.families.latent_model import LatentModel
from gan_modules.families.sampling import TOGETHER
from gan_modules.training.fitting import Check

__all__ = ["EncodingModel", "check_codes", "gaussian_sample"]

Codes = Literal["any", "gaussian", "plain"]


class EncodingModel(LatentModel):
    """A latent model with an encoder: images, their codes, and images again.

    The encoder gives codes ``(N, code_dim)``, or means and log-variances of Gaussians over them,
    each ``(N, code_dim)``. Codes are latents, unless a paper has another space for them.

    Args:
        encoder: an encoder, or a class or function that builds one, in place of the paper's.
        **kwargs: options of :class:`LatentModel`.

    Raises:
        ValueError: if an option is out of its range or a network does not fit ``image_shape``.
    """

    averaged: ClassVar[tuple[str, ...]] = ("generator", "encoder")

    codes: ClassVar[Codes] = "any"
    """Whether the encoder gives ``"plain"`` codes, Gaussians, or either."""

    codes_are_latents: ClassVar[bool] = True
    """Whether images are made of codes as they are of latents."""

    encoder: nn.Module

    def __init__(self, *, encoder: EncoderFactory | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._given["encoder"] = encoder

    @property
    def code_dim(self) -> int:
        """Size of a code, that of a latent by default."""
        return self.latent_dim

    def build_networks(self) -> None:
        """The networks: what was passed, or the paper's."""
        self.generator = self.new_generator()
        self.encoder = self.new_encoder()
        self._given.clear()

    def new_encoder(self) -> nn.Module:
        """An encoder: what was passed, what it builds, or the paper's."""
        sizes = {"image_shape": self.image_shape, "latent_dim": self.code_dim}
        return build("encoder", self._given["encoder"], self.build_encoder, **sizes)

    @abstractmethod
    def build_encoder(self) -> nn.Module:
        """The paper's encoder, used unless another one is passed as ``encoder``."""

    def draw_codes(self, images: Tensor) -> Tensor:
        """Codes of images by the encoder in training: drawn, where it gives Gaussians."""
        output = self.encoder(images)
        codes: Tensor = gaussian_sample(*output) if isinstance(output, tuple) else output
        return codes

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] of codes ``(N, code_dim)``, as :meth:`sample` does."""
        return self.images_of(codes, next(iter(self.condition(labels)), None))

    def between_codes(self, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """Codes between two, see :meth:`between`."""
        return self.between(first, second, weight)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Codes of images, in evaluation mode: the means, where the encoder gives Gaussians.

        Args:
            images: float in [-1, 1], shape ``(N, C, H, W)``.

        Returns:
            Shape ``(N, code_dim)``, on the model's device.

        Raises:
            ValueError: if images have another shape than ``image_shape``.
        """
        shape = tuple(images.shape)
        require(shape[1:] == self.image_shape, "images", shape, f"(N, *{self.image_shape})")
        images = images.to(self.device, cast(torch.dtype, self.dtype))
        encoder = self.averaged_or_live("encoder")
        with self.evaluating():
            outputs = [encoder(part) for part in images.split(TOGETHER)]
        return torch.cat([o[0] if isinstance(o, tuple) else o for o in outputs])

    @torch.no_grad()
    def reconstruct(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] by way of their codes.

        Args:
            images: float in [-1, 1], shape ``(N, C, H, W)``.
            labels: their classes ``(N,)``, if the model is conditional.

        Raises:
            ValueError: as :meth:`encode`, or if a conditional model is given no labels.
        """
        return self.decode(self.encode(images), labels)

    @torch.no_grad()
    def interpolate_between(
        self,
        images_a: Tensor,
        images_b: Tensor,
        steps: int,
        labels: Tensor | Sequence[int | str] | None = None,
    ) -> Tensor:
        """Walk from one given image to another by way of their codes.

        Args:
            images_a: where walks begin, float in [-1, 1], shape ``(N, C, H, W)``.
            images_b: where they end, as many.
            steps: images in a walk, both ends among them, which are reconstructions.
            labels: of the walks, as in :meth:`sample`.

        Returns:
            Float images in [-1, 1], shape ``(N, steps, C, H, W)``, on the model's device.

        Raises:
            ValueError: as :meth:`encode`, if there are not as many ends as beginnings, if there are
                fewer than two steps, or for labels as in :meth:`sample`.
        """
        require(steps >= 2, "steps", steps, "at least 2")
        n = len(images_a)
        require(len(images_b) == n, "images_b", f"{len(images_b)} images", f"{n}, as images_a")
        first, second = (self.encode(images)[:, None] for images in (images_a, images_b))
        weight = torch.linspace(0, 1, steps).to(first)[:, None]
        chosen = self.sample_labels(n, labels)
        images = self.decode(
            self.between_codes(first, second, weight).flatten(0, 1),
            None if chosen is None else chosen.repeat_interleave(steps),
        )
        walks: Tensor = images.unflatten(0, (n, steps))
        return walks

    def checks(self, images: Tensor) -> dict[str, tuple[nn.Module, Check]]:
        """The encoder gives codes of the right size."""
        check = check_codes(self.code_dim, self.codes)
        return {**super().checks(images), "encoder": (self.encoder, check)}


def gaussian_sample(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Draw from Gaussians, with a gradient for both arguments.

    Args:
        mean: shape ``(N, D)``.
        log_variance: logarithms of the variances, same shape.
    """
    return mean + (log_variance / 2).exp() * torch.randn_like(mean)


def check_codes(code_dim: int, codes: Codes = "any") -> Check:
    """Raises ``ValueError`` unless an encoder gives a code of that size for every image."""
    wanted = {
        "plain": f"codes of shape (N, {code_dim})",
        "gaussian": f"means and log-variances, both of shape (N, {code_dim})",
        "any": f"codes of shape (N, {code_dim}), or means and log-variances of that shape",
    }[codes]

    def check(name: str, output: Any, inputs: tuple[Any, ...]) -> None:
        parts = output if isinstance(output, tuple) else (output,)
        kinds = {"plain": (1,), "gaussian": (2,), "any": (1, 2)}[codes]
        shapes = [tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__ for x in parts]
        if len(parts) not in kinds or set(shapes) != {(len(inputs[0]), code_dim)}:
            given = " and ".join(str(shape) for shape in shapes)
            raise ValueError(f"{name} gives {given} for {len(inputs[0])} images, not {wanted}")

    return check
