"""Two parallel lines (Arjovsky et al. 2017, arXiv:1701.07875, example 1)."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_modules.lab.experiment import Findings, at_least, at_most, near
from gan_modules.lab.players import Critic, Discriminator, Drawn
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab, draw, fresh
from gan_modules.objectives.penalties import input_gradients

__all__ = ["Line", "parallel_lines"]

THETAS = (-1.0, -0.6, -0.3, -0.1, 0.1, 0.3, 0.6, 1.0)
GP_WEIGHT = 10.0


class Line:
    """The points ``(x, y)`` with y uniform in [0, 1]."""

    def __init__(self, x: float) -> None:
        self.x = x

    def sample(self, shape: torch.Size) -> Tensor:
        """Points, shape ``(*shape, 2)``."""
        y = torch.rand(shape)
        return torch.stack([torch.full_like(y, self.x), y], dim=-1)


def parallel_lines(lab: Lab, updates: int = 600) -> Findings:
    """As two lines move apart JS jumps to log 2 and says no more; Wasserstein is their distance.

    KL is infinite both ways: the longer a discriminator is trained, the more it claims. A critic
    under a penalty of weight lambda finds ``theta (1 + theta / (2 lambda))``: where the lines are
    far apart, a slope above 1 pays more than it costs.
    """
    real = Line(0.0)
    columns: dict[str, list[float]] = {"js": [], "kl": [], "js gradient": []}
    columns |= {"wasserstein": [], "wasserstein gradient": []}
    for theta in THETAS:
        fake = Line(theta)
        points, fakes = draw(real, 2000), draw(fake, 2000)
        judge = fresh(lab, partial(Discriminator, Drawn(fake)))
        lab.fit(judge, real, updates)
        at_real, at_fake = judge.at(points), judge.at(fakes)
        # the discriminator's value is 2 JS - log 4
        value = (F.logsigmoid(at_real).mean() + F.logsigmoid(-at_fake).mean()).item()
        columns["js"].append((value + math.log(4)) / 2)
        columns["kl"].append(at_real.mean().item())
        columns["js gradient"].append(_norm(judge, fakes, lambda d: F.logsigmoid(-d)))
        critic = fresh(lab, partial(Critic, Drawn(fake), n_critic=1, gp_weight=GP_WEIGHT))
        lab.fit(critic, real, updates)
        columns["wasserstein"].append((critic.at(points).mean() - critic.at(fakes).mean()).item())
        columns["wasserstein gradient"].append(_norm(critic, fakes, lambda d: d))
    distance = torch.tensor(THETAS).abs()
    expected = distance * (1 + distance / (2 * GP_WEIGHT))
    seen = torch.tensor(columns["wasserstein"])
    slope = ((seen * distance).sum() / distance.square().sum()).item()
    off = max(abs(js - math.log(2)) for js in columns["js"])
    figure, (first, second) = panels("what is measured", "gradient at the fakes")
    first.plot(THETAS, columns["js"], "o-", label="JS, by the discriminator")
    first.axhline(math.log(2), color="C0", ls=":", label="log 2")
    first.plot(THETAS, columns["wasserstein"], "o-", label="Wasserstein, by the critic")
    first.plot(THETAS, distance, "C1:", label="|theta|")
    second.plot(THETAS, columns["js gradient"], "o-", label="of log(1 - D)")
    second.plot(THETAS, columns["wasserstein gradient"], "o-", label="of the critic")
    first.set_ylabel("divergence or distance")
    first.set_ylim(0, 1.5)
    second.set_ylabel("mean norm")
    for axis in (first, second):
        axis.set_xlabel("theta")
        axis.set_xticks([-1, -0.5, 0, 0.5, 1])
        axis.legend(fontsize="small")
    return Findings(
        [
            at_most("largest distance of JS from log 2", 0.03, off),
            at_most("its gradient where the lines are 1 apart", 0.01, columns["js gradient"][0]),
            near("slope of the critic's estimate over |theta|", 1.0, slope, 0.1),
            at_most(
                "largest distance of the estimate from theta (1 + theta / (2 lambda))",
                0.05,
                (seen - expected).abs().max().item(),
            ),
            at_least("KL as a discriminator has it, infinite", 10.0, min(columns["kl"])),
            near(
                "mean norm of the critic's gradient",
                1.0,
                sum(columns["wasserstein gradient"]) / len(THETAS),
                0.1,
            ),
        ],
        figure,
        {"theta": [*THETAS], **columns},
    )


def _norm(model: Discriminator | Critic, points: Tensor, of: Callable[[Tensor], Tensor]) -> float:
    """Mean norm of the gradient of a function of what is said of points."""
    gradients = input_gradients(lambda x: of(model.judge(x).logits), points)
    norm: float = gradients.norm(dim=1).mean().item()
    return norm
