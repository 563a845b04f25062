"""The patch discriminator of pix2pix (arXiv:1611.07004) and CycleGAN (arXiv:1703.10593)."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from gan_modules.networks.layers.blocks import check_choice, check_sizes, init_normal, make_norm
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["PatchGANDiscriminator", "deepest_patchgan"]

PatchNorm = Literal["instance", "batch", "layer", "none"]


class PatchGANDiscriminator(nn.Module):
    """Image to a map of logits, each of which judges one patch of the image.

    C64-C128-C256-C512 and a convolution to one channel (appendix 7.2 of arXiv:1703.10593): 4x4
    convolutions, LeakyReLU(0.2), stride 2 in all but the last two. Every logit sees 70x70 pixels
    with ``n_layers=3``, 34x34 with 2, 16x16 with 1. Weights start from N(0, 0.02), biases at 0.

    The layer before the last and the last have stride 1, as in the official code; the paper's text
    gives stride 2 to all of C64-C512, with which 70x70 patches would not come out. Convolutions
    ahead of a normalisation that removes the mean of each channel have no bias: it would cancel.

    Args:
        image_shape: ``(C, H, W)`` of the images judged.
        width: channels of the first layer; each later one has twice as many, at most ``8 * width``.
        n_layers: convolutions of stride 2.
        norm: normalisation of all hidden layers but the first. The paper's ``"instance"`` is over
            each channel of each sample, without scale and shift; pix2pix has ``"batch"``; a critic
            with gradient penalty needs ``"instance"``, ``"layer"`` or ``"none"``.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).

    Raises:
        ValueError: if the image is too small for ``n_layers``, or for any other norm.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        width: int = 64,
        n_layers: int = 3,
        norm: PatchNorm = "instance",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_choice("norm", norm, ("instance", "batch", "layer", "none"))
        check_sizes(width=width)
        deepest = deepest_patchgan(image_shape)
        if not 1 <= n_layers <= deepest:
            fits = f"n_layers from 1 to {deepest} fit" if deepest > 1 else "only n_layers=1 fits"
            raise ValueError(
                f"image_shape={tuple(image_shape)} does not go with n_layers={n_layers} of "
                f"PatchGANDiscriminator: {fits}"
            )
        # (output channels, stride) of the normalised layers
        hidden = [(min(2**n, 8) * width, 2) for n in range(1, n_layers)]
        hidden.append((min(2**n_layers, 8) * width, 1))
        layers: list[nn.Module] = [
            nn.Conv2d(image_shape[0], width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        channels = width
        for out_channels, stride in hidden:
            bias = norm in ("none", "layer")
            layers += [
                nn.Conv2d(channels, out_channels, 4, stride, 1, bias=bias),
                nn.InstanceNorm2d(out_channels)
                if norm == "instance"
                else make_norm(norm, out_channels),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            channels = out_channels
        layers.append(nn.Conv2d(channels, 1, 4, 1, 1))
        self.layers = nn.Sequential(*layers)
        self.apply(init_normal)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to logits ``(N, 1, h, w)``, h = H // 2 ** n_layers - 2."""
        logits: Tensor = self.layers(images)
        return logits


def deepest_patchgan(image_shape: Sequence[int]) -> int:
    """Largest ``n_layers`` whose map of logits is not empty on images ``(C, H, W)``.

    Raises:
        ValueError: if the image is too small for any, or ``image_shape`` is something else.
    """
    # two convolutions of stride 1 take one pixel each, and the first must leave more than one
    if len(image_shape) != 3 or min(image_shape[1:]) < 6:
        raise ValueError(
            f"image_shape={tuple(image_shape)} does not fit PatchGANDiscriminator: "
            "it needs (channels, height, width) with sides of at least 6"
        )
    return (min(image_shape[1:]) // 3).bit_length() - 1
