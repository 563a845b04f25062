"""InfoGAN: codes told by images (Chen et al. 2016, arXiv:1606.03657)."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from gan_modules.errors import require
from gan_modules.families.factories import RecognizerFactory, build
from gan_modules.families.gates import Judgement
from gan_modules.families.latents import CodedLatents, LatentDistribution, make_coded_latents
from gan_modules.families.noise import NoiseGAN
from gan_modules.networks.infogan import (
    InfoGANDiscriminator,
    InfoGANGenerator,
    InfoGANRecognizer,
)
from gan_modules.objectives.losses import AdversarialLossName, adversarial_loss
from gan_modules.training.averaging import evaluation_mode
from gan_modules.training.batches import Batch
from gan_modules.training.optimizers import dcgan_adam
from gan_modules.training.players import OptimizerFactory

__all__ = ["InfoGAN"]


def infogan_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 1e-3 and betas (0.5, 0.999), the generator's in the paper."""
    return Adam(parameters, lr=1e-3, betas=(0.5, 0.999), fused=True)


class InfoGAN(NoiseGAN):
    """Part of the latent is a code that a recognizer must be able to read off the image.

    No labels are needed: with a categorical code of ten, digits come out sorted, more or less by
    class, and continuous codes take up slant and width. The recognizer reads the features that the
    discriminator has of an image, and is trained with it. Both players' losses have the lower bound
    of the mutual information between codes and images, without the codes' entropy, a constant.

    The discriminator gives logits ``(N,)`` and features ``(N, F)``; its ``num_features`` is F.
    Default networks and rates are those of MNIST: 62 uniform numbers, a categorical code of ten,
    two continuous ones.

    Deviation: what is sampled is the averaged generator (``ema_decay=0`` gives the paper's).

    Args:
        latent_dim: size of the latent vector, codes included.
        categorical: number of categories of each categorical code.
        continuous: number of continuous codes, uniform in [-1, 1).
        information_weight: weight of the bound, lambda; 1 in the paper.
        latent_distribution: of what no code says.
        loss: the adversarial loss; the paper's is ``"non_saturating"``.
        recognizer: a network, or a class or function that builds one from ``num_features`` and
            ``num_outputs``, in place of the paper's.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the parameters of discriminator and recognizer.
        **kwargs: options of :class:`NoiseGAN`.

    Raises:
        ValueError: if an option is out of its range or the networks do not fit the images.
    """

    players: ClassVar = {
        "generator": ("generator",),
        "discriminator": ("discriminator", "recognizer"),
    }

    latent: CodedLatents
    recognizer: nn.Module

    def __init__(
        self,
        *,
        latent_dim: int = 74,
        categorical: Sequence[int] = (10,),
        continuous: int = 2,
        information_weight: float = 1.0,
        latent_distribution: LatentDistribution = "uniform",
        loss: AdversarialLossName = "non_saturating",
        recognizer: RecognizerFactory | None = None,
        generator_optimizer: OptimizerFactory = infogan_adam,
        discriminator_optimizer: OptimizerFactory = dcgan_adam,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            latent_distribution=latent_distribution,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )
        right = "at least 0 and finite"
        require(0 <= information_weight < math.inf, "information_weight", information_weight, right)
        self.latent = make_coded_latents(latent_distribution, latent_dim, categorical, continuous)
        self.information_weight = information_weight
        self.loss = adversarial_loss(loss)
        self._given["recognizer"] = recognizer

    def build_networks(self) -> None:
        """All three networks: what was passed, or the paper's."""
        recognizer = self._given["recognizer"]
        super().build_networks()
        num_features = getattr(self.discriminator, "num_features", None)
        if not isinstance(num_features, int):
            raise ValueError(
                f"discriminator={type(self.discriminator).__name__} must have num_features, the "
                "size of the features that it gives beside the logits"
            )
        sizes = {"num_features": num_features, "num_outputs": self.latent.code_dim}
        self.recognizer = build(
            "recognizer", recognizer, lambda: InfoGANRecognizer(**sizes), **sizes
        )

    def build_generator(self) -> nn.Module:
        """Two fully connected layers and two transposed convolutions."""
        return InfoGANGenerator(self.image_shape, self.latent_dim, self.num_classes)

    def build_discriminator(self) -> nn.Module:
        """Two convolutions and a fully connected layer."""
        return InfoGANDiscriminator(self.image_shape, self.num_classes)

    def discriminate(self, images: Tensor, labels: Tensor | None) -> Judgement:
        """Logits, and the features that the recognizer reads."""
        return Judgement(*self.discriminator(images, *self.condition(labels)))

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(x)] - E[log(1 - D(G(z, c)))] - lambda E[log Q(c | G(z, c))]``."""
        z, fakes = self.generate_with_latents(batch)
        real, fake = self.judge_both(batch[0], fakes, batch[1])
        adversarial = self.loss.discriminator(real.logits, fake.logits)
        return {"adversarial": adversarial, **self.code_losses(fake.features, z)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log D(G(z, c))] - lambda E[log Q(c | G(z, c))]``."""
        z, fakes = self.generate_with_latents(batch)
        fake = self.judge(fakes, batch[1])
        logits = self.against_real(self.loss, fake.logits, batch)
        return {
            "adversarial": self.loss.generator(*logits),
            **self.code_losses(fake.features, z),
        }

    def code_losses(self, features: Tensor, z: Tensor) -> dict[str, Tensor]:
        """``-lambda log Q(c | x)`` in nats: categories, and continuous codes as N(mean, 1)."""
        _, codes, continuous = self.latent.split(z)
        *logits, mean = self.latent.split_codes(self.recognizer(features))
        losses = {}
        if codes:
            entropies = [F.cross_entropy(x, c) for x, c in zip(logits, codes, strict=True)]
            losses["categorical"] = self.information_weight * torch.stack(entropies).sum()
        if self.latent.continuous:
            nats = ((continuous - mean).square() + math.log(2 * math.pi)) / 2
            losses["continuous"] = self.information_weight * nats.sum(1).mean()
        return losses

    @torch.no_grad()
    def recognize(
        self, images: Tensor, labels: Tensor | None = None
    ) -> tuple[list[Tensor], Tensor]:
        """Read the codes of images ``(N, C, H, W)`` in [-1, 1], in evaluation mode.

        Returns:
            The probabilities ``(N, K)`` of each categorical code; the continuous codes ``(N, J)``.
        """
        with evaluation_mode(self.discriminator, self.recognizer):
            features = self.discriminate(images, labels).features
            *logits, mean = self.latent.split_codes(self.recognizer(features))
        return [x.softmax(1) for x in logits], mean

    @torch.no_grad()
    def traverse(
        self, n: int, steps: int, seed: int | None = None, code: int = 0, reach: float = 2.0
    ) -> Tensor:
        """Samples in which one continuous code goes from ``-reach`` to ``reach``, all else kept.

        Args:
            n: latents to start from; their first categorical code is 0, 1, 2, ... in turn.
            steps: images of each, at least 2.
            seed: fixes the latents, see :meth:`latents`.
            code: number of the continuous code.
            reach: 2 in the paper's figures, though codes are drawn from [-1, 1).

        Returns:
            Float images in [-1, 1], shape ``(n, steps, C, H, W)``, on the model's device.

        Raises:
            ValueError: if an option is out of its range.
        """
        require(steps >= 2, "steps", steps, "at least 2")
        known = self.latent.continuous
        require(0 <= code < known, "code", code, f"one of the {known} continuous codes, from 0")
        starts = self.latent.in_turn(self.latents(n, seed)).repeat_interleave(steps, dim=0)
        values = torch.linspace(-reach, reach, steps).repeat(n)
        z = self.latent.with_continuous(starts, code, values)
        chosen = self.sample_labels(n)
        images = self.images_of(z, None if chosen is None else chosen.repeat_interleave(steps))
        walks: Tensor = images.unflatten(0, (n, steps))
        return walks

    def sample_grid(self, n: int, seed: int, batch: Batch) -> Tensor:
        """One category of the first code per row, all else the same in a column."""
        if self.num_classes or not self.latent.categorical:
            return super().sample_grid(n, seed, batch)
        rows = min(n, self.latent.categorical[0])
        z = self.latents(n // rows, seed).repeat_interleave(rows, dim=0)
        with torch.no_grad():
            images = self.images_of(self.latent.in_turn(z), None)
        grid: Tensor = images.unflatten(0, (-1, rows)).transpose(0, 1)
        return grid
