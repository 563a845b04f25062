"""Training images that lie on the device: the same batches, taken there."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from recorder import Recorder
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.testing import assert_close

from datamodules import (
    DigitsDataModule,
    ImageFolderDataModule,
    ToyDataModule,
    UnpairedDigitsDataModule,
    mapped,
)
from datamodules.base import ImageTensorDataset, InMemoryDataModule


def folder(**options: Any) -> ImageFolderDataModule:
    Path("photos").mkdir(exist_ok=True)
    for number in range(20):
        Image.new("RGB", (9, 9), (number, 2 * number, 3)).save(f"photos/{number}.png")
    return ImageFolderDataModule(root="photos", image_size=8, cache_dir="cache", **options)


MODULES = {
    "digits": lambda **options: DigitsDataModule(load_size=18, flip=True, **options),
    "toy": lambda **options: ToyDataModule(name="ring", n=100, **options),
    "unpaired": lambda **options: UnpairedDigitsDataModule(load_size=18, flip=True, **options),
    "folder": lambda **options: folder(load_size=9, flip=True, **options),
}


@pytest.mark.parametrize("name", MODULES)
def test_the_same_batches(name: str, make_trainer: Any) -> None:
    models = []
    for on_device in (False, True):
        models.append(Recorder())
        data = MODULES[name](batch_size=4, seed=3, on_device=on_device)
        make_trainer(max_steps=6).fit(models[-1], data)
    assert len(models[0].batches) == 6
    assert_close(models[1].batches, models[0].batches, rtol=0, atol=0)


@pytest.fixture
def loader(make_trainer: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The training loader where the device is torch's "meta", which no data are copied from."""

    def make(data: InMemoryDataModule) -> Any:
        trainer = make_trainer(max_steps=1)
        monkeypatch.setattr(trainer.strategy, "_root_device", torch.device("meta"))
        data.trainer = trainer
        data.prepare_data()
        data.setup("fit")
        return data.train_dataloader()

    return make


@pytest.mark.parametrize("name", ["digits", "folder"])
def test_batches_are_taken_on_the_device(name: str, loader: Callable[..., Any]) -> None:
    data = MODULES[name](batch_size=4, on_device=True)
    of_device = loader(data)
    assert type(of_device.dataset) is ImageTensorDataset
    images, labels, draws = next(iter(of_device))
    assert (images.device.type, images.dtype) == ("meta", torch.uint8)
    assert images.shape == (4, *data.image_shape[:1], data.load_size, data.load_size)
    assert (labels.device.type, labels.shape) == ("meta", (4,))
    assert draws.shape == (4, 3)
    # held-out images and those of metrics stay where they are
    for other in (data.val_dataloader(), data.reference_dataloader("train")):
        assert next(iter(other))[0].device.type == "cpu"


def test_indices_follow_the_images() -> None:
    images, labels = torch.zeros(9, 1, 4, 4, dtype=torch.uint8), torch.arange(9)
    # tensors that compute nothing, but must lie on one device
    with FakeTensorMode(allow_non_fake_inputs=True):
        dataset = ImageTensorDataset(images, labels).to(torch.device("cuda"))
        found, classes = dataset[torch.tensor([1, 2])]
    assert (found.device.type, classes.device.type) == ("cuda", "cuda")


def test_what_lies_on_the_device_is_not_pinned(
    loader: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not loader(DigitsDataModule(on_device=True)).pin_memory
    assert loader(DigitsDataModule()).pin_memory


def test_both_domains_lie_on_the_device(loader: Callable[..., Any]) -> None:
    a, b = next(iter(loader(UnpairedDigitsDataModule(batch_size=2, on_device=True))))
    assert [part.device.type for part in (*a, *b)] == ["meta"] * 4


def test_without_being_asked_they_stay_in_memory(loader: Callable[..., Any]) -> None:
    images, _ = next(iter(loader(DigitsDataModule(batch_size=4))))
    assert images.device.type == "cpu"


def test_workers_cannot_index_them() -> None:
    with pytest.raises(ValueError, match="num_workers=2 must be 0 with on_device=True: images"):
        DigitsDataModule(num_workers=2, on_device=True)


class Inverted(ImageTensorDataset):
    """Somebody's own data set."""

    def take(self, indices: Tensor) -> Tensor:
        return 255 - super().take(indices)


class InvertedDigits(DigitsDataModule):
    def make_split(self, split: Any) -> Inverted:
        dataset: Any = super().make_split(split)
        return Inverted(dataset.images, dataset.labels)


def test_a_data_set_of_ones_own_stays_what_it_is(loader: Callable[..., Any]) -> None:
    assert type(loader(InvertedDigits(on_device=True)).dataset) is Inverted


def test_images_in_files_are_read_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    data = folder()
    data.prepare_data()
    data.setup("fit")
    whole = data.splits["train"]
    size, taken = [], whole.take

    def take(rows: Tensor) -> Tensor:
        size.append(len(rows))
        return taken(rows)

    # three images of 3x8x8, and a rest
    monkeypatch.setattr(mapped, "BLOCK", 3 * 3 * 8 * 8 + 1)
    monkeypatch.setattr(whole, "take", take)
    moved = whole.to(torch.device("cpu"))
    assert size == [3] * (len(whole) // 3) + [len(whole) % 3] * (len(whole) % 3 > 0)
    assert_close(moved.images, taken(torch.arange(len(whole))), rtol=0, atol=0)


def test_one_copy_is_made(make_trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[Any] = []
    to = ImageTensorDataset.to

    def noted(self: ImageTensorDataset, device: torch.device) -> ImageTensorDataset:
        moved.append(to(self, device))
        return moved[-1]

    monkeypatch.setattr(ImageTensorDataset, "to", noted)
    data = DigitsDataModule(batch_size=4, on_device=True)
    often = {"max_epochs": 3, "limit_train_batches": 1, "reload_dataloaders_every_n_epochs": 1}
    for _ in range(2):
        make_trainer(**often).fit(Recorder(), data)
    assert len(moved) == 1
    # nor is it handed on
    copied = deepcopy(data)
    make_trainer(max_steps=1).fit(Recorder(), copied)
    assert len(moved) == 2
    assert copied.splits["train"].images.equal(data.splits["train"].images)


def test_a_data_set_that_cannot_be_moved(
    make_trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DigitsDataModule(on_device=True)
    monkeypatch.setattr(data, "make_split", lambda split: list(range(100)))
    right = r"on_device=True needs a data set with a method to\(device\), which list has not"
    with pytest.raises(ValueError, match=right):
        make_trainer(max_steps=1).fit(Recorder(), data)
