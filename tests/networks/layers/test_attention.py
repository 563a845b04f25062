"""Self-attention, pixel by pixel."""

import math
from typing import Any

import torch
from torch.testing import assert_close

from gan_modules.networks.layers.attention import SelfAttention


def test_attention_pixel_by_pixel(double: None) -> None:
    layer, x = SelfAttention(16), torch.randn(2, 16, 4, 6)
    with torch.no_grad():
        layer.sigma.fill_(0.7)
    theta, phi, g, out = (
        getattr(layer, name).weight.detach()[:, :, 0, 0] for name in ("theta", "phi", "g", "out")
    )
    assert [tuple(w.shape) for w in (theta, phi, g, out)] == [(2, 16), (2, 16), (8, 16), (16, 8)]
    expected = torch.empty_like(x)
    for n in range(2):
        keys, values = [], []
        for top in (0, 2):
            for left in (0, 2, 4):
                four = [x[n, :, top + a, left + b] for a in (0, 1) for b in (0, 1)]
                keys.append(torch.stack([phi @ pixel for pixel in four]).amax(0))
                values.append(torch.stack([g @ pixel for pixel in four]).amax(0))
        for row in range(4):
            for column in range(6):
                pixel = x[n, :, row, column]
                weights = [math.exp(theta @ pixel @ key) for key in keys]
                found = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
                expected[n, :, row, column] = pixel + 0.7 * (out @ found)
    assert_close(layer(x).detach(), expected)


def test_attention_starts_as_the_identity() -> None:
    layer, x = SelfAttention(4), torch.randn(1, 4, 8, 8)
    assert layer.theta.out_channels == 1
    y = layer(x)
    assert_close(y, x, rtol=0, atol=0)
    y.square().sum().backward()
    # what is to be learnt first is how much of it there is
    gradients: dict[str, Any] = {name: p.grad for name, p in layer.named_parameters()}
    assert gradients.pop("sigma").abs() > 0
    assert all(not gradient.any() for gradient in gradients.values())


def test_attention_of_odd_sides_by_hand() -> None:
    # theta is 0, so that every pixel takes the mean of what is pooled: 2x2, 2x1, 1x2 and 1 pixels
    attention = SelfAttention(2)
    with torch.no_grad():
        attention.theta.weight.zero_()
        attention.g.weight.copy_(torch.tensor([[[[1.0]], [[0.0]]]]))
        attention.out.weight.copy_(torch.tensor([[[[1.0]]], [[[0.0]]]]))
        attention.sigma.fill_(1.0)
    x = torch.arange(18.0).view(1, 2, 3, 3)
    # the largest of 0, 1, 3, 4; of 2, 5; of 6, 7; 8
    expected = x + torch.tensor([(4 + 5 + 7 + 8) / 4, 0.0]).view(1, 2, 1, 1)
    assert_close(attention(x), expected)
