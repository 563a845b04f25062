"""Models that translate images of one domain into images of another."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.training.batches import Batch, as_batch, is_shape
from gan_modules.training.module import GenerativeModule
from gan_modules.training.range_watch import Range
from gan_modules.training.seeding import seed_iteration

__all__ = ["DIRECTIONS", "Direction", "TranslationModel"]

Direction = Literal["a_to_b", "b_to_a"]
DIRECTIONS: tuple[Direction, ...] = ("a_to_b", "b_to_a")


class TranslationModel(GenerativeModule):
    """A model that translates images between two domains, A and B, in one direction or in both.

    Batches are ``(images_a, images_b)``: float in [-1, 1], shape ``(N, C, H, W)``, unpaired or
    paired as the variant asks.

    Args:
        image_shape: ``(C, H, W)`` of the images of both domains; from the command line it comes
            with the data.
        **kwargs: options of :class:`GenerativeModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    directions: ClassVar[tuple[Direction, ...]]
    """Both, ``("a_to_b", "b_to_a")``, or ``("a_to_b",)`` alone."""
    paired: ClassVar[bool] = False
    """Whether each image of B is what the image of A beside it is to become."""

    # instance normalisation takes channels one by one: a tenth faster so, on a processor
    memory_format: ClassVar = torch.contiguous_format

    def __init__(self, *, image_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(is_shape(image_shape, (3,)), "image_shape", image_shape, "(C, H, W)")
        self.image_shape = tuple(image_shape)

    @abstractmethod
    def translator(self, direction: Direction) -> nn.Module:
        """The averaged generator of one of :attr:`directions`."""

    def domains(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The images of A and those of B."""
        images_a, images_b = batch
        assert images_b is not None
        return images_a, images_b

    # ---- translation ---------------------------------------------------------------------------

    def forward(self, images: Tensor, direction: Direction = "a_to_b") -> Tensor:
        """Translate images ``(N, C, H, W)`` in [-1, 1] with the averaged generator.

        Raises:
            ValueError: if the model does not translate in this direction.
        """
        known = " or ".join(self.directions)
        require(direction in self.directions, "direction", direction, known)
        translated: Tensor = self.translator(direction)(images)
        return translated

    @contextmanager
    def drawing(self, seed: int) -> Iterator[None]:
        """Evaluate; what a generator draws is a function of the seed, as pix2pix's dropout is.

        The random state is left alone.
        """
        device = self.device
        devices = [] if device.type == "cpu" else [device]
        with (
            self.evaluating(),
            torch.random.fork_rng(devices=devices, device_type=device.type),
        ):
            seed_iteration(seed, 0, 0, device)
            yield

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Translate the first images of a batch, A to B unless a direction follows them."""
        images, _ = as_batch(batch)
        second = batch[1] if len(batch) > 1 else None
        direction = cast(Direction, second) if isinstance(second, str) else "a_to_b"
        with self.drawing(batch_idx):
            translated: Tensor = self(images, direction)
        return translated

    @torch.no_grad()
    def translate(self, images: Tensor, direction: Direction = "a_to_b", seed: int = 0) -> Tensor:
        """Translate images with the averaged generator, in evaluation mode.

        Args:
            images: float in [-1, 1], shape ``(N, C, H, W)``, on any device.
            direction: ``"a_to_b"`` takes images of A to B, ``"b_to_a"`` images of B to A.
            seed: of what the generator draws; most draw nothing.

        Returns:
            Float images in [-1, 1], of the same shape, on the model's device.

        Raises:
            ValueError: for a direction that the model has not, or images of another type, shape or
                range.
        """
        known = " or ".join(self.directions)
        require(direction in self.directions, "direction", direction, known)
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
        with self.drawing(seed):
            translated: Tensor = self(
                images.to(self.device, cast(torch.dtype, self.dtype)), direction
            )
        return translated

    def columns(self, images_a: Tensor, images_b: Tensor) -> dict[str, Tensor]:
        """As many images of both domains, what becomes of them, and of that on the way back.

        Of a model of one direction, images of A and their translations, with the images of B
        where these are what the translations should be.
        """
        found: dict[str, Tensor] = {}
        for direction in self.directions:
            source, target = direction.split("_to_")
            found[source] = images_a if source == "a" else images_b
            found[direction] = self(found[source], direction)
            back = cast(Direction, f"{target}_to_{source}")
            if back in self.directions:
                found[f"{direction}_to_{source}"] = self(found[direction], back)
        if self.paired:
            found.setdefault("b", images_b)
        return found

    @torch.no_grad()
    def sample_grid(self, n: int, seed: int, batch: Batch) -> Tensor:
        """The :meth:`columns` of the first images of a batch, six pictures in a row.

        Args:
            n: number of images wanted, as far as the batch goes.
            seed: of what the generator draws; most draw nothing.
            batch: ``(images_a, images_b)``.

        Returns:
            Float images in [-1, 1], shape ``(rows, 6, C, H, W)``: with both directions an image of
            A, in B, back in A, an image of B, in A, back in B; with one, three images of A, each
            with its translation, or two with translation and target.
        """
        images_a, images_b = (images.to(self.dtype) for images in self.domains(batch))
        width = 6 if len(self.directions) > 1 else 2 + self.paired
        count = min(max(1, n // width), len(images_a), len(images_b))
        beside = min(6 // width, count)
        count = count // beside * beside
        with self.drawing(seed):
            columns = self.columns(images_a[:count], images_b[:count])
        joined = torch.stack([*columns.values()], dim=1)
        rows: Tensor = joined.unflatten(0, (-1, beside)).flatten(1, 2)
        return rows

    @torch.no_grad()
    def sample_table(self, n: int, seed: int, batch: Batch) -> dict[str, Tensor]:
        """At most ``n`` images of each domain of a batch as columns, with what becomes of them.

        Returns:
            With both directions ``a``, ``a_to_b``, ``a_to_b_to_a``, ``b``, ``b_to_a`` and
            ``b_to_a_to_b``, with one ``a`` and ``a_to_b``, with ``b`` if the domains are paired;
            each of shape ``(n, C, H, W)``.
        """
        images_a, images_b = (images.to(self.dtype) for images in self.domains(batch))
        n = min(n, len(images_a), len(images_b))
        with self.drawing(seed):
            return self.columns(images_a[:n], images_b[:n])

    @torch.no_grad()
    def real_and_fake(self, n: int, seed: int, batch: Batch) -> Tensor:
        """At most ``n`` images of each domain of a batch, and as many made of the other's.

        Returns:
            Float images in [-1, 1], shape ``(4, n, C, H, W)``: of A, made for A, of B, made for B;
            ``(2, n, C, H, W)``, of B and made for B, with one direction.
        """
        images_a, images_b = (images[:n].to(self.dtype) for images in self.domains(batch))
        rows: list[Tensor] = []
        with self.drawing(seed):
            if "b_to_a" in self.directions:
                rows += [images_a, self(images_b, "b_to_a")]
            rows += [images_b, self(images_a, "a_to_b")]
        return torch.stack(rows)

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
