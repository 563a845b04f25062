"""Instance noise (Sonderby et al. 2016, arXiv:1610.04490; Arjovsky & Bottou 2017, 1701.04862)."""

import math
from functools import partial

from torch import Tensor
from torch.distributions import Normal
from torch.nn import functional as F

from gan_modules.lab.densities import grid, js_divergence
from gan_modules.lab.experiment import Findings, at_most, near
from gan_modules.lab.players import Discriminator, Drawn
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab, draw, fresh
from gan_modules.objectives.penalties import input_gradients

__all__ = ["annealed_noise", "gradient_in_theory"]

# real numbers are around APART, fakes around -APART, too narrow to overlap
APART, WIDTH = 0.6, 0.03
NOISES = (0.0, 0.1, 0.2, 0.4, 0.8)


def annealed_noise(lab: Lab, updates: int = 600) -> Findings:
    """Noise on both sides brings the gradient of log(1 - D) back, and D tells JS of what it sees.

    Two narrow distributions do not overlap: JS is log 2 and the gradient is 0. With noise both have
    integrals: JS falls, and the gradient is largest where they begin to overlap, so that noise is
    to start wide.
    """
    columns: dict[str, list[float]] = {"noise": [*NOISES]}
    columns |= {"JS": [], "JS in theory": [], "gradient": [], "gradient in theory": []}
    for noise in NOISES:
        width = math.hypot(WIDTH, noise)
        p, q = Normal(APART, width), Normal(-APART, width)
        judge = fresh(lab, partial(Discriminator, Drawn(q)))
        lab.fit(judge, p, updates, 512)
        points, fakes = draw(p, 20_000), draw(q, 20_000)
        value = F.logsigmoid(judge.at(points)).mean() + F.logsigmoid(-judge.at(fakes)).mean()
        columns["JS"].append(value.item() / 2 + math.log(2))
        columns["JS in theory"].append(_js(width))
        slopes = input_gradients(partial(_loss, judge), fakes)
        columns["gradient"].append(slopes.abs().mean().item())
        columns["gradient in theory"].append(gradient_in_theory(width))
    noises = columns["noise"]
    fine = [k / 100 for k in range(81)]
    curves = {"JS": _js, "gradient": gradient_in_theory}
    figure, (left, right) = panels("JS of what D sees", "gradient of log(1 - D) at fakes")
    for axis, name in ((left, "JS"), (right, "gradient")):
        theory = [curves[name](math.hypot(WIDTH, noise)) for noise in fine]
        axis.plot(fine, theory, "k", lw=3, alpha=0.4, label="best D")
        axis.plot(noises, columns[name], "C3o", label="D, trained")
        axis.set_xlabel("sigma of the noise")
        axis.set_ylim(0, 1)
        axis.legend(fontsize="small")
    left.axhline(math.log(2), color="k", ls=":", label="log 2")
    left.legend(fontsize="small")
    left.set_ylabel("nats")
    right.set_ylabel("mean norm")
    off = [abs(a - b) for a, b in zip(columns["JS"], columns["JS in theory"], strict=True)]
    return Findings(
        [
            near("JS without noise, log 2", math.log(2), columns["JS"][0], 0.001),
            at_most("gradient without noise", 1e-4, columns["gradient"][0]),
            at_most("largest distance of D's JS from the integral", 0.01, max(off)),
            *(
                near(f"gradient, noise {NOISES[k]}", columns["gradient in theory"][k], seen, 0.07)
                for k, seen in enumerate(columns["gradient"])
                if NOISES[k] >= 0.4
            ),
        ],
        figure,
        columns,
    )


def _loss(judge: Discriminator, points: Tensor) -> Tensor:
    """``log(1 - D)`` of each point."""
    return F.logsigmoid(-judge.judge(points).logits)


def _js(width: float) -> float:
    """JS between two normals, by an integral."""
    p, q = Normal(APART, width), Normal(-APART, width)
    x = grid(p, q)
    return js_divergence(p.log_prob(x).exp(), q.log_prob(x).exp(), (x[1] - x[0]).item())


def gradient_in_theory(width: float) -> float:
    """Mean norm of the gradient of log(1 - D) at fakes, for the best D between two normals."""
    p, q = Normal(APART, width), Normal(-APART, width)
    x = grid(p, q)
    step = (x[1] - x[0]).item()
    # the best D has the logit 2 APART x / width^2
    best = (2 * APART * x / width**2).sigmoid()
    mean: float = (q.log_prob(x).exp() * best).sum().item() * step
    return mean * 2 * APART / width**2
