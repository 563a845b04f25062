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
from gan_modules.networks import MLPGenerator
from gan_modules.training.batches import Batch

__all__ = ["GaussianVAE", "between", "vae_to_gan"]

# two modes, and what lies between them
AT, SIGMA = 0.6, 0.05
BETWEEN = 0.3
NOISES = (0.05, 0.1, 0.2, 0.4, 0.8)
SHOWN = 0.2
SAMPLES = 4000


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
    """Averages blur: of two modes a VAE puts mass between them, a GAN does not.

    Likelihood is KL(p || q): q must cover all of p, and a normal q has the mean and the variance of
    p. KL(q || p) is infinite between the modes, and the best normal q is one of them, at log 2. A
    VAE has a map from normal latents, which is continuous, and squared errors: where its noise is
    wider than the data (Lucas et al. 2019, arXiv:1911.02469) it says the mean and nothing else. A
    GAN's map is continuous, too; what it leaves between are few points, or it leaves out a mode.
    """
    real = modes(torch.tensor([[-AT], [AT]]), SIGMA)
    least, covers, seeks = _best_normals()
    vaes: dict[str, list[float]] = {"noise": [*NOISES], "between": [], "spread of means": []}
    for noise in NOISES:
        vae = lab.fit(_vae(lab, noise), real, updates)
        samples = vae.draws(SAMPLES)
        vaes["between"].append(between(samples))
        vaes["spread of means"].append(vae.sample(SAMPLES).std().item())
        if noise == SHOWN:
            shown = samples
    gan = lab.fit(game(lab, GAN, dimension=1, n_critic=3), real, updates)
    fakes = gan.sample(SAMPLES)
    figure, (left, middle, right) = panels("normal densities", "samples", "between the modes")
    x = torch.linspace(-1.5, 1.5, 601)
    left.fill_between(x, real.log_prob(x[:, None]).exp(), alpha=0.3, label="data, p")
    left.plot(x, covers.log_prob(x).exp(), "C1", label="least KL(p || q)")
    left.plot(x, seeks.log_prob(x).exp(), "C2--", label="least KL(q || p)")
    left.set_ylabel("density")
    left.set_ylim(0, 11)
    bins = [k / 40 for k in range(-60, 61)]
    middle.hist(draw(real, SAMPLES)[:, 0], bins, alpha=0.3, label="data")
    middle.hist(shown[:, 0], bins, histtype="step", color="C1", label=f"VAE, noise {SHOWN}")
    middle.hist(fakes[:, 0], bins, histtype="step", color="C2", label="GAN")
    middle.set_ylabel("samples")
    # room for the legend
    middle.set_ylim(top=1.5 * middle.get_ylim()[1])
    for axis in (left, middle):
        axis.set_xlabel("x")
    right.plot(NOISES, vaes["between"], "C1o-", label="VAE")
    right.axhline(between(fakes), color="C2", label="GAN")
    right.set(xlabel="noise of the VAE's likelihood", ylabel="share of samples", ylim=(0, 1))
    for axis in (left, middle, right):
        axis.legend(fontsize="small")
    return Findings(
        [
            near("sigma at the least KL(p || q)", math.hypot(AT, SIGMA), covers.scale.item(), 0.02),
            near("least KL(q || p), log 2", math.log(2), least, 0.01),
            near("where that is", AT, abs(seeks.loc.item()), 0.02),
            at_least("least share of a VAE's samples between", 0.05, min(vaes["between"])),
            at_most(
                "spread of a VAE's means where noise is wide", 0.1, vaes["spread of means"][-1]
            ),
            at_most("share of GAN's samples between", 0.05, between(fakes)),
        ],
        figure,
        {"VAE": vaes, "GAN": {"between": between(fakes), "right": _right(fakes)}},
    )


def _vae(lab: Lab, noise: float) -> GaussianVAE:
    return fresh(
        lab,
        lambda: GaussianVAE(
            noise=noise,
            image_shape=(1,),
            latent_dim=2,
            generator=lambda **sizes: MLPGenerator(hidden=(64, 64), **sizes),
        ),
    )


def _right(points: Tensor) -> float:
    return (points > 0).float().mean().item()


def _best_normals() -> tuple[float, Normal, Normal]:
    """The least KL(q || p), and the normals with the least KL(p || q) and KL(q || p)."""
    x = grid(Normal(0.0, AT), deviations=4)
    step = (x[1] - x[0]).item()
    p = (Normal(-AT, SIGMA).log_prob(x).exp() + Normal(AT, SIGMA).log_prob(x).exp()) / 2
    means = [k / 20 for k in range(17)]
    sigmas = [SIGMA, *(k / 50 for k in range(5, 40))]
    normals = [Normal(mean, sigma) for mean in means for sigma in sigmas]
    densities = [q.log_prob(x).exp() for q in normals]
    forward = [kl_divergence(p, q, step) for q in densities]
    reverse = [kl_divergence(q, p, step) for q in densities]
    covers, seeks = (normals[kls.index(min(kls))] for kls in (forward, reverse))
    return min(reverse), covers, seeks
