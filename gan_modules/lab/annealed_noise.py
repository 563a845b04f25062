"""Instance noise (Sonderby et al. 2016, arXiv:1610.04490; Arjovsky & Bottou 2017, 1701.04862)."""

import math

from torch.distributions import Normal
from torch.nn import functional as F

from gan_modules.lab.densities import grid, js_divergence
from gan_modules.lab.experiment import Findings, at_least, at_most, near
from gan_modules.lab.games import game
from gan_modules.lab.players import Discriminator, Drawn
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab, Looks, draw, fresh
from gan_modules.models.gan import GAN
from gan_modules.objectives.augmentations import InstanceNoise
from gan_modules.objectives.penalties import input_gradients

__all__ = ["annealed_noise", "gradient_in_theory"]

# real numbers are around APART, fakes around -APART, too narrow to overlap
APART, WIDTH = 0.6, 0.03
NOISES = (0.0, 0.1, 0.2, 0.4, 0.8)
START = 0.5


def annealed_noise(lab: Lab, updates: int = 500) -> Findings:
    """Noise on both sides brings the gradient of log(1 - D) back, and D tells JS of what it sees."""
    real, fake = Normal(APART, WIDTH), Normal(-APART, WIDTH)
    columns: dict[str, list[float]] = {"noise": [*NOISES]}
    columns |= {"JS": [], "JS in theory": [], "gradient": [], "gradient in theory": []}
    for noise in NOISES:
        width = math.hypot(WIDTH, noise)
        p, q = Normal(APART, width), Normal(-APART, width)
        judge = fresh(lab, lambda q=q: Discriminator(Drawn(q)))
        lab.fit(judge, p, updates, 512)
        points, fakes = draw(p, 20_000), draw(q, 20_000)
        value = F.logsigmoid(judge.at(points)).mean() + F.logsigmoid(-judge.at(fakes)).mean()
        columns["JS"].append(value.item() / 2 + math.log(2))
        x = grid(p, q)
        step = (x[1] - x[0]).item()
        columns["JS in theory"].append(
            js_divergence(p.log_prob(x).exp(), q.log_prob(x).exp(), step)
        )
        slopes = input_gradients(lambda x, j=judge: F.logsigmoid(-j.judge(x).logits), fakes)
        columns["gradient"].append(slopes.abs().mean().item())
        columns["gradient in theory"].append(gradient_in_theory(width))
    print(columns)
    courses = {}
    for name, a in (("none", None), ("annealed", InstanceNoise(START, lab.updates(2 * updates)))):
        course = []

        def look(step, model):
            y = model.sample(1000)
            course.append((step, round(y.mean().item(), 3), round(y.std().item(), 3)))

        g = game(lab, GAN, dimension=1, n_critic=5, loss="minimax", augmentation=a, lr=1e-3)
        lab.fit(g, real, 2 * updates, 128, callbacks=[Looks(range(50, 10000, 50), look)])
        print(name, course)
    return Findings([], panels("a")[0], {})


def gradient_in_theory(width: float) -> float:
    """Mean norm of the gradient of log(1 - D) at fakes, for the best D between two normals."""
    p, q = Normal(APART, width), Normal(-APART, width)
    x = grid(p, q)
    step = (x[1] - x[0]).item()
    # the best D has the logit 2 APART x / width^2
    best = (2 * APART * x / width**2).sigmoid()
    return (q.log_prob(x).exp() * best).sum().item() * step * 2 * APART / width**2
