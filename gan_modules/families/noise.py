"""The family of GANs whose generator maps a random latent vector to an image."""

from typing import Any

import torch
from torch import Tensor, nn

from gan_modules.families.adversarial import GANModule
from gan_modules.families.factories import DiscriminatorFactory, build
from gan_modules.families.gates import Judgement, Seen, mixes_samples, split_judgement
from gan_modules.families.latent_model import LatentModel
from gan_modules.objectives.augmentations import Augmentation
from gan_modules.objectives.losses import AdversarialLoss
from gan_modules.objectives.regularizers import Regularizer
from gan_modules.training.batches import Batch
from gan_modules.training.fitting import Check, check_logits
from gan_modules.training.freezing import freeze_first_layers

__all__ = ["NoiseGAN"]


class NoiseGAN(LatentModel, GANModule):
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
        augmentation: what real images and fakes go through before they are judged, in training.
        regularizers: further terms of the objective.
        **kwargs: options of :class:`LatentModel`, :class:`GANModule` and
            :class:`GenerativeModule`.

    Raises:
        ValueError: if an option is out of its range or a network does not fit ``image_shape``.
    """

    shares_fakes: bool = False
    """What ``share_fakes`` is by default."""

    def __init__(
        self,
        *,
        discriminator: DiscriminatorFactory | None = None,
        share_fakes: bool | None = None,
        freeze_discriminator: int = 0,
        augmentation: Augmentation | None = None,
        regularizers: list[Regularizer] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._given["discriminator"] = discriminator
        self.share_fakes = self.shares_fakes if share_fakes is None else share_fakes
        self.freeze_discriminator = freeze_discriminator
        self.augmentation = augmentation
        if augmentation is not None:
            augmentation.check(self.image_shape)
        self.regularizers = nn.ModuleList(regularizers or ())
        self._seen: Seen | None = None

    def build_networks(self) -> None:
        """Both networks: what was passed, or the paper's."""
        self.generator = self.new_generator()
        self.discriminator = self.new_discriminator()
        self._given.clear()

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
        return self._draw(batch) if self.share_fakes else None

    def generate(self, batch: Batch) -> Tensor:
        """As many fakes as the batch has images, with its labels if the model is conditional."""
        return self.generate_with_latents(batch)[1]

    def generate_with_latents(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Latents ``(N, latent_dim)`` and their fakes, for objectives that need both."""
        shared: tuple[Tensor, Tensor] | None = self._shared_now
        if shared is None:
            return self._draw(batch)
        z, fakes = shared
        return z, fakes if self._turn == "generator" else fakes.detach()

    def _draw(self, batch: Batch) -> tuple[Tensor, Tensor]:
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
        if self.augmentation is not None and self.training:
            images = self.augmentation(images)
        verdict = self.discriminate(images, labels)
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
        self.note_seen(real, fake, labels, judged[0].logits, judged[1].logits)
        return judged

    def note_seen(self, *seen: Any) -> None:
        """Keep what was judged, see :class:`Seen`, for regularisers and for the augmentation.

        :meth:`judge_both` does it.
        """
        if self.regularizers or self.augmentation is not None:
            self._seen = Seen(*seen)

    def discriminate_both(
        self, real: Tensor, fake: Tensor, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The logits of :meth:`judge_both`, which is all that most objectives need."""
        one, other = self.judge_both(real, fake, labels)
        return one.logits, other.logits

    def generator_logits(self, loss: AdversarialLoss, batch: Batch) -> tuple[Tensor, ...]:
        """What the generator's loss is taken of: logits of its fakes.

        They are followed by those of the real images if the loss is relativistic; nothing of these
        depends on the generator.
        """
        return self.against_real(loss, self.judge(self.generate(batch), batch[1]).logits, batch)

    def against_real(self, loss: AdversarialLoss, fake: Tensor, batch: Batch) -> tuple[Tensor, ...]:
        """Logits of fakes, and of the real images of a batch if the loss is relativistic."""
        if not loss.relativistic:
            return (fake,)
        with torch.no_grad():
            return fake, self.judge(*batch).logits

    def on_iteration(self, step: int, images: int) -> None:
        """Set the augmentation's strength."""
        if self.augmentation is not None:
            self.augmentation.schedule(step, images)

    def to_average(self) -> list[Tensor]:
        """What the augmentation has observed, too."""
        observed = () if self.augmentation is None else self.augmentation.to_average()
        return [*super().to_average(), *observed]

    def measures(self) -> dict[str, Tensor]:
        """The augmentation's."""
        found = {} if self.augmentation is None else self.augmentation.measures()
        return {f"augment/{name}": value for name, value in found.items()}

    def terms_of(self, player: str, batch: Batch) -> dict[str, Tensor]:
        """The objective's terms and, in training, those of the regularisers.

        The augmentation observes the discriminator's updates.
        """
        terms = super().terms_of(player, batch)
        if not self.training:
            return terms
        seen, self._seen = self._seen, None
        if self.augmentation is not None and seen is not None and player == "discriminator":
            self.augmentation.observe(seen.real_logits.detach())
        for regularizer in self.regularizers:
            assert isinstance(regularizer, Regularizer)
            if regularizer.player != player or not regularizer.is_due(self.global_step):
                continue
            name = regularizer.name
            if seen is None or name in terms:
                why = (
                    "real and fake are not judged by judge_both" if seen is None else "it is there"
                )
                raise ValueError(
                    f"regularizers={type(regularizer).__name__} cannot add the term {name!r} to "
                    f"{type(self).__name__}.{player}_losses: {why}"
                )
            terms[name] = regularizer.every * regularizer.weight * regularizer(self, seen)
        return terms

    def checks(self, images: Tensor) -> dict[str, tuple[nn.Module, Check]]:
        """The discriminator judges every image."""
        return {
            **super().checks(images),
            "discriminator": (self.discriminator, check_logits),
        }
