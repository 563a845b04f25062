"""What a batch is: images, and what a family pairs them with."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from gan_modules.errors import raised_by

__all__ = [
    "Batch",
    "as_batch",
    "check_batches",
    "check_images",
    "check_labels",
    "is_shape",
    "join_batches",
    "split_batch",
]

Batch = tuple[Tensor, Tensor | None]


def as_batch(batch: Any) -> Batch:
    """Accept a pair or bare images; what follows the images and is no tensor is left out.

    Raises:
        ValueError: if the batch is neither.
    """
    if isinstance(batch, Tensor):
        return batch, None
    if not isinstance(batch, (tuple, list)) or not batch or not isinstance(batch[0], Tensor):
        raise ValueError(
            f"the DataLoader gives a {type(batch).__name__}: a batch must be images, or a "
            "tuple that begins with them, such as (images, labels)"
        )
    second = batch[1] if len(batch) > 1 else None
    return batch[0], second if isinstance(second, Tensor) else None


def is_shape(value: Any, dimensions: Collection[int]) -> bool:
    """Whether a value is so many sizes, each an integer of at least 1."""
    if not isinstance(value, Sequence) or len(value) not in dimensions:
        return False
    return all(isinstance(size, int) and size >= 1 for size in value)


def check_images(images: Tensor) -> None:
    """Raise ``ValueError`` unless images are float in [-1, 1]."""
    if not images.is_floating_point():
        raise ValueError(
            f"the DataLoader gives {images.dtype} images: "
            "they must be float in [-1, 1], for example (image / 127.5) - 1"
        )
    low, high = images.min().item(), images.max().item()
    # a NaN is not in any range
    if not -1.01 <= low <= high <= 1.01:
        raise ValueError(
            f"the DataLoader gives images in [{low:g}, {high:g}]: they must be in [-1, 1], "
            "for example by torchvision.transforms.v2.Normalize([0.5], [0.5])"
        )
    if 0 <= low < high and images.ndim == 4:
        rank_zero_warn(
            # without their range: that of other images would be another warning
            "the DataLoader gives images without a value below 0: black is -1 here; if theirs is "
            "0, as after ToTensor, add torchvision.transforms.v2.Normalize([0.5], [0.5])"
        )


def check_batches(
    loader: Any,
    batches: float,
    parts: int,
    name: str,
    networks: nn.Module,
    pieces: Mapping[str, int],
) -> None:
    """Raise ``ValueError`` if the last, shorter batch of an epoch cannot be trained on.

    Nor can any with one image for a gradient where there is batch normalisation.

    Otherwise a whole epoch would be trained before :func:`split_batch` says so.

    Args:
        loader: for training; other things than a ``DataLoader`` of batches are let pass.
        batches: of it that are taken of an epoch.
        parts: into which every batch is cut.
        name: of the option that asks for them.
        networks: to be trained.
        pieces: into which parts are cut, by the names of the options.
    """
    if not isinstance(loader, DataLoader) or not loader.batch_size:
        return
    normalised = any(isinstance(m, nn.BatchNorm1d) for m in networks.modules())
    most = max(pieces.values())
    if normalised and loader.batch_size == parts * most:
        raise ValueError(
            f"batches of {loader.batch_size} have one image for a gradient, over which batch "
            "normalisation has no spread: give the DataLoader a larger batch_size"
        )
    if loader.drop_last or isinstance(loader.dataset, IterableDataset) or batches < len(loader):
        return
    rest = len(loader.sampler) % loader.batch_size  # type: ignore[arg-type]
    if rest % parts:
        raise ValueError(
            f"the last batch of an epoch has {rest} images, which cannot be cut into {name}="
            f"{parts} equal parts: give the DataLoader drop_last=True"
        )
    for option, number in pieces.items():
        if rest // parts % number:
            raise ValueError(
                f"the last batch of an epoch has {rest // parts} images for an update, which "
                f"cannot be cut into {option}={number} equal parts: give the DataLoader "
                "drop_last=True"
            )
    if rest:
        for layer in networks.modules():
            # of layers that compare images: whole groups, whole packs
            check_size = getattr(layer, "check_size", None)
            if check_size is not None:
                with raised_by("the last batch of an epoch: give the DataLoader drop_last=True"):
                    for number in {*pieces.values()}:
                        check_size(rest // parts // number)
    if rest and rest == parts * most and normalised:
        raise ValueError(
            "the last batch of an epoch has one image for a gradient, over which batch "
            "normalisation has no spread: give the DataLoader drop_last=True"
        )


def check_labels(labels: Tensor, n: int, num_classes: int) -> None:
    """Raise ``ValueError`` unless labels are ``n`` integers in ``[0, num_classes)``."""
    if labels.shape != (n,) or labels.is_floating_point():
        raise ValueError(
            f"the DataLoader gives {labels.dtype} labels of shape {tuple(labels.shape)} "
            f"with {n} images: they must be integers, one per image"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"the DataLoader gives labels from {low} to {high}, "
            f"but num_classes={num_classes} allows 0 to {num_classes - 1}"
        )


def split_batch(batch: Batch, parts: int, name: str) -> list[Batch]:
    """Cut a batch into equal parts.

    Raises:
        ValueError: if they cannot be equal; ``name`` is the option that asks for them.
    """
    if parts == 1:
        return [batch]
    images, second = batch
    size, rest = divmod(len(images), parts)
    if rest or not size:
        raise ValueError(
            f"a batch of {len(images)} images cannot be cut into {name}={parts} equal parts: "
            f"give the DataLoader a batch_size that is a multiple of {parts}, and drop_last=True"
        )
    nothing: list[None] = [None] * parts
    return list(
        zip(images.split(size), nothing if second is None else second.split(size), strict=True)
    )


def join_batches(batches: Sequence[Batch]) -> Batch:
    """One batch of several, without a second part where one of them has none."""
    images = torch.cat([images for images, _ in batches])
    seconds = [second for _, second in batches if second is not None]
    return images, torch.cat(seconds) if len(seconds) == len(batches) else None
