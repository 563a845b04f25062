"""Where a critic's gradient is penalised, and what it is made of."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from gan_modules.lab.experiment import Findings, at_least, at_most, near
from gan_modules.lab.players import ClippedCritic, Drawn
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab, draw, fresh
from gan_modules.objectives.penalties import input_gradients
from gan_modules.objectives.regularizers import GradientPenalty

__all__ = ["MLP", "penalty_places"]

# the same cloud, moved: the distance is the vector's length, here 1
REAL = Independent(Normal(torch.tensor([-0.4, -0.3]), torch.tensor([0.1, 0.1])), 1)
FAKE = Independent(Normal(torch.tensor([0.4, 0.3]), torch.tensor([0.1, 0.1])), 1)
WEIGHT = 10.0
HIDDEN = (64, 64)
PLACES: dict[str, dict[str, Any]] = {
    "between": {"where": "between"},
    "real": {"where": "real"},
    "real and noise (DRAGAN)": {"where": "real", "noise": 0.5},
    "fake": {"where": "fake"},
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "ReLU": nn.ReLU,
    "LeakyReLU": partial(nn.LeakyReLU, 0.2),
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
}


class MLP(nn.Module):
    """A critic of points with any activation.

    Args:
        image_shape: ``(D,)``.
        hidden: widths of the hidden layers.
        activation: builds one.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        hidden: Sequence[int] = HIDDEN,
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = math.prod(image_shape)
        for features in hidden:
            layers += [nn.Linear(width, features), activation()]
            width = features
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, points: Tensor) -> Tensor:
        """Map points ``(N, D)`` to scores ``(N,)``."""
        scores: Tensor = self.layers(points)
        return scores.squeeze(1)


def penalty_places(lab: Lab, updates: int = 600) -> Findings:
    """Only a penalty between real and fake makes a critic's value the Wasserstein distance.

    Elsewhere (Kodali et al. 2017, arXiv:1705.07215, at noisy real points) the gradient is tamed
    where it is looked at, and the critic rises as it likes on the way there: its value says nothing
    of the distance. Between, two sides and one (Petzka et al. 2018, arXiv:1709.08894) agree: where
    all of the gain is in the slope, both settle at ``1 + W / (2 lambda)``.
    """
    distance = (REAL.mean - FAKE.mean).norm().item()
    points, fakes = draw(REAL, 5000), draw(FAKE, 5000)
    # points on the lines of the best plan
    between = torch.lerp(points, points + FAKE.mean - REAL.mean, torch.rand(len(points), 1))
    found: dict[str, dict[str, float]] = {}
    along: dict[str, Tensor] = {}
    steps = torch.linspace(-0.5, 1.5, 101)
    line = torch.lerp(REAL.mean, FAKE.mean, steps[:, None])

    def measure(name: str, activation: str, one_sided: bool, **place: Any) -> None:
        def build() -> ClippedCritic:
            return ClippedCritic(
                Drawn(FAKE),
                n_critic=1,
                clip_value=math.inf,
                discriminator=partial(MLP, activation=ACTIVATIONS[activation]),
                regularizers=[GradientPenalty(WEIGHT, one_sided=one_sided, **place)],
            )

        model = lab.fit(fresh(lab, build), REAL, updates)
        norms = input_gradients(lambda x: model.judge(x).logits, between).detach().norm(dim=1)
        gap = (model.at(points).mean() - model.at(fakes).mean()).item()
        found[name] = {
            "estimate": gap / distance,
            "mean norm": norms.mean().item(),
            "spread": norms.std().item(),
        }
        along[name] = model.at(line)

    for place, options in PLACES.items():
        for one_sided in (False, True):
            name = f"{place}, {'one' if one_sided else 'two'}-sided"
            measure(name, "LeakyReLU", one_sided, **options)
    for activation in ACTIVATIONS.keys() - {"LeakyReLU"}:
        measure(activation, activation, False, where="between")
    for name, row in found.items(): print(name, {k: round(v,3) for k,v in row.items()})
    return Findings([], panels("a")[0], found)
