"""pix2pix: image to image with conditional GANs (Isola et al. 2016, arXiv:1611.07004)."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.errors import require
from gan_modules.families.one_way import OneWayTranslationGAN
from gan_modules.networks.patchgan import PatchGANDiscriminator, deepest_patchgan
from gan_modules.networks.unet import UNetGenerator
from gan_modules.objectives.losses import AdversarialLossName, adversarial_loss
from gan_modules.training.batches import Batch

__all__ = ["Pix2Pix"]


class Pix2Pix(OneWayTranslationGAN):
    """A generator from inputs to outputs that come in pairs, and a discriminator of the pairs.

    The objective of section 3 of the paper: the discriminator judges input and output together, one
    behind the other along the channels, and the generator's output must also be near the true one.
    Its only noise is dropout, also when it samples. Training is meant for a batch size of 1, Adam
    2e-4 with betas (0.5, 0.999), 200 epochs on the smallest data sets; the official code keeps the
    rate for 100 epochs and brings it down to zero in 100 more, see
    :class:`~gan_modules.training.schedulers.ConstantThenLinearLR`.

    A batch is ``(inputs, outputs)``, float in [-1, 1], shape ``(N, C, H, W)``, a pair at each
    place. A discriminator that is passed is built for ``(2 C, H, W)``.

    Deviations: inputs have as many channels as outputs. Both networks normalise each image by
    itself, which is what the paper's batch normalisation does with batches of one, but for the
    discriminator's scale and shift (``norm="batch"`` of the networks gives the paper's with larger
    batches). What translates is the averaged generator (``ema_decay=0`` gives the paper's).

    Args:
        l1_weight: weight of the distance to the true output, lambda in the paper.
        adversarial_weight: weight of the generator's adversarial loss; 0 leaves regression alone.
        discriminator_weight: factor of the discriminator's loss, which the paper halves to slow it
            down. Least squares are a half already: there 1 is the official code's.
        loss: the adversarial loss; the paper's is ``"non_saturating"``.
        **kwargs: options of :class:`OneWayTranslationGAN`.

    Raises:
        ValueError: if an option is out of its range or the default networks do not fit
            ``image_shape``.
    """

    paired: ClassVar = True

    def __init__(
        self,
        *,
        l1_weight: float = 100.0,
        adversarial_weight: float = 1.0,
        discriminator_weight: float = 0.5,
        loss: AdversarialLossName = "non_saturating",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, weight in (
            ("l1_weight", l1_weight),
            ("adversarial_weight", adversarial_weight),
            ("discriminator_weight", discriminator_weight),
        ):
            require(0 <= weight < math.inf, name, weight, "at least 0 and finite")
        require(l1_weight + adversarial_weight > 0, "l1_weight", l1_weight, "above 0 without a GAN")
        self.l1_weight = l1_weight
        self.adversarial_weight = adversarial_weight
        self.discriminator_weight = discriminator_weight
        self.loss = adversarial_loss(loss)

    @property
    def judged_shape(self) -> tuple[int, ...]:
        """``(2 C, H, W)``: input and output, one behind the other."""
        channels, *size = self.image_shape
        return 2 * channels, *size

    def build_generator(self) -> nn.Module:
        """The paper's U-Net: 8 halvings at 256 pixels."""
        return UNetGenerator(self.image_shape)

    def build_discriminator(self) -> nn.Module:
        """The paper's 70x70 PatchGAN; below 24 pixels the deepest one that fits."""
        n_layers = min(3, deepest_patchgan(self.image_shape))
        return PatchGANDiscriminator(self.judged_shape, n_layers=n_layers)

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``(-E[log D(x, y)] - E[log(1 - D(x, G(x)))]) / 2``."""
        a, b = self.domains(batch)
        real, fake = torch.cat([a, b], dim=1), torch.cat([a, self.generate(batch)], dim=1)
        logits = self.judge_both(real, fake)
        return {"adversarial": self.discriminator_weight * self.loss.discriminator(*logits)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(x, G(x))] + l1_weight E[|y - G(x)|]``."""
        a, b = self.domains(batch)
        fake = self.generate(batch)
        terms = {"l1": self.l1_weight * F.l1_loss(fake, b)}
        if self.adversarial_weight:
            pairs = torch.cat([a, fake], dim=1), torch.cat([a, b], dim=1)
            terms["adversarial"] = self.adversarial_weight * self.generator_term(self.loss, *pairs)
        return terms
