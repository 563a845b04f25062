"""The fully connected networks of conditional GANs (Mirza & Osindero 2014, arXiv:1411.1784)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_modules.networks.layers.blocks import Maxout, check_sizes
from gan_modules.networks.layers.conditioning import one_hot
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["CGANDiscriminator", "CGANGenerator"]


class CGANGenerator(nn.Module):
    """Latent and label through a hidden layer of their own, then one in common, then tanh.

    Widths by default are those of section 4.1, for MNIST. The paper ends in a sigmoid, for images
    in [0, 1].

    Args:
        image_shape: ``(C, H, W)`` of the images made.
        latent_dim: size of the latent vector; 100 in the paper.
        num_classes: number of classes.
        latent_width: units for the latent.
        label_width: units for the label.
        width: units of the layer in common.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).

    Raises:
        ValueError: if there are no classes, or a width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int,
        latent_width: int = 200,
        label_width: int = 1000,
        width: int = 1200,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        _check_classes(num_classes)
        check_sizes(latent_width=latent_width, label_width=label_width, width=width)
        self.num_classes = num_classes
        self.latent = nn.Sequential(nn.Linear(latent_dim, latent_width), nn.ReLU())
        self.label = nn.Sequential(nn.Linear(num_classes, label_width), nn.ReLU())
        self.joint = nn.Sequential(
            nn.Linear(latent_width + label_width, width),
            nn.ReLU(),
            nn.Linear(width, math.prod(image_shape)),
            nn.Tanh(),
            nn.Unflatten(1, tuple(image_shape)),
        )
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` and classes ``(N,)`` to images in [-1, 1]."""
        label = self.label(one_hot(labels, self.num_classes, z.dtype))
        images: Tensor = self.joint(torch.cat([self.latent(z), label], dim=1))
        return images


class CGANDiscriminator(nn.Module):
    """Image and label through a maxout layer of their own, then one in common, to one logit.

    Widths, pieces and dropout by default are those of section 4.1, for MNIST.

    Args:
        image_shape: ``(C, H, W)`` of the images judged.
        num_classes: number of classes.
        image_width: units for the image, of 5 pieces.
        label_width: units for the label, of 5 pieces.
        width: units of the layer in common, of 4 pieces.
        dropout: share of the units of all three layers that is dropped in training.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).

    Raises:
        ValueError: if there are no classes, or a width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        image_width: int = 240,
        label_width: int = 50,
        width: int = 240,
        dropout: float = 0.5,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        _check_classes(num_classes)
        check_sizes(image_width=image_width, label_width=label_width, width=width)
        self.num_classes = num_classes
        self.image = nn.Sequential(nn.Flatten(), Maxout(math.prod(image_shape), image_width, 5))
        self.label = Maxout(num_classes, label_width, 5)
        self.joint = nn.Sequential(
            nn.Dropout(dropout),
            Maxout(image_width + label_width, width, 4),
            nn.Dropout(dropout),
            nn.Linear(width, 1),
            nn.Flatten(0),
        )
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``(N, C, H, W)`` and classes ``(N,)`` to logits ``(N,)``."""
        label = self.label(one_hot(labels, self.num_classes, images.dtype))
        logits: Tensor = self.joint(torch.cat([self.image(images), label], dim=1))
        return logits


def _check_classes(num_classes: int) -> None:
    if num_classes < 1:
        raise ValueError(
            f"num_classes={num_classes} must be at least 1: these networks are for labelled data"
        )
