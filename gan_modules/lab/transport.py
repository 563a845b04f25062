"""The critic's gradient (Gulrajani et al. 2017, arXiv:1704.00028, proposition 1)."""

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal
from torch.nn import functional as F

from gan_modules.lab.experiment import Findings, at_least, near
from gan_modules.lab.players import Critic, Drawn
from gan_modules.lab.plots import panels, surface
from gan_modules.lab.training import Lab, draw, fresh
from gan_modules.objectives.penalties import input_gradients

__all__ = ["Moved", "transport"]

CENTERS = torch.tensor([[-0.6, -0.5], [-0.3, 0.4], [-0.9, 0.1]])
REAL = MixtureSameFamily(
    Categorical(torch.ones(3)), Independent(Normal(CENTERS, torch.full_like(CENTERS, 0.12)), 1)
)
BY = torch.tensor([1.2, 0.5])


class Moved:
    """A distribution moved by a vector."""

    def __init__(self, source: MixtureSameFamily, by: Tensor) -> None:
        self.source, self.by = source, by

    def sample(self, shape: torch.Size) -> Tensor:
        """Points, shape ``(*shape, 2)``."""
        moved: Tensor = self.source.sample(shape) + self.by
        return moved


def transport(lab: Lab, updates: int = 3000) -> Findings:
    """The critic's gradient points where mass is to go, with norm 1 on all the way.

    Fakes are the data moved by a vector. The cheapest plan moves each point straight back, and
    that is the direction of the gradient at points between.
    """
    model = fresh(lab, lambda: Critic(Drawn(Moved(REAL, BY)), n_critic=1, gp_weight=100.0))
    lab.fit(model, REAL, updates, 512)
    points = draw(REAL, 4000)
    between = points + BY * torch.rand(len(points), 1)
    gradients = input_gradients(lambda x: model.judge(x).logits, between).detach()
    cosine = F.cosine_similarity(gradients, -BY.expand_as(gradients)).mean().item()
    norms = gradients.norm(dim=1)
    figure, (left, right) = panels("critic and its gradient", "norm of the gradient between")
    figure.colorbar(surface(left, model.at, 1.5), ax=left, label="score")
    some = slice(0, 60)
    shown, moved = points[:400], points[:400] + BY
    left.scatter(shown[:, 0], shown[:, 1], s=2, color="w", label="real")
    left.scatter(moved[:, 0], moved[:, 1], s=2, color="C3", label="fake")
    left.quiver(*between[some].T, *gradients[some].T, width=0.004)
    left.set(xlabel="x", ylabel="y")
    left.legend(fontsize="small", loc="lower right", facecolor="0.6", framealpha=1, markerscale=3)
    right.hist(norms, bins=[0.9 + k / 200 for k in range(41)])
    right.set(xlabel="norm, 1 in theory", ylabel="points")
    return Findings(
        [
            at_least("mean cosine between gradient and direction", 0.99, cosine),
            near("mean norm of the gradient", 1.0, norms.mean().item(), 0.03),
            near(
                "critic's estimate, the length of the vector",
                BY.norm().item(),
                (model.at(points).mean() - model.at(points + BY).mean()).item(),
                0.04,
            ),
        ],
        figure,
        {"spread of the norm": norms.std().item()},
    )
