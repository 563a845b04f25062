"""The family of GANs whose generator maps a random latent vector to an image."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gan_modules.families.factories import DiscriminatorFactory, build
from gan_modules.families.gates import Judgement, Seen, mixes_samples, split_judgement
from gan_modules.families.latent_model import LatentModel
from gan_modules.families.regularized import Regularized
from gan_modules.objectives.losses import AdversarialLoss
from gan_modules.objectives.regularizers import Regularizer
from gan_modules.training.averaging import evaluation_mode
from gan_modules.training.batches import Batch
from gan_modules.training.fitting import Check, check_logits
from gan_modules.training.freezing import freeze_first_layers

__all__ = ["NoiseGAN"]


class NoiseGAN(Regularized, LatentModel):
    """A GAN whose generator maps a random latent vector to an image.

    Args:
        discriminator: a discriminator, or a class or function that builds one, in place of the
            paper's.
        share_fakes: show the discriminator, in its last update of an iteration, the fakes that the
            generator's update is taken of right afterwards, in place of fakes of its own: one
            forward pass of the generator less. By default as the paper's algorithm has it.
        freeze_discriminator: first layers of the discriminator, that many, whose weights stay as
            they are, for a training that starts from another one's (Mo et al. 2020,
            arXiv:2002.10964).
        **kwargs: options of :class:`Regularized`, :class:`ImageJudging`, :class:`LatentModel`,
            :class:`GANModule` and :class:`GenerativeModule`.

    Raises:
        ValueError: if an option is out of its range or a network does not fit ``image_shape``.
    """

    shares_fakes: bool = False
    """What ``share_fakes`` is by default."""
    takes_own_steps: ClassVar = True

    def __init__(
        self,
        *,
        discriminator: DiscriminatorFactory | None = None,
        share_fakes: bool | None = None,
        freeze_discriminator: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._given["discriminator"] = discriminator
        self.share_fakes = self.shares_fakes if share_fakes is None else share_fakes
        self.freeze_discriminator = freeze_discriminator

    def build_networks(self) -> None:
        """Both networks: what was passed, or the paper's; regularisers look at them."""
        self.generator = self.new_generator()
        self.discriminator = self.new_discriminator()
        self._given.clear()
        self.settle_regularizers()

    def new_discriminator(self) -> nn.Module:
        """A discriminator: what was passed, what it builds, or the paper's."""
        classes = {"num_classes": self.num_classes} if self.num_classes else {}
        discriminator = build(
            "discriminator",
            self._given["discriminator"],
            self.build_discriminator,
            image_shape=self.image_shape,
            **classes,
        )
        freeze_first_layers(discriminator, self.freeze_discriminator, "freeze_discriminator")
        return discriminator

    @property
    def compilable(self) -> tuple[str, ...]:
        """Both players' losses, and the fakes they share."""
        return (*super().compilable, "shared")

    # ---- fakes ---------------------------------------------------------------------------------

    def shared(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """Latents and fakes for both players, if they share them."""
        return self.draw(batch) if self.share_fakes else None

    def generate(self, batch: Batch) -> Tensor:
        """As many fakes as the batch has images, with its labels if the model is conditional."""
        return self.generate_with_latents(batch)[1]

    def generate_with_latents(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Latents ``(N, latent_dim)`` and their fakes, for objectives that need both."""
        shared: tuple[Tensor, Tensor] | None = self._shared_now
        z, fakes = self.draw(batch) if shared is None else shared
        if shared is not None and self._turn != "generator":
            fakes = fakes.detach()
        self.note_seen(z=z, fake=fakes, labels=batch[1])
        return z, fakes

    def draw(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """New latents and their fakes; override this for fakes of more than one latent."""
        images, labels = batch
        z = self.sample_noise(len(images))
        return z, self.fakes(z, labels)

    # ---- the only way to the discriminator -----------------------------------------------------

    def discriminate(self, images: Tensor, labels: Tensor | None) -> Tensor | Judgement:
        """What the discriminator says of images, given their labels if the model is conditional.

        Override this for a discriminator that is called in another way.
        """
        verdict: Tensor | Judgement = self.discriminator(images, *self.condition(labels))
        return verdict

    def judge(self, images: Tensor, labels: Tensor | None = None) -> Judgement:
        """Pass images through the augmentation, in training, and then to the discriminator."""
        verdict = self.discriminate(self.augmented(images), labels)
        return verdict if isinstance(verdict, Judgement) else Judgement(verdict)

    def judge_both(
        self, real: Tensor, fake: Tensor, labels: Tensor | None
    ) -> tuple[Judgement, Judgement]:
        """Judge real and fake images, in one forward pass where that changes nothing.

        Whatever mixes samples would mix the two, which its users keep apart: they take two passes.
        """
        if mixes_samples(self.discriminator):
            judged = self.judge(real, labels), self.judge(fake, labels)
        else:
            both = None if labels is None or not self.num_classes else labels.repeat(2)
            judged = split_judgement(self.judge(torch.cat([real, fake]), both), len(real))
        one, other = (judgement.logits for judgement in judged)
        self.note_seen(real=real, fake=fake, labels=labels, real_logits=one, fake_logits=other)
        return judged

    def realness(self, logits: Tensor) -> Tensor:
        """One number for each row of logits, the higher the more real: their mean by default."""
        return logits if logits.ndim == 1 else logits.flatten(1).mean(1)

    @torch.no_grad()
    def scores(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """How real each image looks to the discriminator, ``(N,)``, in evaluation mode.

        Without augmentation; a pack is of copies of one image.
        """
        given = None if labels is None else labels.repeat_interleave(self.packing)
        with evaluation_mode(self.discriminator):
            verdict = self.discriminate(images.repeat_interleave(self.packing, 0), given)
        return self.realness(verdict.logits if isinstance(verdict, Judgement) else verdict)

    def discriminate_both(
        self, real: Tensor, fake: Tensor, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The logits of :meth:`judge_both`, which is all that most objectives need."""
        one, other = self.judge_both(real, fake, labels)
        return one.logits, other.logits

    def generator_logits(self, loss: AdversarialLoss, batch: Batch) -> tuple[Tensor, ...]:
        """What the generator's loss is taken of, see :meth:`against_real`."""
        return self.against_real(loss, self.judge(self.generate(batch), batch[1]).logits, batch)

    def objectives(self, player: str) -> Sequence[Callable[[Batch], dict[str, Tensor]]]:
        """In training also those of its regularisers that have steps of their own, if due."""
        due = [
            partial(self._apart, regularizer, judge)
            for regularizer, judge in self.regularizers_of(player)
            if regularizer.own_step and self.training and regularizer.is_due(self.global_step)
        ]
        return [*super().objectives(player), *due]

    def _apart(self, regularizer: Regularizer, judge: str, batch: Batch) -> dict[str, Tensor]:
        """The term of a regulariser by itself."""
        images, labels = batch
        seen = Seen(real=images, labels=labels, z=self.sample_noise(len(images)))
        return self.regularized(regularizer, seen, set(), judge)

    def checks(self, images: Tensor) -> dict[str, tuple[nn.Module, Check]]:
        """The discriminator judges every image."""
        return {
            **super().checks(images),
            "discriminator": (self.discriminator, check_logits(self.packing)),
        }
