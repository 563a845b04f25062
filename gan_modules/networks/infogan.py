"""The networks of InfoGAN (Chen et al. 2016, arXiv:1606.03657) for MNIST."""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_modules.networks.layers.blocks import check_sizes, init_normal
from gan_modules.networks.layers.conditioning import append_labels
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["InfoGANDiscriminator", "InfoGANGenerator", "InfoGANRecognizer"]


def _quarter(image_shape: Sequence[int], network: str) -> tuple[int, int]:
    """Height and width of the map that two convolutions of stride 2 make of the image."""
    if len(image_shape) != 3 or any(side < 4 or side % 4 for side in image_shape[1:]):
        raise ValueError(
            f"image_shape={tuple(image_shape)} does not fit {network}: "
            "it needs (channels, height, width) with sides that are multiples of 4"
        )
    return image_shape[1] // 4, image_shape[2] // 4


class InfoGANGenerator(nn.Module):
    """Two fully connected layers, two transposed 4x4 convolutions of stride 2; batch norm, ReLU.

    Deviation: tanh, for images in [-1, 1], in the place of a sigmoid.

    Args:
        image_shape: ``(C, H, W)`` with sides that are multiples of 4.
        latent_dim: size of the latent vector, codes included.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the latent.
        width: channels of the last hidden layer, 64 in the paper; the one before has twice as many.
        hidden: units of the first layer, 1,024 in the paper.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).

    Raises:
        ValueError: for any other image shape, or if a size is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        width: int = 64,
        hidden: int = 1024,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(width=width, hidden=hidden)
        self.num_classes = num_classes
        height, across = _quarter(image_shape, type(self).__name__)
        self.layers = nn.Sequential(
            nn.Linear(latent_dim + num_classes, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, 2 * width * height * across, bias=False),
            nn.Unflatten(1, (2 * width, height, across)),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, image_shape[0], 4, 2, 1),
            nn.Tanh(),
        )
        self.apply(init_normal)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        images: Tensor = self.layers(append_labels(z, labels, self.num_classes))
        return images


class InfoGANDiscriminator(nn.Module):
    """Two 4x4 convolutions of stride 2 and a fully connected layer; batch norm, LeakyReLU(0.1).

    What these layers make of an image, its features, is what the recognizer reads the codes from.

    Args:
        image_shape: ``(C, H, W)`` with sides that are multiples of 4.
        num_classes: 0 for an unconditional network; otherwise labels are appended as channels.
        width: channels of the first layer, 64 in the paper; the second has twice as many.
        hidden: units of the fully connected layer, 1,024 in the paper.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).

    Raises:
        ValueError: for any other image shape, or if a size is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        width: int = 64,
        hidden: int = 1024,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(width=width, hidden=hidden)
        self.num_classes = num_classes
        self.num_features = hidden
        height, across = _quarter(image_shape, type(self).__name__)
        self.trunk = nn.Sequential(
            nn.Conv2d(image_shape[0] + num_classes, width, 4, 2, 1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Flatten(),
            nn.Linear(2 * width * height * across, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.LeakyReLU(0.1, inplace=True),
        )
        self.head = nn.Linear(hidden, 1)
        self.apply(init_normal)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map images ``(N, C, H, W)`` to logits ``(N,)`` and features ``(N, hidden)``."""
        features = self.trunk(append_labels(images, labels, self.num_classes))
        return self.head(features).squeeze(1), features


class InfoGANRecognizer(nn.Module):
    """The discriminator's features to what they tell of the codes, by one hidden layer of 128.

    Args:
        num_features: size of the features.
        num_outputs: a logit for each category of each categorical code, a mean for each
            continuous one.
        hidden: units of the hidden layer.

    Raises:
        ValueError: if a size is not positive.
    """

    def __init__(self, num_features: int, num_outputs: int, hidden: int = 128) -> None:
        super().__init__()
        check_sizes(hidden=hidden)
        self.layers = nn.Sequential(
            nn.Linear(num_features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Linear(hidden, num_outputs),
        )
        self.apply(init_normal)

    def forward(self, features: Tensor) -> Tensor:
        """Map features ``(N, num_features)`` to ``(N, num_outputs)``."""
        outputs: Tensor = self.layers(features)
        return outputs
