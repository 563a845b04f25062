"""SNGAN: Spectral Normalization for GANs (Miyato et al. 2018, arXiv:1802.05957)."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Adam

from gan_modules.families.noise import NoiseGAN
from gan_modules.networks.sngan import SNGANDiscriminator, SNGANGenerator
from gan_modules.objectives.losses import AdversarialLossName, adversarial_loss
from gan_modules.training.batches import Batch, join_batches
from gan_modules.training.players import OptimizerFactory

__all__ = ["SNGAN"]


def sngan_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 2e-4 and betas (0.0, 0.9), setting C of the paper's table 1."""
    return Adam(parameters, lr=2e-4, betas=(0.0, 0.9), fused=True)


class SNGAN(NoiseGAN):
    """A discriminator whose layers are kept 1-Lipschitz by spectral normalisation; hinge loss.

    With ``conditional=True`` it is the projection discriminator of Miyato & Koyama 2018
    (arXiv:1802.05637) against a generator with conditional batch normalisation. Default networks
    are those of CIFAR-10. As in the official code the generator is updated with twice the
    discriminator's batch; latents of 128 normal numbers.

    Deviations: what is sampled is the averaged generator (``ema_decay=0`` gives the paper's); the
    linear decay of both rates over 50,000 updates is for ``generator_scheduler`` and
    ``discriminator_scheduler`` to give.

    Args:
        latent_dim: size of the latent vector.
        n_critic: discriminator updates per generator update.
        loss: the adversarial loss; the paper's residual networks are trained with ``"hinge"``.
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
        n_critic: int = 5,
        loss: AdversarialLossName = "hinge",
        generator_optimizer: OptimizerFactory = sngan_adam,
        discriminator_optimizer: OptimizerFactory = sngan_adam,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            n_critic=n_critic,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )
        self.loss = adversarial_loss(loss)

    def build_generator(self) -> nn.Module:
        """The residual generator of the CIFAR-10 experiment."""
        return SNGANGenerator(self.image_shape, self.latent_dim, self.num_classes)

    def build_discriminator(self) -> nn.Module:
        """The residual discriminator of the CIFAR-10 experiment."""
        return SNGANDiscriminator(self.image_shape, self.num_classes)

    def turns(self, parts: Sequence[Batch]) -> Sequence[tuple[str, Batch]]:
        """The discriminator with every part, the generator with the last two at once."""
        *judged, _ = super().turns(parts)
        # the images themselves are not used; there are as many fakes as images, of their classes
        return [*judged, ("generator", join_batches(parts[-2:]))]

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]``."""
        logits = self.discriminate_both(batch[0], self.generate(batch), batch[1])
        return {"adversarial": self.loss.discriminator(*logits)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[D(G(z))]``."""
        return {"adversarial": self.loss.generator(*self.generator_logits(self.loss, batch))}
