"""Public data sets, from tiny files in their formats."""

import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision.datasets.celeba as torchvision_celeba
import yaml
from torch.testing import assert_close
from torchvision.datasets import CIFAR10, FashionMNIST

from datamodules import (
    CelebADataModule,
    CIFAR10DataModule,
    FashionMNISTDataModule,
    MNISTDataModule,
    StackedMNISTDataModule,
)
from datamodules.celeba import ATTRIBUTES
from datamodules.store import ImageStore


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the local disk stand for servers that have nothing; the cache is the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    nowhere = f"file://{tmp_path}/nowhere/"
    monkeypatch.setattr(FashionMNIST, "mirrors", [nowhere])
    monkeypatch.setattr(CIFAR10, "url", nowhere + CIFAR10.filename)

    def no_network(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("To download files from GDrive, 'gdown' is required.")

    monkeypatch.setattr(torchvision_celeba, "download_file_from_google_drive", no_network)


def test_fashion_mnist_reads_its_own_folder(mnist_root: Path) -> None:
    raw = mnist_root / "FashionMNIST" / "raw"
    shutil.copytree(mnist_root / "MNIST" / "raw", raw)
    shutil.rmtree(mnist_root / "MNIST")
    data = FashionMNISTDataModule(root=str(mnist_root), image_size=14, flip=True)
    assert (data.image_shape, data.num_classes) == ((1, 14, 14), 10)
    data.prepare_data()
    data.setup()
    assert {name: len(part) for name, part in data.splits.items()} == {
        "train": 20,
        "val": 5_000,
        "test": 12,
    }
    images, labels = data.splits["val"][torch.tensor([3])]
    assert images.unique().tolist() == [23]
    assert labels.tolist() == [3]


def test_stacked_mnist(mnist_root: Path) -> None:
    options: dict[str, Any] = {"root": str(mnist_root), "n_images": 500, "n_held_out": 70}
    data = StackedMNISTDataModule(image_size=32, **options)
    assert (data.image_shape, data.num_classes) == ((3, 32, 32), 1000)
    assert data.classes[407] == "407"
    data.prepare_data()
    data.setup()
    # those of its split: the training digits are 0 to 19, then come 5,000 for validation
    digits = {"train": {*range(20)}, "val": {*range(256)}, "test": {*range(12)}}
    for split, numbers in digits.items():
        images, labels = data.load(split)  # type: ignore[arg-type]
        assert images.shape == (500 if split == "train" else 70, 3, 28, 28)
        assert images.dtype == torch.uint8
        values = images[:, :, 0, 0].long()
        assert_close(images, values[..., None, None].expand_as(images).byte())
        if split == "val":
            assert len({*values.flatten().tolist()} - {*range(20)}) > 50
        else:
            assert {*values.flatten().tolist()} == numbers
            # the label of digit n is n % 10
            assert_close(labels, (values % 10 * torch.tensor([100, 10, 1])).sum(1))
        again = StackedMNISTDataModule(batch_size=3, seed=5, **options).load(split)  # type: ignore[arg-type]
        assert_close(again, (images, labels), rtol=0, atol=0)
        part = data.splits[split]  # type: ignore[index]
        assert part.images.shape[1:] == (3, 32, 32)
        assert_close(part.labels, labels)
    # channels and images are drawn by themselves
    assert len({tuple(row) for row in data.load("train")[0][:, :, 0, 0].tolist()}) > 450


@pytest.mark.parametrize("name", ["n_images", "n_held_out"])
def test_stacked_mnist_needs_images(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}=0 must be at least 1"):
        StackedMNISTDataModule(**{name: 0})


@pytest.mark.usefixtures("cifar_folder")
def test_cifar10() -> None:
    data = CIFAR10DataModule()
    assert (data.image_shape, data.num_classes, data.flip) == ((3, 32, 32), 10, False)
    data.prepare_data()
    data.setup()
    assert {name: len(part) for name, part in data.splits.items()} == {
        "train": 10,
        "val": 5_000,
        "test": 7,
    }
    images, labels = data.splits["val"][torch.tensor([0, 4_999])]
    assert images.shape == (2, 3, 32, 32)
    # the validation images are numbers 10 to 5,009
    assert images[:, 0, 5, 5].tolist() == [10, 5_009 % 256]
    assert images[0, 1, 0, 0] == 9
    assert int(images[0, 1].sum()) == 9
    assert labels.tolist() == [0, 9]


def test_cifar10_unpacks_an_archive_that_is_there(cifar_folder: Path, tmp_path: Path) -> None:
    folder = cifar_folder
    with tarfile.open(tmp_path / "data" / CIFAR10.filename, "w:gz") as archive:
        archive.add(folder, folder.name)
    shutil.rmtree(folder)
    CIFAR10DataModule().prepare_data()
    assert (folder / "test_batch").is_file()
    shutil.rmtree(folder)
    (tmp_path / "data" / CIFAR10.filename).write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"data/cifar-10-python.tar.gz cannot be unpacked \("):
        CIFAR10DataModule().prepare_data()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            FashionMNISTDataModule,
            ["FashionMNIST is not in root='x'", "t10k-labels", "x/FashionMNIST/raw"],
        ),
        (CIFAR10DataModule, ["CIFAR-10 is not in root='x'", "put cifar-10-python.tar.gz into x ("]),
        (
            CelebADataModule,
            ["CelebA is not in root='x'", "img_align_celeba.zip", "into x/celeba", "gdown"],
        ),
    ],
)
def test_a_failed_download_says_which_files_to_put_where(make: Any, words: list[str]) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        make(root="x").prepare_data()
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in words)


@pytest.mark.usefixtures("celeba_folder")
def test_celeba(monkeypatch: pytest.MonkeyPatch) -> None:
    data = CelebADataModule(image_size=16, attribute="Smiling")
    assert (data.image_shape, data.num_classes) == ((3, 16, 16), 2)
    data.prepare_data()
    data.setup()
    expected = {"train": [0, 1, 4, 5, 6, 9], "val": [2, 7], "test": [3, 8]}
    for split, numbers in expected.items():
        part = data.splits[split]  # type: ignore[index]
        assert part.labels.tolist() == [int(n % 3 == 0) for n in numbers]
        # the square in the middle, without the black above and below it
        assert part.images.shape == (len(numbers), 3, 16, 16)
        faces = torch.tensor(numbers)[:, None, None, None].expand(-1, 3, 14, 16) + 100.0
        assert_close(part.images[:, :, 1:-1].float(), faces, atol=2, rtol=0)
        assert part.images.min() > 75
    plain = CelebADataModule(image_size=16)
    assert plain.num_classes == 0

    def fail(*args: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(ImageStore, "_decode_into", fail)
    plain.setup("test")
    assert plain.splits["test"].labels.tolist() == [0, 0]


def test_celeba_unpacks_an_archive_that_is_there(celeba_folder: Path) -> None:
    folder = celeba_folder
    images = folder / "img_align_celeba"
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for path in images.iterdir():
            archive.write(path, f"img_align_celeba/{path.name}")
    shutil.rmtree(images)
    data = CelebADataModule(image_size=8)
    data.prepare_data()
    assert len(list(images.iterdir())) == 10


def test_a_damaged_list_is_noticed(celeba_folder: Path) -> None:
    folder = celeba_folder
    (folder / "list_attr_celeba.txt").write_text("other")
    with pytest.raises(FileNotFoundError, match=r"put img_align_celeba.zip, list_attr_celeba.txt"):
        CelebADataModule(image_size=8).prepare_data()


def test_attributes_of_celeba() -> None:
    assert len(set(ATTRIBUTES)) == 40
    with pytest.raises(ValueError, match=r"attribute='smile' is not one of .* nearest: Smiling"):
        CelebADataModule(attribute="smile")
    with pytest.raises(ValueError, match=r"40; one of 5_o_Clock_Shadow, .*, Young$"):
        CelebADataModule(attribute="xyz")


def test_other_errors_of_a_download_library(monkeypatch: pytest.MonkeyPatch) -> None:
    class FileURLRetrievalError(Exception):  # neither an OSError nor a RuntimeError, as gdown's
        pass

    def fail(*args: Any) -> None:
        raise FileURLRetrievalError("quota\n exceeded")

    monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download=fail))
    monkeypatch.setattr(torchvision_celeba, "download_file_from_google_drive", fail)
    with pytest.raises(FileNotFoundError, match=r"into data/celeba \(quota exceeded\)$"):
        CelebADataModule().prepare_data()


@pytest.mark.usefixtures("cifar_folder")
@pytest.mark.parametrize(("val_size", "train", "val"), [(None, 10, 5_000), (10, 5_000, 10)])
def test_cifar10_holds_the_last_images_out(val_size: int | None, train: int, val: int) -> None:
    data = CIFAR10DataModule(**{} if val_size is None else {"val_size": val_size})
    data.setup()
    assert_close(data.splits["train"].labels, torch.arange(train) % 10)
    assert_close(data.splits["val"].labels, torch.arange(train, train + val) % 10)
    assert len(data.splits["test"]) == 7


@pytest.mark.usefixtures("cifar_folder")
def test_cifar10_trains_on_all_images_and_validates_on_the_test_images() -> None:
    data = CIFAR10DataModule(val_size=0)
    data.setup()
    assert_close(data.splits["train"].images[:, 0, 0, 0].long(), torch.arange(5_010) % 256)
    for split in ("val", "test"):
        images, labels = data.splits[split].images, data.splits[split].labels  # type: ignore[index]
        assert_close(images[:, 0, 0, 0].long(), torch.arange(7))
        assert_close(labels, torch.arange(7))


def test_mnist_trains_on_all_images_and_validates_on_the_test_images(mnist_root: Path) -> None:
    data = MNISTDataModule(root=str(mnist_root), val_size=0)
    data.setup()
    assert_close(data.splits["train"].images[:, 0, 0, 0].long(), torch.arange(5_020) % 256)
    assert_close(data.splits["val"].images[:, 0, 0, 0].long(), torch.arange(12))
    assert_close(data.splits["val"].labels, torch.arange(12) % 10)


@pytest.mark.usefixtures("cifar_folder")
def test_a_validation_split_that_leaves_nothing() -> None:
    with pytest.raises(ValueError, match="val_size=-1 must be at least 0"):
        CIFAR10DataModule(val_size=-1)
    with pytest.raises(ValueError, match="val_size=5010 must be less than the 5010 training"):
        CIFAR10DataModule(val_size=5_010).setup("fit")


@pytest.mark.parametrize("folder", ["mnist", "cifar10"])
def test_recipes_train_on_every_training_image(folder: str) -> None:
    recipes = sorted((Path(__file__).parents[2] / "configs" / folder).glob("*.yaml"))
    assert recipes
    for recipe in recipes:
        data = yaml.safe_load(recipe.read_text())["data"]
        assert data["init_args"]["val_size"] == 0
