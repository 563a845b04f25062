"""What clipping does to a critic (Arjovsky et al. 2017; Gulrajani et al. 2017, arXiv:1704.00028)."""

import math
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, RMSprop

from gan_modules.lab.experiment import Findings, at_least, at_most, near
from gan_modules.lab.players import ClippedCritic, Critic, Drawn
from gan_modules.lab.plots import panels, surface
from gan_modules.lab.training import Lab, Source, draw, fresh
from gan_modules.objectives.losses import wasserstein_discriminator_loss
from gan_modules.objectives.penalties import input_gradients
from gan_modules.tools.toys import Toy

__all__ = ["Blurred", "clipping", "gradient_norms", "kurtosis", "share_at", "weights"]

CLIP = 0.1
CLIPS = (0.03, 0.1, 0.3)
DEPTH, WIDTH = 12, 64
# of the data's scale: the fakes of the paper are data and noise
NOISE = 0.15


class Blurred:
    """A distribution and normal noise."""

    def __init__(self, source: Source, noise: float) -> None:
        self.source, self.noise = source, noise

    def sample(self, shape: torch.Size) -> Tensor:
        """Points, as the source has them."""
        points = self.source.sample(shape)
        return points + self.noise * torch.randn_like(points)


def clipping(
    lab: Lab, updates: int = 600, toy: Literal["swiss_roll", "ring", "grid"] = "swiss_roll"
) -> Findings:
    """x"""
    real = Toy(toy)
    fake = Blurred(real, NOISE)
    deep = (WIDTH,) * DEPTH
    import time
    def clipped(clip: float, hidden: tuple[int, ...], n) -> ClippedCritic:
        return lab.fit(
            fresh(
                lab,
                lambda: ClippedCritic(
                    Drawn(fake),
                    hidden=hidden,
                    n_critic=1,
                    clip_value=clip,
                    discriminator_optimizer=lambda p: RMSprop(p, lr=LR),
                ),
            ),
            real,
            n,
        )
    LR=1e-3
    points, fakes = draw(real, 2000), draw(fake, 2000)
    def report(name, m, c):
        w = weights(m.discriminator)
        top = w.abs().max().item()
        g = torch.cat([input_gradients(lambda x: m.judge(x).logits, p).detach().norm(dim=1) for p in (points, fakes)])
        gap=(m.at(points).mean()-m.at(fakes).mean()).item()
        n = gradient_norms(m, points, fakes)
        print(name, 'share', round(share_at(w, c or top),3), 'kurt', round(kurtosis(w),2), 'gap', f"{gap:.3g}", 'gap/max', f"{gap/g.max().item():.4f}", 'norms', [f"{x:.1e}" for x in n[::3]], f"ratio {math.log10(n[0]/n[-1]) if n[0] else -99:.2f}", round(time.process_time(),1), flush=True)
    for c in (0.01,0.03,0.1, 0.3):
        report(f"shallow {c}", clipped(c, (64,64,64), updates), c)
    for gp in (1.0,10.0):
        report("shallow gp", lab.fit(fresh(lab, lambda: Critic(Drawn(fake), hidden=(64,64,64), lr=2e-3, n_critic=1, gp_weight=gp)), real, updates), None)
    for c in (0.01,0.03,0.1,0.2,0.4):
        report(f"deep {c}", clipped(c, deep, updates//2), c)
    report("deep gp", lab.fit(fresh(lab, lambda: Critic(Drawn(fake), hidden=deep, lr=1e-3, n_critic=1)), real, updates//2), None)
    return Findings([], panels("a")[0], {})


def weights(network: nn.Module) -> Tensor:
    """All weights of linear layers, without biases."""
    return torch.cat([m.weight.detach().flatten() for m in network.modules() if isinstance(m, nn.Linear)])


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
