"""Latent GAN: an autoencoder, then a GAN (Achlioptas et al. 2017, arXiv:1707.02392)."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from gan_modules.errors import require
from gan_modules.families.adversarial import GANModule
from gan_modules.families.encoding import EncodingModel, check_codes
from gan_modules.families.factories import DiscriminatorFactory, GeneratorFactory, build
from gan_modules.families.gates import Judgement
from gan_modules.networks import MLPGenerator
from gan_modules.networks.ae_gan import AEGANDiscriminator, AEGANGenerator
from gan_modules.networks.layers.blocks import refuse_batch_norm
from gan_modules.networks.vae import MLPEncoder
from gan_modules.objectives.losses import wasserstein_discriminator_loss, wasserstein_generator_loss
from gan_modules.objectives.penalties import gradient_penalty
from gan_modules.training.averaging import evaluation_mode
from gan_modules.training.batches import Batch
from gan_modules.training.fitting import Check, check_fakes, check_logits
from gan_modules.training.optimizers import adam
from gan_modules.training.players import OptimizerFactory, PlayerOptions, SchedulerFactory

__all__ = ["AEGAN"]


def ae_gan_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 1e-4 and betas (0.5, 0.999), the official code's."""
    return Adam(parameters, lr=1e-4, betas=(0.5, 0.999), fused=True)


class AEGAN(EncodingModel, GANModule):
    """An autoencoder first, then a Wasserstein GAN of its codes.

    For ``autoencoder_steps`` iterations encoder and decoder are trained alone, once with every part
    of the batch. Then they rest, in evaluation mode, and generator and critic play WGAN-GP
    (arXiv:1704.00028) with codes in the place of images; averages and schedules of either phase
    advance in it alone. A sample is the decoder's image of the generator's code. The autoencoder
    may have been trained before: pass networks and ``autoencoder_steps=0``.

    Default networks of the GAN are the paper's latent GAN's.

    Deviations: the paper has clouds of points, an autoencoder of 1-D convolutions and distances
    between sets; here there are images, a fully connected autoencoder with one hidden layer of 512
    units each way and the squared difference, mean over pixels. Latents are N(0, 1), there
    N(0, 0.04). What is sampled is the averaged generator (``ema_decay=0`` gives the paper's). If
    the model is conditional the GAN is given labels, the autoencoder is not.

    Args:
        latent_dim: size of the latent vector, from which the generator makes codes.
        code_dim: size of a code, 128 in the paper.
        autoencoder_steps: iterations of the first phase, which count as all others do.
        n_critic: critic updates per generator update.
        gp_weight: weight of the gradient penalty, lambda.
        generator: of codes: built with ``image_shape=(code_dim,)``.
        discriminator: of codes, likewise: a critic, or a class or function that builds one.
        decoder: a decoder, or a class or function that builds one as a generator is built, with
            ``latent_dim`` the size of a code; without labels.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the critic's parameters.
        autoencoder_optimizer: called with the parameters of encoder and decoder.
        autoencoder_scheduler: called with the optimizer; stepped once per iteration of its phase.
        autoencoder_gradient_clip_val: largest norm of the gradient.
        autoencoder_accumulate_grad_batches: compute each update in that many equal pieces.
        **kwargs: options of :class:`EncodingModel`, :class:`GANModule` and
            :class:`GenerativeModule`.

    Raises:
        ValueError: if an option is out of its range, a network does not fit, or the critic has
            batch normalisation.
    """

    players: ClassVar = {
        "generator": ("generator",),
        "discriminator": ("discriminator",),
        "autoencoder": ("encoder", "decoder"),
    }
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    codes = "plain"
    codes_are_latents = False

    decoder: nn.Module

    def __init__(
        self,
        *,
        latent_dim: int = 128,
        code_dim: int = 128,
        autoencoder_steps: int = 10_000,
        n_critic: int = 5,
        gp_weight: float = 10.0,
        generator: GeneratorFactory | None = None,
        discriminator: DiscriminatorFactory | None = None,
        decoder: GeneratorFactory | None = None,
        generator_optimizer: OptimizerFactory = ae_gan_adam,
        discriminator_optimizer: OptimizerFactory = ae_gan_adam,
        autoencoder_optimizer: OptimizerFactory = adam,
        autoencoder_scheduler: SchedulerFactory | None = None,
        autoencoder_gradient_clip_val: float | None = None,
        autoencoder_accumulate_grad_batches: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            n_critic=n_critic,
            generator=generator,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )
        require(code_dim >= 1, "code_dim", code_dim, "at least 1")
        require(autoencoder_steps >= 0, "autoencoder_steps", autoencoder_steps, "at least 0")
        require(0 <= gp_weight < math.inf, "gp_weight", gp_weight, "at least 0 and finite")
        self.play(
            **self._options,
            autoencoder=PlayerOptions(
                autoencoder_optimizer,
                autoencoder_scheduler,
                autoencoder_gradient_clip_val,
                autoencoder_accumulate_grad_batches,
            ),
        )
        self._code_dim, self.autoencoder_steps = code_dim, autoencoder_steps
        self.gp_weight = gp_weight
        self._given |= {"discriminator": discriminator, "decoder": decoder}

    @property
    def code_dim(self) -> int:
        """Size of a code."""
        return self._code_dim

    # ---- networks ------------------------------------------------------------------------------

    def build_networks(self) -> None:
        """All four networks: what was passed, or the default ones."""
        size: dict[str, Any] = {"image_shape": (self.code_dim,)}
        if self.num_classes:
            size["num_classes"] = self.num_classes
        given, latent = self._given, {"latent_dim": self.latent_dim}
        self.generator = build(
            "generator", given["generator"], self.build_generator, **size, **latent
        )
        self.discriminator = build(
            "discriminator", given["discriminator"], self.build_discriminator, **size
        )
        refuse_batch_norm(self.discriminator)
        self.encoder = self.new_encoder()
        whole = {"image_shape": self.image_shape, "latent_dim": self.code_dim}
        self.decoder = build("decoder", given["decoder"], self.build_decoder, **whole)
        self._given.clear()

    def build_generator(self) -> nn.Module:
        """One ReLU layer of 128 units."""
        return AEGANGenerator((self.code_dim,), self.latent_dim, self.num_classes)

    def build_discriminator(self) -> nn.Module:
        """ReLU layers of 256 and 512 units."""
        return AEGANDiscriminator((self.code_dim,), self.num_classes)

    def build_encoder(self) -> nn.Module:
        """One ReLU layer of 512 units."""
        return MLPEncoder(self.image_shape, self.code_dim, (512,), gaussian=False)

    def build_decoder(self) -> nn.Module:
        """One ReLU layer of 512 units."""
        return MLPGenerator(self.image_shape, self.code_dim, hidden=(512,))

    # ---- two phases ----------------------------------------------------------------------------

    def turns(self, parts: Sequence[Batch]) -> Sequence[tuple[str, Batch]]:
        """The autoencoder with every part; in the second phase critic and generator."""
        if self.global_step < self.autoencoder_steps:
            return [("autoencoder", part) for part in parts]
        return super().turns(parts)

    def on_iteration(self, step: int, images: int) -> None:
        """Have the autoencoder rest in evaluation mode once its phase is over."""
        super().on_iteration(step, images)
        for network in (self.encoder, self.decoder):
            network.train(step < self.autoencoder_steps)

    def autoencoder_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[(Dec(Enc(x)) - x)^2]``."""
        images, _ = batch
        return {"reconstruction": F.mse_loss(self.decoder(self.encoder(images)), images)}

    def judge(self, codes: Tensor, labels: Tensor | None = None) -> Judgement:
        """What the critic says of codes, given labels if the model is conditional."""
        return Judgement(self.discriminator(codes, *self.condition(labels)))

    def fake_codes(self, batch: Batch) -> Tensor:
        """As many codes of the generator as the batch has images, with its labels."""
        images, labels = batch
        codes: Tensor = self.generator(self.sample_noise(len(images)), *self.condition(labels))
        return codes

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[D(G(z))] - E[D(Enc(x))] + gp_weight E[(||grad D(c_hat)|| - 1)^2]``."""
        images, labels = batch
        real, fake = self.encoder(images).detach(), self.fake_codes(batch)
        scores = [self.judge(codes, labels).logits for codes in (real, fake)]
        penalty = gradient_penalty(lambda codes: self.judge(codes, labels).logits, real, fake)
        return {
            "wasserstein": wasserstein_discriminator_loss(*scores),
            "gradient_penalty": self.gp_weight * penalty,
        }

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``-E[D(G(z))]``."""
        scores = self.judge(self.fake_codes(batch), batch[1]).logits
        return {"adversarial": wasserstein_generator_loss(scores)}

    # ---- images of latents and of codes --------------------------------------------------------

    def fakes(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of what the generator in training makes of latents."""
        images: Tensor = self.decoder(self.generator(z, *self.condition(labels)))
        return images

    @property
    def sampler(self) -> nn.Module:
        """What maps latents to images, the generator to sample from and the decoder."""
        return _Decoded(super().sampler, self.decoder)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put encoder and decoder in evaluation mode, too."""
        with super().evaluating(), evaluation_mode(self.encoder, self.decoder):
            yield

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] of codes ``(N, code_dim)``; labels are not needed."""
        with self.evaluating():
            images: Tensor = self.decoder(codes)
        return images

    def between_codes(self, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """Codes on a straight line."""
        return torch.lerp(first, second, weight)

    def checks(self, images: Tensor) -> dict[str, tuple[nn.Module, Check]]:
        """Codes are of one size; the decoder makes images of the real ones' shape."""
        codes = images.new_empty(1, self.code_dim)
        return {
            "generator": (self.generator, check_fakes(codes)),
            "discriminator": (self.discriminator, check_logits()),
            "encoder": (self.encoder, check_codes(self.code_dim, self.codes)),
            "decoder": (self.decoder, check_fakes(images)),
        }


class _Decoded(nn.Module):
    """A generator of codes and a decoder in one."""

    def __init__(self, generator: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.generator, self.decoder = generator, decoder

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        codes = self.generator(z) if labels is None else self.generator(z, labels)
        images: Tensor = self.decoder(codes)
        return images
