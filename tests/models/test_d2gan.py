"""D2GAN: its objective by hand."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_modules import D2GAN, R1, LeCam


class Constant(nn.Module):
    """Gives every image one logit."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, images: Tensor) -> Tensor:
        return self.value.expand(len(images))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_objective_by_hand() -> None:
    model = D2GAN(image_shape=(2,), alpha=0.5, beta=0.25)
    model.discriminator["data"] = Constant(1.0)
    model.discriminator["fakes"] = Constant(-2.0)
    batch = (torch.zeros(3, 2), None)
    one, two = softplus(1.0), softplus(-2.0)
    d, g = model.discriminator_losses(batch), model.generator_losses(batch)
    expected = {
        "data": torch.tensor(-0.5 * math.log(one) + one),
        "fakes": torch.tensor(two - 0.25 * math.log(two)),
    }
    assert_close({k: v.detach() for k, v in d.items()}, expected)
    expected = {"data": torch.tensor(-one), "fakes": torch.tensor(0.25 * math.log(two))}
    assert_close({k: v.detach() for k, v in g.items()}, expected)


class Slope(nn.Module):
    """Rises by so much with every number of a point."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, points: Tensor) -> Tensor:
        return self.slope * points.sum(1)


def test_regularizers_are_of_each_discriminator() -> None:
    """Slopes that cancel are penalised, and anchors are of one output each."""
    model = D2GAN(image_shape=(2,), regularizers=[R1(weight=1.0), LeCam(weight=1.0, decay=0.0)])
    for name, slope in (("data", 3.0), ("fakes", -3.0)):
        model.discriminator[name] = Slope(slope)
    terms = model.terms_of("discriminator", (torch.full((4, 2), 0.5), None))
    # (3^2 + 3^2) / 2 of both
    expected = torch.tensor(9.0)
    assert_close([terms["r1_data"].detach(), terms["r1_fakes"].detach()], [expected, expected])
    lecams = [r for r in model.regularizers if isinstance(r, LeCam)]
    for regularizer, mean in zip(lecams, (3.0, -3.0), strict=True):
        regularizer.schedule(1, 4)
        assert_close(regularizer.anchors[0], torch.tensor(mean))


def test_two_discriminators_of_one_kind(make_trainer: Any, make_loader: Any) -> None:
    model = D2GAN(image_shape=(1, 8, 8))
    make_trainer(max_steps=1).fit(model, make_loader(4))
    first, second = (list(d.parameters()) for d in model.discriminator.values())
    assert all(a.shape == b.shape and a is not b for a, b in zip(first, second, strict=True))
    with pytest.raises(ValueError, match="discriminator must be a class or function"):
        D2GAN(image_shape=(2,), discriminator=Constant(1.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_weights_are_positive(name: str) -> None:
    options: dict[str, Any] = {name: 0.0}
    with pytest.raises(ValueError, match=rf"{name}=0\.0 must be positive and finite"):
        D2GAN(image_shape=(2,), **options)
