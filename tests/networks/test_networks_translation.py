"""Networks of image translation."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from gan_modules.networks.cyclegan import CycleGANGenerator
from gan_modules.networks.patchgan import PatchGANDiscriminator, deepest_patchgan


@pytest.mark.parametrize("size", [32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes(size: int, channels: int) -> None:
    shape = (channels, size, size)
    images = torch.rand(2, *shape) * 2 - 1
    translator = CycleGANGenerator(shape, width=4, n_blocks=1)
    translated = translator(images)
    assert translated.shape == images.shape
    assert translated.abs().max() <= 1
    assert not torch.equal(translated[0], translated[1])
    logits = PatchGANDiscriminator(shape, width=4)(images)
    assert logits.shape == (2, 1, size // 8 - 2, size // 8 - 2)


def test_the_official_number_of_logits() -> None:
    # 256 pixels, 70x70 patches: a map of 30x30
    assert PatchGANDiscriminator((3, 256, 256), width=2)(torch.zeros(1, 3, 256, 256)).shape == (
        1, 1, 30, 30,
    )  # fmt: skip


@pytest.mark.parametrize(("n_layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_receptive_field(n_layers: int, field: int, double: None) -> None:
    network = PatchGANDiscriminator((1, 140, 140), 4, n_layers, norm="none")
    images = torch.randn(1, 1, 140, 140, requires_grad=True)
    logits = network(images)
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], images)
    rows, columns = gradient[0, 0].nonzero().unbind(1)
    assert int(rows.max() - rows.min()) + 1 == field
    assert int(columns.max() - columns.min()) + 1 == field


def widths(network: nn.Module) -> list[tuple[int, int, tuple[int, ...], tuple[int, ...]]]:
    return [
        (m.in_channels, m.out_channels, m.kernel_size, m.stride)
        for m in network.modules()
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))
    ]


def test_patchgan_is_the_papers() -> None:
    network = PatchGANDiscriminator((3, 256, 256))
    assert widths(network) == [
        (3, 64, (4, 4), (2, 2)),
        (64, 128, (4, 4), (2, 2)),
        (128, 256, (4, 4), (2, 2)),
        (256, 512, (4, 4), (1, 1)),
        (512, 1, (4, 4), (1, 1)),
    ]
    norms = [m for m in network.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert [m.num_features for m in norms] == [128, 256, 512]
    slopes = [m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes == [0.2] * 4
    # the official network has 2,764,737 parameters, 896 of them biases that its norms cancel
    assert sum(p.numel() for p in network.parameters()) == 2_764_737 - 896


@pytest.mark.parametrize(("size", "blocks"), [(128, 6), (256, 9)])
def test_translator_is_the_papers(size: int, blocks: int) -> None:
    network = CycleGANGenerator((3, size, size))
    assert widths(network) == [
        (3, 64, (7, 7), (1, 1)),
        (64, 128, (3, 3), (2, 2)),
        (128, 256, (3, 3), (2, 2)),
        *[(256, 256, (3, 3), (1, 1))] * (2 * blocks),
        (256, 128, (3, 3), (2, 2)),
        (128, 64, (3, 3), (2, 2)),
        (64, 3, (7, 7), (1, 1)),
    ]
    norms = [m for m in network.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert len(norms) == 2 * blocks + 5
    assert not any(m.affine or m.track_running_stats for m in norms)
    if blocks == 9:
        # the official network has 11,378,179 parameters; 5,248 are biases that its norms cancel
        cancelled = sum(norm.num_features for norm in norms)
        assert sum(p.numel() for p in network.parameters()) == 11_378_179 - cancelled


def straight(network: CycleGANGenerator, images: torch.Tensor) -> torch.Tensor:
    """The translator with one halving and one block, written out."""
    f = nn.functional
    first, down, one, two, up, last = [
        m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))
    ]

    def reflected(x: torch.Tensor, conv: Any) -> torch.Tensor:
        pad = conv.kernel_size[0] // 2
        return f.conv2d(f.pad(x, (pad,) * 4, mode="reflect"), conv.weight, conv.bias)

    def norm(x: torch.Tensor) -> torch.Tensor:
        variance, mean = torch.var_mean(x, dim=(2, 3), keepdim=True, correction=0)
        return (x - mean) / torch.sqrt(variance + 1e-5)

    x = norm(reflected(images, first)).relu()
    x = norm(f.conv2d(x, down.weight, stride=2, padding=1)).relu()
    x = x + norm(reflected(norm(reflected(x, one)).relu(), two))
    up_x = f.conv_transpose2d(x, up.weight, stride=2, padding=1, output_padding=1)
    return torch.tanh(reflected(norm(up_x).relu(), last))


def test_translator_computes_what_it_says(double: None) -> None:
    network = CycleGANGenerator((2, 8, 12), width=3, n_blocks=1, n_downsampling=1)
    images = torch.randn(2, 2, 8, 12)
    expected = straight(network, images)
    assert_close(network(images), expected)
    # in-place activations leave the gradients alone
    gradients = torch.autograd.grad(expected.square().sum(), list(network.parameters()))
    ours = torch.autograd.grad(network(images).square().sum(), list(network.parameters()))
    assert_close(ours, gradients)


@pytest.mark.parametrize("network", [CycleGANGenerator, PatchGANDiscriminator])
def test_samples_do_not_influence_each_other_and_inputs_stay(network: Any) -> None:
    model = network((1, 32, 32), width=4)
    images = torch.randn(3, 1, 32, 32)
    before = images.clone()
    together = model(images)
    assert_close(together[1:2], model(images[1:2]))
    assert_close(images, before, rtol=0, atol=0)


@pytest.mark.parametrize("network", [CycleGANGenerator, PatchGANDiscriminator])
def test_initialisation(network: Any) -> None:
    model = network((3, 64, 64))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert parameter.abs().max() == 0
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05)
            assert abs(parameter.mean().item()) < 0.002


@pytest.mark.parametrize("norm", ["instance", "batch", "layer", "none"])
def test_a_bias_only_where_no_norm_cancels_it(norm: Any, double: None) -> None:
    model = PatchGANDiscriminator((1, 32, 32), width=4, norm=norm)
    hidden = [m for m in model.modules() if isinstance(m, nn.Conv2d)][1:-1]
    assert [m.bias is not None for m in hidden] == [norm in ("none", "layer")] * 3
    logits = model(torch.randn(2, 1, 32, 32))
    grads = torch.autograd.grad(logits.square().sum(), list(model.parameters()))
    # what a norm cancels would have no gradient beyond rounding
    assert all(grad.abs().max() > 1e-12 for grad in grads)


@pytest.mark.parametrize(
    ("size", "deepest"), [(6, 1), (11, 1), (12, 2), (23, 2), (24, 3), (47, 3), (48, 4)]
)
def test_smallest_images(size: int, deepest: int) -> None:
    shape = (1, size, size + 1)
    assert deepest_patchgan(shape) == deepest
    assert PatchGANDiscriminator(shape, 2, deepest)(torch.randn(1, *shape)).numel() >= 1
    fits = f"n_layers from 1 to {deepest} fit" if deepest > 1 else "only n_layers=1 fits"
    with pytest.raises(
        ValueError, match=f"n_layers={deepest + 1} of PatchGANDiscriminator: {fits}"
    ):
        PatchGANDiscriminator(shape, 2, deepest + 1)


@pytest.mark.parametrize("shape", [(1, 5, 64), (32, 32)])
def test_images_no_patchgan_fits(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="with sides of at least 6"):
        PatchGANDiscriminator(shape)


@pytest.mark.parametrize(
    ("shape", "options", "line"),
    [
        ((1, 30, 32), {}, "multiples of 4 and at least 8"),
        ((1, 4, 8), {}, "multiples of 4 and at least 8"),
        ((1, 2, 2), {"n_downsampling": 1}, "multiples of 2 and at least 4"),
        ((8, 8), {}, r"needs \(channels, height, width\)"),
        ((1, 8, 8), {"n_blocks": -1}, "n_blocks=-1 must be at least 0"),
        ((1, 8, 8), {"n_downsampling": -1}, "n_downsampling=-1 must be at least 0"),
    ],
)
def test_translators_that_do_not_fit(
    shape: tuple[int, ...], options: dict[str, Any], line: str
) -> None:
    with pytest.raises(ValueError, match=line):
        CycleGANGenerator(shape, **options)


@pytest.mark.parametrize(("side", "n_downsampling"), [(4, 0), (4, 1), (8, 2), (16, 3)])
def test_smallest_translators(side: int, n_downsampling: int) -> None:
    model = CycleGANGenerator((1, side, side), 2, 1, n_downsampling)
    images = torch.randn(1, 1, side, side)
    assert model(images).shape == images.shape
