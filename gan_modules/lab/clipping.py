"""Clipped critics (Arjovsky et al. 2017; Gulrajani et al. 2017, arXiv:1704.00028)."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import RMSprop

from gan_modules.lab.experiment import Findings, at_least, at_most, near
from gan_modules.lab.players import ClippedCritic, Critic, Drawn
from gan_modules.lab.plots import panels, surface
from gan_modules.lab.training import Lab, Source, draw, fresh
from gan_modules.objectives.losses import wasserstein_discriminator_loss
from gan_modules.objectives.penalties import input_gradients
from gan_modules.tools.toys import Toy

__all__ = [
    "Blurred",
    "clipping",
    "gradient_norms",
    "kurtosis",
    "quadratic_share",
    "share_at",
    "weights",
]

CLIP = 0.1
CLIPS = (0.01, 0.03, 0.1)
SHALLOW = (64,) * 3
DEPTH = 12
DEEP = (64,) * DEPTH
LIMIT = 1.2
# of the data's scale: the fakes of the paper are data and noise
NOISE = 0.2
# what the paper's code has for toys; that of the deep critic is 10
GP_WEIGHT = 0.1


class Blurred:
    """A distribution and normal noise."""

    def __init__(self, source: Source, noise: float) -> None:
        self.source, self.noise = source, noise

    def sample(self, shape: torch.Size) -> Tensor:
        """Points, as the source has them."""
        points = self.source.sample(shape)
        return points + self.noise * torch.randn_like(points)


def clipping(
    lab: Lab, updates: int = 800, toy: Literal["swiss_roll", "ring", "grid"] = "ring"
) -> Findings:
    """Clipped weights pile up at the bound and say little; through depth gradients swell or die.

    Real points are a toy, fakes the same with noise, as in figure 2 of the paper. Between them a
    clipped critic's surface is nearly a bowl, which a quadratic describes; under the penalty it
    is not, and finds more of the distance. In a critic of twelve layers the norm of the loss's
    gradient falls or rises exponentially from the last layer to the first, depending on the bound;
    under the penalty it stays.

    The weight of the shallow critic's penalty, how simple a surface is said to be and what is
    asked of it were settled with seed 0, where a weight of 10 left the critic a plane.
    """
    real = Toy(toy)
    fake = Blurred(real, NOISE)
    points, fakes = draw(real, 2000), draw(fake, 2000)

    def clipped(clip: float, hidden: Sequence[int], steps: int) -> ClippedCritic:
        model = fresh(
            lab,
            lambda: ClippedCritic(
                Drawn(fake),
                hidden=hidden,
                n_critic=1,
                clip_value=clip,
                discriminator_optimizer=lambda p: RMSprop(p, lr=1e-3),
            ),
        )
        return lab.fit(model, real, steps)

    def penalised(hidden: Sequence[int], steps: int, lr: float, weight: float) -> Critic:
        model = fresh(
            lab, lambda: Critic(Drawn(fake), hidden=hidden, rate=lr, n_critic=1, gp_weight=weight)
        )
        return lab.fit(model, real, steps)

    shallow: dict[str, Critic | ClippedCritic] = {
        f"clipped to {CLIP}": clipped(CLIP, SHALLOW, updates),
        "penalised": penalised(SHALLOW, updates, 2e-3, GP_WEIGHT),
    }
    deep: dict[str, Critic | ClippedCritic] = {
        f"c = {clip}": clipped(clip, DEEP, updates // 4) for clip in CLIPS
    }
    deep["penalised"] = penalised(DEEP, updates // 4, 1e-3, 10.0)
    norms = {name: gradient_norms(model, points, fakes) for name, model in deep.items()}
    # over the layers from the last to the first; what is below the least float is no number
    powers = {name: math.log10(max(n[0], 1e-38) / max(n[-1], 1e-38)) for name, n in norms.items()}
    simple = {name: quadratic_share(model.at, fakes) for name, model in shallow.items()}
    bounds = [bound(model, points, fakes) for model in shallow.values()]
    found = bounds[0] / bounds[1]
    of_clipped, of_penalised = (weights(model.discriminator) for model in shallow.values())
    figure, (one, other, histogram, layers) = panels(
        *(f"{name}, {share:.0%} quadratic" for name, share in simple.items()),
        "weights",
        f"gradient of the loss, {DEPTH} layers",
        rows=2,
    )
    for axis, model in zip((one, other), shallow.values(), strict=True):
        figure.colorbar(surface(axis, model.at, LIMIT), ax=axis, label="score")
        axis.scatter(fakes[:300, 0], fakes[:300, 1], s=2, color="C3", label="fake")
        axis.scatter(points[:500, 0], points[:500, 1], s=2, color="w", label="real")
        axis.legend(fontsize="x-small", loc="lower left", markerscale=3, facecolor="0.6")
    for name, values in zip(shallow, (of_clipped, of_penalised), strict=True):
        scaled = values / values.abs().max()
        histogram.hist(scaled, bins=41, density=True, alpha=0.6, label=name)
    histogram.set(xlabel="weight / largest weight", ylabel="density")
    for name, n in norms.items():
        layers.plot(range(1, DEPTH + 1), n, "o-", ms=3, label=name)
    layers.set(yscale="log", xlabel="hidden layer", ylabel="norm")
    for axis in (histogram, layers):
        axis.legend(fontsize="small")
    least, *_, largest = CLIPS
    return Findings(
        [
            at_least("share of clipped weights within 2 % of +-c", 0.3, share_at(of_clipped, CLIP)),
            at_most(
                "the same under the penalty, of its largest weight",
                0.01,
                share_at(of_penalised, of_penalised.abs().max().item()),
            ),
            at_most("kurtosis of clipped weights, 1 at two points", 1.8, kurtosis(of_clipped)),
            at_least("kurtosis under the penalty, a normal one's 3", 3.0, kurtosis(of_penalised)),
            at_least("clipped surface, share that is quadratic", 0.8, simple[f"clipped to {CLIP}"]),
            at_most("penalised surface, share that is quadratic", 0.7, simple["penalised"]),
            at_most("bound on the distance, clipped over penalised", 0.7, found),
            at_most(
                f"powers of ten from last to first layer, c = {least}", -3.0, powers[f"c = {least}"]
            ),
            at_least(
                f"powers of ten from last to first layer, c = {largest}",
                3.0,
                powers[f"c = {largest}"],
            ),
            near(
                "powers of ten from last to first layer, penalised", 0.0, powers["penalised"], 1.0
            ),
        ],
        figure,
        {"bounds": bounds, "powers of ten": powers, "norms": norms, "quadratic": simple},
    )


def quadratic_share(judge: Callable[[Tensor], Tensor], points: Tensor) -> float:
    """The share of the scores' variance that a quadratic of the points explains, R squared."""
    values = judge(points).double()
    x, y = points.double().T
    terms = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], dim=1)
    left = values - terms @ torch.linalg.lstsq(terms, values[:, None]).solution.squeeze(1)
    unexplained: float = (left.var() / values.var()).item()
    return 1 - unexplained


def bound(model: Critic | ClippedCritic, real: Tensor, fake: Tensor) -> float:
    """A critic's value over its slope: by duality no more than the Wasserstein distance.

    The slope is what 99 % of the points do not exceed.
    """
    both = torch.cat([real, fake])
    slopes = input_gradients(lambda x: model.judge(x).logits, both).detach().norm(dim=1)
    value = model.at(real).mean() - model.at(fake).mean()
    least: float = (value / slopes.quantile(0.99)).item()
    return least


def weights(network: nn.Module) -> Tensor:
    """All weights of linear layers, without biases."""
    return torch.cat(
        [m.weight.detach().flatten() for m in network.modules() if isinstance(m, nn.Linear)]
    )


def share_at(values: Tensor, bound: float, within: float = 0.02) -> float:
    """The share of values whose magnitude is within 2 % of a bound."""
    return (values.abs() >= (1 - within) * bound).float().mean().item()


def kurtosis(values: Tensor) -> float:
    """1 of two points of equal weight, 1.8 of a uniform distribution, 3 of a normal one."""
    centred = values - values.mean()
    return (centred.pow(4).mean() / centred.square().mean().square()).item()


def gradient_norms(model: Critic | ClippedCritic, real: Tensor, fake: Tensor) -> list[float]:
    """Norms of the gradients of a critic's loss at what each hidden layer gives, first to last."""
    outputs: list[Tensor] = []
    hooks = [
        m.register_forward_hook(lambda _, __, out: outputs.append(out))
        for m in model.discriminator.modules()
        if isinstance(m, nn.Linear)
    ]
    logits = model.judge(torch.cat([real, fake])).logits
    for hook in hooks:
        hook.remove()
    loss = wasserstein_discriminator_loss(*logits.chunk(2))
    return [g.norm().item() for g in torch.autograd.grad(loss, outputs[:-1])]
