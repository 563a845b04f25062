"""One convolution in place of a convolution and a resampling."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from gan_modules import DCGAN
from gan_modules.networks import (
    ResNetDiscriminator,
    ResNetGenerator,
)
from gan_modules.networks.layers.resampling import (
    DownsampleConv2d,
    UpsampleConv2d,
    resampling_kernel,
)


def upsampled(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return F.conv2d(F.interpolate(x, scale_factor=2), conv.weight, conv.bias, padding=1)


def downsampled(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return F.avg_pool2d(F.conv2d(x, conv.weight, conv.bias, padding=1), 2)


LAYERS = [(UpsampleConv2d, upsampled), (DownsampleConv2d, downsampled)]


@pytest.mark.parametrize(("layer", "reference"), LAYERS)
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_two_layers_up_to_rounding(
    layer: type[nn.Conv2d], reference: Callable[[nn.Conv2d, Tensor], Tensor], bias: bool
) -> None:
    torch.manual_seed(0)
    conv = layer(3, 5, bias=bias).double()
    # borders are most of such a small map
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64, requires_grad=True)
    expected = reference(conv, x)
    assert_close(conv(x), expected, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(expected)
    wanted = [x, *conv.parameters()]
    assert_close(
        torch.autograd.grad((conv(x) * weight).sum(), wanted),
        torch.autograd.grad((expected * weight).sum(), wanted),
    )


@pytest.mark.parametrize(("layer", "reference"), LAYERS)
def test_so_are_gradients_of_gradients(
    layer: type[nn.Conv2d], reference: Callable[[nn.Conv2d, Tensor], Tensor]
) -> None:
    torch.manual_seed(0)
    conv = layer(2, 3).double()
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64)

    def penalty(forward: Callable[[Tensor], Tensor]) -> Tensor:
        slope = torch.func.grad(lambda x: forward(x).square().sum())(x)
        return torch.autograd.grad(slope.square().sum(), conv.weight)[0]

    assert_close(penalty(conv), penalty(lambda x: reference(conv, x)))


@pytest.mark.parametrize("layer", [UpsampleConv2d, DownsampleConv2d])
def test_it_is_saved_and_starts_like_a_convolution(layer: type[nn.Conv2d]) -> None:
    torch.manual_seed(0)
    conv = layer(2, 3)
    torch.manual_seed(0)
    assert_close(dict(conv.state_dict()), dict(nn.Conv2d(2, 3, 3).state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize("layer", [UpsampleConv2d, DownsampleConv2d])
def test_the_kernel_is_summed_in_full_precision_under_autocast(layer: type[nn.Conv2d]) -> None:
    torch.manual_seed(0)
    conv = layer(2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert resampling_kernel(conv.taps, conv.weight).dtype == torch.float32
        assert conv(torch.randn(1, 2, 4, 4)).dtype == torch.bfloat16


def plain_block(block: nn.Module, x: Tensor) -> Tensor:
    """A residual block by the book, with the resampling as layers of its own."""
    y = x
    for layer in block.residual:  # type: ignore[union-attr]
        is_fused = isinstance(layer, UpsampleConv2d | DownsampleConv2d)
        form = upsampled if isinstance(layer, UpsampleConv2d) else downsampled
        y = form(layer, y) if is_fused else layer(y)  # type: ignore[arg-type]
    return y + block.shortcut(x)  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["generator", "discriminator"])
def test_residual_networks_are_what_they_were(kind: str) -> None:
    torch.manual_seed(0)
    if kind == "generator":
        network: nn.Module = ResNetGenerator((3, 16, 16), 4, width=8)
        x = torch.randn(6, 4)
    else:
        network = ResNetDiscriminator((3, 32, 32), width=8)
        x = torch.randn(2, 3, 32, 32)
    keys = [key for key in network.state_dict() if key.endswith("weight")]
    # what checkpoints of version 0.1 hold
    assert ("layers.2.residual.3.weight" in keys) == (kind == "generator")
    assert ("layers.0.residual.3.weight" in keys) == (kind == "discriminator")
    network, y = network.double(), x.double()
    blocks = 0
    for layer in network.layers:  # type: ignore[union-attr]
        y = plain_block(layer, y) if hasattr(layer, "residual") else layer(y)
        blocks += hasattr(layer, "residual")
    assert blocks == (2 if kind == "generator" else 4)
    assert_close(network(x.double()), y)


@pytest.mark.parametrize("generator", [None, nn.Sequential(nn.Unflatten(1, (4, 1, 1)), nn.ConvTranspose2d(4, 1, 16))])  # fmt: skip  # noqa: E501
def test_weights_lie_channels_last_whatever_was_given_or_loaded(generator: Any) -> None:
    if generator is not None:
        generator[1].weight.data = torch.randn(1, 4, 16, 16).transpose(0, 1)
    model = DCGAN(image_shape=(1, 16, 16), latent_dim=4, generator=generator)
    usual_order = {name: value.contiguous() for name, value in model.state_dict().items()}
    copy = deepcopy(model)
    copy.load_state_dict(usual_order)
    for module in (model, copy):
        kernels = [p for p in module.parameters() if p.ndim == 4]
        assert kernels
        for kernel in kernels:
            assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert_close(dict(copy.state_dict()), dict(model.state_dict()), rtol=0, atol=0)
