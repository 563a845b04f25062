"""The networks of R3GAN (Huang et al. 2025, arXiv:2501.05441)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.networks.layers.blocks import Doublings, check_sizes, doublings
from gan_modules.networks.layers.conditioning import append_labels, require_labels

__all__ = ["R3GANDiscriminator", "R3GANGenerator"]

SLOPE = 0.2


def _initialised(layer: nn.Module, gain: float = 1.0) -> nn.Module:
    """He's initialisation for fan-in, times a gain; 0 for a branch that starts as nothing."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    with torch.no_grad():
        weight.normal_(0, gain / math.sqrt(weight[0].numel()))
    return layer


class _Activation(nn.Module):
    """Bias and LeakyReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias, SLOPE)


class _Block(nn.Module):
    """1x1, grouped 3x3 of twice the width, 1x1, all around an identity; no normalisation.

    Two of a residual branch's three convolutions start scaled by ``blocks ** (-1 / 4)``, the last
    at 0 (Zhang et al. 2019, arXiv:1901.09321), ``blocks`` being all of the network.
    """

    def __init__(self, width: int, group_width: int, blocks: int) -> None:
        super().__init__()
        wide = 2 * width
        gain = math.sqrt(2 / (1 + SLOPE**2)) * blocks ** (-1 / 4)
        grouped = nn.Conv2d(wide, wide, 3, padding=1, groups=wide // group_width, bias=False)
        self.residual = nn.Sequential(
            _initialised(nn.Conv2d(width, wide, 1, bias=False), gain),
            _Activation(wide),
            _initialised(grouped, gain),
            _Activation(wide),
            _initialised(nn.Conv2d(wide, width, 1, bias=False), 0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.residual(x)
        return out


class _Resampling(nn.Module):
    """Doubling or halving with the filter [1, 2, 1] in both directions."""

    kernel: Tensor

    def __init__(self, channels: int, up: bool) -> None:
        super().__init__()
        self.channels, self.up = channels, up
        taps = torch.tensor([1.0, 2.0, 1.0]) / (2.0 if up else 4.0)
        kernel = torch.outer(taps, taps).expand(channels, 1, 3, 3).contiguous()
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel.to(x.dtype)
        if self.up:
            return F.conv_transpose2d(x, kernel, None, 2, 1, 1, self.channels)
        return F.conv2d(x, kernel, None, 2, 1, 1, self.channels)


def _check(
    image_shape: Sequence[int], width: int, blocks: int, group_width: int, name: str
) -> Doublings:
    """Smallest map and number of doublings."""
    check_sizes(width=width, blocks=blocks, group_width=group_width)
    if 2 * width % group_width:
        raise ValueError(
            f"group_width={group_width} must divide twice the width, {2 * width} channels"
        )
    return doublings(image_shape, name)


class R3GANGenerator(nn.Module):
    """A learned 4x4 map scaled by the latent, blocks, and doublings between them; no normalisation.

    The last layer is linear: in evaluation its images are clamped to [-1, 1].

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        latent_dim: size of the latent vector; 64 in the paper.
        num_classes: 0 for an unconditional network; otherwise labels are appended to the latent.
        width: channels; 768 in the paper.
        blocks: for each size; 2 in the paper.
        group_width: channels of a group of the 3x3 convolutions; 16 in the paper.

    Raises:
        ValueError: for any other image shape, or sizes that do not go with each other.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        width: int = 768,
        blocks: int = 2,
        group_width: int = 16,
    ) -> None:
        super().__init__()
        times, *first = _check(image_shape, width, blocks, group_width, type(self).__name__)
        self.num_classes = num_classes
        self.basis = nn.Parameter(torch.randn(width, *first))
        self.linear = _initialised(nn.Linear(latent_dim + num_classes, width, bias=False))
        total = blocks * (times + 1)
        layers: list[nn.Module] = [_Block(width, group_width, total) for _ in range(blocks)]
        for _ in range(times):
            layers.append(_Resampling(width, up=True))
            layers += [_Block(width, group_width, total) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.to_image = _initialised(nn.Conv2d(width, image_shape[0], 1, bias=False))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images ``(N, C, H, W)``."""
        scales = self.linear(append_labels(z, labels, self.num_classes))
        images: Tensor = self.to_image(self.layers(self.basis * scales[:, :, None, None]))
        return images if self.training else images.clamp(-1, 1)


class R3GANDiscriminator(nn.Module):
    """The generator's mirror image: blocks and halvings to 4x4, a 4x4 convolution per channel.

    With classes, the logit of the image's class is taken of one for each.

    Args:
        image_shape: ``(C, H, W)``, squares of 8, 16, 32, ... pixels or as
            :func:`~gan_modules.networks.layers.blocks.doublings` takes them.
        num_classes: 0 for an unconditional network.
        width: channels; 768 in the paper.
        blocks: for each size; 2 in the paper.
        group_width: channels of a group of the 3x3 convolutions; 16 in the paper.

    Raises:
        ValueError: for any other image shape, or sizes that do not go with each other.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        width: int = 768,
        blocks: int = 2,
        group_width: int = 16,
    ) -> None:
        super().__init__()
        times, rows, columns = _check(image_shape, width, blocks, group_width, type(self).__name__)
        self.num_classes = num_classes
        total = blocks * (times + 1)
        layers: list[nn.Module] = [_initialised(nn.Conv2d(image_shape[0], width, 1, bias=False))]
        for _ in range(times):
            layers += [_Block(width, group_width, total) for _ in range(blocks)]
            layers.append(_Resampling(width, up=False))
        layers += [_Block(width, group_width, total) for _ in range(blocks)]
        layers += [
            _initialised(nn.Conv2d(width, width, (rows, columns), groups=width, bias=False)),
            nn.Flatten(),
            _initialised(nn.Linear(width, num_classes or 1, bias=False)),
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``(N, C, H, W)`` to logits ``(N,)``."""
        logits: Tensor = self.layers(images)
        classes = require_labels(labels, self.num_classes)
        if classes is None:
            return logits.squeeze(1)
        return logits.gather(1, classes.long()[:, None]).squeeze(1)
