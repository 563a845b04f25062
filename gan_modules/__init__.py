"""Generative adversarial networks as PyTorch Lightning modules."""

from gan_modules.base import GANModule
from gan_modules.noise_gan import NoiseGAN
from gan_modules.version import __version__
from gan_modules.wgan_gp import WGANGP

__all__ = ["WGANGP", "GANModule", "NoiseGAN", "__version__"]
