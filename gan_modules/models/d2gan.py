"""D2GAN: Dual Discriminator Generative Adversarial Nets (Nguyen et al. 2017, arXiv:1709.03831)."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.errors import require
from gan_modules.families.gates import Judgement
from gan_modules.families.noise import NoiseGAN
from gan_modules.families.regularized import Judge, OneJudge
from gan_modules.networks import MLPDiscriminator, MLPGenerator
from gan_modules.training.batches import Batch
from gan_modules.training.fitting import Check, check_logits

__all__ = ["D2GAN"]

NAMES = ("data", "fakes")


class D2GAN(NoiseGAN):
    """One discriminator rewards the data, the other the fakes; the generator answers to both.

    ``discriminator`` is an ``nn.ModuleDict`` of ``data`` and ``fakes``. Their rewards are positive:
    softplus of the networks' outputs. With both at their optimum the generator minimises a sum of
    the KL divergence and of the reverse KL, weighted by ``alpha`` and ``beta``.

    Default networks are those of the official code for points: a generator of two ReLU layers of
    128 units, discriminators of one; normal latents.

    Deviations: layers start as torch's do, there from N(0, 0.01); the generator ends in tanh, as
    data are in [-1, 1]; what is sampled is the averaged generator (``ema_decay=0`` gives the
    paper's).

    Args:
        alpha: weight of the logarithm of the first reward, in (0, 1] in the paper.
        beta: weight of the logarithm of the second.
        latent_dim: size of the latent vector, 256 in the official code.
        **kwargs: options of :class:`NoiseGAN`.

    Raises:
        ValueError: if an option is out of its range.
    """

    discriminator: nn.ModuleDict

    def __init__(
        self, *, alpha: float = 1.0, beta: float = 1.0, latent_dim: int = 256, **kwargs: Any
    ) -> None:
        super().__init__(latent_dim=latent_dim, **kwargs)
        for name, weight in (("alpha", alpha), ("beta", beta)):
            require(0 < weight < math.inf, name, weight, "positive and finite")
        self.alpha, self.beta = alpha, beta

    def build_generator(self) -> nn.Module:
        """Two ReLU layers of 128 units."""
        return MLPGenerator(self.image_shape, self.latent_dim, self.num_classes, (128, 128))

    def build_discriminator(self) -> nn.Module:
        """One hidden layer of 128 units."""
        return MLPDiscriminator(self.image_shape, self.num_classes, (128,))

    def new_discriminator(self) -> nn.ModuleDict:
        """Two discriminators of one kind."""
        if isinstance(self._given["discriminator"], nn.Module):
            raise ValueError("discriminator must be a class or function: two are built with it")
        return nn.ModuleDict({name: super(D2GAN, self).new_discriminator() for name in NAMES})

    def discriminate(self, images: Tensor, labels: Tensor | None) -> Judgement:
        """Both outputs, stacked: ``(N, 2)``."""
        given = self.condition(labels)
        outputs = [self.discriminator[name](images, *given) for name in NAMES]
        return Judgement(torch.stack(outputs, dim=1))

    def judges(self) -> Mapping[str, Judge]:
        """Each of the two."""
        return {name: OneJudge(self, name) for name in NAMES}

    def judge_both(
        self, real: Tensor, fake: Tensor, labels: Tensor | None
    ) -> tuple[Judgement, Judgement]:
        """As :meth:`NoiseGAN.judge_both`; regularisers see the outputs of one each."""
        judged = super().judge_both(real, fake, labels)
        for number, name in enumerate(NAMES):
            one, other = (judgement.logits[:, number] for judgement in judged)
            self.note_seen(name, real_logits=one, fake_logits=other)
        return judged

    def realness(self, logits: Tensor) -> Tensor:
        """The reward of the data less that of the fakes, before the softplus."""
        return logits[:, 0] - logits[:, 1]

    def checks(self, images: Tensor) -> dict[str, tuple[nn.Module, Check]]:
        """Each of the two judges every image."""
        check = check_logits(self.packing)
        both = {f"discriminator.{n}": (d, check) for n, d in self.discriminator.items()}
        return {"generator": super().checks(images)["generator"], **both}

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-alpha E[log D1(x)] + E[D1(G(z))] + E[D2(x)] - beta E[log D2(G(z))]``."""
        logits = self.discriminate_both(batch[0], self.generate(batch), batch[1])
        (real1, real2), (fake1, fake2) = (F.softplus(both).unbind(1) for both in logits)
        return {
            "data": -self.alpha * real1.log().mean() + fake1.mean(),
            "fakes": real2.mean() - self.beta * fake2.log().mean(),
        }

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[D1(G(z))] + beta E[log D2(G(z))]``."""
        logits = self.judge(self.generate(batch), batch[1]).logits
        fake1, fake2 = F.softplus(logits).unbind(1)
        return {"data": -fake1.mean(), "fakes": self.beta * fake2.log().mean()}
