"""AC-GAN: Image Synthesis with Auxiliary Classifier GANs (Odena et al. 2016, arXiv:1610.09585)."""

import math
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.errors import require
from gan_modules.families.gates import Judgement
from gan_modules.families.noise import NoiseGAN
from gan_modules.networks.acgan import ACGANDiscriminator, ACGANGenerator
from gan_modules.objectives.losses import AdversarialLossName, adversarial_loss
from gan_modules.training.batches import Batch

__all__ = ["ACGAN"]


class ACGAN(NoiseGAN):
    """A discriminator that is not told the class of an image, but tells it.

    Both players want classes to be told right, of real images and of fakes. The discriminator
    gives logits of classes beside its own: the paper's network, or any with
    ``conditioning="ac"``. Default networks and rates are those of CIFAR-10, batches 100 there.

    Deviations: the generator minimises ``-E[log D(G(z, y))]`` in the place of the paper's
    ``L_C - L_S`` (``loss="minimax"`` gives it); what is sampled is the averaged generator
    (``ema_decay=0`` gives the paper's); the discriminator's activations have no noise.

    Args:
        num_classes: number of classes; from the command line it comes with the data.
        class_weight: weight of the cross-entropies of classes, 1 in the paper.
        loss: the adversarial loss.
        **kwargs: options of :class:`NoiseGAN`.

    Raises:
        ValueError: if an option is out of its range, as ``num_classes`` below 2 is.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        class_weight: float = 1.0,
        loss: AdversarialLossName = "non_saturating",
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes=num_classes, conditional=True, **kwargs)
        require(0 <= class_weight < math.inf, "class_weight", class_weight, "at least 0 and finite")
        self.class_weight = class_weight
        self.loss = adversarial_loss(loss)

    def build_generator(self) -> nn.Module:
        """Transposed 5x5 convolutions."""
        return ACGANGenerator(self.image_shape, self.latent_dim, self.num_classes)

    def build_discriminator(self) -> nn.Module:
        """3x3 convolutions with dropout."""
        return ACGANDiscriminator(self.image_shape, self.num_classes)

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(x)] - E[log(1 - D(G(z, y)))] - E[log C(y | x)] - E[log C(y | G(z, y))]``."""
        real, fake = self.judge_both(batch[0], self.generate(batch), batch[1])
        return {
            "adversarial": self.loss.discriminator(real.logits, fake.logits),
            "real_classes": self.class_loss(real, batch[1]),
            "fake_classes": self.class_loss(fake, batch[1]),
        }

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(G(z, y))] - E[log C(y | G(z, y))]``; of real images nothing depends on it."""
        fake = self.judge(self.generate(batch), batch[1])
        logits = self.against_real(self.loss, fake.logits, batch)
        return {
            "adversarial": self.loss.generator(*logits),
            "fake_classes": self.class_loss(fake, batch[1]),
        }

    def class_loss(self, judged: Judgement, labels: Tensor | None) -> Tensor:
        """``-class_weight E[log C(y | x)]`` in nats.

        Raises:
            ValueError: if the discriminator tells no classes.
        """
        (classes,) = self.condition(labels)
        if judged.classes is None:
            raise ValueError(
                f"discriminator={type(self.discriminator).__name__} must tell classes: give it "
                "conditioning='ac' where it has that option, or take ACGANDiscriminator"
            )
        return self.class_weight * F.cross_entropy(judged.classes, classes.long())
