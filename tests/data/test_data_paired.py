"""Pairs of images: their crops and flips, digits with outlines, and folders."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.testing import assert_close

from datamodules import (
    DigitsDataModule,
    MNISTDataModule,
    PairedDataModule,
    PairedDigitsDataModule,
    PairedFolderDataModule,
    PairedMNISTDataModule,
)
from datamodules.augmentation import augment
from datamodules.paired_digits import outlines


class Negatives(PairedDataModule):
    """Noise, and its negative."""

    channels = 1

    def load(self, split: str) -> tuple[Tensor, Tensor, Tensor]:
        images = torch.randint(256, (20, 1, 6, 6), generator=torch.Generator().manual_seed(1))
        images = images.to(torch.uint8)
        return images, 255 - images, torch.arange(20)


def train_batches(data: Any, rank: int = 0, ranks: int = 1) -> list[Any]:
    data._ranks = lambda: (ranks, rank)
    data.setup("fit")
    return [data.on_after_batch_transfer(batch, 0) for batch in data.train_dataloader()]


@pytest.mark.parametrize("on_device", [False, True])
def test_both_of_a_pair_are_cropped_and_flipped_together(on_device: bool) -> None:
    data = Negatives(
        image_size=4, load_size=6, flip=True, batch_size=5, seed=3, on_device=on_device
    )
    found = train_batches(data)
    assert len(found) == 4
    for a, b in found:
        assert a.shape == b.shape == (5, 1, 4, 4)
        assert_close(b, -a, rtol=0, atol=1e-6)
    # as the same draws make them, one by one
    images = data.splits["train"].images
    expected = [
        augment(images[indices], draws, 4, True)[:, :1] for indices, draws in data.train_dataloader().sampler
    ]
    assert_close(torch.cat([a for a, _ in found]), torch.cat(expected) / 127.5 - 1)


def test_ranks_share_the_batch() -> None:
    whole = train_batches(Negatives(image_size=6, batch_size=10, seed=3))
    parts = [train_batches(Negatives(image_size=6, batch_size=5, seed=3), r, 2) for r in (0, 1)]
    for (a, _), (first, _), (second, _) in zip(whole, *parts, strict=True):
        assert_close(a[0::2], first, rtol=0, atol=0)
        assert_close(a[1::2], second, rtol=0, atol=0)


class Unequal(Negatives):
    def load(self, split: str) -> tuple[Tensor, Tensor, Tensor]:
        a, b, labels = super().load(split)
        return a, b[:3], labels


def test_numbers_that_do_not_match() -> None:
    with pytest.raises(ValueError, match="20 images of domain A and 3 of domain B: they must be"):
        Unequal(image_size=6).setup("fit")


# ---- digits ----------------------------------------------------------------------------------


def test_outlines_by_hand() -> None:
    image = torch.tensor([[30, 40, 0, 0], [35, 45, 9, 0], [0, 9, 200, 0], [0, 0, 50, 60]])
    image = image.to(torch.uint8)[None, None]
    expected = torch.zeros(4, 4, dtype=torch.uint8)
    for row in range(4):
        for column in range(4):
            near = image[0, 0, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            expected[row, column] = near.max() - near.min()
    assert expected[0, 0] == 45 - 30
    assert_close(outlines(image)[0, 0], expected, rtol=0, atol=0)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_digits_are_the_digits(split: Any) -> None:
    pairs, digits = PairedDigitsDataModule(), DigitsDataModule()
    for data in (pairs, digits):
        data.setup()
    found, plain = pairs.splits[split], digits.splits[split]
    assert_close(found.images[:, 1:], plain.images, rtol=0, atol=0)
    assert_close(found.images[:, :1], outlines(plain.images), rtol=0, atol=0)
    assert_close(found.labels, plain.labels, rtol=0, atol=0)
    a, b = pairs.on_after_batch_transfer(next(iter(pairs.test_dataloader())), 0)
    assert a.shape == b.shape == (64, 1, 16, 16)
    with pytest.raises(ValueError, match="image_size=8 must be 16 or 32 for PairedDigits"):
        PairedDigitsDataModule(image_size=8)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_mnist_pairs_are_mnist(split: Any, mnist_root: Path) -> None:
    options: dict[str, Any] = {"root": str(mnist_root), "val_size": 0}
    options["image_size"] = (32, 24)
    pairs, digits = PairedMNISTDataModule(**options), MNISTDataModule(**options)
    for data in (pairs, digits):
        data.prepare_data()
        data.setup()
    found, plain = pairs.splits[split], digits.splits[split]
    assert_close(found.images[:, 1:], plain.images, rtol=0, atol=0)
    assert_close(found.images[:, :1], outlines(plain.images), rtol=0, atol=0)
    assert_close(found.labels, plain.labels, rtol=0, atol=0)


# ---- folders ---------------------------------------------------------------------------------


def paint(path: str, value: int, size: tuple[int, int] = (6, 6)) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)


def folder(**kwargs: Any) -> PairedFolderDataModule:
    options = {"root": "pairs", "image_size": 6, "load_size": None, "channels": 1, "flip": False}
    return PairedFolderDataModule(**{**options, "batch_size": 1, "cache_dir": "cache", **kwargs})


def values(data: Any, split: Any) -> list[tuple[int, int]]:
    data.setup()
    loader = data.reference_dataloader(split)
    batches = [data.on_after_batch_transfer(batch, 0) for batch in loader]
    return [
        tuple(int((x[0, 0, 0, 0] * 127.5 + 127.5).round()) for x in batch)  # type: ignore[misc]
        for batch in batches
    ]


def two_folders(n: int = 10, part: str = "train") -> None:
    for number in range(n):
        paint(f"pairs/{part}A/{number}.png", number)
        paint(f"pairs/{part}B/{number}.bmp", 100 + number)


def test_two_folders() -> None:
    two_folders()
    data = folder(val_fraction=0.2, test_fraction=0.2, seed=0)
    splits = {split: values(data, split) for split in ("train", "val", "test")}
    every = sorted(pair for pairs in splits.values() for pair in pairs)
    assert every == [(n, 100 + n) for n in range(10)]
    assert all(splits.values())
    again = folder(val_fraction=0.2, test_fraction=0.2, seed=0, swap=True)
    assert values(again, "val") == [(b, a) for a, b in splits["val"]]
    # one more pair moves no other out of the validation split
    paint("pairs/trainA/x.png", 50)
    paint("pairs/trainB/x.png", 150)
    more = folder(val_fraction=0.2, test_fraction=0.2, seed=0)
    assert {pair for pair in values(more, "val") if pair != (50, 150)} == set(splits["val"])


def test_names_are_sorted_without_endings() -> None:
    # a.c.png comes before a.png, but a.bmp before a.c.bmp
    for name, value in (("a", 1), ("a.c", 2), ("sub/c", 3)):
        paint(f"pairs/trainA/{name}.png", value)
        paint(f"pairs/trainB/{name}.bmp", 100 + value)
        paint(f"pairs/testA/{name}.png", 10 + value)
        paint(f"pairs/testB/{name}.png", 110 + value)
    data = folder(val_fraction=0.01)
    assert sorted(values(data, "train") + values(data, "val")) == [(1, 101), (2, 102), (3, 103)]
    assert sorted(values(data, "test")) == [(11, 111), (12, 112), (13, 113)]


def halves(path: str, left: int, right: int, size: tuple[int, int] = (6, 6)) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", (2 * size[0], size[1]), left)
    image.paste(right, (size[0], 0, 2 * size[0], size[1]))
    image.save(path)


def test_side_by_side() -> None:
    for split, first in (("train", 0), ("val", 10), ("test", 20)):
        for number in range(first, first + 3):
            # other sizes: the middle of each half
            halves(f"pairs/{split}/{number}.png", number, 100 + number, (6 + 2 * (number % 2), 7))
    data = folder(side_by_side=True)
    for split, first in (("train", 0), ("val", 10), ("test", 20)):
        assert sorted(values(data, split)) == [(n, 100 + n) for n in range(first, first + 3)]
    assert values(folder(side_by_side=True, swap=True), "val")[0] == (110, 10)


def test_side_by_side_anywhere() -> None:
    for number in range(10):
        halves(f"pairs/{number}.png", number, 100 + number)
    data = folder(side_by_side=True)
    splits = [values(data, split) for split in ("train", "val", "test")]
    assert sorted(sum(splits, [])) == [(n, 100 + n) for n in range(10)]
    assert data.splits["train"].images.shape[1:] == (2, 6, 6)
    on_device = data.splits["train"].to(torch.device("cpu"))
    assert_close(on_device.images, data.splits["train"].images, rtol=0, atol=0)


def test_folders_on_the_device_are_those_in_files() -> None:
    two_folders()
    data = folder()
    data.setup()
    moved = data.splits["train"].to(torch.device("cpu"))
    assert moved.images.shape[1:] == (2, 6, 6)
    assert_close(moved.images, data.splits["train"].images, rtol=0, atol=0)


def test_a_corrupt_image_takes_its_partner_with_it() -> None:
    two_folders()
    Path("pairs/trainB/4.bmp").write_bytes(b"no image")
    with pytest.raises(ValueError, match="1 of 20 images"):
        folder().prepare_data()
    with pytest.warns(UserWarning, match="left out"):
        data = folder(skip_corrupt=True)
        found = [pair for split in ("train", "val", "test") for pair in values(data, split)]
    assert sorted(found) == [(n, 100 + n) for n in range(10) if n != 4]


def test_names_without_a_partner_are_one_line() -> None:
    two_folders()
    paint("pairs/trainA/left.png", 0)
    paint("pairs/trainB/right.png", 0)
    line = (
        r"root='pairs' must have pairs of equal names, endings aside: 1 in trainA alone "
        r"\(left\), 1 in trainB alone \(right\)"
    )
    with pytest.raises(ValueError, match=line):
        folder()


def test_other_folders_that_do_not_fit() -> None:
    with pytest.raises(FileNotFoundError, match="root='pairs' must be a folder"):
        folder()
    paint("pairs/trainA/a.png", 0)
    with pytest.raises(FileNotFoundError, match="has no folder trainB: put the training images"):
        folder()
    paint("pairs/trainB/a.png", 0)
    paint("pairs/testA/a.png", 0)
    with pytest.raises(ValueError, match="has no folder testB: val and test are pairs"):
        folder()
    paint("pairs/testB/a.png", 0)
    paint("pairs/testB/a.bmp", 0)
    with pytest.raises(ValueError, match="has several files a in testB"):
        folder()
