"""DCGAN: Unsupervised Representation Learning with Deep Convolutional GANs (arXiv:1511.06434)."""

from typing import Any, Literal

from torch import Tensor, nn

from gan_modules.families.noise import NoiseGAN
from gan_modules.networks import DCGANDiscriminator, DCGANGenerator
from gan_modules.objectives.losses import AdversarialLossName, adversarial_loss
from gan_modules.training.batches import Batch

__all__ = ["DCGAN"]


class DCGAN(NoiseGAN):
    """The convolutional GAN of Radford, Metz & Chintala, with the paper's settings.

    Strided convolutions in the discriminator and transposed ones in the generator, batch
    normalisation in both but for the generator's output and the discriminator's input layer, ReLU
    against LeakyReLU(0.2), weights from N(0, 0.02), latents of 100 uniform numbers, batches of 128.
    The networks at 64 pixels are those of figure 1: 1,024 channels at 4x4, half as many with every
    doubling; at 32 and 128 pixels there is one doubling less or more.

    As in dcgan.torch and pytorch/examples, both players see the same fakes (``share_fakes=False``
    draws some for each).

    Deviation: what is sampled is the averaged generator (``ema_decay=0`` gives the paper's).

    Args:
        latent_distribution: ``"uniform"``, or ``"normal"`` as in most later code.
        loss: the adversarial loss; the paper's is ``"non_saturating"``.
        label_smoothing: the target of real images is ``1 - label_smoothing``; 0 in the paper.
        **kwargs: options of :class:`NoiseGAN`.

    Raises:
        ValueError: if an option is out of its range or the networks do not fit the images.
    """

    shares_fakes = True

    def __init__(
        self,
        *,
        latent_distribution: Literal["normal", "uniform"] = "uniform",
        loss: AdversarialLossName = "non_saturating",
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_distribution=latent_distribution,
            **kwargs,
        )
        self.loss = adversarial_loss(loss, label_smoothing)

    def build_generator(self) -> nn.Module:
        """Transposed convolutions; 128 channels ahead of the output layer, as in figure 1."""
        return DCGANGenerator(self.image_shape, self.latent_dim, self.num_classes, width=128)

    def build_discriminator(self) -> nn.Module:
        """Its mirror image; 128 channels after the input layer."""
        return DCGANDiscriminator(self.image_shape, self.num_classes, width=128)

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(x)] - E[log(1 - D(G(z)))]``, real and fake images in batches of their own."""
        real, labels = batch
        logits = self.discriminate_both(real, self.generate(batch), labels)
        return {"adversarial": self.loss.discriminator(*logits)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(G(z))]``."""
        return {"adversarial": self.loss.generator(*self.generator_logits(self.loss, batch))}
