"""Adversarial losses: pure functions of the discriminator's outputs.

Outputs are logits (or critic scores) of any shape; every loss is the mean over all of them. No
loss takes probabilities: the logarithms of a sigmoid are computed from logits, without overflow.

A loss is chosen by name with :func:`adversarial_loss`.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from gan_modules.checkpoints.described import Described

__all__ = [
    "AdversarialLoss",
    "AdversarialLossName",
    "adversarial_loss",
    "cross_entropy_discriminator_loss",
    "hinge_discriminator_loss",
    "least_squares_discriminator_loss",
    "least_squares_generator_loss",
    "minimax_generator_loss",
    "non_saturating_generator_loss",
    "relativistic_average_loss",
    "relativistic_loss",
    "wasserstein_discriminator_loss",
    "wasserstein_generator_loss",
]

AdversarialLossName = Literal[
    "minimax",
    "non_saturating",
    "least_squares",
    "hinge",
    "wasserstein",
    "relativistic",
    "relativistic_average",
]


class AdversarialLoss(Described):
    """What each player minimises, as functions of the discriminator's outputs.

    Args:
        discriminator: of the logits of real samples and of fakes.
        generator: of the logits of fakes; if relativistic, of those and of the logits of real
            samples.
        relativistic: whether the generator's loss compares fakes with real samples.
        boundary: logit above which a sample is taken for real; None where logits mean nothing one
            by one, as those of critics and of relativistic losses.
        critic: whether the difference of the mean logits of real and fake estimates a Wasserstein
            distance.
    """

    def __init__(
        self,
        discriminator: Callable[[Tensor, Tensor], Tensor],
        generator: Callable[..., Tensor],
        relativistic: bool = False,
        boundary: float | None = None,
        critic: bool = False,
    ) -> None:
        self.discriminator = discriminator
        self.generator = generator
        self.relativistic = relativistic
        self.boundary = boundary
        self.critic = critic


def cross_entropy_discriminator_loss(
    real_logits: Tensor, fake_logits: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """``-E[log D(x)] - E[log(1 - D(G(z)))]`` (Goodfellow et al. 2014, arXiv:1406.2661).

    Args:
        real_logits: of real samples.
        fake_logits: of generated samples.
        label_smoothing: replaces the target 1 of real samples by ``1 - label_smoothing``; that of
            fakes stays 0 (one-sided, Salimans et al. 2016, arXiv:1606.03498, section 3.4).
    """
    # -log D = softplus(-l) and -log(1 - D) = softplus(l) = softplus(-l) + l: written so, nothing
    # cancels where the discriminator is sure
    real = F.softplus(-real_logits).mean()
    if label_smoothing:
        real = real + label_smoothing * real_logits.mean()
    return real + F.softplus(fake_logits).mean()


def minimax_generator_loss(fake_logits: Tensor) -> Tensor:
    """``E[log(1 - D(G(z)))]``: the saturating loss of algorithm 1 of arXiv:1406.2661."""
    return -F.softplus(fake_logits).mean()


def non_saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """``-E[log D(G(z))]``: what section 3 of arXiv:1406.2661 trains with in practice."""
    return F.softplus(-fake_logits).mean()


def least_squares_discriminator_loss(
    real_logits: Tensor, fake_logits: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """``E[(D(x) - 1)^2] / 2 + E[D(G(z))^2] / 2`` (Mao et al. 2016, arXiv:1611.04076, equation 9).

    Args:
        real_logits: of real samples.
        fake_logits: of generated samples.
        label_smoothing: the target of real samples is ``1 - label_smoothing``.
    """
    target = 1 - label_smoothing
    return ((real_logits - target).square().mean() + fake_logits.square().mean()) / 2


def least_squares_generator_loss(fake_logits: Tensor) -> Tensor:
    """``E[(D(G(z)) - 1)^2]`` (CycleGAN, arXiv:1703.10593; arXiv:1611.04076 takes half of it)."""
    return (fake_logits - 1).square().mean()


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """``E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]`` (Lim & Ye 2017, arXiv:1705.02894).

    The generator's loss is :func:`wasserstein_generator_loss`.
    """
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def wasserstein_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Critic loss ``E[D(G(z))] - E[D(x)]`` (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1).

    Its negative estimates the Wasserstein-1 distance, up to the critic's Lipschitz constant.
    """
    return fake_scores.mean() - real_scores.mean()


def wasserstein_generator_loss(fake_scores: Tensor) -> Tensor:
    """Generator loss ``-E[D(G(z))]`` (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1)."""
    return -fake_scores.mean()


def relativistic_loss(winning: Tensor, losing: Tensor) -> Tensor:
    """``E[softplus(-(D(a) - D(b)))]`` over pairs, a to be judged more real than b.

    The pairing loss of Jolicoeur-Martineau 2018 (arXiv:1807.00734, section 4), on which R3GAN
    (arXiv:2501.05441) builds: every pair of real and fake counts, so that no mode can be left out.

    Args:
        winning: logits, the discriminator's of real samples, the generator's of fakes.
        losing: as many logits of the others.

    Raises:
        ValueError: if they cannot be paired.
    """
    if winning.shape != losing.shape:
        raise ValueError(
            f"loss='relativistic' pairs real samples with fakes: there are logits of shapes "
            f"{tuple(winning.shape)} and {tuple(losing.shape)}"
        )
    return F.softplus(losing - winning).mean()


def relativistic_average_loss(winning: Tensor, losing: Tensor) -> Tensor:
    """Each against the mean of the others, both halves (arXiv:1807.00734, section 4.2).

    Half of the sum, as in the author's code.

    Args:
        winning: logits, the discriminator's of real samples, the generator's of fakes.
        losing: logits of the others.
    """
    above = F.softplus(losing.mean() - winning).mean()
    below = F.softplus(losing - winning.mean()).mean()
    return (above + below) / 2


_SMOOTHED = {
    "minimax": (cross_entropy_discriminator_loss, minimax_generator_loss),
    "non_saturating": (cross_entropy_discriminator_loss, non_saturating_generator_loss),
    "least_squares": (least_squares_discriminator_loss, least_squares_generator_loss),
}
_UNSMOOTHED = {
    "hinge": (hinge_discriminator_loss, wasserstein_generator_loss),
    "wasserstein": (wasserstein_discriminator_loss, wasserstein_generator_loss),
}
_RELATIVISTIC = {
    "relativistic": relativistic_loss,
    "relativistic_average": relativistic_average_loss,
}


def adversarial_loss(name: AdversarialLossName, label_smoothing: float = 0.0) -> AdversarialLoss:
    """The pair of losses of that name.

    Args:
        name: ``"minimax"``, ``"non_saturating"``, ``"least_squares"``, ``"hinge"``,
            ``"wasserstein"``, ``"relativistic"`` or ``"relativistic_average"``.
        label_smoothing: one-sided, in [0, 1); only for losses with targets, the first three.

    Raises:
        ValueError: for any other name, a smoothing out of range, or one that has no meaning.
    """
    known = [*_SMOOTHED, *_UNSMOOTHED, *_RELATIVISTIC]
    if name not in known:
        raise ValueError(f"loss={name!r} must be one of {', '.join(known)}")
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing={label_smoothing!r} must be in [0, 1)")
    if name in _SMOOTHED:
        discriminator, generator = _SMOOTHED[name]
        smoothed = partial(discriminator, label_smoothing=label_smoothing)
        # least squares: half-way between the targets, 0 and 1
        boundary = (1 - label_smoothing) / 2 if name == "least_squares" else 0.0
        return AdversarialLoss(smoothed, generator, boundary=boundary)
    if label_smoothing:
        raise ValueError(
            f"label_smoothing={label_smoothing!r} must be 0 with loss={name!r}: it has no targets"
        )
    if name in _RELATIVISTIC:
        # one function for both: each wants its own to be judged more real
        return AdversarialLoss(_RELATIVISTIC[name], _RELATIVISTIC[name], relativistic=True)
    if name == "wasserstein":
        return AdversarialLoss(*_UNSMOOTHED[name], critic=True)
    return AdversarialLoss(*_UNSMOOTHED[name], boundary=0.0)
