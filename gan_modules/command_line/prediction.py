"""What ``predict`` makes: the options, and batches of what the model makes images of."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gan_modules.errors import require
from gan_modules.families.labels import rows_of_each
from gan_modules.families.latent_model import LatentModel
from gan_modules.families.translation_model import DIRECTIONS, Direction, TranslationModel
from gan_modules.tools.image_files import (
    Format,
    Unreadable,
    UnreadableImageError,
    find_ranges,
    image_size,
    read_image,
    unreadable_line,
)
from gan_modules.tools.image_folders import find_images
from gan_modules.tools.image_values import Range, check_value_range
from gan_modules.training.module import GenerativeModule

__all__ = ["Prediction"]

LAST_SEED = 2**32 - 1
SAMPLING = ("n", "seed", "labels", "truncation")
TRANSLATING = ("input", "direction", "size", "value_range")


class Prediction:
    """Samples of a model that draws them; translations of a folder by one that translates.

    With several processes each makes and writes its share; a grid needs a single one.

    Args:
        n: samples; by default 64, or as many as labels.
        seed: of the latents; by default 0. The samples are those of ``model.sample``.
        labels: one class per sample, or one for all, by number or by the name that the data has
            for it; by default 0, 1, 2, ... in turn.
        truncation: largest magnitude of a latent's components or, of a model with styles such as
            StyleGAN2, psi: how far from the mean style samples stay; by default there is none.
        input: folder of images to translate, at any depth; their paths are kept.
        direction: a_to_b, or b_to_a where the model has both; by default a_to_b.
        size: side of the square, or height and width, to which input images are cut and resized; by
            default neither.
        value_range: the values of black and white in input images with more than 8 bits per
            channel; by default what format and values say.
        format: png, jpg, or arrays in [-1, 1] of shape (C, H, W), npy or pt.
        grid: one file in the place of one per sample: a picture, class by class if the model is
            conditional, or an array (N, C, H, W).
        batch_size: images at a time; by default 64 samples, or 8 translations.
        out: folder; by default predictions/step_XXXXXX in the checkpoint's run folder. Where it has
            files, -v1 and so on is appended.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        *,
        n: int | None = None,
        seed: int | None = None,
        labels: list[int | str] | int | str | None = None,
        truncation: float | None = None,
        input: str | None = None,  # noqa: A002
        direction: str | None = None,
        size: int | tuple[int, int] | None = None,
        value_range: Range | None = None,
        format: Format = "png",  # noqa: A002
        grid: bool = False,
        batch_size: int | None = None,
        out: str | None = None,
    ) -> None:
        for name, value in (("n", n), ("batch_size", batch_size)):
            require(value is None or value >= 1, f"{name}", value, "at least 1")
        sides = (size, size) if isinstance(size, int) else size
        right = "at least 1, or height and width of at least 1"
        require(sides is None or min(sides) >= 1, "size", size, right)
        in_range = seed is None or 0 <= seed <= LAST_SEED
        require(in_range, "seed", seed, f"in [0, {LAST_SEED}]")
        known = direction is None or direction in DIRECTIONS
        require(known, "direction", direction, " or ".join(DIRECTIONS))
        check_value_range(value_range)
        require(labels != [], "labels", labels, "one class at least")
        self.n = n
        self.seed = seed
        self.labels = labels
        self.truncation = truncation
        self.input = input
        self.direction = direction
        self.size = sides
        self.value_range = value_range
        self.format = format
        self.grid = grid
        self.batch_size = batch_size
        self.out = out

    def loader(self, model: GenerativeModule, processes: int = 1) -> DataLoader[Any]:
        """Batches for the model's ``predict_step``, the last part of each the names of its files.

        Args:
            model: what makes the images.
            processes: how many share the batches.

        Raises:
            ValueError: if options do not suit the model, or there is nothing that can be read.
        """
        shape: tuple[int, ...] = getattr(model, "image_shape", ())
        drawable = len(shape) == 3 and shape[0] in (1, 3)
        if self.format in ("png", "jpg") and not drawable:
            raise ValueError(
                f"format={self.format} must be npy or pt: the model was built with "
                f"image_shape={shape}, which is neither grey nor coloured images"
            )
        if isinstance(model, LatentModel):
            self._refuse(TRANSLATING, f"a {type(model).__name__} draws samples")
            dataset, batches = self._samples(model)
        elif isinstance(model, TranslationModel):
            self._refuse(SAMPLING, f"a {type(model).__name__} translates")
            require(not self.grid, "grid", True, "false for translations")
            dataset, batches = self._translations(model)
        else:
            kind = type(model).__name__
            raise ValueError(f"predict takes a LatentModel or a TranslationModel, not a {kind}")
        require(processes == 1 or not self.grid, "grid", True, "false with several processes")
        if len(batches) < processes:
            batches = [batch[i : i + 1] for batch in batches for i in range(len(batch))]
        if len(batches) < processes:
            raise ValueError(
                f"{processes} processes cannot share {len(batches)} images: lower trainer.devices"
            )
        # a sampler of whole batches is what Lightning divides among processes
        return DataLoader(dataset, batch_size=None, sampler=batches, collate_fn=_as_it_is)

    def _refuse(self, names: Iterable[str], reason: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None:
                raise ValueError(f"{name}={value!r} must be left out: {reason}")

    def _samples(self, model: LatentModel) -> tuple[Dataset[Any], list[Any]]:
        n = self.n or (len(self.labels) if isinstance(self.labels, list) else 64)
        one = isinstance(self.labels, (int, str))
        labels: Any = [self.labels] * n if one else self.labels
        self.columns = math.ceil(math.sqrt(n))
        if self.grid and model.num_classes and labels is None:
            each = math.ceil(n / model.num_classes)
            rows = rows_of_each(each, model.num_classes)
            self.columns = math.ceil(each / rows)
            labels = torch.arange(n) // (self.columns * rows)
        if self.truncation is not None:
            model.check_threshold(self.truncation)
        latents = model.latents(n, self.seed or 0)
        chosen = model.sample_labels(n, labels)
        dataset = _Latents(latents, chosen, self.truncation, self.format)
        return dataset, list(torch.arange(n).split(self.batch_size or 64))

    def _translations(self, model: TranslationModel) -> tuple[Dataset[Any], list[Any]]:
        if self.input is None:
            raise ValueError("input is missing: the folder of images to translate")
        direction = cast(Direction, self.direction or model.directions[0])
        known = " or ".join(model.directions)
        require(direction in model.directions, "direction", direction, known)
        folder = Path(self.input)
        if not folder.is_dir():
            raise ValueError(f"input={self.input!r} must be a folder of images; there is none")
        place = f"input={self.input!r}"
        found = find_images(folder)
        if not found.names:
            raise ValueError(found.none_in(place))
        found.warn(place)
        paths = [Path(name) for name in found.names]
        ranges = find_ranges(folder, found.names, place, self.value_range)
        dataset = _Files(
            folder, paths, model.image_shape[0], self.size, direction, self.format, ranges
        )
        places: dict[tuple[int, int], list[int]] = {}
        for number, size in enumerate(dataset.sizes()):
            places.setdefault(size, []).append(number)
        network = model.translator(direction)
        bad = {size for size in places if not _keeps(network, (model.image_shape[0], *size))}
        if bad:
            _, *trained = model.image_shape
            size = next(size for size in places if size in bad)
            raise ValueError(
                f"{sum(len(places[s]) for s in bad)} of {len(paths)} images in input="
                f"{self.input!r} are of sizes that the generator does not keep, such as "
                f"{paths[places[size][0]]}, {size[0]} by {size[1]}: resize them, for example by "
                f"size={trained[0] if len({*trained}) == 1 else trained}"
            )
        step = self.batch_size or 8
        batches = [p[i : i + step] for p in places.values() for i in range(0, len(p), step)]
        return dataset, batches


class _Latents(Dataset[Any]):
    """Latents, labels, a threshold and names of files, indexed by a batch of places."""

    def __init__(
        self, latents: Tensor, labels: Tensor | None, threshold: float | None, ending: str
    ) -> None:
        self.latents, self.labels, self.ending = latents, labels, ending
        self.threshold = None if threshold is None else float(threshold)

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, places: Tensor) -> tuple[Tensor, Tensor | None, float | None, list[str]]:
        labels = None if self.labels is None else self.labels[places]
        classes = [""] * len(places) if labels is None else [f"_class_{c}" for c in labels.tolist()]
        names = [f"{p:06d}{c}.{self.ending}" for p, c in zip(places.tolist(), classes, strict=True)]
        return self.latents[places], labels, self.threshold, names


class _Files(Dataset[Any]):
    """Images of one size, the direction and names of files, indexed by a batch of places."""

    def __init__(
        self,
        folder: Path,
        paths: list[Path],
        channels: int,
        size: tuple[int, int] | None,
        direction: str,
        ending: str,
        ranges: Mapping[str, Range],
    ) -> None:
        self.folder, self.paths, self.ranges = folder, paths, ranges
        self.channels, self.size = channels, size
        self.direction = direction
        alike = Counter(path.with_suffix("") for path in paths)
        # a.png and a.jpg would be one file
        self.names = [
            f"{path if alike[path.with_suffix('')] > 1 else path.with_suffix('')}.{ending}"
            for path in paths
        ]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, places: list[int]) -> tuple[Tensor, str, list[str]]:
        images = []
        for place in places:
            path = self.folder / self.paths[place]
            try:
                images.append(read_image(path, self.channels, self.size, self.ranges))
            except UnreadableImageError as error:
                raise ValueError(f"{path} cannot be decoded: {error}") from error
        return torch.stack(images), self.direction, [self.names[place] for place in places]

    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of every image.

        Raises:
            ValueError: if some cannot be read.
        """
        sizes: list[tuple[int, int]] = []
        corrupt: dict[str, Unreadable] = {}
        for path in self.paths:
            try:
                sizes.append(image_size(self.folder / path))
            except UnreadableImageError as error:
                corrupt[str(path)] = error.reason
        if corrupt:
            raise ValueError(
                f"{len(corrupt)} of {len(self.paths)} images in input={str(self.folder)!r} "
                f"cannot be read: {unreadable_line(corrupt)}"
            )
        return sizes if self.size is None else [self.size] * len(sizes)


def _as_it_is(batch: Any) -> Any:
    return batch


@torch.no_grad()
def _keeps(network: torch.nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether the output of a network has the shape of its input."""
    for device in ("meta", "cpu"):  # shapes cost nothing on the first, where not all layers work
        try:
            images = torch.zeros(1, *shape, device=device)
            output = deepcopy(network).to(device).eval()(images)
        except (RuntimeError, NotImplementedError):
            continue
        return bool(output.shape == images.shape)
    return False
