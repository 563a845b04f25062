"""Momentum and clipped weights (Arjovsky et al. 2017, arXiv:1701.07875, section 4)."""

from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor
from torch.optim import Adam, Optimizer, RMSprop

from gan_modules.lab.experiment import Findings, at_least, at_most, near
from gan_modules.lab.games import game, modes, ring
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab, Looks, draw
from gan_modules.models.wgan import WGAN

__all__ = ["rmsprop_or_adam"]

REAL = modes(ring(), 0.05)
CLIP = 0.1
LR = 1e-3
OPTIMIZERS = {
    "RMSprop": partial(RMSprop, lr=LR),
    "Adam, beta_1 = 0": partial(Adam, lr=LR, betas=(0.0, 0.99)),
    "Adam, beta_1 = 0.5": partial(Adam, lr=LR, betas=(0.5, 0.99)),
    "Adam, beta_1 = 0.9": partial(Adam, lr=LR, betas=(0.9, 0.99)),
}


class Cosines(Callback):
    """The cosine between each step of the critic's optimizer, before clipping, and descent."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.losses = []
        self._before = torch.empty(0)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Before the model does: clipping comes after what is looked at."""
        optimizer: Optimizer = trainer.optimizers[1]
        optimizer.register_step_pre_hook(self._remember)
        optimizer.register_step_post_hook(self._compare)

    def _remember(self, optimizer: Optimizer, *_: Any) -> None:
        self._before = _flat(optimizer, lambda p: p.detach()).clone()

    def _compare(self, optimizer: Optimizer, *_: Any) -> None:
        step = _flat(optimizer, lambda p: p.detach()) - self._before
        gradient = _flat(optimizer, lambda p: p.grad)
        self.values.append(torch.cosine_similarity(step, -gradient, dim=0).item())


def _flat(optimizer: Optimizer, of: Any) -> Tensor:
    return torch.cat([of(p).flatten() for group in optimizer.param_groups for p in group["params"]])


def rmsprop_or_adam(lab: Lab, updates: int = 300) -> Findings:
    """x"""
    import ot, time
    for name, opt in OPTIMIZERS.items():
        cos = Cosines()
        model = game(lab, WGAN, n_critic=5, clip_value=CLIP, generator_optimizer=opt, discriminator_optimizer=opt)
        ws, est = [], []
        def look(step, m):
            with torch.no_grad():
                r, f = draw(REAL, 500), m.sample(500)
                est.append((m.judge(r).logits.mean() - m.judge(f).logits.mean()).item())
                ws.append(float(ot.emd2([], [], torch.cdist(r, f).double().numpy())))
        lab.fit(model, REAL, updates, callbacks=[cos, Looks(range(20, 10000, 20), look)])
        c = torch.tensor(cos.values)
        print(name, "min", c.min().item(), "share<0", (c < 0).float().mean().item(), "mean", c.mean().item())
        print("W", [round(w, 3) for w in ws], "\nE", [f"{w:.2g}" for w in est], time.process_time())
    return Findings([], panels("a")[0], {})
