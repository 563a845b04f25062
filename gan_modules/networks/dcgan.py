"""The convolutional networks of DCGAN (Radford et al. 2015, arXiv:1511.06434)."""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_modules.networks.layers.blocks import (
    ConvNorm,
    check_sizes,
    doublings,
    init_normal,
    make_norm,
)
from gan_modules.networks.layers.conditioning import append_labels
from gan_modules.networks.layers.minibatch_discrimination import MinibatchDiscrimination
from gan_modules.networks.layers.minibatch_stddev import MinibatchStdDev
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["DCGANDiscriminator", "DCGANGenerator"]


class DCGANGenerator(nn.Module):
    """Latent to image by 4x4 transposed convolutions of stride 2, batch norm, ReLU, tanh.

    Args:
        image_shape: ``(C, S, S)`` with S = 8, 16, 32, ...; each doubling is one layer.
        latent_dim: size of the latent vector.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the latent.
        width: channels of the last hidden layer; every earlier one has twice as many.
        norm: normalisation of the hidden layers; the paper's is ``"batch"``.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).

    Raises:
        ValueError: for any other image shape, or if the width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        width: int = 64,
        norm: ConvNorm = "batch",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        self.num_classes = num_classes
        times = doublings(image_shape, type(self).__name__)
        channels = width * 2 ** (times - 1)
        # with a norm behind it a bias is cancelled
        bias = norm == "none"
        layers: list[nn.Module] = [
            # "project and reshape": the transposed convolution of a 1x1 map, written as the matrix
            # product it is
            nn.Linear(latent_dim + num_classes, channels * 4 * 4, bias=bias),
            nn.Unflatten(1, (channels, 4, 4)),
            make_norm(norm, channels),
            nn.ReLU(inplace=True),
        ]
        for _ in range(times - 1):
            layers += [
                nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1, bias=bias),
                make_norm(norm, channels // 2),
                nn.ReLU(inplace=True),
            ]
            channels //= 2
        layers += [nn.ConvTranspose2d(channels, image_shape[0], 4, 2, 1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(init_normal)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, S, S)`` in [-1, 1]."""
        images: Tensor = self.layers(append_labels(z, labels, self.num_classes))
        return images


class DCGANDiscriminator(nn.Module):
    """Image to one logit by 4x4 convolutions of stride 2, norm, LeakyReLU(0.2).

    Args:
        image_shape: ``(C, S, S)`` with S = 8, 16, 32, ...; each halving is one layer.
        num_classes: 0 for an unconditional network; otherwise labels are appended as channels.
        width: channels of the first layer; every later one has twice as many.
        norm: normalisation of all hidden layers but the first; the paper's is ``"batch"``, a
            critic with gradient penalty needs ``"layer"`` or ``"none"``.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).
        minibatch_stddev: images in a group of :class:`MinibatchStdDev`, ahead of the last layer; 0
            for none.
        minibatch_discrimination: kernels of :class:`MinibatchDiscrimination`, ahead of the last
            layer, which is then a linear one; 0 for none.

    Raises:
        ValueError: for any other image shape, or if the width is not positive.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        width: int = 64,
        norm: ConvNorm = "batch",
        spectral_norm: bool = False,
        minibatch_stddev: int = 0,
        minibatch_discrimination: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        self.num_classes = num_classes
        times = doublings(image_shape, type(self).__name__)
        layers: list[nn.Module] = [
            nn.Conv2d(image_shape[0] + num_classes, width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        channels = width
        for _ in range(times - 1):
            layers += [
                nn.Conv2d(channels, channels * 2, 4, 2, 1, bias=norm == "none"),
                make_norm(norm, channels * 2),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            channels *= 2
        if minibatch_stddev:
            layers.append(MinibatchStdDev(minibatch_stddev))
            channels += 1
        if minibatch_discrimination:
            compared = MinibatchDiscrimination(channels * 4 * 4, minibatch_discrimination)
            layers += [compared, nn.Linear(channels * 4 * 4 + minibatch_discrimination, 1)]
        else:
            layers.append(nn.Conv2d(channels, 1, 4, 1, 0))
        layers.append(nn.Flatten(0))
        self.layers = nn.Sequential(*layers)
        self.apply(init_normal)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``(N, C, S, S)`` to logits ``(N,)``."""
        logits: Tensor = self.layers(append_labels(images, labels, self.num_classes))
        return logits
