"""Network architectures, without any training logic.

Every generator is built as ``Generator(image_shape, latent_dim, num_classes=0, ...)`` and called
as ``generator(z)`` or ``generator(z, labels)``; every discriminator as
``Discriminator(image_shape, num_classes=0, ...)``, ``discriminator(images)`` or
``discriminator(images, labels)``. Networks for translation take images instead of latents and no
labels: ``CycleGANGenerator(image_shape, ...)``, ``UNetGenerator(image_shape, ...)`` and
``PatchGANDiscriminator(image_shape, ...)``; ``PatchProjector`` is CUT's projection head. Denoisers,
``MLPDenoiser(image_shape, num_classes=0, ...)``, take images and their noise levels.
"""

from gan_modules.networks.acgan import ACGANDiscriminator, ACGANGenerator
from gan_modules.networks.ae_gan import AEGANDiscriminator, AEGANGenerator
from gan_modules.networks.bigan import BiGANDiscriminator, BiGANEncoder
from gan_modules.networks.biggan import BigGANDiscriminator, BigGANGenerator
from gan_modules.networks.cgan import CGANDiscriminator, CGANGenerator
from gan_modules.networks.cut import PatchProjector
from gan_modules.networks.cyclegan import CycleGANGenerator
from gan_modules.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_modules.networks.denoiser import DenoiserHead, MLPDenoiser, UNetDenoiser
from gan_modules.networks.diffusers_unet import DiffusersUNet
from gan_modules.networks.infogan import (
    InfoGANDiscriminator,
    InfoGANGenerator,
    InfoGANRecognizer,
)
from gan_modules.networks.layers.growing import Growing
from gan_modules.networks.layers.minibatch_discrimination import MinibatchDiscrimination
from gan_modules.networks.layers.minibatch_stddev import MinibatchStdDev
from gan_modules.networks.layers.modulated import ModulatedConv2d
from gan_modules.networks.layers.resampling import DownsampleConv2d, UpsampleConv2d
from gan_modules.networks.layers.styled import StyledGenerator
from gan_modules.networks.mlp import MLPDiscriminator, MLPGenerator
from gan_modules.networks.packed import PackedDiscriminator
from gan_modules.networks.patchgan import PatchGANDiscriminator
from gan_modules.networks.progan import ProGANDiscriminator, ProGANGenerator
from gan_modules.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from gan_modules.networks.resnet import ResNetDiscriminator, ResNetGenerator
from gan_modules.networks.sagan import SAGANDiscriminator, SAGANGenerator
from gan_modules.networks.sngan import SNGANDiscriminator, SNGANGenerator
from gan_modules.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from gan_modules.networks.unet import UNetGenerator
from gan_modules.networks.vae import MLPEncoder
from gan_modules.networks.vae_gan import VAEGANDiscriminator, VAEGANEncoder, VAEGANGenerator

__all__ = [
    "ACGANDiscriminator",
    "ACGANGenerator",
    "AEGANDiscriminator",
    "AEGANGenerator",
    "BiGANDiscriminator",
    "BiGANEncoder",
    "BigGANDiscriminator",
    "BigGANGenerator",
    "CGANDiscriminator",
    "CGANGenerator",
    "CycleGANGenerator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DenoiserHead",
    "DiffusersUNet",
    "DownsampleConv2d",
    "Growing",
    "InfoGANDiscriminator",
    "InfoGANGenerator",
    "InfoGANRecognizer",
    "MLPDenoiser",
    "MLPDiscriminator",
    "MLPEncoder",
    "MLPGenerator",
    "MinibatchDiscrimination",
    "MinibatchStdDev",
    "ModulatedConv2d",
    "PackedDiscriminator",
    "PatchGANDiscriminator",
    "PatchProjector",
    "ProGANDiscriminator",
    "ProGANGenerator",
    "R3GANDiscriminator",
    "R3GANGenerator",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "SAGANDiscriminator",
    "SAGANGenerator",
    "SNGANDiscriminator",
    "SNGANGenerator",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "StyledGenerator",
    "UNetDenoiser",
    "UNetGenerator",
    "UpsampleConv2d",
    "VAEGANDiscriminator",
    "VAEGANEncoder",
    "VAEGANGenerator",
]
