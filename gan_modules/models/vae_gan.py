"""VAE/GAN: Autoencoding beyond pixels (Larsen et al. 2015, arXiv:1512.09300)."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import RMSprop

from gan_modules.errors import require
from gan_modules.families.encoding import EncodingModel, gaussian_sample
from gan_modules.families.gates import Judgement, split_judgement
from gan_modules.families.noise import NoiseGAN
from gan_modules.models.vae import standard_normal_kl
from gan_modules.networks.vae_gan import VAEGANDiscriminator, VAEGANEncoder, VAEGANGenerator
from gan_modules.objectives.losses import AdversarialLossName, adversarial_loss
from gan_modules.training.batches import Batch
from gan_modules.training.players import OptimizerFactory, PlayerOptions, SchedulerFactory

__all__ = ["VAEGAN"]


def vae_gan_rmsprop(parameters: Iterable[nn.Parameter]) -> RMSprop:
    """RMSProp with learning rate 3e-4, the paper's."""
    return RMSprop(parameters, lr=3e-4)


class VAEGAN(EncodingModel, NoiseGAN):
    """A VAE whose reconstructions are compared in a hidden layer of a GAN's discriminator.

    Three players: the encoder answers to prior and likelihood, the generator, which is the decoder,
    to the likelihood, times gamma, and to the discriminator, which is shown real images, their
    reconstructions and samples. No gradient of the adversarial loss reaches the encoder, none of
    the likelihood the discriminator.

    The likelihood is of a Gaussian around the features of the reconstruction, with variance 1, in
    nats without its constant: half a squared distance, summed over features, mean over images.
    Features are those of images that are not augmented, so that a random augmentation is not part
    of the distance; real images and reconstructions go through the discriminator together for them,
    as in the official code.

    The discriminator gives logits ``(N,)`` and features ``(N, ...)``.

    Deviations: the players take turns, the encoder first, the generator last, each with weights and
    latents as they are then, where the paper has one forward pass for all; what is sampled, and
    encodes, are averaged networks (``ema_decay=0`` gives the paper's). Fakes of both kinds count
    half each, as in the official code, which gives real images two thirds of the weight, here half.

    Args:
        latent_dim: size of the latent vector.
        gamma: weight of the likelihood in the generator's objective, of sums over features; 1e-6 in
            the paper's text, 1e-5 in the official recipe for CelebA.
        loss: the adversarial loss; the paper's is ``"minimax"``.
        balance: equilibrium and margin of the official code's rule, (0.68, 0.4): the discriminator
            rests where its mean cost for real images or for fakes was below equilibrium minus
            margin in the iteration before, the generator where one was above equilibrium plus
            margin; neither rests where both would. Costs are cross-entropies, averaged over the
            turns and processes of that iteration. By default nobody rests.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the discriminator's parameters.
        encoder_optimizer: called with the encoder's parameters.
        encoder_scheduler: called with the encoder's optimizer; stepped once per iteration.
        encoder_gradient_clip_val: largest norm of the encoder's gradient.
        encoder_accumulate_grad_batches: compute each encoder update in that many equal pieces.
        **kwargs: options of :class:`EncodingModel` and :class:`NoiseGAN`.

    Raises:
        ValueError: if an option is out of its range or a network does not fit ``image_shape``.
    """

    players: ClassVar = {
        "generator": ("generator",),
        "discriminator": ("discriminator",),
        "encoder": ("encoder",),
    }
    codes = "gaussian"

    costs: Tensor
    observed: Tensor

    def __init__(
        self,
        *,
        latent_dim: int = 128,
        gamma: float = 1e-5,
        loss: AdversarialLossName = "minimax",
        balance: Sequence[float] | None = None,
        generator_optimizer: OptimizerFactory = vae_gan_rmsprop,
        discriminator_optimizer: OptimizerFactory = vae_gan_rmsprop,
        encoder_optimizer: OptimizerFactory = vae_gan_rmsprop,
        encoder_scheduler: SchedulerFactory | None = None,
        encoder_gradient_clip_val: float | None = None,
        encoder_accumulate_grad_batches: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )
        require(0 <= gamma < math.inf, "gamma", gamma, "at least 0 and finite")
        positive = balance is None or (len(balance) == 2 and min(balance) > 0)
        right = "equilibrium and margin, two positive numbers, or null"
        require(positive, "balance", balance, right)
        self.play(
            **self._options,
            encoder=PlayerOptions(
                encoder_optimizer,
                encoder_scheduler,
                encoder_gradient_clip_val,
                encoder_accumulate_grad_batches,
            ),
        )
        self.gamma, self.balance = gamma, balance
        # who rests in this iteration by the rule of balance, if anybody does
        self.rests: str | None = None
        self.loss = adversarial_loss(loss)
        # of real images and of fakes in the iteration before
        self.register_buffer("costs", torch.full((2,), balance[0] if balance else 0.0))
        # their sums since then, and of how many updates
        self.register_buffer("observed", torch.zeros(3))

    def build_networks(self) -> None:
        """All three networks: what was passed, or the paper's."""
        self.encoder = self.new_encoder()
        NoiseGAN.build_networks(self)

    def build_generator(self) -> nn.Module:
        """Three transposed convolutions."""
        return VAEGANGenerator(self.image_shape, self.latent_dim, self.num_classes)

    def build_encoder(self) -> nn.Module:
        """Three convolutions."""
        return VAEGANEncoder(self.image_shape, self.latent_dim)

    def build_discriminator(self) -> nn.Module:
        """Four convolutions; features of the last."""
        return VAEGANDiscriminator(self.image_shape, self.num_classes)

    def discriminate(self, images: Tensor, labels: Tensor | None) -> Judgement:
        """Logits, and the features in which images are compared."""
        return Judgement(*self.discriminator(images, *self.condition(labels)))

    # ---- who plays -----------------------------------------------------------------------------

    def turns(self, parts: Sequence[Batch]) -> Sequence[tuple[str, Batch]]:
        """The encoder, the discriminator with every part, the generator; some rest by the rule."""
        turns = [("encoder", parts[-1]), *super().turns(parts)]
        return [(player, part) for player, part in turns if player != self.rests]

    def _resting(self) -> str | None:
        if self.balance is None:
            return None
        equilibrium, margin = self.balance
        costs = self.costs.tolist()
        strong = any(cost < equilibrium - margin for cost in costs)
        weak = any(cost > equilibrium + margin for cost in costs)
        if strong == weak:
            return None
        return "discriminator" if strong else "generator"

    def on_iteration(self, step: int, images: int) -> None:
        """Take the costs of the iteration before, and say who rests in this one."""
        super().on_iteration(step, images)
        if self.balance is not None:
            updates = self.observed[2]
            self.costs.copy_(torch.where(updates > 0, self.observed[:2] / updates, self.costs))
            self.observed.zero_()
        self.rests = self._resting()

    def to_average(self) -> list[Tensor]:
        """What was observed of the costs, too, so that the same player rests on all ranks."""
        return [*super().to_average(), *([] if self.balance is None else [self.observed])]

    @torch.no_grad()
    def observe_costs(self, real: Tensor, fake: Tensor) -> None:
        """Note the discriminator's costs in a training update."""
        if self.balance is not None and self.training:
            costs = [F.softplus(-real).mean(), F.softplus(fake).mean(), real.new_ones(())]
            self.observed += torch.stack(costs).to(self.observed)

    # ---- what for ------------------------------------------------------------------------------

    def encoder_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``KL(q(z | x) || N(0, 1)) - E[log p(D_l(x) | z)]``."""
        images, labels = batch
        mean, log_variance = self.encoder(images)
        again = self.fakes(gaussian_sample(mean, log_variance), labels)
        _, nats = self.compare(images, again, labels)
        return {"kl": standard_normal_kl(mean, log_variance), "reconstruction": nats}

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(x)] - (E[log(1 - D(G(z)))] + E[log(1 - D(G(E(x))))]) / 2``, z of the prior."""
        images, labels = batch
        again = self.judge(self.fakes(self.draw_codes(images), labels), labels).logits
        real, samples = self.discriminate_both(images, self.generate(batch), labels)
        fakes = torch.cat([samples, again])
        self.observe_costs(real, fakes)
        return {"adversarial": self.loss.discriminator(real, fakes)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-gamma E[log p(D_l(x) | z)]``, and the adversarial loss of both kinds of fakes."""
        images, labels = batch
        again = self.fakes(self.draw_codes(images), labels)
        real, nats = self.compare(images, again, labels)
        judged = [self.judge(x, labels).logits for x in (self.generate(batch), again)]
        fakes = torch.cat(judged)
        self.observe_costs(real, fakes)
        pairs = (real.repeat(2),) if self.loss.relativistic else ()
        return {
            "adversarial": self.loss.generator(fakes, *pairs),
            "reconstruction": self.gamma * nats,
        }

    def compare(
        self, images: Tensor, again: Tensor, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The discriminator's logits of images, and ``-E[log p(D_l(x) | z)]`` of reconstructions.

        Neither has a gradient by way of the images, which are what is to be matched.
        """
        both = None if labels is None else labels.repeat(2)
        judged = self.discriminate(torch.cat([images, again]), both)
        real, fake = split_judgement(judged, len(images))
        return real.logits.detach(), unit_gaussian_nats(fake.features, real.features.detach())


def unit_gaussian_nats(mean: Tensor, x: Tensor) -> Tensor:
    """``-log N(x | mean, 1)`` without its constant, summed over features, mean over images.

    Args:
        mean: shape ``(N, ...)``.
        x: same shape.
    """
    # sums of thousands of squares
    squares = (x.float() - mean.float()).square()
    return squares.flatten(1).sum(1).mean() / 2
