"""Momentum and clipped weights (Arjovsky et al. 2017, arXiv:1701.07875, section 4)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor
from torch.optim import Adam, Optimizer, RMSprop

from gan_modules.lab.experiment import Findings, at_least, at_most
from gan_modules.lab.games import game, modes, ring
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab, Looks, draw
from gan_modules.models.wgan import WGAN

__all__ = ["rmsprop_or_adam"]

REAL = modes(ring(), 0.05)
CLIP = 0.1
LOOKS, SAMPLES = 15, 500
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
        self._before = torch.empty(0)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Before the model's own hook, so that a step is looked at before weights are clipped."""
        optimizer: Optimizer = trainer.optimizers[1]
        optimizer.register_step_pre_hook(self._remember)
        optimizer.register_step_post_hook(self._compare)

    def _remember(self, optimizer: Optimizer, *_: Any) -> None:
        self._before = _flat(optimizer, lambda p: p.detach()).clone()

    def _compare(self, optimizer: Optimizer, *_: Any) -> None:
        step = _flat(optimizer, lambda p: p.detach()) - self._before
        gradient = _flat(optimizer, lambda p: p.grad)
        self.values.append(torch.cosine_similarity(step, -gradient, dim=0).item())


def _flat(optimizer: Optimizer, of: Callable[[Any], Tensor]) -> Tensor:
    """What there is of each of an optimizer's parameters, in one row."""
    return torch.cat([of(p).flatten() for group in optimizer.param_groups for p in group["params"]])


def rmsprop_or_adam(lab: Lab, updates: int = 300) -> Findings:
    """With clipped weights momentum makes training unstable; RMSprop, without, does not.

    RMSprop divides the gradient by positive numbers: no step goes uphill. With Adam and
    beta_1 = 0.9 the critic's estimate swings and samples stay bad; with beta_1 = 0 it does as well
    as RMSprop, so that it is the momentum. Not confirmed: the paper saw Adam's cosine with descent
    turn negative where the loss blew up; here the gradient of the critic's weights hardly turns
    (weights lie at their bounds), and the cosine stays positive.
    """
    import ot

    courses: dict[str, dict[str, list[float]]] = {}
    for name, optimizer in OPTIMIZERS.items():
        cosines = Cosines()
        course: dict[str, list[float]] = {"updates": [], "estimate": [], "distance": []}

        @torch.no_grad()
        def look(step: int, model: WGAN, course: dict[str, list[float]] = course) -> None:
            real, fake = draw(REAL, SAMPLES), model.sample(SAMPLES)
            estimate = model.judge(real).logits.mean() - model.judge(fake).logits.mean()
            costs = torch.cdist(real, fake).double().numpy()
            course["updates"].append(step)
            course["estimate"].append(estimate.item())
            course["distance"].append(float(ot.emd2([], [], costs)))

        model = game(
            lab,
            WGAN,
            n_critic=5,
            clip_value=CLIP,
            generator_optimizer=optimizer,
            discriminator_optimizer=optimizer,
        )
        last = lab.updates(updates)
        at = range(max(1, last // LOOKS), last + 1, max(1, last // LOOKS))
        lab.fit(model, REAL, updates, callbacks=[cosines, Looks(at, look)])
        courses[name] = {**course, "cosine": cosines.values}
    figure, (first, second, third) = panels("samples", "critic's estimate", "steps of the critic")
    for name, course in courses.items():
        first.plot(course["updates"], course["distance"], ".-", label=name)
        second.plot(course["updates"], course["estimate"], ".-", label=name)
        third.hist(course["cosine"], bins=60, histtype="step", label=name)
    first.set(ylabel="exact distance of samples", xlabel="updates of the generator")
    second.set(ylabel="estimate", xlabel="updates of the generator")
    third.set(ylabel="updates", xlabel="cosine of step and descent")
    first.legend(fontsize="small")
    late = {name: _late(course["distance"]) for name, course in courses.items()}
    swing = {name: float(torch.tensor(c["estimate"]).std(0, False)) for name, c in courses.items()}
    least = {name: min(course["cosine"]) for name, course in courses.items()}
    return Findings(
        [
            at_least("least cosine of RMSprop's steps", 0.0, least["RMSprop"]),
            at_least("least cosine of Adam's, beta_1 = 0", 0.0, least["Adam, beta_1 = 0"]),
            at_least(
                "the same, beta_1 = 0.9 (negative in the paper)", 0.0, least["Adam, beta_1 = 0.9"]
            ),
            at_most("distance at the end, RMSprop", 0.25, late["RMSprop"]),
            at_least(
                "times that with Adam, beta_1 = 0.9",
                1.5,
                late["Adam, beta_1 = 0.9"] / late["RMSprop"],
            ),
            at_least(
                "swing of the estimate, over RMSprop's, of Adam, beta_1 = 0.9",
                3.0,
                swing["Adam, beta_1 = 0.9"] / swing["RMSprop"],
            ),
        ],
        figure,
        {"least cosine": least, "distance": late, "swing": swing, "courses": courses},
    )


def _late(values: Sequence[float]) -> float:
    """The mean of the last third."""
    return sum(values[-len(values) // 3 :]) / len(values[-len(values) // 3 :])
