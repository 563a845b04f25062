"""The Wasserstein distance, four ways."""

import torch
from scipy.stats import wasserstein_distance as of_samples
from torch import Tensor
from torch.distributions import Independent, Normal

from gan_modules.lab.densities import grid, wasserstein_distance
from gan_modules.lab.experiment import Findings, near
from gan_modules.lab.players import Critic, Drawn
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab, Source, draw, fresh

__all__ = ["Point", "distances"]

A, B = -0.4, 0.5
ONE, OTHER = Normal(-0.5, 0.6), Normal(0.4, 0.3)
# the same cloud, moved by (0.6, -0.3)
CLOUD = Independent(Normal(torch.tensor([-0.3, 0.2]), torch.tensor([0.3, 0.3])), 1)
MOVED = Independent(Normal(torch.tensor([0.3, -0.1]), torch.tensor([0.3, 0.3])), 1)
# a slope of 1 + W / (2 lambda) is what a critic under this penalty gains most with
GP_WEIGHT = 100.0
# on a line a slope of -1 costs nothing either, and at 0 is a hill of the penalty's height: a critic
# that starts downhill stays there, unless the penalty is small at first
FIRST_GP_WEIGHT = 0.1
SAMPLES = 1000


class Point:
    """A distribution that is one number."""

    def __init__(self, at: float) -> None:
        self.at = at

    def sample(self, shape: torch.Size) -> Tensor:
        """The number, so many times."""
        return torch.full(shape, self.at)


def distances(lab: Lab, updates: int = 2000) -> Findings:
    """A critic's value is the Wasserstein distance that integrals and exact transport give, too.

    Between two points it is their distance; between two densities over numbers the area between
    their distribution functions, or between quantiles; between clouds in the plane the cost of the
    best plan, by linear programming.
    """
    import ot

    def critic(real: Source, fake: Source) -> tuple[Critic, float]:
        model = fresh(lab, lambda: Critic(Drawn(fake), n_critic=1, gp_weight=FIRST_GP_WEIGHT))
        lab.fit(model, real, updates // 10, 512)
        model.gp_weight = GP_WEIGHT
        lab.fit(model, real, updates, 512)
        points, fakes = draw(real, 50_000), draw(fake, 50_000)
        return model, (model.at(points).mean() - model.at(fakes).mean()).item()

    _, between_points = critic(Point(A), Point(B))
    x = grid(ONE, OTHER)
    step = (x[1] - x[0]).item()
    exact = wasserstein_distance(ONE.log_prob(x).exp(), OTHER.log_prob(x).exp(), step)
    levels = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    by_quantiles = (_quantile(ONE, levels) - _quantile(OTHER, levels)).abs().mean().item()
    one, other = draw(ONE, 20_000).flatten(), draw(OTHER, 20_000).flatten()
    by_samples = float(of_samples(one.numpy(), other.numpy()))
    model, between_gaussians = critic(ONE, OTHER)
    shift = (CLOUD.mean - MOVED.mean).norm().item()
    cloud, moved = draw(CLOUD, SAMPLES), draw(MOVED, SAMPLES)
    costs = torch.cdist(cloud, moved).double().numpy()
    plan = ot.emd([], [], costs)
    transported = float((plan * costs).sum())
    _, between_clouds = critic(CLOUD, MOVED)
    figure, (densities, clouds) = panels("two densities and the critic", "the best plan")
    densities.fill_between(x, ONE.log_prob(x).exp(), alpha=0.3, label="real")
    densities.fill_between(x, OTHER.log_prob(x).exp(), alpha=0.3, label="fake")
    scores = model.at(x)
    densities.plot(x, scores - scores.mean(), "C3", label="critic")
    densities.set(xlabel="x", ylabel="density, and score of the critic")
    densities.legend(fontsize="small")
    for row in range(0, SAMPLES, 10):
        start, end = cloud[row], moved[plan[row].argmax()]
        clouds.plot([start[0], end[0]], [start[1], end[1]], "k", lw=0.4)
    clouds.scatter(cloud[:, 0], cloud[:, 1], s=2, label="real")
    clouds.scatter(moved[:, 0], moved[:, 1], s=2, label="fake")
    clouds.set(xlabel="x", ylabel="y", aspect="equal")
    clouds.legend(fontsize="small")
    return Findings(
        [
            near("critic between two points, |a - b|", abs(A - B), between_points, 0.03),
            near("quantiles of two Gaussians", exact, by_quantiles, 0.001),
            near("samples of two Gaussians (scipy)", exact, by_samples, 0.03),
            near("critic between two Gaussians", exact, between_gaussians, 0.03),
            # a plan for a thousand samples is dearer: clouds of samples differ by chance, too
            near("exact transport in the plane (POT)", shift, transported, 0.05),
            near("critic in the plane", shift, between_clouds, 0.03),
        ],
        figure,
        {},
    )


def _quantile(source: Normal, levels: Tensor) -> Tensor:
    quantiles: Tensor = source.icdf(levels)
    return quantiles
