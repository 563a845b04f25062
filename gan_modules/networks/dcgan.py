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
from gan_modules.networks.layers.class_heads import (
    ConditionedDiscriminator,
    Conditioning,
    labels_appended,
)
from gan_modules.networks.layers.conditional_batch_norm import ConditionedSequential
from gan_modules.networks.layers.conditioning import append_labels, require_labels
from gan_modules.networks.layers.minibatch_discrimination import MinibatchDiscrimination
from gan_modules.networks.layers.minibatch_stddev import MinibatchStdDev
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["DCGANDiscriminator", "DCGANGenerator"]


class DCGANGenerator(nn.Module):
    """Latent to image by 4x4 transposed convolutions of stride 2, batch norm, ReLU, tanh.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them; each doubling is a
            layer.
        latent_dim: size of the latent vector.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the latent.
        width: channels of the last hidden layer; every earlier one has twice as many.
        norm: normalisation of the hidden layers; the paper's is ``"batch"``.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).
        conditional_batch_norm: have classes choose the scales and shifts of all normalisations
            (:class:`ConditionalBatchNorm2d`), in the place of labels appended to the latent.

    Raises:
        ValueError: for any other image shape, if the width is not positive, or conditional batch
            normalisation is asked for with another norm.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        width: int = 64,
        norm: ConvNorm = "batch",
        spectral_norm: bool = False,
        conditional_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        self.num_classes = num_classes
        self.appended = 0 if conditional_batch_norm else num_classes
        by_class = num_classes - self.appended
        times, rows, columns = doublings(image_shape, type(self).__name__)
        channels = width * 2 ** (times - 1)
        # with a norm behind it a bias is cancelled
        bias = norm == "none"
        layers: list[nn.Module] = [
            # "project and reshape": the transposed convolution of a 1x1 map, written as the matrix
            # product it is
            nn.Linear(latent_dim + self.appended, channels * rows * columns, bias=bias),
            nn.Unflatten(1, (channels, rows, columns)),
            make_norm(norm, channels, by_class),
            nn.ReLU(inplace=True),
        ]
        for _ in range(times - 1):
            layers += [
                nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1, bias=bias),
                make_norm(norm, channels // 2, by_class),
                nn.ReLU(inplace=True),
            ]
            channels //= 2
        layers += [nn.ConvTranspose2d(channels, image_shape[0], 4, 2, 1), nn.Tanh()]
        self.layers = ConditionedSequential(*layers)
        self.apply(init_normal)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1]."""
        classes = require_labels(labels, self.num_classes)
        images: Tensor = self.layers(append_labels(z, classes, self.appended), classes)
        return images


class DCGANDiscriminator(ConditionedDiscriminator):
    """Image to one logit by 4x4 convolutions of stride 2, norm, LeakyReLU(0.2).

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them; each halving is a
            layer.
        num_classes: 0 for an unconditional network.
        width: channels of the first layer; every later one has twice as many.
        norm: normalisation of all hidden layers but the first; the paper's is ``"batch"``, a
            critic with gradient penalty needs ``"layer"`` or ``"none"``.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).
        minibatch_stddev: images in a group of :class:`MinibatchStdDev`, ahead of the last layer; 0
            for none.
        minibatch_discrimination: kernels of :class:`MinibatchDiscrimination`, ahead of the last
            layer, which is then a linear one; 0 for none.
        conditioning: how it meets classes, see :class:`ConditionedDiscriminator`; ``phi`` is all
            that the last layer sees.

    Raises:
        ValueError: for any other image shape or conditioning, or if the width is not positive.
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
        conditioning: Conditioning = "concat",
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        times, rows, columns = doublings(image_shape, type(self).__name__)
        layers: list[nn.Module] = [
            nn.Conv2d(image_shape[0] + labels_appended(conditioning, num_classes), width, 4, 2, 1),
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
        features = channels * rows * columns
        width_of_phi = features + minibatch_discrimination
        if minibatch_discrimination:
            layers.append(MinibatchDiscrimination(features, minibatch_discrimination))
            layers.append(nn.Linear(width_of_phi, 1))
        else:
            layers.append(nn.Conv2d(channels, 1, (rows, columns), 1, 0))
        layers.append(nn.Flatten(0))
        self.layers = nn.Sequential(*layers)
        self.meet_classes(conditioning, num_classes, width_of_phi)
        self.apply(init_normal)
        if spectral_norm:
            normalise_spectrally(self)
