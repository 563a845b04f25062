"""Names of classes: from folders and data sets into checkpoints, pictures and predictions."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from torchvision.datasets import CIFAR10, FashionMNIST

import cli
from datamodules import (
    CelebADataModule,
    CIFAR10DataModule,
    DigitsDataModule,
    FashionMNISTDataModule,
    ImageFolderDataModule,
    MNISTDataModule,
    UnpairedDigitsDataModule,
    UnpairedFolderDataModule,
)
from gan_modules import CGAN, GANModule
from gan_modules.callbacks.captions import row_names, with_row_names
from gan_modules.demo.pictures import SamplePictures
from gan_modules.families.labels import class_numbers, class_page

CONFIG = """
trainer: {max_steps: 1, accelerator: cpu, num_sanity_val_steps: 0, logger: false,
          limit_val_batches: 0, enable_progress_bar: false, enable_model_summary: false}
model:
  class_path: CGAN
  init_args:
    latent_dim: 4
    generator: {class_path: MLPGenerator, init_args: {hidden: [8]}}
    discriminator: {class_path: MLPDiscriminator, init_args: {hidden: [8]}}
data:
  class_path: ImageFolderDataModule
  init_args: {root: animals, image_size: 8, batch_size: 4, cache_dir: cache}
"""


@pytest.fixture
def animals(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trained run on a folder of two classes; where its checkpoint is."""
    for name, colour in (("horse", "red"), ("zebra", "blue")):
        folder = Path("animals", name)
        folder.mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (8, 8 + number), colour).save(folder / f"{number}.png")
    Path("animals.yaml").write_text(CONFIG)
    monkeypatch.setattr("sys.argv", ["cli.py"])
    cli.main(["fit", "--config", "animals.yaml"])
    return Path("runs/animals/0/checkpoints/last.ckpt")


def test_names_go_with_the_checkpoint(animals: Path, tmp_path: Path) -> None:
    assert torch.load(animals, weights_only=True)["classes"] == ["horse", "zebra"]
    model: Any = GANModule.load_from_checkpoint(animals)
    assert model.class_names == ("horse", "zebra")
    by_name = model.sample(3, ["zebra", "horse", "zebra"], seed=0)
    assert_close(by_name, model.sample(3, [1, 0, 1], seed=0), rtol=0, atol=0)
    model.save_pretrained("saved")
    again: Any = GANModule.from_pretrained("saved")
    assert again.class_names == ("horse", "zebra")


@pytest.mark.thorough
def test_predict_takes_names(animals: Path, capsys: Any) -> None:
    predict = ["predict", "--ckpt_path", str(animals), "--n", "2", "--format", "npy"]
    cli.main([*predict, "--labels", "[zebra,horse]", "--out", "names"])
    cli.main([*predict, "--labels", "[1,0]", "--out", "numbers"])
    cli.main([*predict, "--labels", "zebra", "--out", "one"])
    names, numbers, one = (
        {p.name: p.read_bytes() for p in Path(f).iterdir()} for f in ("names", "numbers", "one")
    )
    assert names == numbers
    assert [*sorted(one)] == ["000000_class_1.npy", "000001_class_1.npy"]
    capsys.readouterr()
    for labels, line in (
        ("[cow,cow]", "labels='cow' must be one of horse, zebra, or an integer in [0, 1]"),
        ("[zebra]", "labels=['zebra'] must be 2 integers in [0, 1], or names of horse, zebra"),
        ("[12,0]", "labels=[12, 0] must be 2 integers in [0, 1], or names of horse, zebra"),
    ):
        with pytest.raises(SystemExit):
            cli.main([*predict, "--labels", labels])
        assert capsys.readouterr().err.splitlines()[-1] == f"error: {line}"


def test_pictures_name_their_rows(animals: Path) -> None:
    with Image.open("runs/animals/0/samples/step_000001.png") as image:
        # 64 images of 8 pixels, enlarged 8 times: a square of 8 by 8, and the names beside it
        side = 8 * (64 + 2) + 2
        assert image.height == side
        assert side + 30 < image.width < side + 80
        # letters in the middle of the first row of each class, and nowhere else
        column = image.convert("L").crop((0, 0, image.width - side, side))
        dark = [
            column.crop((0, 66 * row, column.width, 66 * row + 66)).getextrema()[0] < 128
            for row in range(8)
        ]
    assert dark == [row in (0, 4) for row in range(8)]


def test_older_checkpoints_have_no_names(animals: Path) -> None:
    checkpoint = torch.load(animals, weights_only=True)
    del checkpoint["classes"], checkpoint["domains"]
    torch.save(checkpoint, "old.ckpt")
    model: Any = GANModule.load_from_checkpoint("old.ckpt")
    assert model.class_names == ()
    with pytest.raises(
        ValueError, match=r"labels='zebra' must be an integer in \[0, 1\]: the data"
    ):
        model.sample(1, ["zebra"])


def test_data_sets_name_their_classes(photo_folder: Path) -> None:
    assert list(FashionMNISTDataModule.classes) == FashionMNIST.classes
    assert MNISTDataModule.classes == DigitsDataModule.classes == tuple("0123456789")
    assert CelebADataModule(attribute="Smiling").classes == ("not Smiling", "Smiling")
    assert len(UnpairedDigitsDataModule.domains) == 2
    # a folder without classes
    data = ImageFolderDataModule(root=str(photo_folder / "photos"), image_size=8)
    assert data.classes == []


def test_cifar10s_names_are_in_the_order_of_its_labels() -> None:
    # which is that of the alphabet, in the file batches.meta, too
    assert [*CIFAR10DataModule.classes] == sorted(CIFAR10DataModule.classes)
    assert len(CIFAR10DataModule.classes) == CIFAR10DataModule.num_classes
    assert CIFAR10.meta["key"] == "label_names"


@pytest.mark.parametrize(
    ("n", "classes", "shape", "each"),
    [
        (64, 2, (8, 8), 32),  # not 2 x 32
        (64, 3, (9, 7), 21),
        (64, 10, (10, 6), 6),
        (100, 10, (10, 10), 10),
        (2, 3, (2, 1), 1),
        (64, 64, (8, 8), 1),  # not 64 x 1
        (64, 1000, (8, 8), 1),
        (64, 20, (10, 6), 3),
    ],
)
def test_a_page_of_classes_is_no_strip(
    n: int, classes: int, shape: tuple[int, int], each: int
) -> None:
    page = class_page(n, classes)
    assert tuple(page.shape) == shape
    assert page.unique().tolist() == list(range(min(n, classes)))
    assert (page.flatten().bincount() == each).all()


def test_labels_by_hand() -> None:
    names = ("a", "b", "c")
    assert class_numbers(["c", 0, "b"], 3, 3, names).tolist() == [2, 0, 1]
    assert class_numbers(torch.tensor([2, 1]), 2, 3).tolist() == [2, 1]
    for labels, line in (
        (["a"], "labels=['a'] must be 2 integers in [0, 2], or names of a, b, c"),
        ([0, 3], "labels=[0, 3] must be 2 integers in [0, 2], or names of a, b, c"),
        # one for all is a list, too
        ("abc", "labels='abc' must be a list of 2 classes: ['abc'] * 2"),
        (1, "labels=1 must be a list of 2 classes: [1] * 2"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
            class_numbers(labels, 2, 3, names)  # type: ignore[arg-type]
    # a class whose name is a number goes by its name where it is written as one
    assert class_numbers(["1"], 1, 2, ("1", "0")).tolist() == [0]


def test_row_names_by_hand() -> None:
    model = CGAN(image_shape=(1, 8, 8), num_classes=2)
    assert row_names(model, 64, 8) == []
    model._data_names = {"classes": ("a", "b"), "domains": ()}
    assert row_names(model, 64, 8) == ["a", "", "", "", "b", "", "", ""]
    page = torch.rand(3, 80, 40)
    assert with_row_names(page, []) is page
    named = with_row_names(page, ["a", "b"])
    assert torch.equal(named[:, :, -40:], page)


def test_domains_are_named_by_a_folder_such_as_horse2zebra(photo_folder: Path) -> None:
    pairs = photo_folder / "pairs"
    options: Any = {"image_size": 8, "load_size": None, "cache_dir": "cache"}
    assert UnpairedFolderDataModule(root=str(pairs), **options).domains == ()
    renamed = pairs.rename(photo_folder / "horse2zebra")
    data = UnpairedFolderDataModule(root=str(renamed), **options)
    assert data.domains == ("horse", "zebra")


def test_pictures_of_two_classes_are_no_strip_anywhere(animals: Path) -> None:
    out = ["--n", "64", "--grid", "true", "--out", "grid"]
    cli.main(["predict", "--ckpt_path", str(animals), *out])
    with Image.open("grid/samples.png") as image:
        assert image.width == image.height
    model: Any = GANModule.load_from_checkpoint(animals)
    drawn = SamplePictures(model).samples(0, 64)
    assert abs(drawn.width - drawn.height) < 80
