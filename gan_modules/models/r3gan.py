"""R3GAN: The GAN is dead; long live the GAN! A Modern GAN Baseline (2025, arXiv:2501.05441)."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from gan_modules.errors import require
from gan_modules.families.noise import NoiseGAN
from gan_modules.networks.layers.blocks import refuse_batch_norm
from gan_modules.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from gan_modules.objectives.losses import adversarial_loss
from gan_modules.objectives.penalties import scores_and_gradients
from gan_modules.objectives.regularizers import half_squared_norm
from gan_modules.training.batches import Batch
from gan_modules.training.players import OptimizerFactory
from gan_modules.training.schedulers import cosine_between

__all__ = ["R3GAN"]


def r3gan_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 2e-4 and betas (0, 0.9), where the paper begins."""
    return Adam(parameters, lr=2e-4, betas=(0.0, 0.9), fused=True)


class R3GAN(NoiseGAN):
    """Relativistic pairing with a penalty at real images and one at fakes: it converges locally.

    Every fake is to be judged less real than the real image beside it, which leaves the generator
    no mode to forget; R1 and R2, in every update, let the two come to rest. Gradients are with
    respect to images before any augmentation, and of the very logits that are compared.

    Default networks are those of CIFAR-10, rates those with which training begins.
    ``CosineBurnIn`` has the paper's schedule of rates and betas, ``final_gamma`` that of gamma.

    Deviations: the average's decay is a constant, where the paper's half-life grows; augmentation
    is for ``augmentation`` to give.

    Args:
        latent_dim: size of the latent vector.
        gamma: weight of both penalties, halved as in the paper; 0.05 for CIFAR-10.
        final_gamma: the same after ``burn_in_images``, half a cosine away; None for ``gamma``.
        burn_in_images: 20 million in the paper.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the discriminator's parameters.
        **kwargs: options of :class:`NoiseGAN`.

    Raises:
        ValueError: if an option is out of its range or the networks do not fit the images.
    """

    gamma: Tensor

    def __init__(
        self,
        *,
        latent_dim: int = 64,
        gamma: float = 0.05,
        final_gamma: float | None = None,
        burn_in_images: int = 20_000_000,
        generator_optimizer: OptimizerFactory = r3gan_adam,
        discriminator_optimizer: OptimizerFactory = r3gan_adam,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )
        end = gamma if final_gamma is None else final_gamma
        for name, value in (("gamma", gamma), ("final_gamma", end)):
            require(0 <= value < math.inf, name, value, "at least 0 and finite")
        require(burn_in_images >= 1, "burn_in_images", burn_in_images, "at least 1")
        self.loss = adversarial_loss("relativistic")
        self.gammas, self.burn_in_images = (gamma, end), burn_in_images
        # a tensor: what is compiled takes the number that it has then
        self.register_buffer("gamma", torch.tensor(float(gamma)), persistent=False)

    def build_networks(self) -> None:
        """Refuse a discriminator under which the penalty of one sample depends on the others."""
        super().build_networks()
        refuse_batch_norm(self.discriminator)

    def build_generator(self) -> nn.Module:
        """Four sizes of two blocks, 768 channels."""
        return R3GANGenerator(self.image_shape, self.latent_dim, self.num_classes)

    def build_discriminator(self) -> nn.Module:
        """Its mirror image."""
        return R3GANDiscriminator(self.image_shape, self.num_classes)

    def on_iteration(self, step: int, images: int) -> None:
        """Set gamma."""
        super().on_iteration(step, images)
        self.gamma.fill_(cosine_between(*self.gammas, images / self.burn_in_images))

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[softplus(D(G(z)) - D(x))] + gamma / 2 E[||grad D(x)||^2 + ||grad D(G(z))||^2]``."""
        real, labels = batch
        fake = self.generate(batch).detach()
        judge = self.judge_packs(labels)
        # in passes of their own, so that layers may compare images with each other
        real_logits, at_real = scores_and_gradients(judge, self.packs(real))
        fake_logits, at_fake = scores_and_gradients(judge, self.packs(fake))
        self.note_seen(
            real=real, fake=fake, labels=labels, real_logits=real_logits, fake_logits=fake_logits
        )
        return {
            "adversarial": self.loss.discriminator(real_logits, fake_logits),
            "r1": self.gamma * half_squared_norm(at_real),
            "r2": self.gamma * half_squared_norm(at_fake),
        }

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[softplus(D(x) - D(G(z)))]``."""
        return {"adversarial": self.loss.generator(*self.generator_logits(self.loss, batch))}
