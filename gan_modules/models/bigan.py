"""BiGAN: Adversarial Feature Learning (Donahue et al. 2016, arXiv:1605.09782)."""

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam

from gan_modules.families.encoding import EncodingModel
from gan_modules.families.factories import PairDiscriminatorFactory, build
from gan_modules.families.gates import Judgement, mixes_samples
from gan_modules.families.judging import ImageJudging
from gan_modules.families.latents import LatentDistribution
from gan_modules.networks import MLPGenerator
from gan_modules.networks.bigan import BiGANDiscriminator, BiGANEncoder
from gan_modules.objectives.losses import cross_entropy_discriminator_loss
from gan_modules.training.batches import Batch
from gan_modules.training.fitting import Check, check_logits
from gan_modules.training.players import OptimizerFactory

__all__ = ["BiGAN"]


def bigan_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 2e-4, betas (0.5, 0.999) and weight decay 2.5e-5, as in the paper.

    It decays biases and gains, too; the recipes have :class:`AdamDecayingWeights`.
    """
    return Adam(parameters, lr=2e-4, betas=(0.5, 0.999), weight_decay=2.5e-5, fused=True)


class BiGAN(ImageJudging, EncodingModel):
    """Pairs are judged: a real image with its code, a latent with its image.

    Generator and encoder, one player, are to make the two kinds of pairs alike; at the optimum each
    inverts the other. With an encoder that gives means and log-variances, from which codes are
    drawn, this is ALI: Adversarially Learned Inference (Dumoulin et al. 2016, arXiv:1606.00704).

    Default networks are fully connected, two hidden layers of 1,024 units each, as the paper has
    them for MNIST; latents are 50 uniform numbers.

    Deviations: rates stay constant; codes are normalised to the moments of latents, as in the
    official code, by ``BiGANEncoder(code_std=...)`` alone, which the recipes have; what is sampled,
    and encodes, are averaged networks (``ema_decay=0`` gives the paper's); only images are
    augmented where ``augmentation`` is given, and the encoder sees them as they are.

    Args:
        latent_dim: size of the latent vector.
        latent_distribution: what latents are drawn from.
        discriminator: of images with their latents: a discriminator, or a class or function that
            builds one, in place of the paper's.
        generator_optimizer: called with the parameters of generator and encoder.
        discriminator_optimizer: called with the discriminator's parameters.
        **kwargs: options of :class:`ImageJudging`, :class:`EncodingModel`, :class:`GANModule` and
            :class:`GenerativeModule`.

    Raises:
        ValueError: if an option is out of its range or a network does not fit ``image_shape``.
    """

    players: ClassVar = {
        "generator": ("generator", "encoder"),
        "discriminator": ("discriminator",),
    }

    def __init__(
        self,
        *,
        latent_dim: int = 50,
        latent_distribution: LatentDistribution = "uniform",
        discriminator: PairDiscriminatorFactory | None = None,
        generator_optimizer: OptimizerFactory = bigan_adam,
        discriminator_optimizer: OptimizerFactory = bigan_adam,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            latent_distribution=latent_distribution,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )
        self._given["discriminator"] = discriminator

    def build_networks(self) -> None:
        """All three networks: what was passed, or the paper's."""
        sizes = {"image_shape": self.image_shape, "latent_dim": self.latent_dim}
        if self.num_classes:
            sizes["num_classes"] = self.num_classes
        given = self._given["discriminator"]
        self.discriminator = build("discriminator", given, self.build_discriminator, **sizes)
        EncodingModel.build_networks(self)

    def build_generator(self) -> nn.Module:
        """Two ReLU layers of 1,024 units, batch normalisation."""
        return MLPGenerator(
            self.image_shape, self.latent_dim, self.num_classes, (1024, 1024), batch_norm=True
        )

    def build_encoder(self) -> nn.Module:
        """Two LeakyReLU layers of 1,024 units; one latent for an image."""
        return BiGANEncoder(self.image_shape, self.latent_dim)

    def build_discriminator(self) -> nn.Module:
        """Two LeakyReLU layers of 1,024 units."""
        return BiGANDiscriminator(self.image_shape, self.latent_dim, self.num_classes)

    def discriminate(self, images: Tensor, z: Tensor, labels: Tensor | None) -> Tensor | Judgement:
        """What the discriminator says of pairs, given labels if the model is conditional."""
        verdict: Tensor | Judgement = self.discriminator(images, z, *self.condition(labels))
        return verdict

    def judge(self, images: Tensor, z: Tensor, labels: Tensor | None = None) -> Judgement:
        """Judge images with their latents; images pass through the augmentation, in training."""
        verdict = self.discriminate(self.augmented(images), z, labels)
        return verdict if isinstance(verdict, Judgement) else Judgement(verdict)

    def judge_both(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits of ``(x, E(x))`` and of ``(G(z), z)``, each ``(N,)``."""
        images, labels = batch
        codes, z = self.draw_codes(images), self.sample_noise(len(images))
        fakes = self.fakes(z, labels)
        if mixes_samples(self.discriminator):
            real = self.judge(images, codes, labels).logits
            fake = self.judge(fakes, z, labels).logits
        else:
            both = torch.cat([images, fakes]), torch.cat([codes, z])
            logits = self.judge(*both, None if labels is None else labels.repeat(2)).logits
            real, fake = logits.tensor_split(2)
        self.note_seen(real_logits=real)
        return real, fake

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(x, E(x))] - E[log(1 - D(G(z), z))]``."""
        real, fake = self.judge_both(batch)
        return {"adversarial": cross_entropy_discriminator_loss(real, fake)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log(1 - D(x, E(x)))] - E[log D(G(z), z)]``."""
        real, fake = self.judge_both(batch)
        return {"adversarial": cross_entropy_discriminator_loss(fake, real)}

    def checks(self, images: Tensor) -> dict[str, tuple[nn.Module, Check]]:
        """The discriminator judges every pair."""
        return {**super().checks(images), "discriminator": (self.discriminator, check_logits())}
