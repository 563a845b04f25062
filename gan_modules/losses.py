"""Adversarial losses: pure functions of the discriminator's outputs.

Outputs are logits (or critic scores) of any shape; every loss is the mean over all of them.
"""

from torch import Tensor

__all__ = ["wasserstein_discriminator_loss", "wasserstein_generator_loss"]


def wasserstein_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Critic loss ``E[D(G(z))] - E[D(x)]`` (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1).

    Its negative estimates the Wasserstein-1 distance, up to the critic's Lipschitz constant.
    """
    return fake_scores.mean() - real_scores.mean()


def wasserstein_generator_loss(fake_scores: Tensor) -> Tensor:
    """Generator loss ``-E[D(G(z))]`` (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1)."""
    return -fake_scores.mean()
