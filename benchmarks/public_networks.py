"""Networks of the shapes that the public scripts train, for ``throughput.py``.

Layer by layer those of ``implementations/{gan,wgan,wgan_gp,dcgan,cyclegan}`` in
github.com/eriklindernoren/PyTorch-GAN and of ``dcgan/main.py`` in github.com/pytorch/examples,
written anew. Where a script ends in a sigmoid so does the network here.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = [
    "conv_pair",
    "cycle_networks",
    "examples_pair",
    "linear_pair",
    "logits",
]


def _initial(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def linear_pair(shape: Sequence[int], sigmoid: bool) -> tuple[nn.Sequential, nn.Sequential]:
    """The fully connected networks of gan.py, wgan.py and wgan_gp.py."""
    pixels = math.prod(shape)
    layers: list[nn.Module] = [nn.Linear(100, 128), nn.LeakyReLU(0.2, inplace=True)]
    for before, after in ((128, 256), (256, 512), (512, 1024)):
        # what is meant as a momentum there is the epsilon
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after, 0.8)]
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    layers += [nn.Linear(1024, pixels), nn.Tanh(), nn.Unflatten(1, tuple(shape))]
    judge: list[nn.Module] = [nn.Flatten(), nn.Linear(pixels, 512), nn.LeakyReLU(0.2, inplace=True)]
    judge += [nn.Linear(512, 256), nn.LeakyReLU(0.2, inplace=True), nn.Linear(256, 1)]
    return nn.Sequential(*layers), nn.Sequential(*judge, *[nn.Sigmoid()] * sigmoid)


def conv_pair(shape: Sequence[int]) -> tuple[nn.Sequential, nn.Sequential]:
    """dcgan.py's: nearest upsampling and 3x3 convolutions against strided ones with dropout."""
    channels, side, _ = shape
    small = side // 4
    generator = nn.Sequential(
        nn.Linear(100, 128 * small**2),
        nn.Unflatten(1, (128, small, small)),
        nn.BatchNorm2d(128),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(128, 128, 3, padding=1),
        nn.BatchNorm2d(128, 0.8),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(128, 64, 3, padding=1),
        nn.BatchNorm2d(64, 0.8),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(64, channels, 3, padding=1),
        nn.Tanh(),
    )
    layers: list[nn.Module] = []
    before = channels
    for width in (16, 32, 64, 128):
        layers += [nn.Conv2d(before, width, 3, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        layers.append(nn.Dropout2d(0.25))
        if width > 16:
            layers.append(nn.BatchNorm2d(width, 0.8))
        before = width
    layers += [nn.Flatten(), nn.Linear(128 * (side // 16) ** 2, 1), nn.Sigmoid()]
    return generator.apply(_initial), nn.Sequential(*layers).apply(_initial)


class _FromLatent(nn.Sequential):
    """A network of 1x1 maps that also takes latents ``(N, D)``."""

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = super().forward(z.reshape(len(z), -1, 1, 1))  # type: ignore[no-untyped-call]
        return images


def examples_pair(shape: Sequence[int], width: int = 64) -> tuple[nn.Sequential, nn.Sequential]:
    """pytorch/examples': DCGAN at 64 pixels, 4x4 convolutions of stride 2 without biases."""
    channels = shape[0]
    layers: list[nn.Module] = []
    before, step = 100, (1, 0)
    for times in (8, 4, 2, 1):
        layers.append(nn.ConvTranspose2d(before, width * times, 4, *step, bias=False))
        layers += [nn.BatchNorm2d(width * times), nn.ReLU(inplace=True)]
        before, step = width * times, (2, 1)
    layers += [nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False), nn.Tanh()]
    judge: list[nn.Module] = []
    before = channels
    for times in (1, 2, 4, 8):
        judge.append(nn.Conv2d(before, width * times, 4, 2, 1, bias=False))
        if times > 1:
            judge.append(nn.BatchNorm2d(width * times))
        judge.append(nn.LeakyReLU(0.2, inplace=True))
        before = width * times
    judge += [nn.Conv2d(before, 1, 4, bias=False), nn.Flatten(), nn.Sigmoid()]
    return _FromLatent(*layers).apply(_initial), nn.Sequential(*judge).apply(_initial)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3)]
        other = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3)]
        norms = [nn.InstanceNorm2d(channels) for _ in "ab"]
        self.block = nn.Sequential(*half, norms[0], nn.ReLU(inplace=True), *other, norms[1])

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.block(x)
        return out


def _translator(channels: int, width: int, blocks: int) -> nn.Sequential:
    def normalised(conv: nn.Module, after: int) -> list[nn.Module]:
        return [conv, nn.InstanceNorm2d(after), nn.ReLU(inplace=True)]

    layers: list[nn.Module] = [nn.ReflectionPad2d(channels)]
    layers += normalised(nn.Conv2d(channels, width, 7), width)
    for i in (1, 2):
        conv: nn.Module = nn.Conv2d(width * i, width * 2 * i, 3, 2, 1)
        layers += normalised(conv, width * 2 * i)
    layers += [_Residual(4 * width) for _ in range(blocks)]
    for i in (2, 1):
        layers.append(nn.Upsample(scale_factor=2))
        layers += normalised(nn.Conv2d(width * 2 * i, width * i, 3, padding=1), width * i)
    layers += [nn.ReflectionPad2d(channels), nn.Conv2d(width, channels, 7), nn.Tanh()]
    return nn.Sequential(*layers)


def _patches(channels: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    before = channels
    for times in (1, 2, 4, 8):
        layers.append(nn.Conv2d(before, width * times, 4, 2, 1))
        if times > 1:
            layers.append(nn.InstanceNorm2d(width * times))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
        before = width * times
    layers += [nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(before, 1, 4, padding=1)]
    return nn.Sequential(*layers)


def cycle_networks(
    channels: int, width: int = 64, blocks: int = 9
) -> tuple[nn.ModuleDict, nn.ModuleDict]:
    """cyclegan.py's: two residual generators and two discriminators of patches."""
    generators = {name: _translator(channels, width, blocks) for name in ("a_to_b", "b_to_a")}
    judges = {name: _patches(channels, width) for name in ("a", "b")}
    networks = nn.ModuleDict(generators), nn.ModuleDict(judges)
    for network in networks:
        network.apply(_initial)
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                torch.nn.init.zeros_(module.bias)
    return networks


def logits(judge: nn.Sequential) -> nn.Sequential:
    """The same layers without the sigmoid at the end, if there is one."""
    return judge[:-1] if isinstance(judge[-1], nn.Sigmoid) else judge
