import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from gan_modules import WGANGP
from gan_modules.networks import MLPDiscriminator, MLPGenerator

torch.set_num_threads(2)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder of its own, without account, and starts from one seed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
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
        pixels = bytes(value for i in range(n) for value in bytes([i % 256]) * 784)
        header = struct.pack(">IIII", 2051, n, 28, 28)
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels)
        header = struct.pack(">II", 2049, n)
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(header + bytes(i % 10 for i in range(n)))
    return tmp_path / "mnist"
