"""4x4 convolutions of stride 2 as matrix products, against torch's own."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.nn import functional as F
from torch.testing import assert_close

from gan_modules.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
    convolutions,
)
from gan_modules.networks.layers.convolutions import (
    DoublingConvTranspose2d,
    HalvingConv2d,
    conv,
    conv_transpose,
    large_kernel,
)

Convolution = Callable[[Tensor, Tensor, Tensor | None], Tensor]
WAYS = {"conv": conv, "conv_transpose": conv_transpose}


def own(name: str) -> Convolution:
    """Torch's convolution of that name."""
    torchs: Callable[..., Tensor] = F.conv2d if name == "conv" else F.conv_transpose2d
    return lambda x, weight, bias: torchs(x, weight, bias, 2, 1)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products for kernels of any size."""
    monkeypatch.setattr(convolutions, "LARGE_KERNEL", 0)


@pytest.fixture
def no_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error where a product would be computed."""

    def forbidden(*_: Any) -> None:
        raise AssertionError("computed as patches")

    monkeypatch.setattr(convolutions._Patches, "apply", forbidden)
    monkeypatch.setattr(convolutions._Overlap, "apply", forbidden)


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_torchs_own(name: str, channels: int, bias: bool, double: None, always: None) -> None:
    shape = (channels, 6, 4, 4) if name == "conv" else (6, channels, 4, 4)
    # borders are most of such small maps
    wanted = [torch.randn(2, 6, 2, 4), torch.randn(shape), *([torch.randn(channels)] * bias)]
    for tensor in wanted:
        tensor.requires_grad_()
    x, weight, constant = (*wanted, None)[:3]
    assert x is not None
    assert weight is not None
    outcomes = [each(x, weight, constant) for each in (WAYS[name], own(name))]
    assert_close(*outcomes)
    slope = torch.randn_like(outcomes[1])
    gradients = [
        torch.autograd.grad((outcome * slope).sum(), wanted, create_graph=True)
        for outcome in outcomes
    ]
    assert_close(*gradients)
    sums = [torch.stack([g.square().sum() for g in each]).sum() for each in gradients]
    assert_close(*(torch.autograd.grad(each, wanted[:2]) for each in sums))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch.func.jvp does
@pytest.mark.parametrize("name", WAYS)
def test_functional_transforms(name: str, double: None, always: None) -> None:
    x, weight = torch.randn(3, 2, 4, 4), torch.randn(2, 2, 4, 4)

    def energy(convolve: Convolution) -> Callable[..., Tensor]:
        return lambda weight, one: convolve(one[None], weight, None).square().sum()

    ways = WAYS[name], own(name)
    # of each sample by itself
    slopes = [torch.func.vmap(torch.func.grad(energy(f)), (None, 0))(weight, x) for f in ways]
    assert_close(*slopes)
    tangents = [
        torch.func.jvp(lambda x, f=f: f(x, weight, None), (x,), (torch.ones_like(x),)) for f in ways
    ]
    assert_close(*tangents)


@pytest.mark.parametrize("name", WAYS)
def test_batches_of_gradients(name: str, double: None, always: None) -> None:
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    weight = torch.randn(3, 3, 4, 4, requires_grad=True)
    gradcheck(
        lambda *inputs: WAYS[name](*inputs, None),
        (x, weight),
        check_batched_grad=True,
        check_forward_ad=True,
        check_batched_forward_grad=True,
    )


@pytest.mark.parametrize("name", WAYS)
def test_outcomes_lie_channels_last(name: str, always: None) -> None:
    outcome = WAYS[name](torch.randn(2, 8, 4, 4), torch.randn(8, 8, 4, 4), None)
    assert outcome.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "side", "products"),
    [
        # kernels of 2 MiB, where those are large, and 16 patches
        ("conv", 128, 256, 8, True),
        ("conv_transpose", 256, 128, 4, True),
        # larger maps, a smaller kernel
        ("conv", 128, 256, 16, False),
        ("conv_transpose", 256, 128, 8, False),
        ("conv", 128, 128, 8, False),
        ("conv_transpose", 128, 128, 4, False),
        # an image's channels
        ("conv_transpose", 2, 4, 32, True),
        ("conv_transpose", 2, 5, 32, False),
    ],
)
def test_where_products_are_faster(
    name: str,
    inputs: int,
    outputs: int,
    side: int,
    products: bool,
    no_products: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(convolutions, "LARGE_KERNEL", 2**19)
    shape = (outputs, inputs) if name == "conv" else (inputs, outputs)
    x, weight = torch.zeros(1, inputs, side, side), torch.zeros(*shape, 4, 4)
    if products:
        with pytest.raises(AssertionError, match="patches"):
            WAYS[name](x, weight, None)
    else:
        assert_close(WAYS[name](x, weight, None), own(name)(x, weight, None))


@pytest.mark.parametrize(
    ("lines", "weights"),
    [
        ("processor\t: 0\nvendor_id\t: GenuineIntel\nvendor_id\t: GenuineIntel\n", 2**19),
        ("processor\t: 0\nvendor_id\t: AuthenticAMD\n", 2**23),
        # ARM's has no vendor
        ("processor\t: 0\nCPU implementer\t: 0x41\n", 2**23),
    ],
)
def test_large_kernels_depend_on_the_processor(tmp_path: Path, lines: str, weights: int) -> None:
    (tmp_path / "cpuinfo").write_text(lines)
    assert large_kernel(tmp_path / "cpuinfo") == weights


def test_large_kernels_where_linux_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for processor, weights in (("Intel64 Family 6, GenuineIntel", 2**19), ("arm", 2**23)):
        monkeypatch.setattr("platform.processor", lambda name=processor: name)
        assert large_kernel(tmp_path / "none") == weights


LAYERS = [HalvingConv2d, DoublingConvTranspose2d]


@pytest.mark.parametrize("kind", LAYERS)
def test_what_else_gets_torchs_own(kind: Any, always: None, no_products: None) -> None:
    layer, x = kind(4, 1), torch.randn(2, 4, 4, 4)
    with pytest.raises(AssertionError, match="patches"):
        layer(x)
    expected = kind.__base__.forward(layer, x)
    assert_close(layer(x[0]), expected[0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    exported = torch.export.export(layer, (x,)).module()
    assert_close(exported(x), expected)
    assert deepcopy(layer).bfloat16()(x.bfloat16()).dtype == torch.bfloat16


def test_sides_and_batches_of_any_size(always: None) -> None:
    halving, doubling = (kind(4, 3) for kind in LAYERS)
    for shape in ((2, 4, 5, 6), (2, 4, 6, 7)):
        x = torch.randn(shape, requires_grad=True)
        for layer in (halving, doubling):
            outcomes = [layer(x), type(layer).__base__.forward(layer, x)]
            assert_close(*outcomes)
            assert_close(*(torch.autograd.grad(y.square().sum(), x) for y in outcomes))
    assert halving(torch.zeros(0, 4, 4, 4)).shape == (0, 3, 2, 2)
    assert doubling(torch.zeros(0, 4, 4, 4)).shape == (0, 3, 8, 8)
    x = torch.randn(2, 4, 4, 4)
    assert_close(
        doubling(x, output_size=[9, 9]),
        nn.ConvTranspose2d.forward(doubling, x, output_size=[9, 9]),
    )


@pytest.mark.parametrize("kind", LAYERS)
def test_wrong_channels_get_torchs_error(kind: Any, always: None) -> None:
    with pytest.raises(RuntimeError, match=r"expected input.* to have 4 channels, but got 5"):
        kind(4, 1)(torch.randn(2, 5, 4, 4))


@pytest.mark.parametrize("kind", LAYERS)
def test_it_is_saved_and_starts_as_torchs_own(kind: Any) -> None:
    torch.manual_seed(0)
    layer = kind(2, 3, bias=False)
    torch.manual_seed(0)
    expected = kind.__base__(2, 3, 4, 2, 1, bias=False)
    assert_close(dict(layer.state_dict()), dict(expected.state_dict()), rtol=0, atol=0)


def test_a_whole_network_is_the_same(
    monkeypatch: pytest.MonkeyPatch, double: None, always: None
) -> None:
    generator, discriminator = DCGANGenerator((3, 32, 32), 5), DCGANDiscriminator((3, 32, 32))
    z = torch.randn(4, 5)

    def slopes() -> tuple[Tensor, ...]:
        logits = discriminator(generator(z))
        wanted = [*generator.parameters(), *discriminator.parameters()]
        return (logits, *torch.autograd.grad(logits.square().sum(), wanted))

    with_products = slopes()
    monkeypatch.setattr(convolutions, "_is_faster_by_products", lambda *_, **__: False)
    assert_close(with_products, slopes())


NETWORKS = {
    "dcgan_generator": lambda: DCGANGenerator((3, 32, 32), 5),
    "dcgan_discriminator": lambda: DCGANDiscriminator((3, 32, 32)),
    "resnet_generator": lambda: ResNetGenerator((3, 32, 32), 5, width=4),
    "resnet_discriminator": lambda: ResNetDiscriminator((3, 32, 32), width=4),
}


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_can_be_traced_and_saved(name: str, double: None) -> None:
    # in training, torch's own batch normalisation warns
    network = NETWORKS[name]().eval()
    one, other = (
        torch.randn(n, 5) if "generator" in name else torch.randn(n, 3, 32, 32) for n in (2, 3)
    )
    torch.jit.trace(network, one, check_trace=False).save("traced.pt")
    assert_close(torch.jit.load("traced.pt")(other), network(other))


@pytest.mark.parametrize("name", NETWORKS)
def test_features_can_be_taken_from_networks(name: str) -> None:
    network = NETWORKS[name]()
    inputs = torch.randn(2, 5) if "generator" in name else torch.randn(2, 3, 32, 32)
    traced = torch.fx.symbolic_trace(network)
    assert_close(traced(inputs), network(inputs), rtol=0, atol=0)
