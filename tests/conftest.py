import gc
import hashlib
import os
import pickle
import shlex
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric.utilities import registry
from lightning.pytorch import Trainer
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.datasets import CIFAR10, CelebA
from variants import FIRST_OF_ALL, MODELS

import cli
from datamodules.celeba import ATTRIBUTES
from gan_modules import WGANGP
from gan_modules.checkpoints.class_paths import subclasses
from gan_modules.command_line import app, option_classes
from gan_modules.command_line.app import COMMANDS
from gan_modules.networks import MLPDiscriminator, MLPGenerator

# with more, tests beside other work wait for each other; so would processes that they start
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")
# every trainer asks each installed package for callbacks, of which none comes or goes meanwhile
registry.entry_points = cache(registry.entry_points)  # type: ignore[attr-defined]


def with_one_parser(main: Callable[..., Any]) -> Callable[..., Any]:
    """The command line without the parsers of commands not called, which are most of its time."""

    def run(args: Any = None) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            if args and args[0] in COMMANDS:
                patch.setattr(app, "COMMANDS", {args[0]: COMMANDS[args[0]]})
            return main(args)

    return run


NAMES = {model.__name__ for model in MODELS}


def variants_of(item: pytest.Item) -> set[str]:
    """Which variants a test has among its parameters."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return {getattr(value, "__name__", str(value)) for value in parameters.values()} & NAMES


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what is repeated for every variant to the thorough tests, but for one of a family."""
    repeated: dict[str, list[pytest.Item]] = {}
    for item in items:
        if variants_of(item) and item.get_closest_marker("slow") is None:
            repeated.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for its in repeated.values():
        first = [item for item in its if variants_of(item) <= FIRST_OF_ALL] or its[:1]
        for item in its:
            if item not in first:
                item.add_marker("thorough")


def pytest_collection_finish() -> None:
    """Spare the garbage collector what is imported, which it would look through again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder of its own, without account, and starts from one seed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "main", with_one_parser(cli.main))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    # images of tables wait here for their upload
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "wandb_data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)


@pytest.fixture
def make_model() -> Any:
    """A WGAN-GP small enough for a laptop to take many steps in a second."""

    def make(cls: type[WGANGP] = WGANGP, **kwargs: Any) -> WGANGP:
        arguments: dict[str, Any] = {
            "image_shape": (1, 8, 8),
            "latent_dim": 4,
            "generator": small_generator,
            "discriminator": small_discriminator,
        }
        return cls(**arguments | kwargs)

    return make


def small_generator(**kwargs: Any) -> nn.Module:
    return MLPGenerator(hidden=(8,), **kwargs)


def small_discriminator(**kwargs: Any) -> nn.Module:
    return MLPDiscriminator(hidden=(8,), **kwargs)


@pytest.fixture
def make_trainer() -> Any:
    def make(**kwargs: Any) -> Trainer:
        arguments: dict[str, Any] = {
            "accelerator": "cpu",
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "limit_val_batches": 0,
        }
        return Trainer(**arguments | kwargs)

    return make


@pytest.fixture
def make_loader() -> Any:
    """Random images in [-1, 1] with labels, the same at every call."""

    def make(
        batch_size: int, n: int = 60, shape: tuple[int, ...] = (1, 8, 8), shuffle: bool = False
    ) -> DataLoader[tuple[Tensor, ...]]:
        generator = torch.Generator().manual_seed(1)
        images = torch.rand(n, *shape, generator=generator) * 2 - 1
        labels = torch.arange(n) % 3
        dataset = TensorDataset(images, labels)
        return DataLoader(dataset, batch_size, shuffle=shuffle, drop_last=True)

    return make


@pytest.fixture
def double() -> Iterator[None]:
    """Make new tensors and weights float64, for comparisons to many digits."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def mnist_root(tmp_path: Path) -> Path:
    """Files in MNIST's own format: image n is filled with n % 256, its label is n % 10."""
    raw = tmp_path / "mnist" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, n in (("train", 5_020), ("t10k", 12)):
        pixels = b"".join(bytes([i % 256]) * 784 for i in range(n))
        header = struct.pack(">IIII", 2051, n, 28, 28)
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels)
        header = struct.pack(">II", 2049, n)
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(header + bytes(i % 10 for i in range(n)))
    return tmp_path / "mnist"


@pytest.fixture
def cifar_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Image n of the training files is filled with n % 256 in red, its label is n % 10."""
    folder = tmp_path / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    sums = {}
    for file, n in [(f"data_batch_{i}", 1_002) for i in range(1, 6)] + [("test_batch", 7)]:
        start = 0 if file == "test_batch" else (int(file[-1]) - 1) * n
        rows = np.zeros((n, 3, 1024), np.uint8)
        rows[:, 0] = (np.arange(start, start + n) % 256)[:, None]
        rows[:, 1, 0] = 9  # the first pixel's green
        labels = [i % 10 for i in range(start, start + n)]
        content = pickle.dumps({"data": rows.reshape(n, 3_072), "labels": labels})
        (folder / file).write_bytes(content)
        sums[file] = hashlib.md5(content).hexdigest()
    content = pickle.dumps({"label_names": list("abcdefghij")})
    (folder / "batches.meta").write_bytes(content)
    meta = {**CIFAR10.meta, "md5": hashlib.md5(content).hexdigest()}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    monkeypatch.setattr(CIFAR10, "train_list", [[f"data_batch_{i}", sums[f"data_batch_{i}"]] for i in range(1, 6)])  # fmt: skip  # noqa: E501
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    return folder


@pytest.fixture
def celeba_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten faces: number n has a square of 100 + n in its middle; 6, 2 and 2 are the splits."""
    folder = tmp_path / "data" / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{n + 1:06}.jpg" for n in range(10)]
    for n, name in enumerate(names):
        pixels = np.zeros((218, 178), np.uint8)
        pixels[20:198] = 100 + n
        image = Image.fromarray(pixels).convert("RGB")
        image.save(folder / "img_align_celeba" / name, quality=95)
    partition = [0, 0, 1, 2, 0, 0, 0, 1, 2, 0]
    smiling = ATTRIBUTES.index("Smiling")
    rows = [
        " ".join("1" if k == smiling and n % 3 == 0 else "-1" for k in range(40)) for n in range(10)
    ]
    files = {
        "list_eval_partition.txt": [f"{a} {b}" for a, b in zip(names, partition, strict=True)],
        # the official header ends with a space, and the numbers are aligned with spaces
        "list_attr_celeba.txt": ["10", " ".join(ATTRIBUTES) + " "]
        + [f"{a}  {b}" for a, b in zip(names, rows, strict=True)],
        "identity_CelebA.txt": [f"{name} 1" for name in names],
        "list_bbox_celeba.txt": ["10", "image_id x y w h"] + [f"{name} 1 2 3 4" for name in names],
        "list_landmarks_align_celeba.txt": ["10", "a b"] + [f"{name} 1 2" for name in names],
    }
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    sums = [
        (key, hashlib.md5((folder / name).read_bytes()).hexdigest(), name) if name in files
        else (key, md5, name)
        for key, md5, name in CelebA.file_list
    ]  # fmt: skip
    monkeypatch.setattr(CelebA, "file_list", sums)
    return folder


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """Sixteen photographs of noise, 40 by 30 pixels, and a second domain beside them."""
    for part, n in (("photos", 16), ("pairs/trainA", 4), ("pairs/trainB", 6)):
        folder = tmp_path / part
        folder.mkdir(parents=True)
        for number in range(n):
            pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path


@pytest.fixture(scope="session")
def small_text() -> str:
    """A config that trains in a fraction of a second."""
    return """
trainer: {max_steps: 2, accelerator: cpu, num_sanity_val_steps: 0, logger: false,
          check_val_every_n_epoch: null, val_check_interval: 10, enable_progress_bar: false,
          enable_model_summary: false}
model:
  class_path: WGANGP
  init_args:
    latent_dim: 4
    n_critic: 5
    generator: {class_path: MLPGenerator, init_args: {hidden: [8]}}
    discriminator: {class_path: MLPDiscriminator, init_args: {hidden: [8]}}
data: {class_path: DigitsDataModule, init_args: {batch_size: 8}}
"""


@pytest.fixture
def small_config(small_text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``small.yaml`` in the test's folder."""
    Path("small.yaml").write_text(small_text)
    # LightningCLI warns if the process has arguments of its own
    monkeypatch.setattr("sys.argv", ["cli.py"])


@pytest.fixture
def fails(small_config: None, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """The one line that a wrong command, with ``small.yaml`` at hand, ends in; no run is left."""

    def run(command: str) -> str:
        with pytest.raises(SystemExit) as caught:
            cli.main(shlex.split(command))
        assert caught.value.code in (1, 2)
        err = capsys.readouterr().err
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        assert "Traceback" not in err
        # classes of data that other tests define are in some of them
        assert len(lines[0]) < 500
        assert not Path("runs").exists()
        return lines[0].removeprefix("error: ")

    return run


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of curves are composed, and left as empty files.

    To render one takes matplotlib longer than a short run takes. It is left to the tests of
    pictures, and to those that run a command as a user does.
    """

    def leave_empty(figure: Figure, *_: Any, **__: Any) -> None:
        """Do nothing with the file."""

    monkeypatch.setattr(Figure, "savefig", leave_empty)


@pytest.fixture
def project_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options take the project's classes and its libraries', none that other tests define."""

    def imported(base: type[Any]) -> list[type[Any]]:
        known = ("gan_modules", "datamodules", "torch.", "lightning")
        return [c for c in subclasses(base) if c.__module__.startswith(known)]

    monkeypatch.setattr(option_classes, "subclasses", imported)
