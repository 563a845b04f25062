"""Generative adversarial networks as PyTorch Lightning modules."""

# as modules, too: checkpoints and configs written before there were packages name what is in them
from gan_modules.families.adversarial import GANModule
from gan_modules.families.encoding import EncodingModel
from gan_modules.families.judging import ImageJudging
from gan_modules.families.latent_model import LatentModel
from gan_modules.families.noise import NoiseGAN
from gan_modules.families.one_way import OneWayTranslationGAN
from gan_modules.families.regularized import Regularized
from gan_modules.families.translation import TranslationGAN
from gan_modules.families.translation_model import TranslationModel
from gan_modules.models import cgan, cyclegan, dcgan, gan, wgan, wgan_gp  # noqa: F401
from gan_modules.models.acgan import ACGAN
from gan_modules.models.ae_gan import AEGAN
from gan_modules.models.bigan import BiGAN
from gan_modules.models.biggan import BigGAN
from gan_modules.models.cgan import CGAN
from gan_modules.models.cut import CUT
from gan_modules.models.cyclegan import CycleGAN
from gan_modules.models.d2gan import D2GAN
from gan_modules.models.dcgan import DCGAN
from gan_modules.models.dmd2 import DMD2
from gan_modules.models.edm import EDM
from gan_modules.models.gan import GAN
from gan_modules.models.infogan import InfoGAN
from gan_modules.models.pix2pix import Pix2Pix
from gan_modules.models.progan import ProGAN
from gan_modules.models.r3gan import R3GAN
from gan_modules.models.sagan import SAGAN
from gan_modules.models.sngan import SNGAN
from gan_modules.models.stylegan2 import StyleGAN2
from gan_modules.models.vae import VAE
from gan_modules.models.vae_gan import VAEGAN
from gan_modules.models.wgan import WGAN
from gan_modules.models.wgan_gp import WGANGP
from gan_modules.objectives.adaptive_augment import AdaptiveAugment
from gan_modules.objectives.augmentations import InstanceNoise, RandomShift
from gan_modules.objectives.consistency import (
    Consistency,
    LatentConsistency,
    LatentDiversity,
)
from gan_modules.objectives.diff_augment import DiffAugment
from gan_modules.objectives.lecam import LeCam
from gan_modules.objectives.orthogonal import Orthogonal
from gan_modules.objectives.regularizers import R1, R2, GradientPenalty
from gan_modules.training import optimizers, schedulers  # noqa: F401
from gan_modules.training.module import GenerativeModule
from gan_modules.training.optimizers import AdamDecayingWeights
from gan_modules.training.schedulers import ConstantThenLinearLR, CosineBurnIn
from gan_modules.version import __version__

__all__ = [
    "ACGAN",
    "AEGAN",
    "CGAN",
    "CUT",
    "D2GAN",
    "DCGAN",
    "DMD2",
    "EDM",
    "GAN",
    "R1",
    "R2",
    "R3GAN",
    "SAGAN",
    "SNGAN",
    "VAE",
    "VAEGAN",
    "WGAN",
    "WGANGP",
    "AdamDecayingWeights",
    "AdaptiveAugment",
    "BiGAN",
    "BigGAN",
    "Consistency",
    "ConstantThenLinearLR",
    "CosineBurnIn",
    "CycleGAN",
    "DiffAugment",
    "EncodingModel",
    "GANModule",
    "GenerativeModule",
    "GradientPenalty",
    "ImageJudging",
    "InfoGAN",
    "InstanceNoise",
    "LatentConsistency",
    "LatentDiversity",
    "LatentModel",
    "LeCam",
    "NoiseGAN",
    "OneWayTranslationGAN",
    "Orthogonal",
    "Pix2Pix",
    "ProGAN",
    "RandomShift",
    "Regularized",
    "StyleGAN2",
    "TranslationGAN",
    "TranslationModel",
    "__version__",
]
