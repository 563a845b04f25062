"""The networks of AC-GAN (Odena et al. 2016, arXiv:1610.09585) for CIFAR-10."""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.networks.judgement import Judgement
from gan_modules.networks.layers.blocks import check_sizes, doublings, init_normal
from gan_modules.networks.layers.class_heads import ConditionedDiscriminator
from gan_modules.networks.layers.conditioning import append_labels
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["ACGANDiscriminator", "ACGANGenerator"]


class ACGANGenerator(nn.Module):
    """Latent and label to a 4x4 map, then 5x5 transposed convolutions of stride 2, ReLU, tanh.

    The paper's 384, 192 and 96 channels at 32 pixels; a doubling more or less at other sizes.
    Weights start from N(0, 0.02). Batch normalisation behind the 4x4 map, too.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        latent_dim: size of the latent vector; with the labels 110 in the paper.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the latent.
        width: channels of the last hidden layer, 96 in the paper; every earlier one has twice as
            many.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).

    Raises:
        ValueError: for any other image shape, or if the width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        width: int = 96,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        self.num_classes = num_classes
        times, rows, columns = doublings(image_shape, type(self).__name__)
        channels = width * 2 ** (times - 1)
        layers: list[nn.Module] = [
            nn.Linear(latent_dim + num_classes, channels * rows * columns, bias=False),
            nn.Unflatten(1, (channels, rows, columns)),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
        for _ in range(times - 1):
            layers += [
                nn.ConvTranspose2d(channels, channels // 2, 5, 2, 2, 1, bias=False),
                nn.BatchNorm2d(channels // 2),
                nn.ReLU(inplace=True),
            ]
            channels //= 2
        layers += [nn.ConvTranspose2d(channels, image_shape[0], 5, 2, 2, 1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(init_normal)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        images: Tensor = self.layers(append_labels(z, labels, self.num_classes))
        return images


class ACGANDiscriminator(ConditionedDiscriminator):
    """3x3 convolutions of stride 2, 1, 2, 1, ..., each twice as wide; a logit, logits of classes.

    LeakyReLU(0.2), dropout and, but for the first layer, batch normalisation: the paper's six
    layers of 16 to 512 channels at 32 pixels, two for every halving at other sizes. Weights start
    from N(0, 0.02). It is not told labels: what it is given is not used.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        num_classes: number of classes that are told apart; 0 for logits alone.
        width: channels of the first layer; 16 in the paper.
        dropout: share of the units behind every layer that is dropped in training.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).

    Raises:
        ValueError: for any other image shape, or if an option is out of its range.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        width: int = 16,
        dropout: float = 0.5,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        require(0 <= dropout < 1, "dropout", dropout, "in [0, 1)")
        layers: list[nn.Module] = []
        before = image_shape[0]
        times, rows, columns = doublings(image_shape, type(self).__name__)
        for number in range(2 * times):
            channels, first = width * 2**number, number == 0
            layers += [
                nn.Conv2d(before, channels, 3, 2 - number % 2, 1, bias=first),
                nn.Identity() if first else nn.BatchNorm2d(channels),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Dropout(dropout),
            ]
            before = channels
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.linear = nn.Linear(before * rows * columns, 1)
        self.meet_classes("ac", num_classes, before * rows * columns)
        self.apply(init_normal)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor | Judgement:
        """Judge images ``(N, C, H, W)``: logits ``(N,)`` and logits of classes."""
        phi = self.layers(images)
        return self.conclude(self.linear(phi).squeeze(1), phi, labels)
