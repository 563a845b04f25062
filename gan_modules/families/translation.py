"""The family of GANs that translate between two domains of images, A and B."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from gan_modules.errors import raised_by, require
from gan_modules.families.adversarial import GANModule
from gan_modules.families.gates import mixes_samples
from gan_modules.networks.packed import packing_of
from gan_modules.training.batches import Batch, as_batch, is_shape
from gan_modules.training.fitting import Check, check_fakes, check_logits
from gan_modules.training.range_watch import Range

__all__ = ["Direction", "ImageNetworkFactory", "TranslationGAN"]

Direction = Literal["a_to_b", "b_to_a"]
DIRECTIONS: tuple[Direction, ...] = ("a_to_b", "b_to_a")
DOMAINS = ("a", "b")


class ImageNetworkFactory(Protocol):
    """A class or function that builds a network whose input is an image."""

    def __call__(self, *, image_shape: tuple[int, ...]) -> nn.Module:
        """Build it."""
        ...


class TranslationGAN(GANModule):
    """A GAN with one generator per direction and one discriminator per domain.

    ``generator`` is an ``nn.ModuleDict`` of ``a_to_b`` and ``b_to_a``, ``discriminator`` one of
    ``a`` and ``b``; a variant's ``build_generator`` and ``build_discriminator`` make one of each
    and are called twice.

    Batches are ``(images_a, images_b)``: float in [-1, 1], shape ``(N, C, H, W)``, unpaired or
    paired as the variant asks.

    Args:
        image_shape: ``(C, H, W)`` of the images of both domains; from the command line it comes
            with the data.
        generator: a class or function that builds a generator, called once per direction in place
            of the paper's, or an ``nn.ModuleDict`` of ``a_to_b`` and ``b_to_a``.
        discriminator: a class or function that builds a discriminator, called once per domain in
            place of the paper's, or an ``nn.ModuleDict`` of ``a`` and ``b``.
        **kwargs: options of :class:`GANModule`.

    Raises:
        ValueError: if an option is out of its range, a network does not fit ``image_shape``, or a
            module passed is not such a ``ModuleDict``.
    """

    # instance normalisation takes channels one by one: a tenth faster so, on a processor
    memory_format: ClassVar = torch.contiguous_format

    generator: nn.ModuleDict
    discriminator: nn.ModuleDict

    def __init__(
        self,
        *,
        image_shape: Sequence[int],
        generator: ImageNetworkFactory | None = None,
        discriminator: ImageNetworkFactory | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(is_shape(image_shape, (3,)), "image_shape", image_shape, "(C, H, W)")
        self.image_shape = tuple(image_shape)
        self._given = (generator, discriminator)

    def build_networks(self) -> None:
        """A generator per direction and a discriminator per domain."""
        generator, discriminator = self._given
        self._given = (None, None)
        self.generator = self._pair("generator", generator, self.build_generator, DIRECTIONS)
        self.discriminator = self._pair(
            "discriminator", discriminator, self.build_discriminator, DOMAINS
        )

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

    def domains(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The images of A and those of B."""
        images_a, images_b = batch
        assert images_b is not None
        return images_a, images_b

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
        network = self._network(name)
        if mixes_samples(network):
            return network(first), network(second)
        one, other = network(torch.cat([first, second])).split([len(first), len(second)])
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

    # ---- translation ---------------------------------------------------------------------------

    def forward(self, images: Tensor, direction: Direction = "a_to_b") -> Tensor:
        """Translate images ``(N, C, H, W)`` in [-1, 1] with the averaged generator."""
        translated: Tensor = cast(nn.ModuleDict, self.sampler)[direction](images)
        return translated

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Translate the first images of a batch, A to B unless a direction follows them."""
        images, _ = as_batch(batch)
        second = batch[1] if len(batch) > 1 else None
        direction = cast(Direction, second) if isinstance(second, str) else "a_to_b"
        translated: Tensor = self(images, direction)
        return translated

    @torch.no_grad()
    def translate(self, images: Tensor, direction: Direction) -> Tensor:
        """Translate images with the averaged generator, in evaluation mode.

        Args:
            images: float in [-1, 1], shape ``(N, C, H, W)``, on any device.
            direction: ``"a_to_b"`` takes images of A to B, ``"b_to_a"`` images of B to A.

        Returns:
            Float images in [-1, 1], of the same shape, on the model's device.

        Raises:
            ValueError: for any other direction, or images of another type, shape or range.
        """
        require(direction in DIRECTIONS, "direction", direction, "a_to_b or b_to_a")
        if images.ndim != 4 or tuple(images.shape[1:]) != self.image_shape:
            raise ValueError(
                f"images of shape {tuple(images.shape)} cannot be translated by a model with "
                f"image_shape={self.image_shape}: they must be (N, C, H, W)"
            )
        if not images.is_floating_point():
            raise ValueError(
                f"{images.dtype} images cannot be translated: they must be float in [-1, 1]"
            )
        low, high = images.aminmax() if len(images) else (torch.zeros(()), torch.zeros(()))
        if not -1.01 <= low.item() <= high.item() <= 1.01:
            raise ValueError(
                f"images in [{low.item():g}, {high.item():g}] cannot be translated: "
                "they must be in [-1, 1]"
            )
        with self.evaluating():
            translated: Tensor = self(
                images.to(self.device, cast(torch.dtype, self.dtype)), direction
            )
        return translated

    @torch.no_grad()
    def sample_grid(self, n: int, seed: int, batch: Batch) -> Tensor:
        """Translations of the first images of a batch and back again.

        Args:
            n: number of images wanted, six per row, as far as the batch goes.
            seed: not used: nothing is drawn at random.
            batch: ``(images_a, images_b)``.

        Returns:
            Float images in [-1, 1], shape ``(rows, 6, C, H, W)``: an image of A, in B, back in A,
            an image of B, in A, back in B.
        """
        images_a, images_b = (images.to(self.dtype) for images in self.domains(batch))
        rows = min(max(1, n // 6), len(images_a), len(images_b))
        columns: list[Tensor] = []
        with self.evaluating():
            for images, there, back in (
                (images_a[:rows], "a_to_b", "b_to_a"),
                (images_b[:rows], "b_to_a", "a_to_b"),
            ):
                translated = self(images, there)
                columns += [images, translated, self(translated, back)]
        return torch.stack(columns, dim=1)

    def sample_table(self, n: int, seed: int, batch: Batch) -> dict[str, Tensor]:
        """At most ``n`` images of each domain of a batch as columns, with their way there and back.

        Returns:
            ``a``, ``a_to_b``, ``a_to_b_to_a``, ``b``, ``b_to_a`` and ``b_to_a_to_b``, each of shape
            ``(n, C, H, W)``.
        """
        columns = self.sample_grid(6 * n, seed, batch).unbind(dim=1)
        names = ("a", "a_to_b", "a_to_b_to_a", "b", "b_to_a", "b_to_a_to_b")
        return dict(zip(names, columns, strict=True))

    @torch.no_grad()
    def real_and_fake(self, n: int, seed: int, batch: Batch) -> Tensor:
        """At most ``n`` images of each domain of a batch, and as many made of the other's.

        Returns:
            Float images in [-1, 1], shape ``(4, n, C, H, W)``: of A, made for A, of B, made for B.
        """
        images_a, images_b = (images[:n].to(self.dtype) for images in self.domains(batch))
        with self.evaluating():
            fake_a, fake_b = self(images_b, "b_to_a"), self(images_a, "a_to_b")
        return torch.stack([images_a, fake_a, images_b, fake_b])

    # ---- batches -------------------------------------------------------------------------------

    def ranges(self, batch: Batch) -> list[Range]:
        """The images of both domains."""
        domains = zip("AB", batch, strict=True)
        return [
            Range(f"images of domain {name}", images, -1.01, 1.01)
            for name, images in domains
            if images is not None
        ]

    def check_batch(self, batch: Batch) -> None:
        """Check that there are images of both domains, their type, range and shape."""
        images_a, images_b = batch
        if images_b is None or images_b.ndim != 4:
            second = "nothing" if images_b is None else f"shape {tuple(images_b.shape)}"
            raise ValueError(
                f"the DataLoader gives {second} beside its images: "
                f"{type(self).__name__} needs batches of two domains, (images_a, images_b)"
            )
        for images in (images_a, images_b):
            super().check_batch((images, None))
        for domain, images in (("A", images_a), ("B", images_b)):
            if tuple(images.shape[1:]) != self.image_shape:
                raise ValueError(
                    f"the DataLoader gives images of domain {domain} of shape "
                    f"{tuple(images.shape[1:])}, "
                    f"but the model was built with image_shape={self.image_shape}"
                )
        if len(images_a) != len(images_b):
            raise ValueError(
                f"the DataLoader gives {len(images_a)} images of domain A and {len(images_b)} of "
                "domain B: a batch needs as many of each"
            )
