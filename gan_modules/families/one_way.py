"""The family of GANs that translate images of one domain, A, into images of another, B."""

from typing import Any, ClassVar

from torch import Tensor, nn

from gan_modules.families.factories import ImageNetworkFactory, build
from gan_modules.families.gates import Judgement, apply_to_both
from gan_modules.families.regularized import Regularized
from gan_modules.families.translation_model import Direction, TranslationModel
from gan_modules.networks.packed import packing_of
from gan_modules.objectives.losses import AdversarialLoss
from gan_modules.training.batches import Batch
from gan_modules.training.fitting import Check, check_fakes, check_logits

__all__ = ["OneWayTranslationGAN"]


class OneWayTranslationGAN(Regularized, TranslationModel):
    """A GAN with one generator, from A to B, and one discriminator.

    Both players use the same translations, made once per iteration.

    Args:
        generator: a generator, or a class or function that builds one, in place of the paper's.
        discriminator: a discriminator, or a class or function that builds one, in place of the
            paper's.
        **kwargs: options of :class:`Regularized`, :class:`ImageJudging`, :class:`TranslationModel`,
            :class:`GANModule` and :class:`GenerativeModule`.

    Raises:
        ValueError: if an option is out of its range or a network does not fit ``image_shape``.
    """

    directions: ClassVar = ("a_to_b",)

    def __init__(
        self,
        *,
        generator: ImageNetworkFactory | None = None,
        discriminator: ImageNetworkFactory | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # what networks are made of, until they are: a module kept here is no part of this one
        self._given: dict[str, Any] = {"generator": generator, "discriminator": discriminator}

    def build_networks(self) -> None:
        """Both networks: what was passed, or the paper's."""
        self.generator = build(
            "generator",
            self._given.pop("generator"),
            self.build_generator,
            image_shape=self.image_shape,
        )
        self.discriminator = build(
            "discriminator",
            self._given.pop("discriminator"),
            self.build_discriminator,
            image_shape=self.judged_shape,
        )
        self.settle_regularizers()

    def translator(self, direction: Direction) -> nn.Module:
        """The averaged generator."""
        return self.sampler

    @property
    def compilable(self) -> tuple[str, ...]:
        """Both players' losses, and the translations they share."""
        return (*super().compilable, "shared")

    def shared(self, batch: Batch) -> tuple[Tensor, ...]:
        """For both players: translations of the images of A, and what else belongs to them."""
        return (self.generator(self.domains(batch)[0]),)

    def made(self, batch: Batch) -> tuple[Tensor, ...]:
        """What :meth:`shared` gives, made once for both players, without graph for others."""
        shared: tuple[Tensor, ...] | None = self._shared_now
        if shared is None:
            return self.shared(batch)
        if self._turn == "generator":
            return shared
        return tuple(part.detach() for part in shared)

    def generate(self, batch: Batch) -> Tensor:
        """Translations ``(N, C, H, W)`` of the images of A."""
        return self.made(batch)[0]

    def judge(self, images: Tensor, labels: Tensor | None = None) -> Judgement:
        """Pass images through the augmentation, in training, and then to the discriminator."""
        return Judgement(self.discriminator(self.augmented(images)))

    def judge_both(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Judge real images and fakes, in one forward pass where that changes nothing."""
        both = self.augmented(real), self.augmented(fake)
        one, other = apply_to_both(self.discriminator, *both)
        self.note_seen(real=real, fake=fake, real_logits=one, fake_logits=other)
        return one, other

    def generator_term(self, loss: AdversarialLoss, fake: Tensor, real: Tensor) -> Tensor:
        """The generator's adversarial loss; real images count if the loss is relativistic.

        Args:
            loss: what it minimises.
            fake: what the discriminator is given of fakes.
            real: what it is given of real images.
        """
        return loss.generator(*self.against_real(loss, self.judge(fake).logits, (real, None)))

    def checks(self, images: Tensor) -> dict[str, tuple[nn.Module, Check]]:
        """The generator keeps the images' shape, the discriminator judges every image."""
        logits = check_logits(packing_of(self.discriminator))
        return {
            "generator": (self.generator, check_fakes(images)),
            "discriminator": (self.discriminator, logits),
        }
