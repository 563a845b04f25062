"""The layers and networks of StyleGAN2."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from gan_modules.networks import ModulatedConv2d, StyleGAN2Discriminator, StyleGAN2Generator
from gan_modules.networks.layers.equalized import EqualizedConv2d, EqualizedLinear, pixel_norm
from gan_modules.networks.layers.smooth_resampling import Smoothing


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("size", [1, 3])
def test_modulated_convolution_is_one_per_sample(
    size: int, demodulate: bool, up: bool, double: None
) -> None:
    if up and size == 1:
        return
    layer = ModulatedConv2d(3, 5, size, 4, demodulate, up)
    x, w = torch.randn(2, 3, 6, 6, requires_grad=True), torch.randn(2, 4, requires_grad=True)

    def by_hand() -> Tensor:
        out = []
        for one, style in zip(x, w, strict=True):
            scales = layer.style.weight / 2 @ style + layer.style.bias
            weight = layer.weight / math.sqrt(3 * size**2) * scales[:, None, None]
            if demodulate:
                weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
            if up:
                wide = F.conv_transpose2d(one[None], weight.transpose(0, 1), stride=2)
                taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
                kernel = torch.outer(taps, taps).expand(5, 1, 4, 4)
                out.append(F.conv2d(wide, kernel, padding=1, groups=5))
            else:
                out.append(F.conv2d(one[None], weight, padding=size // 2))
        return torch.cat(out)

    found, expected = layer(x, w), by_hand()
    assert found.shape == (2, 5, 12, 12) if up else (2, 5, 6, 6)
    assert_close(found, expected, rtol=0, atol=1e-6)
    direction = torch.randn_like(found)
    inputs = [x, w, *layer.parameters()]
    gradients = [torch.autograd.grad((y * direction).sum(), inputs) for y in (found, expected)]
    assert_close(gradients[0], gradients[1], rtol=0, atol=1e-6)


def test_demodulated_outputs_have_unit_deviation() -> None:
    layer = ModulatedConv2d(32, 8, 3, 4)
    out = layer(torch.randn(64, 32, 8, 8), 5 * torch.randn(64, 4))[:, :, 1:-1, 1:-1]
    assert_close(out.std(), torch.tensor(1.0), rtol=0, atol=0.05)


def test_equalized_layers_by_hand() -> None:
    linear = EqualizedLinear(4, 3, bias=0.5, gain=2.0, rate=0.01)
    x = torch.randn(2, 4)
    assert_close(linear.bias.detach(), torch.full((3,), 50.0))
    assert_close(linear(x), x @ (linear.weight * 0.01 * 2 / 2).T + 0.5)
    assert 30 < EqualizedLinear(100, 100, rate=0.01).weight.std() < 300
    conv = EqualizedConv2d(4, 2, 3, padding=1, gain=3.0)
    x = torch.randn(1, 4, 5, 5)
    assert_close(conv(x), F.conv2d(x, conv.weight * 3 / 6, padding=1))
    assert_close(pixel_norm(torch.tensor([[3.0, 4.0]])), torch.tensor([[3.0, 4.0]]) / 12.5**0.5)


def test_smoothing_by_hand() -> None:
    smoothing = Smoothing()
    x = torch.randn(2, 3, 4, 4)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = torch.outer(taps, taps).expand(3, 1, 4, 4)
    assert_close(smoothing(x, 2), F.conv2d(x, kernel, padding=2, groups=3))
    assert_close(smoothing.downsample(x), F.conv2d(x, kernel, padding=1, groups=3)[:, :, ::2, ::2])
    # zeros between pixels, and four times as much
    spread = torch.zeros(2, 3, 8, 8)
    spread[:, :, ::2, ::2] = x
    padded = F.pad(spread, (2, 1, 2, 1))
    assert_close(smoothing.upsample(x), F.conv2d(4 * padded, kernel, groups=3))
    assert_close(
        smoothing.upsample(torch.ones(1, 1, 8, 8))[..., 2:-2, 2:-2], torch.ones(1, 1, 12, 12)
    )


def widths(side: int) -> list[int]:
    return [min(512, 32768 // size) for size in (2**n for n in range(2, side.bit_length()))]


@pytest.mark.parametrize("side", [256, 512, 1024])
def test_networks_have_the_papers_size(side: int) -> None:
    """Counted by hand from configuration F."""
    with torch.device("meta"):
        generator = StyleGAN2Generator((3, side, side), 512)
        discriminator = StyleGAN2Discriminator((3, side, side))
    maps = widths(side)

    def conv(before: int, after: int, size: int) -> int:
        # weights, the affine map of the style, bias
        return before * after * size**2 + 512 * before + before + after

    expected = 8 * (512 * 512 + 512) + 512 * 16
    # every 3x3 has a strength of its noise
    expected += conv(512, 512, 3) + 1 + sum(conv(c, 3, 1) for c in maps)
    for before, after in pairwise(maps):
        expected += conv(before, after, 3) + conv(after, after, 3) + 2
    assert sum(p.numel() for p in generator.parameters()) == expected
    assert generator.num_layers == 2 * len(maps)

    expected = 3 * maps[-1] + maps[-1]
    for after, before in pairwise(maps):
        expected += before * before * 9 + before + before * after * 9 + after + before * after
    expected += 513 * 512 * 9 + 512 + 512 * 16 * 512 + 512 + 512 + 1
    assert sum(p.numel() for p in discriminator.parameters()) == expected
    known = {256: (30_034_338, 28_864_129), 1024: (30_370_060, 29_012_513)}
    if side in known:
        counted = [sum(p.numel() for p in n.parameters()) for n in (generator, discriminator)]
        assert counted == [*known[side]]


def small(**options: Any) -> StyleGAN2Generator:
    return StyleGAN2Generator((1, 8, 8), 4, style_dim=6, channel_base=32, **options)


def test_noise_is_new_in_training_and_fixed_in_evaluation() -> None:
    generator = small()
    for layer in generator.synthesis.layers:  # type: ignore[union-attr]
        torch.nn.init.ones_(layer.strength)  # type: ignore[arg-type]
    z = torch.randn(2, 4)
    assert not torch.equal(generator(z), generator(z))
    generator.eval()
    assert_close(generator(z), generator(z), rtol=0, atol=0)
    assert generator(100 * z).abs().max() <= 1


def test_styles_go_to_their_layers() -> None:
    """An image of 8 pixels has four styles; that of its last layer is all toRGB's."""
    generator = small().eval()
    ws = generator.mapping(torch.randn(1, 4))[:, None].repeat(1, 4, 1)
    assert_close(generator.synthesis(ws), generator.synthesis(ws.clone()))
    called: dict[str, Tensor] = {}
    for name, module in generator.synthesis.named_modules():
        if isinstance(module, ModulatedConv2d):
            module.register_forward_hook(
                lambda m, args, out, name=name: called.update({name: args[1]})
            )
    ws = torch.randn(1, 4, 6)
    generator.synthesis(ws)
    places = {
        "layers.0.conv": 0, "to_image.0.conv": 1, "layers.1.conv": 1, "layers.2.conv": 2,
        "to_image.1.conv": 3,
    }  # fmt: skip
    assert called.keys() == places.keys()
    for name, place in places.items():
        assert_close(called[name], ws[:, place])


def test_classes_make_another_image_and_another_logit() -> None:
    generator = small(num_classes=3).eval()
    z = torch.randn(1, 4).expand(3, -1)
    styles = generator.mapping(z, torch.tensor([0, 0, 1]))
    assert_close(styles[0], styles[1])
    assert not torch.equal(styles[0], styles[2])
    discriminator = StyleGAN2Discriminator((1, 8, 8), 3, channel_base=32).eval()
    images = torch.randn(1, 1, 8, 8).expand(3, -1, -1, -1)
    logits = discriminator(images, torch.tensor([0, 0, 1]))
    assert_close(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])


def test_a_discriminator_without_shortcuts() -> None:
    with_them, without = (
        StyleGAN2Discriminator((1, 16, 16), channel_base=64, residual=r) for r in (True, False)
    )
    # 4 to 8 channels, 8 to 16
    lost = 4 * 8 + 8 * 16
    counted = [sum(p.numel() for p in n.parameters()) for n in (with_them, without)]
    assert counted[0] - counted[1] == lost


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StyleGAN2Generator((1, 22, 22), 4), "does not fit StyleGAN2Generator"),
        (lambda: StyleGAN2Discriminator((1, 8, 4)), "does not fit StyleGAN2Discriminator"),
        (
            lambda: StyleGAN2Generator((1, 8, 8), 4, channel_base=4),
            "channel_base=4 must be",
        ),
        (lambda: StyleGAN2Generator((1, 8, 8), 4, mapping_layers=0), "mapping_layers=0 must be"),
        (lambda: StyleGAN2Discriminator((1, 8, 8), group_size=1), "group_size=1 must be"),
    ],
)
def test_sizes_that_do_not_fit_are_said(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
