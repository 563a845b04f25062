"""What a good discriminator leaves to learn from (Arjovsky & Bottou 2017, arXiv:1701.04862)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal
from torch.nn import functional as F

from gan_modules.lab.densities import grid, js_divergence, kl_divergence
from gan_modules.lab.experiment import Findings, at_least, at_most, near
from gan_modules.lab.players import Critic, Discriminator, Drawn
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab, draw, fresh
from gan_modules.objectives.penalties import input_gradients

__all__ = ["vanishing"]

# far apart, as the data's manifold and a generator's are
REAL: Distribution = Normal(torch.tensor([-0.6, 0.0]), 0.1)
FAKE: Distribution = Normal(torch.tensor([0.6, 0.0]), 0.1)
# where they overlap, -log D has a closed form
NEAR_REAL, NEAR_FAKE = Normal(-0.3, 0.5), Normal(0.4, 0.4)
LOOKS = 8


def vanishing(lab: Lab, updates: int = 1200) -> Findings:
    """As D gets better the gradient of log(1 - D) dies, that of -log D swells, a critic's stays 1.

    The better loss for the generator, -log D, is not a better divergence: with the best
    discriminator its gradient is that of KL(g || r) - 2 JS (theorem 2.5), which charges little for
    modes that are left out, and wants the two apart by JS.

    Not confirmed: that the variance of its gradient grows as D gets better (theorem 2.6, figure 3).
    It rises at first, then stays: from the first look on it is between 1.5 and 2.1 (seed 0).
    """
    fakes = draw(FAKE, 1000)
    judge = fresh(lab, lambda: Discriminator(Drawn(FAKE), rate=1e-3))
    critic = fresh(lab, lambda: Critic(Drawn(FAKE), rate=1e-3, n_critic=1))
    curves: dict[str, list[float]] = {"updates": []}
    curves |= {"log(1 - D)": [], "-log D": [], "spread of -log D": [], "critic": []}
    for look in range(1, LOOKS + 1):
        lab.fit(judge, REAL, updates // LOOKS)
        lab.fit(critic, REAL, updates // LOOKS)
        saturating = _gradients(judge, fakes, lambda d: F.logsigmoid(-d))
        non_saturating = _gradients(judge, fakes, lambda d: -F.logsigmoid(d))
        curves["updates"].append(look * lab.updates(updates // LOOKS))
        curves["log(1 - D)"].append(saturating.mean(0).norm().item())
        curves["-log D"].append(non_saturating.mean(0).norm().item())
        curves["spread of -log D"].append(non_saturating.var(0).sum().item())
        curves["critic"].append(_gradients(critic, fakes, lambda d: d).mean(0).norm().item())
    by_discriminator, by_divergences = _of_the_other_loss(lab, updates * 2)
    figure, (left, right) = panels("gradient at the generator", "variance of the gradient")
    for name in ("log(1 - D)", "-log D", "critic"):
        left.plot(curves["updates"], curves[name], "o-", label=name)
    left.set_yscale("log")
    left.set_ylabel("norm of the mean gradient")
    right.set_ylabel("variance over fakes")
    left.legend(fontsize="small")
    right.plot(curves["updates"], curves["spread of -log D"], "o-", label="-log D")
    right.set_ylim(bottom=0)
    right.legend(fontsize="small")
    for axis in (left, right):
        axis.set_xlabel("updates of the discriminator")
    growth = curves["-log D"][-1] / curves["-log D"][0]
    return Findings(
        [
            at_most("gradient of log(1 - D) at the end", 1e-3, curves["log(1 - D)"][-1]),
            near("norm of the critic's gradient at the end", 1.0, curves["critic"][-1], 0.15),
            at_least("growth of the gradient of -log D", 2.0, growth),
            near("-log D's gradient, KL(g || r) - 2 JS", by_divergences, by_discriminator, 0.1),
        ],
        figure,
        curves,
    )


def _gradients(
    model: Discriminator | Critic, points: Tensor, of: Callable[[Tensor], Tensor]
) -> Tensor:
    return input_gradients(lambda x: of(model.judge(x).logits), points).detach()


def _of_the_other_loss(lab: Lab, updates: int) -> tuple[float, float]:
    """The slope of ``E[-log D]`` as fakes move right: by a trained D, and by divergences."""
    judge = fresh(lab, lambda: Discriminator(Drawn(NEAR_FAKE)))
    lab.fit(judge, NEAR_REAL, updates, 1024)
    x = grid(NEAR_REAL, NEAR_FAKE)
    step, h = (x[1] - x[0]).item(), 1e-2
    # moved to the right, every fake feels the slope at its place
    slopes = _gradients(judge, x[:, None].float(), lambda d: -F.logsigmoid(d)).squeeze(1)
    fake = NEAR_FAKE.log_prob(x).exp()
    by_discriminator = (fake * slopes).sum().item() * step
    real = NEAR_REAL.log_prob(x).exp()

    def divergence(by: float) -> float:
        moved = NEAR_FAKE.log_prob(x - by).exp()
        return kl_divergence(moved, real, step) - 2 * js_divergence(moved, real, step)

    return by_discriminator, (divergence(h) - divergence(-h)) / (2 * h)
