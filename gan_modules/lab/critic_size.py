"""What clipped critics of several sizes measure (Arjovsky et al. 2017, arXiv:1701.07875)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from gan_modules.lab.experiment import Findings, at_least, at_most, near
from gan_modules.lab.players import ClippedCritic, Drawn
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab, draw, fresh

__all__ = ["critic_size"]

CLIP = 0.1
# widths of the hidden layers: the first is what the others are calibrated with
SIZES: dict[str, tuple[int, ...]] = {"32": (32,), "128": (128,), "64, 64": (64, 64)}
SIGMA = 0.12
FIXED = (0.4, 0.0)
MOVES = ((0.1, 0.0), (0.0, -0.2), (0.2, 0.2), (-0.3, 0.1), (0.3, -0.3))
WIDER = 3.0


def _cloud(at: Sequence[float], sigma: float = SIGMA) -> Independent:
    return Independent(Normal(torch.tensor(at), torch.full((2,), sigma)), 1)


def critic_size(lab: Lab, updates: int = 300) -> Findings:
    """Clipped critics of two sizes differ by a factor, calibrated on one pair, as long as mass moves.

    Between a cloud and the cloud moved by v the best critic is linear: with L hidden layers of
    width n and all weights c it says ``(|v_1| + |v_2|) c^(L + 1) n^L``, so that clipping measures
    in the L1 norm. That all critics have in common. Between a cloud and a wider one around the same
    point the best critic has a kink; how sharp one clipped weights allow depends on depth, and
    critics of different depth do not agree there.
    """
    real = _cloud((0.0, 0.0))
    fakes = [_cloud(FIXED), *map(_cloud, MOVES), _cloud((0.0, 0.0), WIDER * SIGMA)]
    said: dict[str, list[float]] = {}
    for name, hidden in SIZES.items():
        said[name] = []
        for fake in fakes:
            model = fresh(
                lab,
                lambda fake=fake, hidden=hidden: ClippedCritic(
                    Drawn(fake), hidden=hidden, n_critic=1, clip_value=CLIP
                ),
            )
            lab.fit(model, real, updates, 512)
            a, b = draw(real, 20_000), draw(fake, 20_000)
            said[name].append((model.at(a).mean() - model.at(b).mean()).item())
    factors = {n: v[0] / sum(map(abs, FIXED)) for n, v in said.items()}
    print(said)
    print(factors, {n: CLIP ** (len(h) + 1) * math.prod(h) for n, h in SIZES.items()})
    for n, v in said.items():
        print(n, [x / factors[n] for x in v])
    return Findings([], panels("a")[0], {})
