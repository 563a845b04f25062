"""The image-to-image generator of CycleGAN (Zhu et al. 2017, arXiv:1703.10593)."""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_modules.networks.layers.blocks import check_sizes, init_normal
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["CycleGANGenerator"]


class _ResidualBlock(nn.Module):
    """3x3, norm, ReLU, 3x3, norm, plus the input: nothing follows the sum (appendix 7.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_normalised(_reflecting(channels, channels, 3, bias=False), channels),
            *_normalised(_reflecting(channels, channels, 3, bias=False), channels)[:-1],
        )

    def forward(self, x: Tensor) -> Tensor:
        # in place: the normalisation's backward pass does not need its output
        out: Tensor = self.residual(x).add_(x)
        return out


class CycleGANGenerator(nn.Module):
    """Image to image of the same shape: two halvings, residual blocks, two doublings, tanh.

    c7s1-64, d128, d256, R256 x ``n_blocks``, u128, u64, c7s1-3 in the paper's notation (appendix
    7.2, after Johnson et al. 2016, arXiv:1603.08155): instance normalisation without scale and
    shift after every convolution but the last, ReLU. As in the official code, the 7x7 convolutions
    and the blocks pad by reflection, the halvings with zeros, and the doublings are 3x3 transposed
    convolutions of stride 2. Weights start from N(0, 0.02), biases at 0.

    Convolutions ahead of a normalisation have no bias: it would cancel. Otherwise as published.

    ``feature_channels`` are the channels of what :meth:`features` gives.

    Args:
        image_shape: ``(C, H, W)`` of the images, before and after.
        width: channels of the first layer, 64 in the paper.
        n_blocks: residual blocks; by default the paper's 6 for images of up to 128 pixels and 9
            for larger ones.
        n_downsampling: halvings and doublings, 2 in the paper; 1 keeps more of very small images.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).

    Raises:
        ValueError: if an option is out of its range, or the sides of the image are not divisible
            or too small.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        width: int = 64,
        n_blocks: int | None = None,
        n_downsampling: int = 2,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(width=width)
        for name, value in (("n_blocks", n_blocks), ("n_downsampling", n_downsampling)):
            if value is not None and value < 0:
                raise ValueError(f"{name}={value} must be at least 0")
        multiple = 2**n_downsampling
        # reflection by 3 pixels needs more than 3, and so does that by 1 at the smallest size
        smallest = max(4, 2 * multiple)
        sides = image_shape[1:]
        if len(image_shape) != 3 or any(s < smallest or s % multiple for s in sides):
            raise ValueError(
                f"image_shape={tuple(image_shape)} does not fit CycleGANGenerator with "
                f"n_downsampling={n_downsampling}: it needs (channels, height, width) with sides "
                f"that are multiples of {multiple} and at least {smallest}"
            )
        if n_blocks is None:
            n_blocks = 6 if max(sides) <= 128 else 9
        channels = width
        layers = _normalised(_reflecting(image_shape[0], width, 7, bias=False), width)
        for _ in range(n_downsampling):
            down = nn.Conv2d(channels, channels * 2, 3, 2, 1, bias=False)
            layers += _normalised(down, channels * 2)
            channels *= 2
        # what CUT compares patches in, beside the pixels: halvings, first and fifth block
        halvings = range(3, len(layers), 3)
        blocks = {len(layers) + n for n in (0, min(4, n_blocks - 1)) if n_blocks}
        self._tapped = (*halvings, *sorted(blocks))
        self.feature_channels = (
            image_shape[0],
            *(width * 2 ** (n + 1) for n in range(n_downsampling)),
            *[channels] * len(blocks),
        )
        layers += [_ResidualBlock(channels) for _ in range(n_blocks)]
        for _ in range(n_downsampling):
            up = nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, 1, bias=False)
            layers += _normalised(up, channels // 2)
            channels //= 2
        layers += [_reflecting(channels, image_shape[0], 7, bias=True), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(init_normal)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to images of the same shape in [-1, 1]."""
        translated: Tensor = self.layers(images)
        return translated

    def features(self, images: Tensor) -> list[Tensor]:
        """What the encoder makes of images, layer by layer, as CUT needs it (arXiv:2007.15651).

        Returns:
            The images themselves, the output of the convolution of each halving, ahead of its
            normalisation, and those of the first and the fifth residual block (or of the last):
            ``(N, C, h, w)``, with the C of ``feature_channels``. Five with the default networks.
        """
        found = [images]
        x = images
        for n in range(self._tapped[-1] + 1) if self._tapped else ():
            x = self.layers[n](x)
            if n in self._tapped:
                found.append(x)
        return found


def _reflecting(in_channels: int, out_channels: int, kernel: int, *, bias: bool) -> nn.Conv2d:
    """Convolution of unchanged size that pads by reflection."""
    padding = kernel // 2
    return nn.Conv2d(
        in_channels, out_channels, kernel, padding=padding, padding_mode="reflect", bias=bias
    )


def _normalised(conv: nn.Module, channels: int) -> list[nn.Module]:
    return [conv, nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]
