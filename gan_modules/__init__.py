"""Generative adversarial networks as PyTorch Lightning modules."""

from gan_modules.base import GANModule
from gan_modules.cgan import CGAN
from gan_modules.cyclegan import CycleGAN
from gan_modules.dcgan import DCGAN
from gan_modules.gan import GAN
from gan_modules.noise_gan import NoiseGAN
from gan_modules.schedulers import ConstantThenLinearLR
from gan_modules.translation_gan import TranslationGAN
from gan_modules.version import __version__
from gan_modules.wgan import WGAN
from gan_modules.wgan_gp import WGANGP

__all__ = [
    "CGAN",
    "DCGAN",
    "GAN",
    "WGAN",
    "WGANGP",
    "ConstantThenLinearLR",
    "CycleGAN",
    "GANModule",
    "NoiseGAN",
    "TranslationGAN",
    "__version__",
]
