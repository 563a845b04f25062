"""The networks of VAE/GAN (Larsen et al. 2015, arXiv:1512.09300)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_modules.networks.layers.blocks import check_sizes
from gan_modules.networks.layers.conditioning import append_labels

__all__ = ["VAEGANDiscriminator", "VAEGANEncoder", "VAEGANGenerator"]


def _eighth(image_shape: Sequence[int], network: str) -> tuple[int, int]:
    """Height and width of the map that three convolutions of stride 2 make of the image."""
    if len(image_shape) != 3 or any(side < 8 or side % 8 for side in image_shape[1:]):
        raise ValueError(
            f"image_shape={tuple(image_shape)} does not fit {network}: "
            "it needs (channels, height, width) with sides that are multiples of 8"
        )
    return image_shape[1] // 8, image_shape[2] // 8


def _down(channels: int, out: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, out, 5, 2, 2, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    ]


def _up(channels: int, out: int) -> list[nn.Module]:
    return [
        nn.ConvTranspose2d(channels, out, 5, 2, 2, output_padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    ]


class VAEGANEncoder(nn.Module):
    """Three 5x5 convolutions of stride 2 and a fully connected layer; batch norm, ReLU.

    Args:
        image_shape: ``(C, H, W)`` with sides that are multiples of 8.
        latent_dim: size of the latent vector.
        width: channels of the first layer, 64 in the paper, doubled twice.
        hidden: units of the fully connected layer, 1,024 in the official code.

    Raises:
        ValueError: for any other image shape, or if a size is not positive.
    """

    def __init__(
        self, image_shape: Sequence[int], latent_dim: int, width: int = 64, hidden: int = 1024
    ) -> None:
        super().__init__()
        check_sizes(width=width, hidden=hidden)
        height, across = _eighth(image_shape, type(self).__name__)
        self.layers = nn.Sequential(
            *_down(image_shape[0], width),
            *_down(width, 2 * width),
            *_down(2 * width, 4 * width),
            nn.Flatten(),
            nn.Linear(4 * width * height * across, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, 2 * latent_dim),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images ``(N, C, H, W)`` to means and log-variances, each ``(N, latent_dim)``."""
        mean, log_variance = torch.chunk(self.layers(images), 2, dim=1)
        return mean, log_variance


class VAEGANGenerator(nn.Module):
    """A fully connected layer, three transposed 5x5 convolutions of stride 2, a convolution, tanh.

    Args:
        image_shape: ``(C, H, W)`` with sides that are multiples of 8.
        latent_dim: size of the latent vector.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the latent.
        width: channels of the last hidden layer, 32 in the paper; those before it have eight,
            eight and four times as many.

    Raises:
        ValueError: for any other image shape, or if the width is not positive.
    """

    def __init__(
        self, image_shape: Sequence[int], latent_dim: int, num_classes: int = 0, width: int = 32
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        self.num_classes = num_classes
        height, across = _eighth(image_shape, type(self).__name__)
        units = 8 * width * height * across
        self.layers = nn.Sequential(
            nn.Linear(latent_dim + num_classes, units, bias=False),
            nn.BatchNorm1d(units),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (8 * width, height, across)),
            *_up(8 * width, 8 * width),
            *_up(8 * width, 4 * width),
            *_up(4 * width, width),
            nn.Conv2d(width, image_shape[0], 5, 1, 2),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        images: Tensor = self.layers(append_labels(z, labels, self.num_classes))
        return images


class VAEGANDiscriminator(nn.Module):
    """A 5x5 convolution, three of stride 2 and a fully connected layer; batch norm, ReLU.

    Its features, in which reconstructions are compared with images, are the output of the third
    convolution of stride 2 after batch normalisation and ReLU.

    Deviation: the official code takes that convolution's output before both.

    Args:
        image_shape: ``(C, H, W)`` with sides that are multiples of 8.
        num_classes: 0 for an unconditional network; otherwise labels are appended as channels.
        width: channels of the first layer, 32 in the paper; the others have four, eight and eight
            times as many.
        hidden: units of the fully connected layer, 512 in the paper.

    Raises:
        ValueError: for any other image shape, or if a size is not positive.
    """

    def __init__(
        self, image_shape: Sequence[int], num_classes: int = 0, width: int = 32, hidden: int = 512
    ) -> None:
        super().__init__()
        check_sizes(width=width, hidden=hidden)
        self.num_classes = num_classes
        height, across = _eighth(image_shape, type(self).__name__)
        self.trunk = nn.Sequential(
            nn.Conv2d(image_shape[0] + num_classes, width, 5, 1, 2),
            nn.ReLU(inplace=True),
            *_down(width, 4 * width),
            *_down(4 * width, 8 * width),
            *_down(8 * width, 8 * width),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(8 * width * height * across, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, 1),
        )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map images ``(N, C, H, W)`` to logits ``(N,)`` and features ``(N, F, H/8, W/8)``."""
        features = self.trunk(append_labels(images, labels, self.num_classes))
        return self.head(features).squeeze(1), features
