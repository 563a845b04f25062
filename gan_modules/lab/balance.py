"""Players of unequal strength (Goodfellow et al. 2014, arXiv:1406.2661, section 3)."""

import torch

from gan_modules.lab.experiment import Findings, at_least, at_most
from gan_modules.lab.games import game, modes, near_modes, ring
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab
from gan_modules.models.gan import GAN

__all__ = ["balance", "covered"]

CENTERS, SIGMA = ring(), 0.05
# updates of the discriminator to one of the generator, and widths of its two hidden layers
UPDATES_OF_D = (1, 2, 4)
WIDTHS_OF_D = (4, 32, 128)
WIDTH_OF_G = 32
SAMPLES = 2500


def covered(shares: torch.Tensor) -> int:
    """How many modes have a sixth of the samples that are due to them, or more."""
    return int((shares >= 1 / (6 * len(shares))).sum())


def balance(lab: Lab, updates: int = 600) -> Findings:
    """The modes that survive are those that D is strong enough to tell: the weaker D, the fewer.

    Strength is width, and updates per update of the generator, of which all games have the same
    number. More updates do not make up for a width of 4. A discriminator too
    strong, which is warned of (see vanishing), does little harm on this ring with the loss -log D.
    """
    found: list[list[int]] = []
    good: list[list[float]] = []
    clouds: list[tuple[str, torch.Tensor]] = []
    for width in WIDTHS_OF_D:
        found.append([])
        good.append([])
        for k in UPDATES_OF_D:
            model = game(
                lab,
                GAN,
                n_critic=k,
                generator=(WIDTH_OF_G, WIDTH_OF_G),
                discriminator=(width, width),
                lr=2e-3,
            )
            samples = lab.fit(model, modes(CENTERS, SIGMA), updates, 128).sample(SAMPLES)
            shares = near_modes(samples, CENTERS, SIGMA)
            found[-1].append(covered(shares))
            good[-1].append(shares.sum().item())
            clouds.append((f"width {width}, {k} updates: {found[-1][-1]} of 8", samples))
    figure, axes = panels(*(name for name, _ in clouds), rows=len(WIDTHS_OF_D))
    for axis, (_, samples) in zip(axes, clouds, strict=True):
        axis.scatter(
            CENTERS[:, 0],
            CENTERS[:, 1],
            s=160,
            facecolors="none",
            edgecolors="C3",
            label="modes, 3 sigma",
        )
        axis.scatter(samples[:800, 0], samples[:800, 1], s=1, label="samples")
        axis.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal", xlabel="x", ylabel="y")
    axes[0].legend(fontsize="small", loc="center")
    return Findings(
        [
            at_most("modes with the weakest D", 4, found[0][0]),
            at_least("modes with the strongest D", 7, found[-1][-1]),
            at_least(
                "samples in modes, strongest over weakest",
                2.0,
                good[-1][-1] / max(good[0][0], 1e-3),
            ),
        ],
        figure,
        {"widths": [*WIDTHS_OF_D], "updates": [*UPDATES_OF_D], "modes": found, "in modes": good},
    )
