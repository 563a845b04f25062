"""SAGAN: Self-Attention Generative Adversarial Networks (Zhang et al. 2018, arXiv:1805.08318)."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import Adam

from gan_modules.families.noise import NoiseGAN
from gan_modules.networks.sagan import SAGANDiscriminator, SAGANGenerator
from gan_modules.objectives.losses import AdversarialLossName, adversarial_loss
from gan_modules.training.batches import Batch
from gan_modules.training.players import OptimizerFactory

__all__ = ["SAGAN"]


def sagan_generator_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 1e-4 and betas (0.0, 0.9), the generator's."""
    return Adam(parameters, lr=1e-4, betas=(0.0, 0.9), fused=True)


def sagan_discriminator_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 4e-4 and betas (0.0, 0.9), the discriminator's."""
    return Adam(parameters, lr=4e-4, betas=(0.0, 0.9), fused=True)


class SAGAN(NoiseGAN):
    """Self-attention in both networks, spectral normalisation in both, a rate for each.

    The discriminator's rate is four times the generator's, so that one update of each makes an
    iteration. With ``conditional=True`` the discriminator has a projection and the generator
    conditional batch normalisation, as in all of the paper's experiments. Default networks are
    those for 128 pixels, batches 256 there.

    Deviation: what is sampled is the averaged generator (``ema_decay=0`` gives the paper's).

    Args:
        latent_dim: size of the latent vector.
        loss: the adversarial loss; the paper's is ``"hinge"``.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the discriminator's parameters.
        **kwargs: options of :class:`NoiseGAN`.

    Raises:
        ValueError: if an option is out of its range or the networks do not fit the images.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 128,
        loss: AdversarialLossName = "hinge",
        generator_optimizer: OptimizerFactory = sagan_generator_adam,
        discriminator_optimizer: OptimizerFactory = sagan_discriminator_adam,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )
        self.loss = adversarial_loss(loss)

    def build_generator(self) -> nn.Module:
        """Residual blocks, self-attention ahead of one."""
        return SAGANGenerator(self.image_shape, self.latent_dim, self.num_classes)

    def build_discriminator(self) -> nn.Module:
        """Residual blocks, self-attention behind one."""
        return SAGANDiscriminator(self.image_shape, self.num_classes)

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[max(0, 1 - D(x, y))] + E[max(0, 1 + D(G(z, y), y))]``."""
        logits = self.discriminate_both(batch[0], self.generate(batch), batch[1])
        return {"adversarial": self.loss.discriminator(*logits)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[D(G(z, y), y)]``."""
        return {"adversarial": self.loss.generator(*self.generator_logits(self.loss, batch))}
