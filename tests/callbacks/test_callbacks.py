from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from PIL import Image
from torch.testing import assert_close
from torch.utils.data import DataLoader, IterableDataset
from torchvision.transforms.v2.functional import pil_to_tensor

from gan_modules import VAE, WGANGP
from gan_modules.callbacks import GANProgressBar, LossPlot, SampleGrid
from gan_modules.callbacks.paths import unused


def pixels(path: str) -> torch.Tensor:
    with Image.open(path) as image:
        return pil_to_tensor(image)


def test_sample_grid_by_hand() -> None:
    # two by two images of one pixel, enlarged to 3 pixels, in frames of 2: 12 by 12 pixels
    images = torch.tensor([-1.0, 0.0, 1.0, -1.0]).reshape(2, 2, 1, 1, 1)
    grid = SampleGrid(width=6).grid(images)
    assert grid.shape == (3, 12, 12)
    assert_close(grid[:, 2:5, 2:5], torch.zeros(3, 3, 3))
    assert_close(grid[:, 2:5, 7:10], torch.full((3, 3, 3), 0.5))
    assert_close(grid[:, 7:10, 2:5], torch.ones(3, 3, 3))


def test_sample_grid_draws_the_same_latents_from_the_averaged_generator(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    model = make_model(n_critic=1, ema_decay=0.5)
    callback = SampleGrid(every_n_steps=2, n=4, seed=7, width=16)
    make_trainer(max_steps=3, callbacks=[callback]).fit(model, make_loader(2))
    assert sorted(p.name for p in Path("samples").iterdir()) == [
        "step_000002.png",
        "step_000003.png",
    ]
    images = model.sample(4, seed=7).unflatten(0, (2, 2))
    expected = callback.grid(images).mul(255).add(0.5).clamp(0, 255).byte()
    assert_close(pixels("samples/step_000003.png"), expected)


def test_sample_grid_of_a_conditional_model_has_one_class_per_row(make_model: Any) -> None:
    model = make_model(num_classes=3, conditional=True)
    images = model.sample_grid(10, 7, (torch.empty(0), None))
    assert images.shape == (3, 3, 1, 8, 8)
    expected = model.sample(9, labels=[0, 0, 0, 1, 1, 1, 2, 2, 2], seed=7)
    assert_close(images.flatten(0, 1), expected, rtol=0, atol=0)
    assert model.sample_grid(2, 7, (torch.empty(0), None)).shape == (2, 1, 1, 8, 8)


def test_points_are_drawn_over_the_held_out_ones(make_model: Any, make_trainer: Any) -> None:
    train, held_out = torch.zeros(4, 2), torch.full((4, 2), 0.5)
    model = make_model(image_shape=(2,), n_critic=1)
    callback = SampleGrid(n=16, width=300)
    trainer = make_trainer(max_steps=1, callbacks=[callback], limit_val_batches=None)
    trainer.fit(model, DataLoader(train, 4), DataLoader(held_out, 4))
    assert_close(callback._batches[0][0], held_out)
    picture = pixels("samples/step_000001.png")[:3].float()
    assert picture.shape == (3, 300, 300)
    grey = (picture.max(0).values - picture.min(0).values < 5) & (picture.mean(0) < 200)
    red = picture[0] - picture[1] > 60
    assert red.sum() > 30
    # axes are from -1.1 to 1.1: the real point lies right of and above the middle
    ys, xs = torch.nonzero(grey[20:280, 40:280], as_tuple=True)
    assert (((xs + 40 - 220).abs() < 15) & ((ys + 20 - 75).abs() < 25)).any()


def test_held_out_images_are_collected_until_there_are_enough(
    make_model: Any, make_trainer: Any
) -> None:
    held_out = torch.arange(7.0).reshape(7, 1, 1, 1).expand(7, 1, 8, 8) / 7 - 1
    callback = SampleGrid(n=5)
    trainer = make_trainer(max_steps=1, callbacks=[callback], limit_val_batches=None)
    trainer.fit(
        make_model(n_critic=1), DataLoader(torch.zeros(4, 1, 8, 8), 2), DataLoader(held_out, 2)
    )
    assert_close(torch.cat([images for images, _ in callback._batches]), held_out[:6])
    # without any, training images in their place
    callback = SampleGrid(n=5, dirpath="other")
    train = DataLoader(held_out, 2)
    make_trainer(max_steps=4, callbacks=[callback]).fit(make_model(n_critic=1), train)
    assert_close(torch.cat([images for images, _ in callback._batches]), held_out[:6])


class Stream(IterableDataset[torch.Tensor]):
    """Images without a number known beforehand."""

    def __iter__(self) -> Any:
        return iter(torch.zeros(6, 1, 8, 8))


@pytest.mark.parametrize(
    "loaders",
    [
        DataLoader(Stream(), 2),
        [DataLoader(torch.zeros(4, 1, 8, 8), 2), DataLoader(torch.zeros(2, 1, 8, 8), 2)],
    ],
)
def test_pictures_with_any_validation_loader(
    loaders: Any, make_model: Any, make_trainer: Any
) -> None:
    class Patient(WGANGP):
        def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
            pass

    trainer = make_trainer(max_steps=1, callbacks=[SampleGrid(n=4)], limit_val_batches=1)
    model = make_model(Patient, n_critic=1)
    trainer.fit(model, DataLoader(torch.zeros(4, 1, 8, 8), 2), loaders)
    assert Path("samples/step_000001.png").is_file()


@pytest.mark.parametrize(("channels", "shown"), [(2, 1), (3, 3), (5, 3)])
def test_any_number_of_channels_can_be_shown(channels: int, shown: int) -> None:
    # two images side by side in frames of 2
    images = torch.rand(1, 2, channels, 4, 4) * 2 - 1
    grid = SampleGrid(width=8).grid(images)[:, 2:6, 2:6]
    expected = (images[0, 0, :shown] + 1) / 2
    assert_close(grid, expected.expand(3, -1, -1))


def test_points_on_a_line_can_be_shown(make_model: Any, make_trainer: Any) -> None:
    trainer = make_trainer(max_steps=1, callbacks=[SampleGrid(n=4, width=100)])
    model = make_model(n_critic=1, image_shape=(1,))
    trainer.fit(model, DataLoader(torch.zeros(4, 1), 2))
    assert Path("samples/step_000001.png").is_file()


def test_loss_plot_shows_what_was_logged(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    plot = LossPlot()
    trainer = make_trainer(
        max_steps=6,
        log_every_n_steps=2,
        callbacks=[plot],
        limit_val_batches=1,
        val_check_interval=3,
    )
    trainer.fit(make_model(n_critic=1), make_loader(2), make_loader(2))
    curves = plot._curves
    assert curves["d/loss"][0] == curves["g/adversarial"][0] == [2, 4, 6]
    assert curves["val/d/wasserstein"][0] == [3, 6]
    assert curves["d/loss"][1][-1] == pytest.approx(trainer.callback_metrics["d/loss"].item())
    # curves and letters on white, not an empty canvas
    picture = pixels("losses.png").float()
    assert picture[:3].mean() < 254
    assert len(picture[:3].flatten(1).unique(dim=1).T) > 100


def test_loss_plot_has_a_panel_per_player(
    make_trainer: Any, make_loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []

    def note(figure: Any, *args: Any, **kwargs: Any) -> None:
        titles.extend(axis.get_ylabel() for axis in figure.axes)
        titles.extend(text.get_text() for axis in figure.axes for text in axis.legend_.texts)

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", note)
    trainer = make_trainer(max_steps=2, log_every_n_steps=1, callbacks=[LossPlot()])
    trainer.fit(VAE(image_shape=(1, 8, 8)), make_loader(2))
    assert titles == ["autoencoder loss", "kl", "loss", "reconstruction"]


def test_progress_bar_counts_updates_and_images(
    make_model: Any, make_trainer: Any, make_loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a clock by which every update, of four images, takes a tenth of a second: 40 images/s
    ticks = count()
    clock = SimpleNamespace(monotonic=lambda: next(ticks) / 10)
    monkeypatch.setattr("gan_modules.callbacks.progress.time", clock)
    bar = GANProgressBar()
    seen: dict[str, Any] = {}

    class Look(Callback):
        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            task = bar.train_progress_bar
            seen.update(bar.get_metrics(trainer, pl_module), total=task.total, done=task.completed)

    trainer = make_trainer(
        max_steps=40, log_every_n_steps=10, callbacks=[bar, Look()], enable_progress_bar=True
    )
    trainer.fit(make_model(n_critic=2), make_loader(4))
    assert (seen["total"], seen["done"], seen["images/s"]) == (40, 40, "40")
    assert {"d/loss", "g/loss"} <= set(seen)
    assert "v_num" not in seen


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: SampleGrid(every_n_steps=0), "every_n_steps=0 must be at least 1"),
        (lambda: SampleGrid(n=0), "n=0 must be at least 1"),
        (lambda: LossPlot(every_n_steps=0), "every_n_steps=0 must be at least 1"),
    ],
)
def test_wrong_options(make: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make()


def test_unused_paths() -> None:
    assert unused(Path("a.png")) == Path("a.png")
    Path("a.png").touch()
    Path("a-v1.png").touch()
    assert unused(Path("a.png")) == Path("a-v2.png")
