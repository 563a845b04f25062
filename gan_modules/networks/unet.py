"""The U-Net generator of pix2pix (Isola et al. 2016, arXiv:1611.07004)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from gan_modules.networks.layers.blocks import check_choice, check_sizes, init_normal
from gan_modules.networks.layers.noise import NoiseDropout
from gan_modules.networks.layers.spectral import normalise_spectrally

__all__ = ["UNetGenerator"]

UNetNorm = Literal["instance", "batch", "none"]
MOST_LAYERS = 8
DROPPING = 3


class UNetGenerator(nn.Module):
    """Image to image of the same shape: halvings down to one pixel, doublings back, and skips.

    C64-C128-C256-C512-C512-C512-C512-C512 down and CD512-CD512-CD512-C512-C256-C128-C64 back up in
    the paper's notation (appendix 6.1.1), then one doubling to the image and tanh: 4x4 convolutions
    of stride 2, LeakyReLU(0.2) down and ReLU up, dropout in the first three layers back, features
    of each layer down beside those of its mirror image. Smaller images have as many halvings as
    there are. Weights start from N(0, 0.02), scales from N(1, 0.02), biases at 0.

    The innermost layer is not normalised: at one pixel that would leave nothing of it (the paper's
    own erratum). ``"instance"`` has a scale and a shift and is what the paper's batch normalisation
    computes by the statistics of a batch of one; with larger batches they differ. Convolutions
    ahead of a normalisation have no bias: it would cancel. The official port to PyTorch has dropout
    one layer further out.

    Args:
        image_shape: ``(C, H, W)`` of the images, before and after.
        width: channels of the first layer, 64 in the paper; at most ``8 * width`` further in.
        n_layers: halvings; by default as many as both sides allow, at most the paper's 8.
        norm: ``"instance"``, ``"batch"`` (by running statistics when sampling) or ``"none"``.
        dropout: share of features dropped, the paper's noise.
        noise_when_sampling: drop in evaluation mode, too, as in the paper.
        spectral_norm: normalise every layer spectrally (arXiv:1802.05957).

    Raises:
        ValueError: if an option is out of its range, or the sides of the image are not divisible
            by ``2 ** n_layers``.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        width: int = 64,
        n_layers: int | None = None,
        norm: UNetNorm = "instance",
        dropout: float = 0.5,
        noise_when_sampling: bool = True,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_choice("norm", norm, ("instance", "batch", "none"))
        check_sizes(width=width)
        deepest = _deepest(image_shape)
        if n_layers is None:
            n_layers = min(MOST_LAYERS, deepest)
        if not 1 <= n_layers <= deepest:
            fits = f"n_layers from 1 to {deepest} fit" if deepest > 1 else "only n_layers=1 fits"
            raise ValueError(
                f"image_shape={tuple(image_shape)} does not go with n_layers={n_layers} of "
                f"UNetGenerator: {fits}"
            )
        channels = [image_shape[0], *(min(2**n, 8) * width for n in range(n_layers))]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for n in range(n_layers):
            normalised = norm != "none" and 0 < n < n_layers - 1
            conv = nn.Conv2d(channels[n], channels[n + 1], 4, 2, 1, bias=not normalised)
            layers: list[nn.Module] = [nn.LeakyReLU(0.2)] if n else []
            layers += [conv, *_norm(norm if normalised else "none", channels[n + 1])]
            self.down.append(nn.Sequential(*layers))
        for n in reversed(range(n_layers)):
            # beside the innermost layer there is nothing
            inputs = channels[n + 1] * (1 if n == n_layers - 1 else 2)
            normalised = norm != "none" and n > 0
            up = nn.ConvTranspose2d(inputs, channels[n], 4, 2, 1, bias=not normalised)
            layers = [nn.ReLU(), up, *_norm(norm if normalised else "none", channels[n])]
            if dropout and n > 0 and n_layers - n <= DROPPING:
                layers.append(NoiseDropout(dropout, noise_when_sampling))
            self.up.append(nn.Sequential(*layers))
        self.apply(init_normal)
        for module in self.modules():
            if isinstance(module, nn.InstanceNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to images of the same shape in [-1, 1]."""
        skips: list[Tensor] = []
        x = images
        for down in self.down:
            x = down(x)
            skips.append(x)
        skips.pop()
        for up in self.up:
            x = up(x)
            if skips:
                x = torch.cat([x, skips.pop()], dim=1)
        return x.tanh()


def _norm(norm: UNetNorm, channels: int) -> list[nn.Module]:
    if norm == "none":
        return []
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.InstanceNorm2d(channels, affine=True)]


def _deepest(image_shape: Sequence[int]) -> int:
    """How often both sides can be halved.

    Raises:
        ValueError: if they cannot.
    """
    if len(image_shape) == 3 and min(image_shape) >= 1:
        # the lowest bit of each
        times = min((side & -side).bit_length() - 1 for side in image_shape[1:])
        if times:
            return times
    raise ValueError(
        f"image_shape={tuple(image_shape)} does not fit UNetGenerator: it needs "
        "(channels, height, width) with even sides"
    )
