import math

import pytest
import torch
from torch.distributions import Normal

from gan_modules.lab.annealed_noise import APART, gradient_in_theory


def test_the_gradient_in_theory_is_that_of_many_points() -> None:
    q = Normal(-APART, 0.5)
    x = q.sample((200_000,)).requires_grad_()
    best = Normal(APART, 0.5).log_prob(x) - q.log_prob(x)
    (gradients,) = torch.autograd.grad(torch.nn.functional.logsigmoid(-best).sum(), x)
    assert gradient_in_theory(0.5) == pytest.approx(gradients.abs().mean().item(), rel=0.01)


def test_it_is_0_where_the_two_do_not_overlap_and_where_they_are_one() -> None:
    assert gradient_in_theory(0.03) < 1e-10
    # so wide that D is 1/2 everywhere: the slope of the logit is left
    assert gradient_in_theory(100.0) == pytest.approx(APART / 100.0**2, rel=1e-3)
    assert not math.isnan(gradient_in_theory(0.01))
