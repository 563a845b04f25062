"""DMD2: improved distribution matching distillation (Yin et al. 2024, arXiv:2405.14867)."""

import math
from collections.abc import Iterable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from gan_modules.errors import require
from gan_modules.families.diffusion import DiffusionModel
from gan_modules.families.distillation import UNTAUGHT, num_features_of, take_from_teacher
from gan_modules.families.factories import HeadFactory, build
from gan_modules.families.latents import NormalLatents
from gan_modules.networks.denoiser import DenoiserHead
from gan_modules.networks.diffusion import Preconditioned, StepGenerator, over_pixels
from gan_modules.objectives.losses import adversarial_loss
from gan_modules.objectives.matching import matching_gradient, matching_loss
from gan_modules.training.batches import Batch
from gan_modules.training.players import OptimizerFactory, PlayerOptions, SchedulerFactory

__all__ = ["DMD2"]


def dmd2_adamw(parameters: Iterable[nn.Parameter]) -> AdamW:
    """AdamW with learning rate 2e-6, betas (0.9, 0.999) and weight decay 0.01: ImageNet's."""
    return AdamW(parameters, lr=2e-6, betas=(0.9, 0.999), weight_decay=0.01, fused=True)


class DMD2(DiffusionModel):
    """A generator of one step, or of few, learns to make what a diffusion model makes in many.

    It begins as a copy of the teacher. A second copy, the fake score, learns to remove noise from
    what the generator makes; the difference between the two denoised images says where fakes are
    too many and where too few, and is the generator's gradient. A head on the fake score's features
    tells noisy real images from noisy fakes, a GAN that lets the generator surpass its teacher.
    The fake score is updated ``n_critic`` times as often as the generator, each time with images
    of its own.

    Rates, weights and clipping are those of ImageNet 64 in the paper, whose updates are hundreds of
    thousands: small networks learn with rates a hundred times as large.

    Deviations: the head is fully connected and reads all features at once; what is sampled is the
    averaged generator (``ema_decay=0`` gives the paper's); samples are clamped to [-1, 1]. With
    several steps each image's step is drawn for itself.

    Args:
        teacher: a run or a checkpoint of :class:`EDM`, such as ``runs/edm/0``, such a model, or a
            network like those that one takes. Checkpoints hold its weights, and need it no more:
            they say ``"random"``, for random networks, into which weights are loaded.
        generator: without a teacher, what its network is; otherwise it is the teacher's.
        head: a network, or a class or function that builds one from ``num_features``.
        step_sigmas: noise levels of the generator's steps, falling; by default one step, at
            ``sigma_max``. A latent is the noise of all.
        n_critic: guidance updates per generator update; 5 in the paper.
        gan_weight: of the adversarial term in the generator's loss; 0 for no head at all.
        head_weight: of the head's own term in the guidance's loss.
        levels: noise levels, evenly spaced as in :meth:`karras_sigmas`, that noise is drawn from.
        generator_optimizer: called with the generator's parameters.
        guidance_optimizer: called with the parameters of fake score and head.
        generator_scheduler: called with the generator's optimizer; stepped once per iteration.
        guidance_scheduler: called with the guidance's optimizer; stepped once per iteration, too.
        generator_gradient_clip_val: largest norm of the generator's gradient.
        guidance_gradient_clip_val: largest norm of the guidance's gradient.
        generator_accumulate_grad_batches: compute each update in that many equal pieces.
        guidance_accumulate_grad_batches: the same for each guidance update.
        **kwargs: options of :class:`DiffusionModel`; those of noise levels must be the teacher's.

    Raises:
        ValueError: if an option is out of its range, or the teacher is none or does not fit.
    """

    players: ClassVar = {"guidance": ("fake_score", "head"), "generator": ("generator",)}
    frozen: ClassVar = ("teacher",)

    generator: StepGenerator
    teacher: Preconditioned
    fake_score: Preconditioned
    head: nn.Module

    def __init__(
        self,
        *,
        teacher: str | Path | nn.Module,
        head: HeadFactory | None = None,
        step_sigmas: Sequence[float] | None = None,
        n_critic: int = 5,
        gan_weight: float = 3e-3,
        head_weight: float = 1e-2,
        levels: int = 1000,
        generator_optimizer: OptimizerFactory = dmd2_adamw,
        guidance_optimizer: OptimizerFactory = dmd2_adamw,
        generator_scheduler: SchedulerFactory | None = None,
        guidance_scheduler: SchedulerFactory | None = None,
        generator_gradient_clip_val: float | None = 10.0,
        guidance_gradient_clip_val: float | None = 10.0,
        generator_accumulate_grad_batches: int = 1,
        guidance_accumulate_grad_batches: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(n_critic >= 1, "n_critic", n_critic, "at least 1")
        for name, weight in (("gan_weight", gan_weight), ("head_weight", head_weight)):
            require(0 <= weight < math.inf, name, weight, "at least 0 and finite")
        require(levels >= 2, "levels", levels, "at least 2")
        chosen = [self.sigma_max] if step_sigmas is None else [*step_sigmas]
        falls = chosen == sorted({*chosen}, reverse=True) and min(chosen, default=0) > 0
        require(falls, "step_sigmas", chosen, "positive noise levels, the highest first")
        self.step_sigmas, self.n_critic = chosen, n_critic
        self.gan_weight, self.head_weight = gan_weight, head_weight
        self.loss = adversarial_loss("non_saturating")
        # low levels last
        sigmas = torch.tensor(self.karras_sigmas(levels))
        self.register_buffer("levels", sigmas, persistent=False)
        self.latent = NormalLatents(len(chosen) * self.latent_dim)
        self._given |= {"teacher": teacher, "head": head}
        self.play(
            generator=PlayerOptions(
                generator_optimizer,
                generator_scheduler,
                generator_gradient_clip_val,
                generator_accumulate_grad_batches,
            ),
            guidance=PlayerOptions(
                guidance_optimizer,
                guidance_scheduler,
                guidance_gradient_clip_val,
                guidance_accumulate_grad_batches,
            ),
        )

    levels: Tensor

    def build_networks(self) -> None:
        """Three copies of the teacher, one of them frozen, and the head."""
        teacher, generator = self._given["teacher"], self._given["generator"]
        if teacher == UNTAUGHT:
            network = self.new_generator()
        else:
            right = "left out with a teacher, of which networks are copies"
            require(generator is None, "generator", type(generator).__name__, right)
            network = take_from_teacher(self, teacher)
        self.teacher, self.fake_score, denoiser = (
            # what was read or averaged has neither
            Preconditioned(deepcopy(network), self.sigma_data).train().requires_grad_(True)
            for _ in range(3)
        )
        self.generator = StepGenerator(denoiser, self.image_shape, self.step_sigmas)
        self.head = self.new_head() if self.gan_weight else nn.Identity()
        self._given.clear()

    def new_head(self) -> nn.Module:
        """What was passed, or a fully connected head."""
        features = {"num_features": num_features_of(self.fake_score.network)}
        return build("head", self._given["head"], lambda: DenoiserHead(**features), **features)

    @property
    def parts_per_iteration(self) -> int:
        """``n_critic``."""
        return self.n_critic

    def turns(self, parts: Sequence[Batch]) -> Sequence[tuple[str, Batch]]:
        """The guidance with every part, then the generator with the last."""
        return [*(("guidance", part) for part in parts), ("generator", parts[-1])]

    def draw_sigmas(self, images: Tensor, first: float = 0.0, last: float = 1.0) -> Tensor:
        """A noise level for each image, of those between two shares of all levels."""
        n = len(self.levels)
        shares = first + (last - first) * torch.rand(len(images), device=images.device)
        return self.levels[(shares * n).long().clamp(max=n - 1)].to(images.dtype)

    def generate(self, batch: Batch) -> Tensor:
        """A fake for each image, not clamped: of one of the generator's steps, drawn at random."""
        images, labels = batch
        given = self.condition(labels)
        steps, z = len(self.step_sigmas), self.sample_noise(len(images))
        with torch.no_grad():
            inputs = torch.stack(self.generator.inputs(z, *given))
        step = (torch.rand(len(images), device=z.device) * steps).long().clamp(max=steps - 1)
        rows = torch.arange(len(images), device=z.device)
        sigma = self.generator.sigmas[step].to(z.dtype)
        fakes: Tensor = self.generator.denoiser(inputs[step, rows], sigma, *given)
        return fakes

    def judge(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Logits ``(N,)`` of the head for images that are given noise of any level."""
        sigma = self.draw_sigmas(images)
        noisy = images + over_pixels(sigma, images) * torch.randn_like(images)
        logits: Tensor = self.head(self.fake_score.features(noisy, sigma, *self.condition(labels)))
        return logits

    def guidance_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[(sigma^-2 + sigma_data^-2) (F(x + n) - x)^2]`` of fakes x, and the head's loss."""
        images, labels = batch
        fakes = self.generate(batch).detach()
        sigma = self.draw_sigmas(fakes)
        weight = sigma**-2 + self.sigma_data**-2
        error = self.denoising_error(self.fake_score, fakes, sigma, labels)
        terms = {"denoising": (weight * error).mean()}
        if self.gan_weight:
            real, fake = self.judge(images, labels), self.judge(fakes, labels)
            terms["adversarial"] = self.head_weight * self.loss.discriminator(real, fake)
        return terms

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Distribution matching, see ``matching_loss``, and ``-E[log sigmoid(head)]``."""
        labels = batch[1]
        fakes = self.generate(batch)
        with torch.no_grad():
            sigma = self.draw_sigmas(fakes, 0.02, 0.98)
            noisy = fakes + over_pixels(sigma, fakes) * torch.randn_like(fakes)
            given = noisy, sigma, *self.condition(labels)
            gradient = matching_gradient(fakes, self.teacher(*given), self.fake_score(*given))
        terms = {"matching": matching_loss(fakes, gradient)}
        if self.gan_weight:
            fooled = self.loss.generator(self.judge(fakes, labels))
            terms["adversarial"] = self.gan_weight * fooled
        return terms
