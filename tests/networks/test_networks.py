import inspect
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from gan_modules import networks
from gan_modules.families.gates import mixes_samples
from gan_modules.networks import MinibatchStdDev
from gan_modules.networks.layers.blocks import Maxout, doublings

# networks for translation, of codes, and of pairs of image and latent have tests of their own
# nor is what packs images, which gives fewer logits, or has styles to fill in, tested here
ELSEWHERE = ("Cycle", "Patch", "Packed", "UNet", "AEGAN", "BiGAN", "StyledGenerator")
NAMES = [name for name in networks.__all__ if not name.startswith(ELSEWHERE)]
GENERATORS = [getattr(networks, name) for name in NAMES if name.endswith("Generator")]
DISCRIMINATORS = [getattr(networks, name) for name in NAMES if name.endswith("Discriminator")]
CONVOLUTIONAL = [
    c for c in GENERATORS + DISCRIMINATORS if c.__name__[:3] in ("DCG", "Res", "SAG", "Big", "ACG")
]
# networks of the conditional GAN's paper, which have no meaning without labels
CONDITIONAL = [networks.CGANGenerator, networks.CGANDiscriminator]
# of networks that have no width, or not 4
SIZES: dict[str, dict[str, Any]] = {
    "MLP": {"hidden": (16, 16)},
    "R3": {"width": 8},
    "ProGAN": {"channel_base": 64},
    "StyleGAN2": {"channel_base": 64},
}
SHAPES = [(1, 8, 8), (3, 16, 16), (2, 32, 32)]


def classes_of(cls: Any) -> list[int]:
    return [3] if cls in CONDITIONAL else [0, 3]


def small(cls: Any, *args: Any, **kwargs: Any) -> nn.Module:
    sizes = [options for name, options in SIZES.items() if cls.__name__.startswith(name)]
    network: nn.Module = cls(*args, **(sizes or [{"width": 4}])[0] | kwargs)
    return network


def logits(outputs: Any) -> torch.Tensor:
    """Of a discriminator, which may give features, too."""
    found: torch.Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
    return found


@pytest.mark.parametrize(
    ("cls", "num_classes"), [(c, n) for c in GENERATORS for n in classes_of(c)]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_generator_shape_and_range(cls: Any, shape: tuple[int, ...], num_classes: int) -> None:
    # not every paper's ends in tanh: in evaluation all keep the range
    generator = small(cls, shape, 5, num_classes).eval()
    labels = [torch.tensor([0, 2])] if num_classes else []
    images = generator(100 * torch.randn(2, 5), *labels)
    assert images.shape == (2, *shape)
    assert images.abs().max() <= 1


@pytest.mark.parametrize(
    ("cls", "num_classes"), [(c, n) for c in DISCRIMINATORS for n in classes_of(c)]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_discriminator_shape(cls: Any, shape: tuple[int, ...], num_classes: int) -> None:
    discriminator = small(cls, shape, num_classes)
    labels = [torch.tensor([0, 2])] if num_classes else []
    assert logits(discriminator(torch.randn(2, *shape), *labels)).shape == (2,)


@pytest.mark.parametrize("cls", GENERATORS + DISCRIMINATORS)
@pytest.mark.parametrize("shape", [(1, 64, 48), (3, 16, 40)])
def test_rectangles(cls: Any, shape: tuple[int, ...]) -> None:
    num_classes = classes_of(cls)[0]
    labels = [torch.tensor([0, 2])] if num_classes else []
    if cls in GENERATORS:
        images = small(cls, shape, 5, num_classes)(torch.randn(2, 5), *labels)
        assert images.shape == (2, *shape)
    else:
        network = small(cls, shape, num_classes)
        assert logits(network(torch.randn(2, *shape), *labels)).shape == (2,)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 8, 8), (1, 4, 4)),
        ((1, 128, 128), (5, 4, 4)),
        ((1, 64, 48), (4, 4, 3)),
        ((1, 28, 28), (2, 7, 7)),
        ((1, 16, 1024), (2, 4, 256)),
        ((1, 48, 20), (2, 12, 5)),
    ],
)
def test_doublings_by_hand(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert doublings(shape, "Network") == expected


# the auxiliary classifier is not told labels
@pytest.mark.parametrize(
    "cls", [c for c in [*GENERATORS, *DISCRIMINATORS] if c is not networks.ACGANDiscriminator]
)
def test_labels_matter(cls: Any) -> None:
    arguments = ((1, 8, 8), 5, 3) if cls in GENERATORS else ((1, 8, 8), 3)
    network = small(cls, *arguments).eval()
    with torch.no_grad():
        # conditional batch normalisation begins with the same scale and shift for all classes
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    inputs = torch.randn(1, 5) if cls in GENERATORS else torch.randn(1, 1, 8, 8)
    outputs = logits(network(inputs.expand(2, *inputs.shape[1:]), torch.tensor([0, 1])))
    # beyond what rounding makes of two rows
    assert (outputs[0] - outputs[1]).abs().max() > 1e-4
    with pytest.raises(ValueError, match="num_classes=3 must be given labels"):
        network(inputs)


@pytest.mark.parametrize(
    "cls", [c for c in DISCRIMINATORS if "norm" in inspect.signature(c).parameters]
)
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_scores_do_not_depend_on_the_rest_of_the_batch(cls: Any, norm: str, double: None) -> None:
    critic = small(cls, (1, 16, 16), norm=norm)
    images = torch.randn(6, 1, 16, 16)
    assert_close(critic(images)[:1], critic(images[:1]))


@pytest.mark.parametrize("cls", CONVOLUTIONAL)
@pytest.mark.parametrize("shape", [(1, 22, 22), (1, 4, 4), (1, 16, 31), (16, 16)])
def test_impossible_sizes_are_refused(cls: Any, shape: tuple[int, ...]) -> None:
    arguments = (shape, 5) if cls in GENERATORS else (shape,)
    with pytest.raises(ValueError, match=f"does not fit {cls.__name__}"):
        small(cls, *arguments)


def test_dcgan_initialisation_is_the_papers() -> None:
    generator = networks.DCGANGenerator((3, 32, 32), 100)
    weights = torch.cat(
        [m.weight.flatten() for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    )
    # 658,432 draws: the standard error is 2.5e-5 of the mean and 1.7e-5 of the deviation
    assert_close(weights.mean().item(), 0.0, rtol=0, atol=1.5e-4)
    assert_close(weights.std().item(), 0.02, rtol=0, atol=1e-4)


def test_paper_resnet_has_the_papers_size() -> None:
    # by hand: 128 channels; a 3x3 convolution has 9 * 128^2 + 128 weights, a 1x1
    # shortcut 128^2 + 128, a batch norm 2 * 128
    conv, shortcut, norm = 9 * 128**2 + 128, 128**2 + 128, 2 * 128
    up = 2 * conv + shortcut + 2 * norm
    linear, out = 128 * 2048 + 2048, 9 * 128 * 3 + 3
    generator = networks.ResNetGenerator((3, 32, 32), 128)
    assert sum(p.numel() for p in generator.parameters()) == linear + 3 * up + norm + out

    first = (9 * 3 * 128 + 128) + conv + (3 * 128 + 128)
    critic = networks.ResNetDiscriminator((3, 32, 32))
    expected = first + (2 * conv + shortcut) + 2 * (2 * conv) + 129
    assert sum(p.numel() for p in critic.parameters()) == expected


def test_resnet_initialisation_is_the_official_codes() -> None:
    critic = networks.ResNetDiscriminator((3, 32, 32), norm="layer")
    first, shortcut = critic.layers[0].residual[0], critic.layers[0].shortcut[1]
    linear = networks.ResNetGenerator((3, 32, 32), 128).layers[0]
    for layer, variance in (
        (first, 4 / (27 + 1152)),
        (shortcut, 2 / (3 + 128)),
        (linear, 2 / (128 + 2048)),
    ):
        # uniform: the bound is sqrt(3) deviations, and hundreds of draws come close to it
        bound = (3 * variance) ** 0.5
        assert layer.weight.abs().max() <= bound
        assert_close(layer.weight.abs().max().item(), bound, rtol=0.03, atol=0)
        assert layer.bias.abs().max() == 0
    # the first block is not normalised, the others are
    norms = [sum(isinstance(m, nn.GroupNorm) for m in block.modules()) for block in critic.layers]
    assert norms[:4] == [0, 2, 2, 2]


def test_resnet_shortcut_commutes_with_resampling(double: None) -> None:
    # the official code convolves before pooling and after upsampling; ours runs on the smaller map
    critic = networks.ResNetDiscriminator((3, 16, 16), width=4)
    pool, conv = critic.layers[0].shortcut
    x = torch.randn(2, 3, 16, 16)
    assert_close(critic.layers[0].shortcut(x), pool(conv(x)))
    generator = networks.ResNetGenerator((3, 16, 16), 5, width=4)
    conv, up = generator.layers[2].shortcut
    x = torch.randn(2, 4, 8, 8)
    assert_close(generator.layers[2].shortcut(x), conv(up(x)))


@pytest.mark.parametrize("size", [32, 64, 128])
def test_dcgan_sizes_are_the_papers(size: int) -> None:
    # by hand, for one width: 4x4 kernels; figure 1 halves the channels with every doubling
    doublings = {32: 3, 64: 4, 128: 5}[size]
    channels = [4 * 2**k for k in reversed(range(doublings))]
    generator = networks.DCGANGenerator((5, size, size), 7, width=4)
    inner = sum(16 * a * b for a, b in pairwise(channels))
    first = 7 * channels[0] * 16
    norms = 2 * sum(channels)
    assert sum(p.numel() for p in generator.parameters()) == first + inner + norms + 16 * 4 * 5 + 5
    discriminator = networks.DCGANDiscriminator((5, size, size), width=4)
    norms = 2 * sum(channels[:-1])
    expected = (16 * 5 * 4 + 4) + inner + norms + 16 * channels[0] + 1
    assert sum(p.numel() for p in discriminator.parameters()) == expected
    assert generator(torch.randn(2, 7)).shape == (2, 5, size, size)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: networks.MLPDiscriminator((1, 8, 8), norm="batch"), "norm='batch' must be one of"),  # type: ignore[arg-type]
        (
            lambda: networks.MLPDiscriminator((1, 8, 8), activation="relu"),  # type: ignore[arg-type]
            "activation='relu' must be one of leaky_relu, maxout",
        ),
        (lambda: networks.DCGANGenerator((1, 8, 8), 4, norm="bach"), "norm='bach' must be one of"),  # type: ignore[arg-type]
        (
            lambda: networks.PatchGANDiscriminator((1, 8, 8), n_layers=1, norm="x"),
            "norm='x' must be one of",
        ),  # type: ignore[arg-type]
        (lambda: networks.CGANGenerator((1, 8, 8), 4, 0), "num_classes=0 must be at least 1"),
        (lambda: networks.CGANDiscriminator((1, 8, 8), 0), "num_classes=0 must be at least 1"),
    ],
)
def test_wrong_options(make: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make()


def test_maxout_by_hand() -> None:
    layer = Maxout(2, 2, pieces=2)
    with torch.no_grad():
        layer.linear.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 2.0]]))
        layer.linear.bias.copy_(torch.tensor([0.0, 0.0, 0.0, -1.0]))
    # unit 0: max(x, y); unit 1: max(-x, 2 y - 1)
    x = torch.tensor([[3.0, 1.0], [-2.0, 0.5]])
    assert_close(layer(x), torch.tensor([[3.0, 1.0], [0.5, 2.0]]))


def test_dropout_is_where_the_papers_code_has_it() -> None:
    layers = networks.MLPDiscriminator(
        (1, 28, 28), hidden=(240, 240), activation="maxout", input_dropout=0.2, dropout=0.5
    ).layers
    names = [type(layer).__name__ for layer in layers]
    assert names == ["Dropout", "Maxout", "Dropout", "Maxout", "Dropout", "Linear"]
    assert [layer.p for layer in layers if isinstance(layer, nn.Dropout)] == [0.2, 0.5, 0.5]


def test_cgan_has_the_papers_size() -> None:
    # by hand, for MNIST: ReLU 200 and 1,000, then 1,200; maxout 240x5 and 50x5, then 240x4
    generator = networks.CGANGenerator((1, 28, 28), 100, 10)
    expected = (101 * 200) + (11 * 1000) + (1201 * 1200) + (1201 * 784)
    assert sum(p.numel() for p in generator.parameters()) == expected
    discriminator = networks.CGANDiscriminator((1, 28, 28), 10)
    expected = (785 * 1200) + (11 * 250) + (291 * 960) + 241
    assert sum(p.numel() for p in discriminator.parameters()) == expected


NORMALISED = [
    # R3GAN's branches start at 0, which has no direction
    c
    for c in [*GENERATORS, *DISCRIMINATORS]
    if "spectral_norm" in inspect.signature(c).parameters
]


@pytest.mark.thorough
@pytest.mark.parametrize("cls", NORMALISED)
def test_every_layer_is_spectrally_normalised(cls: Any, double: None) -> None:
    arguments = ((1, 16, 16), 5, 3) if cls in GENERATORS else ((1, 16, 16), 3)
    network = small(cls, *arguments, spectral_norm=True)
    inputs = torch.randn(3, 5) if cls in GENERATORS else torch.randn(3, 1, 16, 16)
    for _ in range(300):
        network(inputs, torch.tensor([0, 1, 2]))
    network.eval()
    layers = [
        m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))
    ]
    assert layers
    for layer in layers:
        weight = layer.weight
        if isinstance(layer, nn.ConvTranspose2d):
            weight = weight.transpose(0, 1)
        largest = torch.linalg.svdvals(weight.flatten(1))[0]
        assert_close(largest, torch.tensor(1.0), rtol=0, atol=0.02)


def test_minibatch_deviation_by_hand() -> None:
    layer = MinibatchStdDev(group_size=2)
    # images 0 and 2 make a group, 1 and 3 the other
    x = torch.tensor([0.0, 1.0, 2.0, 7.0])[:, None, None, None].expand(4, 3, 2, 2)
    out = layer(x)
    assert_close(out[:, :3], x)
    expected = torch.tensor([1.0, 3.0, 1.0, 3.0])[:, None, None, None].expand(4, 1, 2, 2)
    assert_close(out[:, 3:], expected)


def test_minibatch_deviation_takes_whole_groups() -> None:
    layer = MinibatchStdDev(group_size=4)
    x = torch.randn(6, 1, 2, 2)
    with pytest.raises(ValueError, match=r"group_size=4 .* must divide .* there are 6"):
        layer(x)
    # in evaluation the last group has the first images once more
    assert_close(layer.eval()(x)[:, 1:], layer(torch.cat([x, x[:2]]))[:6, 1:])
    # a small batch is one group
    assert_close(layer(x[:3])[:, 1, 0, 0], x[:3].var(0, correction=0).sqrt().mean().expand(3))
    with pytest.raises(ValueError, match="group_size=1 must be at least 2"):
        MinibatchStdDev(1)


@pytest.mark.parametrize("cls", [networks.DCGANDiscriminator, networks.ResNetDiscriminator])
def test_discriminators_see_the_spread_of_a_batch(cls: Any, double: None) -> None:
    critic = cls((1, 16, 16), width=4, norm="none", minibatch_stddev=2)
    images = torch.randn(2, 1, 16, 16)
    assert mixes_samples(critic)
    both = critic(images)
    assert not torch.allclose(both[0], critic(images[:1])[0])
    # among its likes an image is judged otherwise than beside another
    assert not torch.allclose(critic(images[:1].repeat(2, 1, 1, 1))[0], both[0])
