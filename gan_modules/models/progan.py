"""ProGAN: Progressive Growing of GANs (Karras et al. 2018, arXiv:1710.10196)."""

import math
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import Adam

from gan_modules.errors import require
from gan_modules.families.noise import NoiseGAN
from gan_modules.networks.layers.blocks import refuse_batch_norm
from gan_modules.networks.layers.growing import Growing, averaged, repeated
from gan_modules.networks.progan import ProGANDiscriminator, ProGANGenerator
from gan_modules.objectives.losses import adversarial_loss
from gan_modules.objectives.penalties import gradient_penalty
from gan_modules.training.batches import Batch
from gan_modules.training.players import OptimizerFactory

__all__ = ["ProGAN"]


def progan_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 1e-3 and betas (0, 0.99), the paper's."""
    return Adam(parameters, lr=1e-3, betas=(0.0, 0.99), fused=True)


class ProGAN(NoiseGAN):
    """WGAN-GP whose networks grow from 4x4 pixels to the whole image, one size after the other.

    A size is faded in over ``fade_images`` images and then trained for ``stable_images`` more; the
    first one has no fade. Real images are faded alike. All sizes are there from the start and
    images keep ``image_shape``: those of a smaller size have each pixel several times. The penalty
    is taken of images in the pixels of their size. When a size comes in, optimizers begin anew.

    Deviations: the batch size is the same for all sizes, and the decay of the average, 0.999, has a
    warm-up.

    Args:
        latent_dim: size of the latent vector.
        stable_images: real images shown to each size in full, 600,000 in the paper.
        fade_images: real images over which a size is faded in, 600,000 in the paper.
        gp_weight: weight of the gradient penalty, lambda in the paper.
        drift: weight of the squared scores of real images, 0.001 in the paper; 0 for none.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the critic's parameters.
        **kwargs: options of :class:`NoiseGAN`; ``generator`` must be :class:`Growing`, a critic
            that is not judges the images of all sizes as they are.

    Raises:
        ValueError: if an option is out of its range, the networks do not fit the images, or the
            critic has batch normalisation.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 512,
        stable_images: int = 600_000,
        fade_images: int = 600_000,
        gp_weight: float = 10.0,
        drift: float = 0.001,
        generator_optimizer: OptimizerFactory = progan_adam,
        discriminator_optimizer: OptimizerFactory = progan_adam,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )
        for name, count in (("stable_images", stable_images), ("fade_images", fade_images)):
            require(count >= 1, name, count, "at least 1")
        for name, weight in (("gp_weight", gp_weight), ("drift", drift)):
            require(0 <= weight < math.inf, name, weight, "at least 0 and finite")
        self.stable_images, self.fade_images = stable_images, fade_images
        self.gp_weight, self.drift = gp_weight, drift
        self.loss = adversarial_loss("wasserstein")

    def build_networks(self) -> None:
        """Refuse a generator that does not grow, and a critic with batch normalisation."""
        super().build_networks()
        kind, right = type(self.generator).__name__, "Growing, such as ProGANGenerator"
        require(isinstance(self.generator, Growing), "generator", kind, right)
        refuse_batch_norm(self.discriminator)
        self._grow(0.0)

    def build_generator(self) -> nn.Module:
        """16384 / size channels, 512 at most."""
        return ProGANGenerator(self.image_shape, self.latent_dim, self.num_classes)

    def build_discriminator(self) -> nn.Module:
        """Its mirror image."""
        return ProGANDiscriminator(self.image_shape, self.num_classes)

    @property
    def growing(self) -> Growing:
        """The generator, which knows the present size."""
        assert isinstance(self.generator, Growing)
        return self.generator

    def level(self, images: int) -> float:
        """Number of the size after so many images; 1.25 is size 2 of which a quarter is there."""
        grown, into = divmod(images - self.stable_images, self.fade_images + self.stable_images)
        level = 0.0 if grown < 0 else grown + min(1.0, into / self.fade_images)
        return min(level, self.growing.stages - 1)

    def _grow(self, level: float) -> None:
        for module in self.modules():
            if isinstance(module, Growing):
                module.grow(level)

    def on_iteration(self, step: int, images: int) -> None:
        """Grow; where a size comes in, forget all moments."""
        super().on_iteration(step, images)
        level = self.level(images)
        before = self.level(images - images // max(1, step))
        self._grow(level)
        if math.ceil(level) != math.ceil(before):
            self.clear_optimizers()

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[D(G(z))] - E[D(x)] + gp_weight E[(||grad D|| - 1)^2] + drift E[D(x)^2]``."""
        network, labels = self.growing, batch[1]
        small = network.at_level(batch[0])
        real, fake = repeated(small, network.factor), self.generate(batch)
        real_scores, fake_scores = self.discriminate_both(real, fake, labels)
        judge = self.judge_packs(labels)
        penalty = gradient_penalty(
            lambda x: judge(repeated(x, network.factor)),
            self.packs(small),
            self.packs(averaged(fake, network.factor)),
        )
        return {
            "wasserstein": self.loss.discriminator(real_scores, fake_scores),
            "gradient_penalty": self.gp_weight * penalty,
            "drift": self.drift * real_scores.square().mean(),
        }

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[D(G(z))]``."""
        fake_scores = self.judge(self.generate(batch), batch[1]).logits
        return {"adversarial": self.loss.generator(fake_scores)}
