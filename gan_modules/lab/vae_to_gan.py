"""Why averages blur (Kingma & Welling 2013, arXiv:1312.6114; Goodfellow 2016, arXiv:1701.00160)."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from gan_modules.lab.densities import grid, kl_divergence
from gan_modules.lab.experiment import Findings, at_least, at_most, near
from gan_modules.lab.games import game, modes
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab, draw, fresh
from gan_modules.models.gan import GAN
from gan_modules.models.vae import VAE, standard_normal_kl
from gan_modules.networks import MLPEncoder, MLPGenerator
from gan_modules.training.batches import Batch

__all__ = ["GaussianVAE", "between", "vae_to_gan"]

# two modes, and what lies between them
AT, SIGMA = 0.6, 0.05
BETWEEN = 0.3
NOISES = (0.05, 0.1, 0.2, 0.4, 0.8)


class GaussianVAE(VAE):
    """The VAE whose likelihood is normal, with a given standard deviation.

    Args:
        noise: the standard deviation.
        **kwargs: options of :class:`~gan_modules.VAE`.
    """

    def __init__(self, *, noise: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.noise = noise

    def autoencoder_losses(self, batch: Batch) -> dict[str, Tensor]:
        """The negative of the bound, with squared errors for the likelihood."""
        points, _ = batch
        mean, log_variance = self.encoder(points)
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        likelihood = Normal(self.fakes(z), self.noise).log_prob(points).sum(1).mean()
        return {"reconstruction": -likelihood, "kl": standard_normal_kl(mean, log_variance)}

    def draws(self, n: int) -> Tensor:
        """Samples of the likelihood, where ``sample`` gives its means."""
        means = self.sample(n)
        return means + self.noise * torch.randn_like(means)


def between(points: Tensor) -> float:
    """The share of numbers that lie between the modes."""
    return (points.abs() < BETWEEN).float().mean().item()


def vae_to_gan(lab: Lab, updates: int = 600) -> Findings:
    """x"""
    import time
    real = modes(torch.tensor([[-AT], [AT]]), SIGMA)
    for noise in NOISES:
        vae = fresh(
            lab,
            lambda noise=noise: GaussianVAE(
                noise=noise, image_shape=(1,), latent_dim=2,
                generator=lambda **s: MLPGenerator(hidden=(64, 64), **s),
            ),
        )
        lab.fit(vae, real, updates)
        d, m = vae.draws(4000), vae.sample(4000)
        print(noise, between(d), between(m), m.std(), time.process_time())
    for k in (1, 3):
        gan = game(lab, GAN, dimension=1, n_critic=k)
        lab.fit(gan, real, updates)
        s = gan.sample(4000)
        print("GAN", k, between(s), (s > 0).float().mean(), s.abs().mean(), s.abs().std(), time.process_time())
    return Findings([], panels("a")[0], {})
