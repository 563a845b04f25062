"""GAN: Generative Adversarial Networks (Goodfellow et al. 2014, arXiv:1406.2661)."""

from typing import Any, Literal

from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.families.noise import NoiseGAN
from gan_modules.networks import MLPDiscriminator, MLPGenerator
from gan_modules.objectives.losses import adversarial_loss
from gan_modules.training.batches import Batch

__all__ = ["GAN"]


class GAN(NoiseGAN):
    """The original game: a discriminator tells real from fake, and the generator learns from it.

    Default networks are those of the paper's MNIST experiment, as in its code (``mnist.yaml`` of
    goodfeli/adversarial): a generator of two ReLU layers of 1,200 units, a discriminator of two
    maxout layers of 240 units with dropout, uniform latents of 100 numbers, batches of 100.

    Deviations: latents are uniform in [-1, 1), in that code in [-sqrt(3), sqrt(3)); images are in
    [-1, 1] and the generator ends in tanh, not in a sigmoid; layers start as torch's do; Adam in
    place of SGD with learning rate 0.1, decaying, and momentum 0.5 to 0.7, which can be given as
    ``torch.optim.SGD``; what is sampled is the averaged generator (``ema_decay=0`` gives the
    paper's).

    Args:
        latent_distribution: ``"uniform"``, or ``"normal"``.
        loss: the generator's loss: ``"non_saturating"``, with which section 3 trains in practice,
            or ``"minimax"``, the one of algorithm 1, whose gradient vanishes where the
            discriminator is sure.
        label_smoothing: the target of real images is ``1 - label_smoothing`` (arXiv:1606.03498);
            0 in the paper.
        **kwargs: options of :class:`NoiseGAN`.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        *,
        latent_distribution: Literal["normal", "uniform"] = "uniform",
        loss: Literal["non_saturating", "minimax"] = "non_saturating",
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_distribution=latent_distribution,
            **kwargs,
        )
        require(loss in ("non_saturating", "minimax"), "loss", loss, "non_saturating or minimax")
        self.loss = adversarial_loss(loss, label_smoothing)

    def build_generator(self) -> nn.Module:
        """Two ReLU layers of 1,200 units."""
        return MLPGenerator(self.image_shape, self.latent_dim, self.num_classes, (1200, 1200))

    def build_discriminator(self) -> nn.Module:
        """Two maxout layers of 240 units of 5 pieces, dropout 0.2 at the input, 0.5 after each."""
        return MLPDiscriminator(
            self.image_shape,
            self.num_classes,
            hidden=(240, 240),
            activation="maxout",
            input_dropout=0.2,
            dropout=0.5,
        )

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(x)] - E[log(1 - D(G(z)))]``."""
        real, labels = batch
        logits = self.discriminate_both(real, self.generate(batch), labels)
        return {"adversarial": self.loss.discriminator(*logits)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(G(z))]``, or ``E[log(1 - D(G(z)))]`` with ``loss="minimax"``."""
        return {"adversarial": self.loss.generator(*self.generator_logits(self.loss, batch))}
