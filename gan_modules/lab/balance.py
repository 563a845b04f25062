"""The balance of the players (Arjovsky et al. 2017, arXiv:1701.07875, section 3)."""

from gan_modules.lab.experiment import Findings, at_least, at_most
from gan_modules.lab.games import game, modes, near_modes, ring
from gan_modules.lab.plots import panels
from gan_modules.lab.training import Lab
from gan_modules.models.gan import GAN

__all__ = ["balance"]

CENTERS, SIGMA = ring(), 0.05
UPDATES_OF_D = (1, 2, 4)
WIDTH_OF_G = 32
WIDTHS_OF_D = (4, 32, 128)


def balance(lab: Lab, updates: int = 600) -> Findings:
    """x"""
    import time
    for width in WIDTHS_OF_D:
        for k in UPDATES_OF_D:
            t = time.process_time()
            g = game(lab, GAN, n_critic=k, generator=(WIDTH_OF_G,) * 2, discriminator=(width,) * 2, lr=2e-3)
            lab.fit(g, modes(CENTERS, SIGMA), updates, 128)
            s = near_modes(g.sample(2500), CENTERS, SIGMA)
            print(width, k, "modes", int((s >= 0.02).sum()), "share", round(s.sum().item(), 2), [round(x, 2) for x in s.tolist()], round(time.process_time() - t, 1), flush=True)
    return Findings([], panels("a")[0], {})
