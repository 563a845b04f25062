"""WGAN: Wasserstein GAN (Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875)."""

from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import RMSprop

from gan_modules.errors import require
from gan_modules.families.noise import NoiseGAN
from gan_modules.networks import DCGANDiscriminator, DCGANGenerator
from gan_modules.objectives.losses import adversarial_loss
from gan_modules.training.batches import Batch
from gan_modules.training.players import OptimizerFactory

__all__ = ["WGAN"]


def paper_rmsprop(parameters: Iterable[nn.Parameter]) -> RMSprop:
    """RMSprop with learning rate 5e-5, the value of algorithm 1."""
    return RMSprop(parameters, lr=5e-5)


class WGAN(NoiseGAN):
    """Wasserstein GAN whose critic is kept Lipschitz by clipping its weights.

    Algorithm 1 of the paper with its default values and DCGAN's networks, 64 channels wide as in
    the official code; latents of 100 normal numbers, batches of 64. The critic's output is a score:
    there is no sigmoid and no logarithm.

    Deviation: what is sampled is the averaged generator (``ema_decay=0`` gives the paper's).

    Args:
        latent_dim: size of the latent vector.
        n_critic: critic updates per generator update.
        clip_value: after every update, each weight of the critic is clipped to
            ``[-clip_value, clip_value]``.
        critic_warmup: make 100 critic updates before each of the first 25 generator updates and
            before every 500th, as the official code does. It draws new images for them; here those
            of the iteration come round again, with new latents.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the critic's parameters. Momentum (Adam) is advised
            against by the paper.
        **kwargs: options of :class:`NoiseGAN`.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 100,
        n_critic: int = 5,
        clip_value: float = 0.01,
        critic_warmup: bool = False,
        generator_optimizer: OptimizerFactory = paper_rmsprop,
        discriminator_optimizer: OptimizerFactory = paper_rmsprop,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            n_critic=n_critic,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )
        require(clip_value > 0, "clip_value", clip_value, "positive")
        self.clip_value = clip_value
        self.critic_warmup = critic_warmup
        self.loss = adversarial_loss("wasserstein")

    def build_generator(self) -> nn.Module:
        """DCGAN's."""
        return DCGANGenerator(self.image_shape, self.latent_dim, self.num_classes)

    def build_discriminator(self) -> nn.Module:
        """DCGAN's, without its sigmoid."""
        return DCGANDiscriminator(self.image_shape, self.num_classes)

    def on_train_start(self) -> None:
        """Clip the critic's weights whenever its optimizer has stepped."""
        critics = self.optimizers_by_player()["discriminator"].optimizer
        # before iterations are recorded, of which it is a part
        critics.register_step_post_hook(self._clip_weights)
        super().on_train_start()

    @torch.no_grad()
    def _clip_weights(self, *_: Any) -> None:
        for parameter in self.discriminator.parameters():
            parameter.clamp_(-self.clip_value, self.clip_value)

    def turns(self, parts: Sequence[Batch]) -> Sequence[tuple[str, Batch]]:
        """``n_critic`` critic updates, or 100 while warming up, then the generator's."""
        step = self.global_step
        warming_up = self.critic_warmup and (step < 25 or step % 500 == 0)
        updates = islice(cycle(parts), 100 if warming_up else len(parts))
        return [*(("discriminator", part) for part in updates), ("generator", parts[-1])]

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[D(G(z))] - E[D(x)]``."""
        real, labels = batch
        real_scores, fake_scores = self.discriminate_both(real, self.generate(batch), labels)
        return {"wasserstein": self.loss.discriminator(real_scores, fake_scores)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[D(G(z))]``."""
        fake_scores = self.judge(self.generate(batch), batch[1]).logits
        return {"adversarial": self.loss.generator(fake_scores)}
