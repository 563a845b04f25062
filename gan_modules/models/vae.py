"""VAE: Auto-Encoding Variational Bayes (Kingma & Welling 2013, arXiv:1312.6114)."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.families.encoding import EncodingModel, gaussian_sample
from gan_modules.networks import MLPGenerator
from gan_modules.networks.vae import MLPEncoder
from gan_modules.training.batches import Batch
from gan_modules.training.optimizers import adam
from gan_modules.training.players import OptimizerFactory, PlayerOptions, SchedulerFactory

__all__ = ["VAE"]


class VAE(EncodingModel):
    """One player: encoder and generator maximise a lower bound of the data's likelihood.

    The encoder gives the mean and log-variance of a Gaussian over latents, the generator the mean
    of pixels. The likelihood is Bernoulli's, per pixel, of images mapped from [-1, 1] to [0, 1], as
    in pytorch/examples: pixels between black and white are taken for probabilities, so that the
    bound is one of binary images only where images are binary. Sums over pixels and latents, means
    over images, in nats.

    Default networks are those of pytorch/examples: one hidden layer of 400 units each, 20 latents,
    Adam with learning rate 1e-3, batches of 128.

    Deviation: the generator ends in tanh, as all of this package do, where that code has a sigmoid;
    as probability is taken ``(1 + x) / 2``.

    Args:
        latent_dim: size of the latent vector.
        autoencoder_optimizer: called with the parameters of both networks.
        autoencoder_scheduler: called with the optimizer; stepped once per iteration.
        autoencoder_gradient_clip_val: largest norm of the gradient.
        autoencoder_accumulate_grad_batches: compute each update in that many equal pieces.
        ema_decay: as in :class:`GenerativeModule`; the paper has no averaging.
        **kwargs: options of :class:`EncodingModel`.

    Raises:
        ValueError: if an option is out of its range.
    """

    players: ClassVar = {"autoencoder": ("encoder", "generator")}

    codes = "gaussian"

    def __init__(
        self,
        *,
        latent_dim: int = 20,
        autoencoder_optimizer: OptimizerFactory = adam,
        autoencoder_scheduler: SchedulerFactory | None = None,
        autoencoder_gradient_clip_val: float | None = None,
        autoencoder_accumulate_grad_batches: int = 1,
        ema_decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim=latent_dim, ema_decay=ema_decay, **kwargs)
        self.play(
            autoencoder=PlayerOptions(
                autoencoder_optimizer,
                autoencoder_scheduler,
                autoencoder_gradient_clip_val,
                autoencoder_accumulate_grad_batches,
            )
        )

    def build_generator(self) -> nn.Module:
        """One ReLU layer of 400 units."""
        return MLPGenerator(self.image_shape, self.latent_dim, self.num_classes, (400,))

    def build_encoder(self) -> nn.Module:
        """One ReLU layer of 400 units."""
        return MLPEncoder(self.image_shape, self.latent_dim)

    def turns(self, parts: Sequence[Batch]) -> Sequence[tuple[str, Batch]]:
        """One update."""
        return [("autoencoder", parts[-1])]

    def autoencoder_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[log p(x | z)] + KL(q(z | x) || N(0, 1))``, the negative of the bound."""
        images, labels = batch
        mean, log_variance = self.encoder(images)
        z = gaussian_sample(mean, log_variance)
        return {
            "reconstruction": bernoulli_nats(self.fakes(z, labels), images),
            "kl": standard_normal_kl(mean, log_variance),
        }


def bernoulli_nats(outputs: Tensor, images: Tensor) -> Tensor:
    """``-log p``, summed over pixels, mean over images, of images as probabilities.

    Args:
        outputs: of a tanh, shape ``(N, ...)``; ``(1 + x) / 2`` is the probability of white.
        images: in [-1, 1], same shape.
    """
    # half precision rounds probabilities near 1 to 1
    probability = ((1 + outputs.float()) / 2).clamp(0, 1)
    with torch.autocast(images.device.type, enabled=False):
        target = ((1 + images.float()) / 2).clamp(0, 1)
        return F.binary_cross_entropy(probability, target, reduction="sum") / len(images)


def standard_normal_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """``KL(N(mean, variance) || N(0, 1))``, summed over latents, mean over images."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
