"""Data of shapes that people have train with convolutions, from a dozen lines of their own."""

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import cli
from gan_modules import GAN, GANModule
from gan_modules.callbacks import TruncationGrid
from gan_modules.callbacks.sequences import draw_sequences
from gan_modules.tools.export import to_exported_program

SPECTROGRAMS = """
import torch

from datamodules import ImageDataModule


class Spectrograms(ImageDataModule):
    channels, num_classes = 1, 0

    def load(self, split):
        pitch = torch.randint(48, (64,), generator=torch.Generator().manual_seed(0))
        energy = torch.rand(64, 1, 64, 1) * torch.nn.functional.one_hot(pitch, 48)[:, None, None]
        return (energy * 255).to(torch.uint8), torch.zeros(64)
"""
WAVES = """
import torch
from torch import nn

from datamodules.base import ImageTensorDataset, InMemoryDataModule
from gan_modules import WGANGP


class Waves(InMemoryDataModule):
    image_shape, num_classes = (1, 1024), 0

    def make_split(self, split):
        phase = torch.rand(64, 1, 1, generator=torch.Generator().manual_seed(0)) * 6.3
        return ImageTensorDataset((torch.linspace(0, 25, 1024) + phase).sin(), torch.zeros(64))


class WaveGAN(WGANGP):
    def build_generator(self):
        first = nn.Linear(self.latent_dim, 16 * 64), nn.Unflatten(1, (16, 64)), nn.ReLU()
        second = nn.ConvTranspose1d(16, 8, 8, 4, 2), nn.ReLU()
        return nn.Sequential(*first, *second, nn.ConvTranspose1d(8, 1, 8, 4, 2), nn.Tanh())

    def build_discriminator(self):
        first = nn.Conv1d(1, 8, 8, 4, 2), nn.LeakyReLU(0.2)
        second = nn.Conv1d(8, 16, 8, 4, 2), nn.LeakyReLU(0.2)
        return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(16 * 64, 1), nn.Flatten(0))
"""
STEPS = [
    *("--trainer.max_steps", "4", "--trainer.logger", "false", "--samples.n", "4"),
    *("--trainer.enable_progress_bar", "false", "--model.latent_dim", "4"),
    *("--data.batch_size", "4", "--trainer.accelerator", "cpu"),
]


@pytest.fixture(autouse=True)
def _own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    monkeypatch.syspath_prepend(tmp_path)
    Path("own_spectrograms.py").write_text(SPECTROGRAMS)
    Path("own_waves.py").write_text(WAVES)
    yield
    for name in ("own_spectrograms", "own_waves"):
        sys.modules.pop(name, None)


def lines_of(source: str, name: str) -> int:
    """Lines of a class that are not empty."""
    text = source.split(f"class {name}")[1].split("\n\n\n")[0]
    return len([line for line in text.splitlines() if line.strip()])


def model_of(run: str) -> Any:
    """The trained model, whose generator has moved and makes finite images."""
    model: Any = GANModule.from_run(run)
    images = model.sample(3, seed=0)
    assert images.shape == (3, *model.image_shape)
    assert images.isfinite().all()
    return model


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("model", "networks"), [("DCGAN", "DCGAN"), ("WGANGP", "ResNet"), ("SNGAN", "SNGAN")]
)
def test_spectrograms_of_64x48(model: str, networks: str) -> None:
    assert lines_of(SPECTROGRAMS, "Spectrograms") <= 12
    data = ["--data", "own_spectrograms.Spectrograms", "--data.image_size", "[64,48]"]
    players = "generator", "discriminator"
    options = [(f"--model.{p}", networks + p.capitalize()) for p in players]
    options += [(f"--model.{p}.width", "4") for p in players]
    small = [word for option in options for word in option]
    cli.main(["fit", "--model", model, *small, *data, *STEPS])
    (run,) = Path("runs").glob("*/0")
    trained = model_of(str(run))
    assert trained.image_shape == (1, 64, 48)
    with Image.open(run / "samples" / "step_000004.png") as page:
        # four images, each four times as large, with two pixels between them
        factor = round(512 / (2 * 48))
        assert page.size == (2 * (48 * factor + 2) + 2, 2 * (64 * factor + 2) + 2)
    cli.main(["predict", "--ckpt_path", str(run), "--n", "2", "--out", "made"])
    with Image.open(next(Path("made").iterdir())) as file:
        assert file.size == (48, 64)
    if model == "DCGAN":
        to_exported_program(trained, "made.pt2")
        z = trained.latents(2, seed=0)
        made = torch.export.load("made.pt2").module()(z)
        assert_close(made, trained(z), atol=1e-4, rtol=0)


@pytest.mark.thorough
def test_sequences_of_1024() -> None:
    assert lines_of(WAVES, "WaveGAN") <= 12
    cli.main(["fit", "--model", "own_waves.WaveGAN", "--data", "own_waves.Waves", *STEPS])
    (run,) = Path("runs").glob("*/0")
    model = model_of(str(run))
    with Image.open(run / "samples" / "step_000004.png") as page:
        assert page.size == (512, 256)
    cli.main(["predict", "--ckpt_path", str(run), "--n", "2", "--format", "npy", "--out", "made"])
    assert np.load(next(Path("made").iterdir())).shape == (1, 1024)
    assert model.interpolate(2, 3, seed=0).shape == (2, 3, 1, 1024)


def test_curves_are_where_their_values_are() -> None:
    file = BytesIO()
    sequences = torch.stack([torch.full((1, 50), value) for value in (0.9, -0.9)])
    draw_sequences(sequences.unflatten(0, (1, 2)), 400, file)
    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape == (100, 400, 3)
    # the first colour of matplotlib is blue
    blue = (pixels[..., 2] - pixels[..., 0]) > 60
    rows = [np.flatnonzero(half.any(1)).mean() / 100 for half in np.split(blue, 2, axis=1)]
    assert rows[0] < 0.2
    assert rows[1] > 0.8


def test_other_pictures_refuse_sequences(make_trainer: Any) -> None:
    trainer = make_trainer(max_steps=1, callbacks=[TruncationGrid()])
    loader: Any = torch.utils.data.DataLoader(torch.zeros(4, 1, 16), 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="TruncationGrid draws images, not sequences: image_shape"):
        trainer.fit(GAN(image_shape=(1, 16)), loader)
