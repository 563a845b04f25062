"""Pieces that several convolutional networks share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple

from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.networks.layers.conditional_batch_norm import ConditionalBatchNorm2d

__all__ = [
    "ConvNorm",
    "Doublings",
    "Maxout",
    "check_choice",
    "check_sizes",
    "doubling_widths",
    "doublings",
    "has_batch_norm",
    "init_glorot",
    "init_normal",
    "make_norm",
    "new_statistics",
    "refuse_batch_norm",
    "running_statistics",
]

ConvNorm = Literal["none", "batch", "layer"]


def make_norm(norm: ConvNorm, channels: int, num_classes: int = 0) -> nn.Module:
    """Normalisation of ``(N, C, H, W)`` features; ``"layer"`` is over C, H and W per sample.

    One group of ``GroupNorm`` is layer normalisation with a scale and a shift per channel, as in
    the official WGAN-GP code. With classes it is :class:`ConditionalBatchNorm2d`.

    Raises:
        ValueError: for any other norm, or classes with one that is not over the batch.
    """
    check_choice("norm", norm, ("none", "batch", "layer"))
    if num_classes:
        require(norm == "batch", "norm", norm, "'batch' with conditional_batch_norm=True")
        return ConditionalBatchNorm2d(channels, num_classes)
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "layer":
        return nn.GroupNorm(1, channels)
    return nn.Identity()


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise ``ValueError`` unless an option is one of its choices."""
    if value not in choices:
        raise ValueError(f"{name}={value!r} must be one of {', '.join(choices)}")


def check_sizes(**sizes: int | Sequence[int]) -> None:
    """Raise ``ValueError`` unless each option, a size or several, is at least 1."""
    for name, size in sizes.items():
        if min([size] if isinstance(size, int) else size, default=1) < 1:
            raise ValueError(f"{name}={size!r} must be at least 1")


class Maxout(nn.Module):
    """The largest of several linear maps per unit (Goodfellow et al. 2013, arXiv:1302.4389).

    Args:
        in_features: size of the input.
        out_features: number of units.
        pieces: linear maps per unit.
    """

    def __init__(self, in_features: int, out_features: int, pieces: int = 5) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(in_features, out_features * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_features)`` to ``(N, out_features)``."""
        pieces: Tensor = self.linear(x)
        return pieces.reshape(len(x), -1, self.pieces).amax(2)


def has_batch_norm(network: nn.Module) -> bool:
    """Whether the network normalises over the batch, so that its samples depend on each other."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())


def refuse_batch_norm(discriminator: nn.Module) -> None:
    """Raise ``ValueError`` if a penalty at one sample would depend on the others."""
    if has_batch_norm(discriminator):
        raise ValueError(
            "discriminator has batch normalisation, under which the gradient penalty of one "
            "sample depends on the others: give it norm=layer or norm=none"
        )


def running_statistics(network: nn.Module) -> list[Tensor]:
    """The running means and variances of the network's batch normalisation."""
    layers = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    found = [s for layer in layers for s in (layer.running_mean, layer.running_var)]
    return [statistic for statistic in found if statistic is not None]


@contextmanager
def new_statistics(network: nn.Module) -> Iterator[None]:
    """Have batch normalisation forget its running statistics and average those of what comes.

    Inside, a network in evaluation mode normalises by the batch at hand; afterwards its running
    means and variances are the means of those of all batches, each with the same weight.

    Raises:
        ValueError: if the network has no batch normalisation that keeps statistics.
    """
    found = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    layers = [layer for layer in found if layer.track_running_stats]
    if not layers:
        raise ValueError(
            f"{type(network).__name__} has no batch normalisation with running statistics"
        )
    before = [(layer, layer.momentum, layer.training) for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        # None: the mean of all batches; only these layers train, so that nothing else moves
        layer.momentum, layer.training = None, True
    try:
        yield
    finally:
        for layer, momentum, training in before:
            layer.momentum, layer.training = momentum, training


def init_glorot(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Conv2d | nn.Linear:
    """Glorot's uniform initialisation times a gain, biases at 0; the layer itself is returned."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def init_normal(module: nn.Module) -> None:
    """Initialise weights from N(0, 0.02) and biases with 0, as DCGAN and CycleGAN do.

    The scale of batch normalisation is drawn around one, as in dcgan.torch.
    """
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d) and module.affine:
        nn.init.normal_(module.weight, 1.0, 0.02)


class Doublings(NamedTuple):
    """From the smallest map of a network to its images.

    Args:
        times: how often the map doubles.
        height: of the smallest map.
        width: of the smallest map.
    """

    times: int
    height: int
    width: int


def doublings(image_shape: Sequence[int], network: str) -> Doublings:
    """How often a small map doubles to reach the image, 4x4 for squares of 8, 16, 32, ... pixels.

    It doubles as often as both sides can be halved and the shorter one has 3 pixels left.

    Raises:
        ValueError: unless ``image_shape`` is ``(C, H, W)``, the map doubles at all, and its shorter
            side is below 8.
    """
    if len(image_shape) == 3:
        height, width = image_shape[1:]
        times = 0
        while height % 2 == width % 2 == 0 and min(height, width) >= 6:
            height, width, times = height // 2, width // 2, times + 1
        if times and min(height, width) < 8:
            return Doublings(times, height, width)
    raise ValueError(
        f"image_shape={tuple(image_shape)} does not fit {network}: it needs (channels, height, "
        "width) with sides that can be halved until the shorter one has 3 to 7 pixels, such as "
        "32x32, 64x48 or 28x28"
    )


def doubling_widths(
    image_shape: Sequence[int], channel_base: int, max_channels: int, network: str
) -> list[int]:
    """Channels of the maps of 4, 8, 16, ... pixels: ``min(max_channels, channel_base // size)``.

    The size of a rectangle is its longer side.

    Raises:
        ValueError: for an image shape as in :func:`doublings`, or too small a base.
    """
    check_sizes(channel_base=channel_base, max_channels=max_channels)
    times, height, width = doublings(image_shape, network)
    sizes = [max(height, width) * 2**n for n in range(times + 1)]
    if channel_base < sizes[-1]:
        raise ValueError(
            f"channel_base={channel_base} must be at least the side of the images, {sizes[-1]}, "
            "where it leaves one channel"
        )
    return [min(max_channels, channel_base // size) for size in sizes]
