"""cGAN: Conditional Generative Adversarial Nets (Mirza & Osindero 2014, arXiv:1411.1784)."""

from typing import Any, Literal

from torch import Tensor, nn

from gan_modules.families.noise import NoiseGAN
from gan_modules.networks import CGANDiscriminator, CGANGenerator
from gan_modules.objectives.losses import AdversarialLossName, adversarial_loss
from gan_modules.training.batches import Batch

__all__ = ["CGAN"]


class CGAN(NoiseGAN):
    """A GAN both of whose players are told the label: digits to order.

    Fakes take the labels of the real images they are judged beside, which are drawn from the
    data's distribution of labels. Default networks are those of section 4.1, for MNIST; any
    conditional network does, :class:`DCGANGenerator` and :class:`DCGANDiscriminator` among them.

    Deviations: latents are uniform in [-1, 1), in the paper in the unit hypercube; images are in
    [-1, 1] and the generator ends in tanh, not in a sigmoid; Adam in place of SGD with learning
    rate 0.1, decaying, and momentum 0.5 to 0.7; no dropout in the generator, where the paper uses
    it, too; what is sampled is the averaged generator (``ema_decay=0`` gives the paper's).

    Args:
        num_classes: number of classes; from the command line it comes with the data.
        latent_distribution: ``"uniform"``, or ``"normal"``.
        loss: the adversarial loss; the paper's is the original GAN's, trained as
            ``"non_saturating"``.
        label_smoothing: the target of real images is ``1 - label_smoothing``; 0 in the paper.
        **kwargs: options of :class:`NoiseGAN`.

    Raises:
        ValueError: if an option is out of its range, as ``num_classes`` below 2 is.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        latent_distribution: Literal["normal", "uniform"] = "uniform",
        loss: AdversarialLossName = "non_saturating",
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            conditional=True,
            latent_distribution=latent_distribution,
            **kwargs,
        )
        self.loss = adversarial_loss(loss, label_smoothing)

    def build_generator(self) -> nn.Module:
        """ReLU layers of 200 units for the latent and 1,000 for the label, then 1,200."""
        return CGANGenerator(self.image_shape, self.latent_dim, self.num_classes)

    def build_discriminator(self) -> nn.Module:
        """Maxout layers of 240 units for the image and 50 for the label, then 240."""
        return CGANDiscriminator(self.image_shape, self.num_classes)

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(x | y)] - E[log(1 - D(G(z | y) | y))]``."""
        real, labels = batch
        logits = self.discriminate_both(real, self.generate(batch), labels)
        return {"adversarial": self.loss.discriminator(*logits)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(G(z | y) | y)]``."""
        return {"adversarial": self.loss.generator(*self.generator_logits(self.loss, batch))}
