"""Which GANs forget modes, and which cover them."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import torch
from lightning.pytorch import Callback
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.optim import Adam, RMSprop

from gan_modules.families.noise import NoiseGAN
from gan_modules.lab.experiment import Check, Findings, at_least, at_most
from gan_modules.lab.plots import panels, surface
from gan_modules.lab.training import Lab, draw, fresh
from gan_modules.lab.unrolled import UnrolledGAN
from gan_modules.models.d2gan import D2GAN
from gan_modules.models.gan import GAN
from gan_modules.models.r3gan import R3GAN
from gan_modules.models.wgan import WGAN
from gan_modules.models.wgan_gp import WGANGP
from gan_modules.networks import MLPDiscriminator, MLPGenerator, PackedDiscriminator
from gan_modules.tools.toys import Toy
from gan_modules.training.schedulers import ConstantThenLinearLR

__all__ = ["MODELS", "covered", "mode_collapse"]

HIDDEN = (64, 64)
LR = 1e-3
BATCH = 128
PACKING = 4
FRAMES = 20
DISCRIMINATOR = partial(MLPDiscriminator, hidden=HIDDEN)
# what differs from one to the next beside the objective
MODELS: dict[str, tuple[type[NoiseGAN], dict[str, Any]]] = {
    "GAN": (GAN, {}),
    "WGAN": (
        WGAN,
        {"n_critic": 3, "clip_value": 0.1, "discriminator_optimizer": partial(RMSprop, lr=LR)},
    ),
    "WGAN-GP": (WGANGP, {"n_critic": 3, "gp_weight": 1.0}),
    "D2GAN": (D2GAN, {}),
    "PacGAN": (
        GAN,
        {
            "discriminator": partial(
                PackedDiscriminator, packing=PACKING, discriminator=DISCRIMINATOR
            )
        },
    ),
    "R3GAN": (R3GAN, {"gamma": 0.05}),
    "unrolled": (UnrolledGAN, {"steps": 3, "step_size": 0.3}),
}
# nothing is asked of them
UP_TO_THE_SEED = ("GAN", "D2GAN")
Name = Literal["GAN", "WGAN", "WGAN-GP", "D2GAN", "PacGAN", "R3GAN", "unrolled"]


def mode_collapse(
    lab: Lab,
    updates: int = 900,
    toy: Literal["ring", "grid", "parallel_lines", "swiss_roll"] = "ring",
    batch_norm: bool = False,
    animated: Name = "GAN",
) -> Findings:
    """Wasserstein critics, packs, pairs and looking ahead keep all modes; a GAN is up to the seed.

    All have the same networks, rates and numbers of updates of the generator. On the ring WGAN,
    WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028), PacGAN (Lin et al. 2017, arXiv:1712.04086),
    R3GAN (Huang et al. 2025, arXiv:2501.05441) and the unrolled GAN (Metz et al. 2016,
    arXiv:1611.02163) put as many samples near one mode as near another.

    Confirmed in part: of five seeds, the GAN's samples were one clump, which runs from mode to
    mode, with two, near about half of the modes with two, and near all with one; that is why
    nothing is asked of it. Not confirmed: so it was with D2GAN (Nguyen et al. 2017,
    arXiv:1709.03831). With networks twice as wide, a discriminator twice as fast and rates that
    fall from the start both went to all modes (one seed). So few updates leave most points between
    modes, PacGAN's all over the square; within 3 sigma of a centre, as modes are counted, are few.
    What is judged is how many are closest to each mode.

    With the other toys not all holds, of five seeds: R3GAN leaves out modes of the grid in two and
    much of the Swiss roll in two, WGAN-GP a quarter of the roll in one, the unrolled GAN half of
    the lines in two. GAN and D2GAN are up to the seed there, too. With batch normalisation in the
    generator nobody leaves out a mode of the ring or of the grid, the GAN neither (three and two
    seeds).

    Rates and sizes are one of seven settings that were tried for the GAN, the one that set the
    models apart with seed 0.

    Args:
        lab: trains.
        updates: of each generator.
        toy: what is to be learnt.
        batch_norm: in the generators; critics under a penalty must not have it.
        animated: the model whose training is shown.
    """
    data = Toy(toy)
    real = draw(data, 2500)
    measure, title, unit = "covered", "data covered", "share"
    if data.sigma:
        measure, title, unit = "kl", "KL to the uniform over modes", "nats"
    figure, axes = panels(*MODELS, title, rows=2)
    rows: dict[str, dict[str, float]] = {}
    frames: list[Figure] = []
    for axis, name in zip(axes, MODELS, strict=False):
        model = fresh(lab, partial(_built, name, lab.updates(updates), batch_norm))
        watch = _Watch(data, name, lab.updates(updates) // FRAMES, frames)
        lab.fit(model, data, updates, BATCH, [watch] if name == animated else [])
        points = model.sample(len(real), seed=lab.seed)
        rows[name] = {"covered": covered(real, points)}
        if data.sigma:
            modes, share = data.count_modes(points)
            kl = data.kl_to_uniform(points)
            rows[name] |= {"modes": modes, "within 3 sigma": share, "kl": kl}
            axis.set_title(
                f"{name}: {modes} of {len(data.centers)} modes, KL {kl:.2f}", fontsize="medium"
            )
        _scatter(axis, real, points)
    names = [*MODELS][::-1]
    axes[-1].barh(names, [rows[name][measure] for name in names], color="C3")
    axes[-1].set_xlabel(unit)
    return Findings([*_checks(rows)], figure, rows, frames)


def _checks(rows: dict[str, dict[str, float]]) -> Iterator[Check]:
    for name, row in rows.items():
        if name in UP_TO_THE_SEED:
            continue
        if "kl" in row:
            yield at_most(f"{name}, KL to the uniform over modes", 0.3, row["kl"])
        else:
            yield at_least(f"{name}, share of data with a sample near", 0.8, row["covered"])


def covered(real: Tensor, points: Tensor, within: float = 0.1) -> float:
    """The share of data that have a sample near them: for data without modes to count."""
    return (torch.cdist(real, points).amin(dim=1) <= within).float().mean().item()


def _built(name: str, updates: int, batch_norm: bool) -> NoiseGAN:
    adam = partial(Adam, lr=LR, betas=(0.5, 0.9), fused=True)
    settling = partial(
        ConstantThenLinearLR, constant_steps=updates // 2, decay_steps=updates - updates // 2
    )
    options: dict[str, Any] = {
        "image_shape": (2,),
        "latent_dim": 2,
        "latent_distribution": "normal",
        "generator": partial(MLPGenerator, hidden=HIDDEN, batch_norm=batch_norm),
        "discriminator": DISCRIMINATOR,
        "generator_optimizer": adam,
        "discriminator_optimizer": adam,
        "generator_scheduler": settling,
        "discriminator_scheduler": settling,
        # fewer updates than the usual average is long
        "ema_decay": 0.98,
    }
    paper, own = MODELS[name]
    return paper(**options | own)


class _Watch(Callback):
    """Takes a picture of samples and of the discriminator, every so many updates."""

    def __init__(self, data: Toy, name: str, every: int, frames: list[Figure]) -> None:
        self.real, self.name = draw(data, 1000), name
        self.every, self.frames = max(1, every), frames

    def on_train_batch_end(self, _: Any, model: Any, *__: Any) -> None:
        if model.global_step % self.every:
            return
        figure, (axis,) = panels(f"{self.name}, update {model.global_step}")
        # of one point a pack says nothing
        if model.packing == 1:
            # of D2GAN's two the one that rewards the data
            surface(axis, lambda x: model.judge(x).logits.reshape(len(x), -1)[:, 0], 1.1)
        _scatter(axis, self.real, model.sample(1000, seed=0))
        self.frames.append(figure)


def _scatter(axis: Axes, real: Tensor, points: Tensor) -> None:
    axis.scatter(points[:, 0], points[:, 1], s=2, color="C3", label="samples")
    axis.scatter(real[:, 0], real[:, 1], s=1, color="k", alpha=0.5, label="data")
    axis.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal", ylabel="y")
    axis.legend(
        fontsize="x-small", markerscale=4, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncol=2
    )
