"""WGAN-GP: Improved Training of Wasserstein GANs (Gulrajani et al. 2017, arXiv:1704.00028)."""

import math
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import Adam

from gan_modules.errors import require
from gan_modules.families.noise import NoiseGAN
from gan_modules.networks import ResNetDiscriminator, ResNetGenerator
from gan_modules.networks.layers.blocks import refuse_batch_norm
from gan_modules.objectives.losses import adversarial_loss
from gan_modules.objectives.penalties import gradient_penalty
from gan_modules.training.batches import Batch
from gan_modules.training.players import OptimizerFactory

__all__ = ["WGANGP"]


def paper_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 1e-4 and betas (0.0, 0.9), the values of algorithm 1."""
    return Adam(parameters, lr=1e-4, betas=(0.0, 0.9), fused=True)


class WGANGP(NoiseGAN):
    """Wasserstein GAN whose critic is kept 1-Lipschitz by a gradient penalty.

    Algorithm 1 of the paper with its default values; the default networks are those of its
    CIFAR-10 experiment. Deviations: what is sampled is the averaged generator
    (``ema_decay=0`` gives the paper's), and real and fake images go through the critic together,
    which changes nothing because no layer of it mixes samples.

    Args:
        latent_dim: size of the latent vector.
        n_critic: critic updates per generator update.
        gp_weight: weight of the gradient penalty, lambda in the paper.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the critic's parameters.
        **kwargs: options of :class:`NoiseGAN`.

    Raises:
        ValueError: if an option is out of its range, or the critic has batch normalisation: the
            penalty is defined for every sample by itself.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 128,
        n_critic: int = 5,
        gp_weight: float = 10.0,
        generator_optimizer: OptimizerFactory = paper_adam,
        discriminator_optimizer: OptimizerFactory = paper_adam,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            n_critic=n_critic,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )
        require(0 <= gp_weight < math.inf, "gp_weight", gp_weight, "at least 0 and finite")
        self.gp_weight = gp_weight
        self.loss = adversarial_loss("wasserstein")

    def build_networks(self) -> None:
        """Refuse a critic under which the penalty of one sample depends on the others."""
        super().build_networks()
        refuse_batch_norm(self.discriminator)

    def build_generator(self) -> nn.Module:
        """The residual generator of the CIFAR-10 experiment."""
        return ResNetGenerator(self.image_shape, self.latent_dim, self.num_classes)

    def build_discriminator(self) -> nn.Module:
        """The residual critic of the CIFAR-10 experiment."""
        return ResNetDiscriminator(self.image_shape, self.num_classes)

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[D(G(z))] - E[D(x)] + gp_weight E[(||grad D(x_hat)|| - 1)^2]``."""
        real, labels = batch
        fake = self.generate(batch)
        real_scores, fake_scores = self.discriminate_both(real, fake, labels)
        penalty = gradient_penalty(self.judge_packs(labels), self.packs(real), self.packs(fake))
        return {
            "wasserstein": self.loss.discriminator(real_scores, fake_scores),
            "gradient_penalty": self.gp_weight * penalty,
        }

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[D(G(z))]``."""
        fake_scores = self.judge(self.generate(batch), batch[1]).logits
        return {"adversarial": self.loss.generator(fake_scores)}
