"""Spaces whose points a model turns into images: latents and, where there are some, styles."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

__all__ = ["ExtendedStyleSpace", "LatentSpace", "Space", "StyleSpace"]

LATENTS = 10_000
"""Random points whose mean and spread are taken, as in StyleGAN2's paper (arXiv:1912.04958)."""


class Space(ABC):
    """Points of a model, shape ``(N, *shape)``, and their images.

    Args:
        model: that has them.
    """

    name: ClassVar[str]

    def __init__(self, model: Any) -> None:
        self.model = model

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of a point."""

    @abstractmethod
    def points(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """What latents ``(N, latent_dim)`` become, by the averaged generator."""

    @abstractmethod
    def images(self, points: Tensor, labels: Tensor | None) -> Tensor:
        """Images ``(N, C, H, W)`` of points by the averaged generator, with graph if wanted."""

    def in_batches(self, points: Tensor, labels: Tensor | None, size: int) -> Tensor:
        """Their images, so many at a time."""
        parts = points.split(size)
        classes = [None] * len(parts) if labels is None else labels.split(size)
        return torch.cat([self.images(*pair) for pair in zip(parts, classes, strict=True)])

    @abstractmethod
    def between(self, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """From ``first`` at weight 0 to ``second`` at 1; the weight is broadcast."""

    def within(self, points: Tensor) -> Tensor:
        """The nearest points among those that there are; by default the same."""
        return points

    @torch.no_grad()
    def middle(self, labels: Tensor | None, seed: int) -> tuple[Tensor, Tensor]:
        """Mean of random points, and the root of their mean squared distance from it.

        Args:
            labels: a class ``(1,)``, or None.
            seed: of the latents.

        Returns:
            Shapes ``(1, *shape)`` and ``(1, *shape[:-1], 1)``.
        """
        z = self.model.latents(LATENTS, seed)
        points = self.points(z, None if labels is None else labels.expand(len(z)))
        mean = points.mean(0, keepdim=True)
        return mean, (points - mean).square().sum(-1, keepdim=True).mean(0, keepdim=True).sqrt()


class LatentSpace(Space):
    """Z: the latents themselves, between which ways follow their distribution."""

    name = "z"

    @property
    def shape(self) -> tuple[int, ...]:
        """``(latent_dim,)``."""
        return (self.model.latent_dim,)

    def points(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """The latents."""
        return z

    def images(self, points: Tensor, labels: Tensor | None) -> Tensor:
        """What the model makes of latents."""
        images: Tensor = self.model(points) if labels is None else self.model(points, labels)
        return images

    def between(self, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """On great circles, or straight if latents are uniform."""
        between: Tensor = self.model.between(first, second, weight)
        return between

    def within(self, points: Tensor) -> Tensor:
        """Where latents may be drawn."""
        within: Tensor = self.model.latent.within(points)
        return within


class StyleSpace(Space):
    """W: one style for all layers, with straight ways (Karras et al. 2019, arXiv:1812.04948)."""

    name = "w"

    @property
    def shape(self) -> tuple[int, ...]:
        """``(style_dim,)``."""
        return (self.model.generator.style_dim,)

    def points(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Styles of latents."""
        styles: Tensor = self.model.styles(z, labels)
        return styles

    def images(self, points: Tensor, labels: Tensor | None) -> Tensor:
        """What the synthesis network makes of styles, whatever their classes."""
        images: Tensor = self.model.synthesised(points)
        return images

    def between(self, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """A straight line."""
        return torch.lerp(first, second, weight)


class ExtendedStyleSpace(StyleSpace):
    """W+: a style for each layer (Abdal et al. 2019, arXiv:1904.03189)."""

    name = "w+"

    @property
    def shape(self) -> tuple[int, ...]:
        """``(layers, style_dim)``."""
        return (self.model.generator.num_layers, *super().shape)

    def points(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Styles of latents, the same for all layers."""
        return super().points(z, labels)[:, None].expand(-1, *self.shape)

    def middle(self, labels: Tensor | None, seed: int) -> tuple[Tensor, Tensor]:
        """That of W, for every layer."""
        mean, spread = StyleSpace(self.model).middle(labels, seed)
        layers = self.shape[0]
        return mean[:, None].expand(-1, layers, -1), spread[:, None].expand(-1, layers, -1)
