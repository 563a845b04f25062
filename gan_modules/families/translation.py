"""The family of GANs that translate between two domains of images, A and B, in both directions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

from torch import Tensor, nn

from gan_modules.errors import raised_by
from gan_modules.families.factories import ImageNetworkFactory
from gan_modules.families.gates import apply_to_both
from gan_modules.families.regularized import Judge, OneJudge, Regularized
from gan_modules.families.translation_model import DIRECTIONS, Direction, TranslationModel
from gan_modules.networks.packed import packing_of
from gan_modules.training.batches import Batch
from gan_modules.training.fitting import Check, check_fakes, check_logits

__all__ = ["TranslationGAN"]

DOMAINS: tuple[Literal["a", "b"], ...] = ("a", "b")


class TranslationGAN(Regularized, TranslationModel):
    """A GAN with one generator per direction and one discriminator per domain.

    ``generator`` is an ``nn.ModuleDict`` of ``a_to_b`` and ``b_to_a``, ``discriminator`` one of
    ``a`` and ``b``; a variant's ``build_generator`` and ``build_discriminator`` make one of each
    and are called twice.

    Batches are ``(images_a, images_b)``: float in [-1, 1], shape ``(N, C, H, W)``, unpaired or
    paired as the variant asks.

    Args:
        generator: a class or function that builds a generator, called once per direction in place
            of the paper's, or an ``nn.ModuleDict`` of ``a_to_b`` and ``b_to_a``.
        discriminator: a class or function that builds a discriminator, called once per domain in
            place of the paper's, or an ``nn.ModuleDict`` of ``a`` and ``b``.
        **kwargs: options of :class:`Regularized`, :class:`ImageJudging`, :class:`TranslationModel`,
            :class:`GANModule` and :class:`GenerativeModule`.

    Raises:
        ValueError: if an option is out of its range, a network does not fit ``image_shape``, or a
            module passed is not such a ``ModuleDict``.
    """

    directions: ClassVar = DIRECTIONS

    generator: nn.ModuleDict
    discriminator: nn.ModuleDict

    def __init__(
        self,
        *,
        generator: ImageNetworkFactory | None = None,
        discriminator: ImageNetworkFactory | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._given = (generator, discriminator)

    def build_networks(self) -> None:
        """A generator per direction and a discriminator per domain."""
        generator, discriminator = self._given
        self._given = (None, None)
        self.generator = self._pair("generator", generator, self.build_generator, DIRECTIONS)
        self.discriminator = self._pair(
            "discriminator", discriminator, self.build_discriminator, DOMAINS
        )
        self.settle_regularizers()

    def judges(self) -> Mapping[str, Judge]:
        """One discriminator per domain."""
        return {domain: OneJudge(self, domain) for domain in DOMAINS}

    def _pair(
        self, player: str, given: Any, default: Callable[[], nn.Module], keys: Sequence[str]
    ) -> nn.ModuleDict:
        if isinstance(given, nn.Module):
            if not isinstance(given, nn.ModuleDict) or {*given} != {*keys}:
                raise ValueError(
                    f"a {player} passed as a module must be an nn.ModuleDict with the keys "
                    f"{' and '.join(keys)}: otherwise pass a class or function that builds one"
                )
            return given
        if given is None:
            return nn.ModuleDict({key: default() for key in keys})
        with raised_by(player, "image_shape"):
            return nn.ModuleDict({key: given(image_shape=self.image_shape) for key in keys})

    # ---- for the objectives of the variants ----------------------------------------------------

    def generate(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Fakes for domain A, made of the images of B, and for B, made of those of A."""
        images_a, images_b = self.domains(batch)
        return self.generator["b_to_a"](images_b), self.generator["a_to_b"](images_a)

    def apply_to_both(
        self, name: Literal["a_to_b", "b_to_a", "a", "b"], first: Tensor, second: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Outputs of one network for two batches, in one forward pass where that changes nothing.

        Whatever mixes samples would mix the two: such a network takes two passes.
        """
        return apply_to_both(self._network(name), first, second)

    def judge_of(self, domain: Literal["a", "b"], images: Tensor) -> Tensor:
        """Pass images through the augmentation, in training, and then to a discriminator."""
        logits: Tensor = self.discriminator[domain](self.augmented(images))
        return logits

    def judge_both(
        self, domain: Literal["a", "b"], real: Tensor, fake: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Judge real images and fakes of a domain, as :meth:`apply_to_both` does."""
        one, other = self.apply_to_both(domain, self.augmented(real), self.augmented(fake))
        self.note_seen(domain, real=real, fake=fake, real_logits=one, fake_logits=other)
        return one, other

    def _network(self, name: Literal["a_to_b", "b_to_a", "a", "b"]) -> nn.Module:
        return (self.generator if name in DIRECTIONS else self.discriminator)[name]

    def checks(self, images: Tensor) -> dict[str, tuple[nn.Module, Check]]:
        """Generators keep the images' shape, discriminators judge every image."""
        fakes = check_fakes(images)
        return {
            **{direction: (self.generator[direction], fakes) for direction in DIRECTIONS},
            **{
                f"discriminator {d}": (network, check_logits(packing_of(network)))
                for d, network in self.discriminator.items()
            },
        }

    def translator(self, direction: Direction) -> nn.Module:
        """The averaged generator of a direction."""
        return cast(nn.ModuleDict, self.sampler)[direction]
