"""Toys during training: modes that are counted, the discriminator's surface, the way there."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.testing import assert_close
from variants import small

from datamodules import DigitsDataModule, ToyDataModule
from gan_modules import GAN, VAE
from gan_modules.callbacks import ModeCount, SampleGrid
from gan_modules.callbacks.samples import _surface
from gan_modules.callbacks.scatter import plane
from gan_modules.networks.packed import PackedDiscriminator


class Three(nn.Module):
    """A quarter of the points in each of three modes, the others nowhere."""

    def __init__(self, data: ToyDataModule) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("places", torch.cat([data.centers[:3], torch.zeros(1, 2)]))

    def forward(self, z: Tensor) -> Tensor:
        places: Any = self.places
        return places[torch.arange(len(z)) % 4] + 0 * self.weight


def test_modes_are_logged_metrics(make_trainer: Any) -> None:
    data = ToyDataModule(name="ring", n=1000, batch_size=8)
    model = small(GAN, image_shape=(2,), generator=Three(data))
    options = {"limit_val_batches": 1, "num_sanity_val_steps": 0, "callbacks": [ModeCount(n=400)]}
    trainer = make_trainer(
        max_steps=4, val_check_interval=2, check_val_every_n_epoch=None, **options
    )
    trainer.fit(model, data)
    found = trainer.callback_metrics
    assert (found["val/modes"], found["val/share"]) == (3, 0.75)
    (found,) = trainer.validate(model, data, verbose=False)
    assert (found["val/modes"], found["val/share"]) == (3, 0.75)
    other = make_trainer(limit_test_batches=1, callbacks=[ModeCount(n=400)])
    (found,) = other.test(model, data, verbose=False)
    assert (found["test/modes"], found["test/share"]) == (3, 0.75)


def test_without_modes_nothing_is_counted(make_trainer: Any) -> None:
    data = ToyDataModule(name="swiss_roll", n=100, batch_size=8)
    model = small(GAN, image_shape=(2,))
    trainer = make_trainer(max_steps=2, limit_val_batches=1, callbacks=[ModeCount()])
    trainer.fit(model, data)
    assert "val/modes" not in trainer.callback_metrics
    with pytest.raises(ValueError, match="with the method count_modes, not DigitsDataModule"):
        make_trainer(max_steps=1, callbacks=[ModeCount()]).fit(
            small(GAN, image_shape=(1, 8, 8)), DigitsDataModule()
        )
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        ModeCount(n=0)


class Ramp(nn.Module):
    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 10.0]).repeat(width // 2))
        self.noise = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.noise(x) @ self.weight


def test_surface_by_hand() -> None:
    lattice = plane(3)
    assert_close(lattice[:4], torch.tensor([[-1.1, -1.1], [0.0, -1.1], [1.1, -1.1], [-1.1, 0.0]]))
    model = small(GAN, image_shape=(2,), discriminator=Ramp())
    # in evaluation mode, and in training mode again
    assert_close(model.scores(lattice), lattice @ torch.tensor([1.0, 10.0]))
    assert model.discriminator.noise.training
    found = _surface(model)
    assert found is not None
    assert_close(found[:2], plane(64)[:2] @ torch.tensor([1.0, 10.0]))
    pack = PackedDiscriminator((2,), packing=2, discriminator=lambda **_: Ramp(4))
    packed = small(GAN, image_shape=(2,), discriminator=pack)
    assert_close(packed.scores(lattice), 2 * lattice @ torch.tensor([1.0, 10.0]))
    assert _surface(small(VAE, image_shape=(2,))) is None
    assert _surface(small(GAN, image_shape=(2,), num_classes=3, conditional=True)) is None


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)])
def test_points_have_an_animation(shape: Any, make_trainer: Any, make_loader: Any) -> None:
    model = small(GAN, image_shape=shape, discriminator=Ramp()) if len(shape) == 1 else small(
        GAN, image_shape=shape
    )  # fmt: skip
    grid = SampleGrid(every_n_steps=2, n=4, width=300)
    make_trainer(max_steps=5, callbacks=[grid]).fit(model, make_loader(8, shape=shape))
    names = sorted(path.name for path in Path("samples").iterdir())
    pictures = ["step_000002.png", "step_000004.png", "step_000005.png"]
    if len(shape) == 3:
        assert names == pictures
        return
    assert names == [*pictures, "training.gif"]
    with Image.open("samples/training.gif") as animation:
        assert 2 <= animation.n_frames <= 3
        assert animation.size == (300, 300)
    with Image.open("samples/step_000005.png") as picture:
        blue = torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8)
    pixels = blue.reshape(300, 300, 3).float()
    # the surface is brighter above
    assert pixels[60, 60:100].mean() > pixels[240, 60:100].mean() + 50
