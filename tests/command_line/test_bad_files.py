"""Wrong files and data from outside end in one clear line, and a checkpoint never runs code."""

import os
import pickle
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.strategies import Strategy
from PIL import Image
from torchvision.datasets import MNIST

import cli
from gan_modules.command_line.messages import explain_exception

pytestmark = pytest.mark.usefixtures("undrawn")

SMALL = "fit --config small.yaml"
# the same ways to fail once more
SLOW = {
    "loose", "22 pixels", "two channels", "nothing held out", "no classes", "cache in a file",
    "one-hot", "range", "unlabelled", "num_classes",
    "another weight", "empty", "weights alone", "a weight of another shape",
}  # fmt: skip


def cases(table: dict[str, Any]) -> list[Any]:
    return [pytest.param(c, marks=pytest.mark.slow) if c in SLOW else c for c in table]


# ---- folders of images -------------------------------------------------------------------------


def photographs(folder: str, n: int = 12) -> None:
    Path(folder).mkdir(parents=True)
    for number in range(n):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(f"{folder}/{number}.png")


def make_folder(content: str) -> None:
    """A folder ``photos``; ``content`` says what is wrong with it."""
    if content == "empty":
        Path("photos").mkdir()
    elif content != "missing":
        photographs("photos")
    whole = Path("photos/1.png").read_bytes() if content == "corrupt" else b""
    if content == "corrupt":
        Path("photos/broken.png").write_bytes(whole[: len(whole) // 2])
    elif content == "loose":
        photographs("photos/cats")


FOLDERS = {
    "missing": ("", "data.root='photos' must be a folder of images; there is none"),
    "empty": ("", "photos holds no images (.png, .jpg, ...)"),
    "corrupt": (
        "",
        "1 of 13 images in root='photos' cannot be decoded: broken.png; remove them, or",
    ),
    "loose": (
        "",
        "photos holds images (0.png, ...) beside folders of images: put all of them into",
    ),
    "44 pixels": (
        "--data.image_size 44",
        "image_shape=(3, 44, 44) does not fit DCGANGenerator: it",
    ),
    "22 pixels": (
        "--data.image_size [22,44] --model WGANGP",
        "image_shape=(3, 22, 44) does not fit ResNetGenerator: it needs (channels, height, width)",
    ),
    "two channels": ("--data.channels 2", "data.channels=2 must be 1 (grey) or 3 (colour)"),
    "nothing held out": ("--data.val_fraction 0", "data.val_fraction=0.0 must be between 0 and 1"),
    "fewer than a batch": ("--data.batch_size 64", "one training iteration takes 64 images"),
    "no classes": (
        "--model.conditional true",
        "model.num_classes=0 must be at least 2 if condition",
    ),
    "cache in a file": (
        "--data.cache_dir small.yaml",
        "cache_dir='small.yaml' cannot be written to",
    ),
}


@pytest.mark.parametrize("case", cases(FOLDERS))
def test_wrong_folders(case: str, fails: Callable[[str], str]) -> None:
    make_folder(case)
    options, line = FOLDERS[case]
    given = "--trainer.logger false --trainer.accelerator cpu --data.root photos"
    assert fails(f"fit --config folder/dcgan.yaml {given} {options}").startswith(line)


def test_data_that_are_not_there_and_cannot_be_downloaded(
    fails: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # a port that nobody listens on
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    line = fails("fit --config mnist/dcgan.yaml --trainer.logger false --trainer.accelerator cpu")
    assert line.startswith(
        "MNIST is not in root='data', or damaged, and cannot be downloaded: put t"
    )
    assert "into data/MNIST/raw (" in line


# ---- data modules of one's own -----------------------------------------------------------------

OWN_DATA = """
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset

class Mine(LightningDataModule):
    image_shape, num_classes = (1, 16, 16), 3

    def __init__(self, wrong: str, batch_size: int = 40, drop_last: bool = True):
        super().__init__()
        self.wrong, self.batch_size, self.drop_last = wrong, batch_size, drop_last
        if wrong in ("image_shape", "num_classes"):
            setattr(self, wrong, "16x16")

    def train_dataloader(self):
        images, labels = torch.zeros(87, 1, 16, 16), torch.arange(87) % 3
        if self.wrong == "labels":
            labels = labels + 1
        elif self.wrong == "one-hot":
            labels = torch.eye(3)[labels]
        elif self.wrong == "uint8":
            images = images.to(torch.uint8)
        elif self.wrong == "range":
            images = images + 255
        elif self.wrong == "shape":
            images = torch.zeros(87, 3, 16, 16)
        elif self.wrong == "dict":
            return [{"image": images}]
        elif self.wrong == "mine":
            raise ValueError("a mistake of mine")
        given = (images,) if self.wrong == "unlabelled" else (images, labels)
        return DataLoader(TensorDataset(*given), self.batch_size, drop_last=self.drop_last)

class Shapeless(LightningDataModule):
    pass

class Broken(torch.nn.Linear):
    def __init__(self, image_shape, latent_dim):
        super().__init__(latent_dim, 1)

    def forward(self, z):
        raise RuntimeError("a mistake of mine")
"""
OWN = {
    "labels": ("", "the DataLoader gives labels from 1 to 3, but num_classes=3 allows 0 to 2"),
    "one-hot": (
        "",
        "the DataLoader gives torch.float32 labels of shape (8, 3) with 8 images: they",
    ),
    "uint8": ("", "the DataLoader gives torch.uint8 images: they must be float in [-1, 1]"),
    "range": ("", "the DataLoader gives images in [255, 255]: they must be in [-1, 1]"),
    "shape": ("", "the DataLoader gives images of shape (3, 16, 16), but the model was built with"),
    "unlabelled": ("", "WGANGP is conditional: its DataLoader must give (images, labels)"),
    "image_shape": ("", "Mine.image_shape='16x16' must be (C, H, W), such as (3, 32, 32), (C, L)"),
    "num_classes": (
        "",
        "Mine.num_classes='16x16' must be an integer, 0 where there are no classes",
    ),
    "indivisible": (
        "--data.batch_size 41",
        "a batch of 41 images cannot be cut into n_critic=5 equal parts: give the DataLoader a",
    ),
    "last batch": (
        "--data.drop_last false --trainer.max_steps 20",
        "the last batch of an epoch has 7 images, which cannot be cut into n_critic=5 equal parts",
    ),
    "no batch": ("--data.batch_size 100", "the DataLoader gives no batches: its data set is empty"),
}


@pytest.fixture
def _own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(tmp_path)
    Path("own_data.py").write_text(OWN_DATA)
    yield
    sys.modules.pop("own_data", None)


@pytest.mark.usefixtures("_own_data")
@pytest.mark.filterwarnings("ignore:Total length of")
@pytest.mark.parametrize("case", cases(OWN))
def test_wrong_data_of_ones_own(case: str, fails: Callable[[str], str]) -> None:
    options, line = OWN[case]
    command = f"{SMALL} --model.conditional true --data own_data.Mine --data.wrong {case!r}"
    assert fails(f"{command} {options}").startswith(line)


@pytest.mark.usefixtures("_own_data")
def test_a_data_module_without_a_shape(fails: Callable[[str], str]) -> None:
    line = fails(f"{SMALL} --data own_data.Shapeless")
    assert line == "Shapeless must have the attribute image_shape, such as (3, 32, 32)"


@pytest.mark.usefixtures("_own_data", "small_config")
def test_an_error_in_the_users_own_code_keeps_its_traceback() -> None:
    with pytest.raises(ValueError, match="a mistake of mine"):
        cli.main(shlex.split(f"{SMALL} --data own_data.Mine --data.wrong mine"))
    # also where this package has something to add
    with pytest.raises(ValueError, match=r"generator cannot take .*: a mistake of mine"):
        cli.main(shlex.split(f"{SMALL} --model.generator own_data.Broken"))
    with pytest.raises(ValueError, match="mine") as caught:
        raise ValueError("mine")
    assert explain_exception(caught.value) is None


# ---- checkpoints -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, small_text: str) -> Path:
    """Of WGANGP, for 16 pixels in grey."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["cli.py"])
        Path("small.yaml").write_text(small_text)
        cli.main(["fit", "--config", "small.yaml", "--trainer.max_steps", "1"])
    return folder / "runs/small/0/checkpoints/step_000001.ckpt"


class Hostile:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, "wrong.ckpt")


CHECKPOINTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "another variant": (
        lambda path: shutil.copy(path, "wrong.ckpt"),
        "--model GAN",
        'wrong.ckpt was trained with class="gan_modules.WGANGP", not "gan_modules.GAN"',
    ),
    "another size": (
        lambda path: shutil.copy(path, "wrong.ckpt"),
        "--data.image_size 32",
        "wrong.ckpt was trained with image_shape=[1, 16, 16], not [1, 32, 32]: give the options it",
    ),
    "grey for colour": (
        lambda path: changed(path, lambda c: c["hyper_parameters"].update(image_shape=(3, 16, 16))),
        "",
        "wrong.ckpt was trained with image_shape=[3, 16, 16], not [1, 16, 16]",
    ),
    "another weight": (
        lambda path: shutil.copy(path, "wrong.ckpt"),
        "--model.gp_weight 7",
        "wrong.ckpt was trained with gp_weight=10.0, not 7.0",
    ),
    "other networks": (
        lambda path: shutil.copy(path, "wrong.ckpt"),
        "--model.generator.hidden [9]",
        "wrong.ckpt was trained with generator.hidden=[8], not [9]",
    ),
    "trained already": (
        lambda path: shutil.copy(path, "wrong.ckpt"),
        "--trainer.max_steps 1",
        "trainer.max_steps=1 must be more than 1, where wrong.ckpt is",
    ),
    "cut off": (
        lambda path: Path("wrong.ckpt").write_bytes(path.read_bytes()[:9_000]),
        "",
        "wrong.ckpt is not a readable checkpoint: it is cut off or damaged",
    ),
    "empty": (
        lambda path: Path("wrong.ckpt").write_bytes(b""),
        "",
        "wrong.ckpt is not a readable checkpoint: it is cut off or damaged",
    ),
    "hostile": (
        lambda path: changed(path, lambda c: c.update(callbacks=Hostile())),
        "",
        "wrong.ckpt is not a readable checkpoint",
    ),
    "hostile and old": (
        lambda path: Path("wrong.ckpt").write_bytes(pickle.dumps(Hostile())),
        "",
        "wrong.ckpt is not a readable checkpoint",
    ),
    "weights alone": (
        lambda path: torch.save(torch.nn.Linear(2, 2).state_dict(), "wrong.ckpt"),
        "",
        "wrong.ckpt was not saved by a module of this package",
    ),
    "without optimizers": (
        lambda path: changed(path, lambda c: c.pop("optimizer_states")),
        "",
        "wrong.ckpt holds weights only: there is no training to go on with",
    ),
    "a missing weight": (
        lambda path: changed(path, lambda c: c["state_dict"].pop("generator.layers.0.bias")),
        "",
        "wrong.ckpt does not fit the model: generator.layers.0.bias is missing in it, of shape",
    ),
    "a weight of another shape": (
        lambda path: changed(
            path,
            lambda c: c["state_dict"].update({"generator.layers.0.bias": torch.zeros(9)}),
        ),
        "",
        "wrong.ckpt does not fit the model: generator.layers.0.bias is of shape (9,) in it, of",
    ),
}


@pytest.mark.parametrize("case", cases(CHECKPOINTS))
def test_wrong_checkpoints(case: str, checkpoint: Path, fails: Callable[[str], str]) -> None:
    make, options, line = CHECKPOINTS[case]
    make(checkpoint)
    assert fails(f"{SMALL} {options} --ckpt_path wrong.ckpt").startswith(line)
    assert not Path("executed").exists()


@pytest.mark.usefixtures("small_config")
def test_the_trainer_reads_checkpoints_as_data(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool | None] = []
    original = Strategy.load_checkpoint

    def spy(self: Any, path: Any, weights_only: bool | None = None) -> Any:
        asked.append(weights_only)
        return original(self, path, weights_only=weights_only)

    monkeypatch.setattr(Strategy, "load_checkpoint", spy)
    cli.main(["validate", "--config", "small.yaml", "--ckpt_path", str(checkpoint)])
    assert asked == [True]


def test_hostile_files_would_have_run_their_code() -> None:
    torch.save({"callbacks": Hostile()}, "wrong.ckpt")
    torch.load("wrong.ckpt", weights_only=False)
    assert Path("executed").exists()
