import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from gan_modules.objectives.losses import (
    AdversarialLossName,
    adversarial_loss,
    cross_entropy_discriminator_loss,
    wasserstein_discriminator_loss,
    wasserstein_generator_loss,
)

# logit of the probability 3/4 is log 3
LOG2, LOG3 = math.log(2), math.log(3)


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        # D(x) = 3/4 and 1/2; D(G) = 1/4 and 1/2
        ("minimax", (math.log(4 / 3) + LOG2) / 2 * 2, -(math.log(4 / 3) + LOG2) / 2),
        ("non_saturating", (math.log(4 / 3) + LOG2) / 2 * 2, (math.log(4) + LOG2) / 2),
        (
            "least_squares",
            ((LOG3 - 1) ** 2 + 1) / 4 + LOG3**2 / 4,
            ((LOG3 + 1) ** 2 + 1) / 2,
        ),
        # real: max(0, 1 - log 3) = 0 and 1; fake: max(0, 1 - log 3) = 0 and 1
        ("hinge", 0.5 + 0.5, LOG3 / 2),
        ("wasserstein", -LOG3, LOG3 / 2),
    ],
)
def test_by_hand(name: AdversarialLossName, discriminator: float, generator: float) -> None:
    loss = adversarial_loss(name)
    real, fake = torch.tensor([LOG3, 0.0]), torch.tensor([-LOG3, 0.0])
    assert_close(loss.discriminator(real, fake), torch.tensor(discriminator))
    assert_close(loss.generator(fake), torch.tensor(generator))


def test_label_smoothing_is_one_sided() -> None:
    real, fake = torch.randn(7), torch.randn(5)
    expected = F.binary_cross_entropy_with_logits(real, torch.full((7,), 0.9))
    expected = expected + F.binary_cross_entropy_with_logits(fake, torch.zeros(5))
    assert_close(cross_entropy_discriminator_loss(real, fake, 0.1), expected)
    for name in ("minimax", "non_saturating"):
        assert_close(adversarial_loss(name, 0.1).discriminator(real, fake), expected)
    squares = adversarial_loss("least_squares", 0.1).discriminator(real, fake)
    assert_close(squares, (F.mse_loss(real, torch.full((7,), 0.9)) + fake.square().mean()) / 2)


def test_optimal_discriminator_loss_is_the_jensen_shannon_divergence() -> None:
    # two distributions on three points; D* = p / (p + q) gives log 4 - 2 JSD (theorem 1)
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.25, 0.5])
    m = (p + q) / 2
    divergence = sum((torch.xlogy(d, d) - torch.xlogy(d, m)).sum() for d in (p, q)) / 2
    counts = 4
    support = torch.arange(3)
    logits = torch.log(p.clamp_min(1e-30)) - torch.log(q)
    real = logits[support.repeat_interleave((p * counts).long())]
    fake = logits[support.repeat_interleave((q * counts).long())]
    loss = cross_entropy_discriminator_loss(real, fake)
    assert_close(loss, torch.tensor(math.log(4)) - 2 * divergence)


GRADIENTS = {
    # of the loss times the number of logits, at -1e4, 0 and 1e4: real, fake, and the generator's
    "minimax": ([-1, -0.5, 0], [0, 0.5, 1], [0, -0.5, -1]),
    "non_saturating": ([-1, -0.5, 0], [0, 0.5, 1], [-1, -0.5, 0]),
    "least_squares": ([-10_001, -1, 9_999], [-1e4, 0, 1e4], [-20_002, -2, 19_998]),
    "hinge": ([-1, -1, 0], [0, 1, 1], [-1, -1, -1]),
    "wasserstein": ([-1, -1, -1], [1, 1, 1], [-1, -1, -1]),
}


@pytest.mark.parametrize("name", list(GRADIENTS))
def test_gradients_by_hand_where_nothing_may_overflow(name: AdversarialLossName) -> None:
    loss = adversarial_loss(name)
    real, fake = (torch.tensor([-1e4, 0.0, 1e4], requires_grad=True) for _ in range(2))
    found = [
        *torch.autograd.grad(loss.discriminator(real, fake), (real, fake)),
        *torch.autograd.grad(loss.generator(fake), fake),
    ]
    assert_close([3 * gradient for gradient in found], [*map(torch.tensor, GRADIENTS[name])],
                 check_dtype=False)  # fmt: skip


def test_relativistic_gradients_where_nothing_may_overflow() -> None:
    assert {*GRADIENTS, "relativistic", "relativistic_average"} == {*get_args(AdversarialLossName)}
    # real above, as, and below the fake that it is paired with: -sigmoid(-difference)
    real = torch.tensor([1e4, 0.0, -1e4], requires_grad=True)
    fake = torch.tensor([-1e4, 0.0, 1e4], requires_grad=True)
    loss = adversarial_loss("relativistic")
    gradients = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    expected = torch.tensor([0.0, -0.5, -1.0]) / 3
    assert_close(gradients, (expected, -expected))
    average = adversarial_loss("relativistic_average")
    # both means are 0: -sigmoid(-D(x)) / 2 each, and what comes through the means
    (gradient,) = torch.autograd.grad(average.discriminator(real, fake), real)
    through = -torch.sigmoid(fake.detach()).mean() / 6
    assert_close(gradient, -torch.sigmoid(-real.detach()) / 6 + through)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_a_sure_discriminator_still_has_its_gradient(
    name: AdversarialLossName, dtype: torch.dtype
) -> None:
    # the mean of two: -sigmoid(-l) / 2 each; 1 - sigmoid(l) would be 0 in float32 from l = 17
    logits = torch.tensor([8.0, 20.0], dtype=dtype, requires_grad=True)
    loss = adversarial_loss(name).discriminator(logits, torch.zeros(2, dtype=dtype))
    (gradient,) = torch.autograd.grad(loss, logits)
    expected = torch.tensor([-3.3535e-4, -2.0612e-9], dtype=torch.float64) / 2
    assert_close(gradient.double(), expected, rtol=0.02, atol=0)


def test_minimax_saturates_where_non_saturating_does_not() -> None:
    # the discriminator is sure that the sample is fake: sigmoid(-20) is 2e-9
    def gradient(name: AdversarialLossName) -> Tensor:
        logit = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
        (found,) = torch.autograd.grad(adversarial_loss(name).generator(logit), logit)
        return found

    one = torch.ones(1, dtype=torch.float64)
    assert_close(gradient("minimax"), -torch.sigmoid(-20 * one))
    assert_close(gradient("non_saturating"), -torch.sigmoid(20 * one))


def test_wasserstein_gradients_by_hand() -> None:
    real = torch.zeros(4, requires_grad=True)
    fake = torch.zeros(2, requires_grad=True)
    wasserstein_discriminator_loss(real, fake).backward()
    assert_close(real.grad, torch.full((4,), -0.25))
    assert_close(fake.grad, torch.full((2,), 0.5))
    assert_close(wasserstein_generator_loss(torch.tensor([-1.0, 0.0, 4.0])), torch.tensor(-1.0))


def test_critic_loss_of_two_points_is_their_distance() -> None:
    # D(x) = x is the optimal 1-Lipschitz critic between point masses at 3 and at 0.5
    real, fake = torch.full((5,), 3.0), torch.full((5,), 0.5)
    assert_close(-wasserstein_discriminator_loss(real, fake), torch.tensor(2.5))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("bce",), "loss='bce' must be one of minimax, non_saturating, least_squares, hinge"),
        (("minimax", 1.0), r"label_smoothing=1.0 must be in \[0, 1\)"),
        (("minimax", -0.1), r"label_smoothing=-0.1 must be in \[0, 1\)"),
        (("hinge", 0.1), "label_smoothing=0.1 must be 0 with loss='hinge'"),
    ],
)
def test_wrong_arguments(arguments: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        adversarial_loss(*arguments)


def test_relativistic_pairing_by_hand() -> None:
    loss = adversarial_loss("relativistic")
    real, fake = torch.tensor([LOG3, 0.0]), torch.tensor([0.0, LOG3])
    # softplus(-log 3) = log(4/3) and softplus(log 3) = log 4, the same for both players
    expected = torch.tensor((math.log(4 / 3) + math.log(4)) / 2)
    assert_close(loss.discriminator(real, fake), expected)
    assert_close(loss.generator(fake, real), expected)
    sure = torch.tensor([2 * LOG3, LOG3])
    assert_close(loss.discriminator(sure, sure - LOG3), torch.tensor(math.log(4 / 3)))
    assert_close(loss.generator(sure - LOG3, sure), torch.tensor(math.log(4)))
    with pytest.raises(ValueError, match=r"pairs real samples with fakes: .* \(2,\) and \(3,\)"):
        loss.discriminator(real, torch.zeros(3))


def test_relativistic_average_by_hand() -> None:
    loss = adversarial_loss("relativistic_average")
    # means 0 and -log 3: each is log 3 above or below the mean of the others, but for one at a time
    real, fake = torch.tensor([LOG3, -LOG3]), torch.tensor([-LOG3, -LOG3])
    above = (F.softplus(torch.tensor(-2 * LOG3)) + LOG2) / 2
    below = F.softplus(torch.tensor(-LOG3))
    assert_close(loss.discriminator(real, fake), (above + below) / 2)
    # mirrored: fakes above real ones
    above = F.softplus(torch.tensor(LOG3))
    below = (F.softplus(torch.tensor(2 * LOG3)) + LOG2) / 2
    assert_close(loss.generator(fake, real), (above + below) / 2)
