"""What a discriminator learns if it is given time (Goodfellow et al. 2014, arXiv:1406.2661)."""

import math

import torch
from torch.distributions import Distribution, Normal
from torch.nn import functional as F

from gan_modules.lab.densities import grid, js_divergence
from gan_modules.lab.experiment import Findings, at_most, near
from gan_modules.lab.players import Discriminator, Drawn
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab, fresh

__all__ = ["optimal_discriminator"]

# any two distributions of torch.distributions over numbers
REAL: Distribution = Normal(-0.7, 1.0)
FAKE: Distribution = Normal(1.0, 0.7)


def optimal_discriminator(lab: Lab, updates: int = 3000) -> Findings:
    """The best discriminator is p / (p + q), and its value 2 JS - log 4 (proposition 1, theorem 1).

    Between a distribution and itself it can only toss a coin, and its value is -log 4.
    """
    x = grid(REAL, FAKE)
    p, q = REAL.log_prob(x).exp(), FAKE.log_prob(x).exp()
    step = (x[1] - x[0]).item()

    def trained(fake: Distribution) -> torch.Tensor:
        model = fresh(lab, lambda: Discriminator(Drawn(fake)))
        return lab.fit(model, REAL, updates, 512).at(x)

    logits, same = trained(FAKE), trained(REAL)

    def value(logits: torch.Tensor, fake: torch.Tensor) -> float:
        """``E_p[log D] + E_q[log(1 - D)]`` as integrals."""
        terms = p * F.logsigmoid(logits) + fake * F.logsigmoid(-logits)
        return terms.sum().item() * step

    best = p / (p + q)
    # where neither has a sample nobody can learn anything
    error = ((logits.sigmoid() - best).abs() * (p + q) / 2).sum().item() * step
    coin = ((same.sigmoid() - 0.5).abs() * p).sum().item() * step
    js = js_divergence(p, q, step)
    figure, (above, below) = panels("between two distributions", "between one and itself")
    above.fill_between(x, p, alpha=0.3, label="real, p")
    above.fill_between(x, q, alpha=0.3, label="fake, q")
    above.plot(x, best, "k", lw=3, alpha=0.4, label="p / (p + q)")
    above.plot(x, logits.sigmoid(), "C3", label="D, trained")
    below.fill_between(x, p, alpha=0.3, label="real and fake")
    below.plot(x, same.sigmoid(), "C3", label="D, trained")
    for axis in (above, below):
        axis.set_ylim(0, 1.05)
        axis.set(xlabel="x", ylabel="density, and probability of real")
        axis.legend(fontsize="small")
    return Findings(
        [
            at_most("mean distance of D from p / (p + q)", 0.02, error),
            near(
                "value at the optimum, 2 JS - log 4", 2 * js - math.log(4), value(logits, q), 0.02
            ),
            at_most("mean distance of D from 1/2 where p = q", 0.03, coin),
            near("value where p = q, -log 4", -math.log(4), value(same, p), 0.01),
        ],
        figure,
        {"js": js},
    )
