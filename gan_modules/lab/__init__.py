"""The laboratory: claims about GANs, each as an experiment whose answer is known.

An experiment is a function of a :class:`Lab`, in a file of its own, whose first constants are what
to change in it. ``python cli.py lab`` lists them.
"""

from gan_modules.lab.annealed_noise import annealed_noise
from gan_modules.lab.balance import balance
from gan_modules.lab.clipping import clipping
from gan_modules.lab.critic_size import critic_size
from gan_modules.lab.distances import distances
from gan_modules.lab.experiment import Check, Experiment, Findings, at_least, at_most, near
from gan_modules.lab.loss_that_means_something import loss_that_means_something
from gan_modules.lab.mode_collapse import mode_collapse
from gan_modules.lab.optimal_discriminator import optimal_discriminator
from gan_modules.lab.parallel_lines import parallel_lines
from gan_modules.lab.penalty_places import penalty_places
from gan_modules.lab.rmsprop_or_adam import rmsprop_or_adam
from gan_modules.lab.training import Lab, Source
from gan_modules.lab.transport import transport
from gan_modules.lab.vae_to_gan import vae_to_gan
from gan_modules.lab.vanishing import vanishing

__all__ = [
    "EXPERIMENTS",
    "Check",
    "Experiment",
    "Findings",
    "Lab",
    "Source",
    "at_least",
    "at_most",
    "near",
]

EXPERIMENTS: dict[str, Experiment] = {
    experiment.__name__: experiment
    for experiment in (
        optimal_discriminator,
        parallel_lines,
        distances,
        transport,
        vanishing,
        annealed_noise,
        mode_collapse,
        clipping,
        penalty_places,
        loss_that_means_something,
        rmsprop_or_adam,
        critic_size,
        balance,
        vae_to_gan,
    )
}
"""All experiments by name, in the order in which they are best read."""
