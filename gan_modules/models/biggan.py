"""BigGAN: Large Scale GAN Training for High Fidelity Natural Image Synthesis (arXiv:1809.11096)."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import Adam

from gan_modules.families.noise import NoiseGAN
from gan_modules.networks.biggan import BigGANDiscriminator, BigGANGenerator
from gan_modules.objectives.losses import AdversarialLossName, adversarial_loss
from gan_modules.training.batches import Batch
from gan_modules.training.players import OptimizerFactory

__all__ = ["BigGAN"]


def biggan_generator_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 5e-5, betas (0.0, 0.999) and eps 1e-6."""
    return Adam(parameters, lr=5e-5, betas=(0.0, 0.999), eps=1e-6, fused=True)


def biggan_discriminator_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 2e-4, betas (0.0, 0.999) and eps 1e-6."""
    return Adam(parameters, lr=2e-4, betas=(0.0, 0.999), eps=1e-6, fused=True)


class BigGAN(NoiseGAN):
    """SAGAN, larger: skip-z, a shared embedding of classes, orthogonal weights, a long average.

    Default networks and rates are the paper's for 128 pixels: two discriminator updates per
    generator update, batches of 2,048 (each update has its own). The authors' later code has one
    update of each, with rates 1e-4 and 4e-4. ``conditional=True`` gives the paper's model; without,
    normalisation follows the latent alone.

    Samples: ``sample(truncation=)`` has the truncation trick, before which
    :meth:`standing_statistics` takes new statistics of batch normalisation. Orthogonal
    regularisation is the generator's regulariser :class:`Orthogonal`, for ``regularizers`` to give.

    Deviation: the average follows from the first iteration with a decay that rises to
    ``ema_decay``; ``ema_start=20_000`` gives the authors' start, until which it is a copy.

    Args:
        latent_dim: size of the latent vector.
        n_critic: discriminator updates per generator update.
        loss: the adversarial loss; the paper's is ``"hinge"``.
        ema_decay: of the averaged generator.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the discriminator's parameters.
        **kwargs: options of :class:`NoiseGAN`.

    Raises:
        ValueError: if an option is out of its range or the networks do not fit the images.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 120,
        n_critic: int = 2,
        loss: AdversarialLossName = "hinge",
        ema_decay: float = 0.9999,
        generator_optimizer: OptimizerFactory = biggan_generator_adam,
        discriminator_optimizer: OptimizerFactory = biggan_discriminator_adam,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            n_critic=n_critic,
            ema_decay=ema_decay,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )
        self.loss = adversarial_loss(loss)

    def build_generator(self) -> nn.Module:
        """The generator of BigGAN, 96 channels wide."""
        return BigGANGenerator(self.image_shape, self.latent_dim, self.num_classes)

    def build_discriminator(self) -> nn.Module:
        """The discriminator of BigGAN, 96 channels wide."""
        return BigGANDiscriminator(self.image_shape, self.num_classes)

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[max(0, 1 - D(x, y))] + E[max(0, 1 + D(G(z, y), y))]``."""
        logits = self.discriminate_both(batch[0], self.generate(batch), batch[1])
        return {"adversarial": self.loss.discriminator(*logits)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[D(G(z, y), y)]``."""
        return {"adversarial": self.loss.generator(*self.generator_logits(self.loss, batch))}
