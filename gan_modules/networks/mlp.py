"""Fully connected generator and discriminator, for small images."""

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from gan_modules.networks.layers.blocks import Maxout, check_choice, check_sizes
from gan_modules.networks.layers.conditioning import append_labels
from gan_modules.networks.layers.minibatch_discrimination import MinibatchDiscrimination
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["MLPDiscriminator", "MLPGenerator"]


class MLPGenerator(nn.Module):
    """Latent to image through ReLU layers and a final tanh.

    Args:
        image_shape: ``(C, H, W)`` of the images made, or any other shape.
        latent_dim: size of the latent vector.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the latent.
        hidden: widths of the hidden layers.
        batch_norm: normalise every hidden layer over the batch.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).

    Raises:
        ValueError: if a width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        hidden: Sequence[int] = (512, 512, 512),
        batch_norm: bool = False,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden)
        self.num_classes = num_classes
        layers: list[nn.Module] = []
        width = latent_dim + num_classes
        for features in hidden:
            layers.append(nn.Linear(width, features))
            if batch_norm:
                layers.append(nn.BatchNorm1d(features))
            layers.append(nn.ReLU())
            width = features
        layers += [nn.Linear(width, math.prod(image_shape)), nn.Tanh()]
        layers.append(nn.Unflatten(1, tuple(image_shape)))
        self.layers = nn.Sequential(*layers)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        images: Tensor = self.layers(append_labels(z, labels, self.num_classes))
        return images


class MLPDiscriminator(nn.Module):
    """Image to one logit through LeakyReLU(0.2) or maxout layers.

    Args:
        image_shape: ``(C, H, W)`` of the images judged, or any other shape.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the pixels.
        hidden: widths of the hidden layers.
        norm: ``"layer"`` normalises every hidden layer per sample, ``"none"`` does not.
        activation: ``"leaky_relu"``, or ``"maxout"`` with five pieces per unit.
        input_dropout: share of the pixels (and labels) that is dropped in training.
        dropout: share of every hidden layer's units that is dropped in training.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).
        minibatch_discrimination: kernels of :class:`MinibatchDiscrimination`, ahead of the last
            layer; 0 for none.

    Raises:
        ValueError: for any other norm or activation, or if a width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        hidden: Sequence[int] = (512, 512, 512),
        norm: Literal["none", "layer"] = "none",
        activation: Literal["leaky_relu", "maxout"] = "leaky_relu",
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        spectral_norm: bool = False,
        minibatch_discrimination: int = 0,
    ) -> None:
        super().__init__()
        check_choice("norm", norm, ("none", "layer"))
        check_choice("activation", activation, ("leaky_relu", "maxout"))
        check_sizes(hidden=hidden)
        self.num_classes = num_classes
        layers: list[nn.Module] = [nn.Dropout(input_dropout)] if input_dropout else []
        width = math.prod(image_shape) + num_classes
        for features in hidden:
            layers.append((Maxout if activation == "maxout" else nn.Linear)(width, features))
            if norm == "layer":
                layers.append(nn.LayerNorm(features))
            if activation == "leaky_relu":
                layers.append(_LeakyReLU(0.2))
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = features
        if minibatch_discrimination:
            layers.append(MinibatchDiscrimination(width, minibatch_discrimination))
            width += minibatch_discrimination
        layers.append(nn.Linear(width, 1))
        self.layers = nn.Sequential(*layers)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``(N, C, H, W)`` to logits ``(N,)``."""
        logits: Tensor = self.layers(append_labels(images.flatten(1), labels, self.num_classes))
        return logits.squeeze(1)


class _LeakyReLU(nn.LeakyReLU):
    """LeakyReLU whose slopes are constants in the backward pass, as its second derivative is zero.

    Autograd carries the zeros of torch's own back through all layers before it, which makes up a
    third of what a gradient penalty computes of linear layers.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The input where it is positive, elsewhere the input times the slope."""
        return x * (x > 0).to(x.dtype).clamp(min=self.negative_slope)
