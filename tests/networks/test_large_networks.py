"""The networks of SAGAN, BigGAN and AC-GAN: sizes, chunks, initialisation, maps with attention."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from gan_modules.networks import (
    ACGANDiscriminator,
    ACGANGenerator,
    BigGANDiscriminator,
    BigGANGenerator,
    SAGANDiscriminator,
    SAGANGenerator,
)
from gan_modules.networks.layers.attention import SelfAttention
from gan_modules.networks.layers.conditional_batch_norm import VectorBatchNorm2d


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# ---- numbers of parameters -----------------------------------------------------------------------


def conv(a: int, b: int, kernel: int = 3) -> int:
    return kernel * kernel * a * b + b


def attention(c: int) -> int:
    return 2 * c * (c // 8) + 2 * c * (c // 2) + 1


def biggan_sizes(
    up: list[int], down: list[int], z: int, at: tuple[int, int], halvings: int
) -> tuple[int, int]:
    """Of both networks with 1000 classes, layer by layer."""
    chunk = z // len(up)
    vector = chunk + 128
    g = 1000 * 128 + (chunk + 1) * 16 * up[0] + attention(at[0])
    for a, b in pairwise(up):
        g += conv(a, b) + conv(b, b) + conv(a, b, 1) + 2 * vector * (a + b)
    g += 2 * up[-1] + conv(up[-1], 3)
    d = attention(at[1]) + (down[-1] + 1) + 1000 * down[-1]
    for k, (a, b) in enumerate(zip([3, *down[:-1]], down, strict=True)):
        d += conv(a, b) + conv(b, b) + (conv(a, b, 1) if k < halvings or a != b else 0)
    return g, d


def test_biggan_has_the_papers_size() -> None:
    ch = 96
    up, down = [16, 16, 8, 4, 2, 1], [1, 2, 4, 8, 16, 16]
    expected = biggan_sizes([ch * m for m in up], [ch * m for m in down], 120, (192, 96), 5)
    # what the authors' code reports for 128 pixels
    assert expected == (70_433_988, 87_982_370)
    with torch.device("meta"):
        generator = BigGANGenerator((3, 128, 128), 120, 1000, spectral_norm=False)
        discriminator = BigGANDiscriminator((3, 128, 128), 1000, spectral_norm=False)
    assert (size(generator), size(discriminator)) == expected


@pytest.mark.parametrize(
    ("side", "up", "down", "halvings", "at"),
    [
        (32, [4, 4, 4, 4], [4, 4, 4, 4], 2, (4, 4)),
        (64, [16, 16, 8, 4, 2], [1, 2, 4, 8, 16], 4, (4, 1)),
        (256, [16, 16, 8, 8, 4, 2, 1], [1, 2, 4, 8, 8, 16, 16], 6, (4, 2)),
    ],
)
def test_biggan_at_other_sizes(
    side: int, up: list[int], down: list[int], halvings: int, at: tuple[int, int]
) -> None:
    ch = 8
    expected = biggan_sizes(
        [ch * m for m in up], [ch * m for m in down], 20 * len(up), (ch * at[0], ch * at[1]),
        halvings,
    )  # fmt: skip
    with torch.device("meta"):
        generator = BigGANGenerator(
            (3, side, side), 20 * len(up), 1000, width=ch, spectral_norm=False
        )
        discriminator = BigGANDiscriminator((3, side, side), 1000, width=ch, spectral_norm=False)
    assert (size(generator), size(discriminator)) == expected


def test_sagan_has_the_papers_layers() -> None:
    # 64 channels at 128 pixels: as BigGAN's, with latents of 128 and batch norm by class
    up, down = [64 * m for m in (16, 16, 8, 4, 2, 1)], [64 * m for m in (1, 2, 4, 8, 16, 16)]
    g = 129 * 16 * up[0] + attention(256) + 2 * up[-1] + conv(up[-1], 3)
    for a, b in pairwise(up):
        g += conv(a, b) + conv(b, b) + conv(a, b, 1) + 2 * 1000 * (a + b)
    d = biggan_sizes(up, down, 120, (256, 128), 5)[1]
    with torch.device("meta"):
        generator = SAGANGenerator((3, 128, 128), 128, 1000, spectral_norm=False)
        discriminator = SAGANDiscriminator((3, 128, 128), 1000, spectral_norm=False)
    assert (size(generator), size(discriminator)) == (g, d)


def test_acgan_has_the_papers_layers() -> None:
    generator = ACGANGenerator((3, 32, 32), 100, 10)
    shapes = [tuple(p.shape) for p in generator.parameters() if p.ndim > 1]
    assert shapes == [(384 * 16, 110), (384, 192, 5, 5), (192, 96, 5, 5), (96, 3, 5, 5)]
    discriminator = ACGANDiscriminator((3, 32, 32), 10)
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [16, 32, 64, 128, 256, 512]
    assert [m.stride[0] for m in convolutions] == [2, 1, 2, 1, 2, 1]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules()) == 5
    assert [m.p for m in discriminator.modules() if isinstance(m, nn.Dropout)] == [0.5] * 6
    judged: Any = discriminator(torch.randn(2, 3, 32, 32))
    assert (judged.logits.shape, judged.classes.shape) == ((2,), (2, 10))


# ---- latents and classes -------------------------------------------------------------------------


def block_inputs(generator: BigGANGenerator, z: Tensor, labels: Tensor | None) -> list[Tensor]:
    """What the linear layer and each block are given."""
    given: list[Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: given.append(inputs[-1]))
        for layer in (generator.linear, *generator.blocks)
    ]
    generator(z, labels)
    for hook in hooks:
        hook.remove()
    return given


def test_each_block_has_a_chunk_of_the_latent() -> None:
    generator = BigGANGenerator((1, 32, 32), 11, 3, width=2, shared_dim=5)
    z, labels = torch.randn(4, 11), torch.tensor([2, 0, 1, 1])
    # four chunks of two, and the first has the rest
    shared = generator.shared.weight[labels]
    chunks = (z[:, 5:7], z[:, 7:9], z[:, 9:11])
    expected = [z[:, :5], *(torch.cat([shared, chunk], 1) for chunk in chunks)]
    assert_close(block_inputs(generator, z, labels), expected, rtol=0, atol=0)
    plain = BigGANGenerator((1, 32, 32), 11, width=2)
    assert_close(block_inputs(plain, z, None), [z[:, :5], *chunks], rtol=0, atol=0)
    assert not hasattr(plain, "shared")


def test_normalisation_by_a_vector() -> None:
    norm = VectorBatchNorm2d(3, 2)
    x, vector = torch.randn(4, 3, 2, 2), torch.randn(4, 2)
    plain = F.batch_norm(x, None, None, training=True)
    for i, out in enumerate(norm(x, vector)):
        scale, shift = (layer.weight @ vector[i] for layer in (norm.scale, norm.shift))
        assert_close(out, plain[i] * (1 + scale)[:, None, None] + shift[:, None, None])


@pytest.mark.parametrize("cls", [SAGANDiscriminator, BigGANDiscriminator])
def test_the_projection(cls: Any, double: None) -> None:
    critic = cls((1, 16, 16), num_classes=3, width=2).eval()
    images, labels = torch.randn(4, 1, 16, 16), torch.tensor([2, 0, 1, 1])
    phi = critic.blocks(images).relu().sum((2, 3))
    weight, bias, embedding = critic.linear.weight, critic.linear.bias, critic.embedding.weight
    expected = [(weight[0] + embedding[:, labels[i]]) @ phi[i] + bias[0] for i in range(4)]
    assert_close(critic(images, labels), torch.stack(expected))
    # normalised, as the other layers
    assert hasattr(critic.embedding, "parametrizations")


# ---- blocks and initialisation -------------------------------------------------------------------


def test_biggan_weights_are_orthogonal(double: None) -> None:
    networks: tuple[nn.Module, ...] = (
        BigGANGenerator((1, 16, 16), 12, 6, width=2, shared_dim=4, spectral_norm=False),
        BigGANDiscriminator((1, 16, 16), 6, width=2, spectral_norm=False),
    )
    for network in networks:
        found = 0
        for layer in network.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear, nn.Embedding)):
                weight = layer.weight.flatten(1)
                rows, columns = weight.shape
                gram = weight @ weight.T if rows <= columns else weight.T @ weight
                assert_close(gram, torch.eye(min(rows, columns)))
                bias = getattr(layer, "bias", None)
                assert bias is None or not bias.any()
                found += 1
        assert found > 10


def test_spectral_normalisation_has_the_papers_eps() -> None:
    for network in (
        BigGANGenerator((1, 8, 8), 9, 3, width=2),
        BigGANDiscriminator((1, 8, 8), 3, 2),
    ):
        normalised: list[Any] = [m for m in network.modules() if hasattr(m, "parametrizations")]
        assert {m.parametrizations.weight[0].eps for m in normalised} == {1e-6}
        # the shared embedding is not
        plain = [m for m in network.modules() if isinstance(m, nn.Embedding)]
        assert not set(plain) & set(normalised)


def test_generator_block_in_the_papers_order(double: None) -> None:
    block = SAGANGenerator((1, 16, 16), 4, width=2, spectral_norm=False).blocks[0]
    x = torch.randn(3, 8, 4, 4)

    def norm(x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, training=True)

    def double_size(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    h = block.conv1(double_size(norm(x).relu()))
    h = block.conv2(norm(h).relu())
    assert_close(block(x, None), h + block.shortcut(double_size(x)))


def test_discriminator_blocks_in_the_papers_order(double: None) -> None:
    blocks = SAGANDiscriminator((1, 16, 16), width=2, attention=0, spectral_norm=False).blocks
    first, second, third = blocks
    x = torch.randn(3, 1, 16, 16)
    h = F.avg_pool2d(first.conv2(first.conv1(x).relu()), 2)
    assert_close(first(x), h + first.shortcut(F.avg_pool2d(x, 2)))
    x = torch.randn(3, 8, 8, 8)
    for block in (second, third):
        assert_close(block(x), x + block.conv2(block.conv1(x.relu()).relu()))


# ---- attention -----------------------------------------------------------------------------------


def attention_side(network: nn.Module, *inputs: Tensor) -> list[int]:
    """Sides of the maps that attention sees."""
    seen: list[int] = []
    for module in network.modules():
        if isinstance(module, SelfAttention):
            module.register_forward_hook(lambda _, given, out: seen.append(given[0].shape[-1]))
    network(*inputs)
    return seen


PAIRS = [
    (SAGANGenerator, SAGANDiscriminator, {8: 4, 16: 8, 32: 16, 64: 32, 128: 32}),
    (BigGANGenerator, BigGANDiscriminator, {8: 4, 16: 8, 32: 16, 64: 32, 128: 64}),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("generator", "discriminator", "sides"), PAIRS)
def test_where_attention_is(generator: Any, discriminator: Any, sides: dict[int, int]) -> None:
    for side, expected in sides.items():
        shape = (1, side, side)
        z, x = torch.randn(2, 12), torch.randn(2, *shape)
        assert attention_side(generator(shape, 12, width=1), z) == [expected]
        assert attention_side(discriminator(shape, width=1), x) == [expected]
        # the map that is summed: 8x8 at 16 and 32 pixels, else 4x4
        blocks = discriminator(shape, width=1).blocks
        assert blocks(x).shape[-1] == (8 if side in (16, 32) else 4)
    # by the shorter side, which is the last
    z, x = torch.randn(2, 12), torch.randn(2, 1, 64, 48)
    assert attention_side(generator(x.shape[1:], 12, width=1, attention=12), z) == [12]
    assert attention_side(discriminator(x.shape[1:], width=1, attention=12), x) == [12]
    shape, z, x = (1, 32, 32), torch.randn(2, 12), torch.randn(2, 1, 32, 32)
    for chosen in (0, 8, 16):
        expected_sides = [chosen] if chosen else []
        assert attention_side(generator(shape, 12, width=1, attention=chosen), z) == expected_sides
        assert attention_side(discriminator(shape, width=1, attention=chosen), x) == expected_sides


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: SAGANGenerator((1, 32, 32), 4, attention=32),
            "attention=32 must be None, 0, or the side of a map between blocks: 4, 8, 16",
        ),
        (
            lambda: BigGANDiscriminator((1, 32, 32), attention=4),
            "attention=4 must be None, 0, or the side of a map between blocks: 8, 16",
        ),
        (
            lambda: SAGANDiscriminator((1, 1024, 1024)),
            r"image_shape=\(1, 1024, 1024\) does not fit SAGANDiscriminator: .* at most 7 times",
        ),
        (lambda: BigGANGenerator((1, 18, 18), 4), r"\(1, 18, 18\) does not fit BigGANGenerator"),
        (
            lambda: BigGANGenerator((1, 32, 32), 3),
            "latent_dim=3 must be at least 4, one number for each chunk",
        ),
        (lambda: BigGANGenerator((1, 32, 32), 8, shared_dim=0), "shared_dim=0 must be at least 1"),
        (lambda: SAGANGenerator((1, 32, 32), 8, width=0), "width=0 must be at least 1"),
        (lambda: ACGANDiscriminator((1, 8, 8), 3, dropout=1.0), r"dropout=1.0 must be in \[0, 1\)"),
    ],
)
def test_wrong_options_of_large_networks(make: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make()
