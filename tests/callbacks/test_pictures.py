"""Pictures drawn during training, beside the grid of samples in test_callbacks."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from torchvision.transforms.v2.functional import pil_to_tensor

import cli
from datamodules import DigitsDataModule
from gan_modules import CycleGAN
from gan_modules.callbacks import (
    CodeTraversal,
    LatentInterpolation,
    NearestNeighbours,
    RealAgainstFake,
    RealInterpolation,
    Reconstructions,
    SampleGrid,
    SampleTable,
    StyleMixing,
    TruncationGrid,
)
from gan_modules.callbacks.nearest import nearest
from gan_modules.callbacks.pictures import Picture, grid

# W&B opens files and connections that live until the process ends
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PICTURES = [LatentInterpolation, NearestNeighbours, RealAgainstFake, SampleGrid, TruncationGrid]


def pixels(path: str | Path) -> Tensor:
    with Image.open(path) as image:
        return pil_to_tensor(image.convert("RGB"))


def as_saved(page: Tensor) -> Tensor:
    """What save_image makes of a page in [0, 1]."""
    return page.mul(255).add(0.5).clamp(0, 255).byte()


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_every_picture_is_tested() -> None:
    # those of one kind of model are tested with it
    elsewhere = {CodeTraversal, RealInterpolation, Reconstructions, StyleMixing}
    assert set(Picture.__subclasses__()) == {*PICTURES, *elsewhere}


@pytest.mark.parametrize("kind", PICTURES)
def test_when_and_where(kind: Any, make_model: Any, make_trainer: Any, make_loader: Any) -> None:
    # few images: every file is flushed to the disk
    every, end = kind(every_n_steps=2, n=4, dirpath="often"), kind(every_n_steps=None, n=4)
    make_trainer(max_steps=3, callbacks=[end, every]).fit(make_model(n_critic=1), make_loader(4))
    pictures = [name for name in names("often") if name.endswith(".png")]
    assert pictures == ["step_000002.png", "step_000003.png"]
    assert [name for name in names(kind.name) if name.endswith(".png")] == ["step_000003.png"]
    # a second training does not touch the first one's
    make_trainer(max_steps=1, callbacks=[end]).fit(make_model(n_critic=1), make_loader(4))
    assert "step_000001.png" in names(f"{kind.name}-v1")
    make_trainer(fast_dev_run=1, callbacks=[end]).fit(make_model(n_critic=1), make_loader(4))
    assert not Path(f"{kind.name}-v2").exists()


def test_two_of_a_kind_are_kept_apart(make_model: Any, make_trainer: Any, make_loader: Any) -> None:
    model = make_model(n_critic=1, ema_decay=0.5)
    callbacks = [TruncationGrid(n=3, seed=seed, width=64) for seed in (1, 2)]
    make_trainer(max_steps=1, callbacks=callbacks).fit(model, make_loader(2))
    for callback, folder in zip(callbacks, ("truncation", "truncation_2"), strict=True):
        images = callback.draw(model, (torch.empty(0), None))
        assert_close(pixels(f"{folder}/step_000001.png"), as_saved(grid(images, 64)))


def test_interpolation_is_drawn_and_animated(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    model = make_model(n_critic=1, ema_decay=0.5)
    callback = LatentInterpolation(n=3, steps=4, seed=7, width=64)
    make_trainer(max_steps=1, callbacks=[callback]).fit(model, make_loader(2))
    images = model.interpolate(3, 4, seed=7)
    drawn = pixels("interpolation/step_000001.png")
    assert_close(drawn, as_saved(grid(images, 64)))
    with Image.open("interpolation/step_000001.gif") as animation:
        # there (0 1 2 3) and back (2 1), for ever
        assert (animation.n_frames, animation.info["loop"]) == (6, 0)
        for number, step in enumerate((0, 1, 2, 3, 2, 1)):
            animation.seek(number)
            frame = pil_to_tensor(animation.convert("RGB"))
            # two by two walks, the last of which is missing; grey needs no more than 256 colours
            square = torch.cat([images[:, step], -torch.ones(1, 1, 8, 8)])
            page = grid(square.unflatten(0, (2, 2)), 32)
            assert_close(frame, as_saved(page))


def test_truncation_by_hand(make_model: Any, make_trainer: Any, make_loader: Any) -> None:
    model = make_model(n_critic=1, num_classes=3, conditional=True)
    callback = TruncationGrid(n=4, thresholds=[0.5, 0.04], seed=7)
    make_trainer(max_steps=1, callbacks=[callback]).fit(model, make_loader(2))
    rows = callback.draw(model, (torch.empty(0), None))
    assert rows.shape == (3, 4, 1, 8, 8)
    labels = [0, 1, 2, 0]
    for row, threshold in zip(rows, (None, 0.5, 0.04), strict=True):
        assert_close(row, model.sample(4, labels, 7, threshold))
    assert (rows[2, 0] - rows[2, 3]).abs().mean() < (rows[0, 0] - rows[0, 3]).abs().mean() / 5


def test_real_against_fake_of_the_same_class(make_model: Any) -> None:
    model = make_model(num_classes=3, conditional=True)
    real = torch.rand(40, 1, 8, 8)
    labels = torch.arange(40) % 3
    rows = RealAgainstFake(n=33, seed=2).draw(model, (real, labels))
    # 33 images fill two rows of 16
    assert rows.shape == (4, 16, 1, 8, 8)
    fake = model.sample(33, labels[:33], 2)
    expected = torch.stack([real[:16], fake[:16], real[16:32], fake[16:32]])
    assert_close(rows, expected)
    few = RealAgainstFake(n=5).draw(model, (real[:3], labels[:3]))
    assert few.shape == (2, 3, 1, 8, 8)


def test_real_against_fake_of_both_domains() -> None:
    model = CycleGAN(image_shape=(1, 8, 8))
    a, b = torch.rand(2, 3, 1, 8, 8)
    rows = RealAgainstFake(n=3).draw(model, (a, b))
    expected = [a, model.translate(b, "b_to_a"), b, model.translate(a, "a_to_b")]
    assert_close(rows, torch.stack(expected))


def test_lines_tell_real_from_fake_and_samples_from_neighbours() -> None:
    black = -torch.ones(4, 3, 1, 8, 8)
    # 4 rows of 8 pixels, each between gaps of 2; the gap below the second row begins at 2 x 10
    rows = torch.zeros(3, 42, 32)
    rows[:, 20:22] = 1
    assert_close(RealAgainstFake(width=8).grid(black), rows)
    # the gap right of the first column
    columns = torch.zeros(3, 42, 32)
    columns[:, :, 10:12] = 1
    assert_close(NearestNeighbours(width=8).grid(black), columns)


class Blocks:
    """Images in blocks, and how many were held at a time."""

    def __init__(self, images: Tensor, size: int) -> None:
        self.images, self.size = images, size

    def __iter__(self) -> Any:
        return iter(self.images.split(self.size))


@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_nearest_by_hand(size: int) -> None:
    # grey images of one level each
    levels = torch.tensor([0.9, -0.5, 0.1, 0.35, -1.0, 0.8, 0.3])
    images = levels.reshape(7, 1, 1, 1).expand(7, 1, 2, 2)
    queries = torch.tensor([0.32, -0.7]).reshape(2, 1, 1, 1).expand(2, 1, 2, 2)
    distances, found = nearest(queries, Blocks(images, size), 3, nn.Flatten())
    assert_close(found[:, :, 0, 0, 0], torch.tensor([[0.3, 0.35, 0.1], [-0.5, -1.0, 0.1]]))
    # the difference of every pixel, whatever the number of pixels
    assert_close(distances, torch.tensor([[0.02, 0.03, 0.22], [0.2, 0.3, 0.8]]))


def test_nearest_agrees_with_a_search_of_everything_at_once() -> None:
    queries, images = torch.rand(5, 3, 4, 4), torch.rand(101, 3, 4, 4)
    differences = (queries[:, None] - images[None]).square().flatten(2).mean(dim=2).sqrt()
    expected, order = differences.sort(dim=1)
    distances, found = nearest(queries, images.split(8), 4, nn.Flatten())
    assert_close(distances, expected[:, :4])
    assert_close(found, images[order[:, :4]], rtol=0, atol=0)


class Centre(nn.Module):
    """A feature network that sees one pixel."""

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        return images[:, :, 4, 4]


@pytest.mark.parametrize("features", [None, Centre()])
def test_a_generator_that_repeats_a_training_image_is_caught(
    features: Any, make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    images = torch.stack([image for image, _ in make_loader(1).dataset])

    class Parrot(nn.Module):
        def __init__(self, **_: Any) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, z: Tensor) -> Tensor:
            own = torch.where(z[:, :1, None, None] > 0, images[33], images[12])
            return own * self.scale

    def still(parameters: Any) -> Any:
        return torch.optim.SGD(parameters, lr=1e-30)

    model = make_model(n_critic=1, generator=Parrot, ema_decay=0, generator_optimizer=still)
    held_out = DataLoader(TensorDataset(torch.zeros(4, 1, 8, 8)), 2)
    logger = CSVLogger("log")
    callback = NearestNeighbours(n=4, neighbours=2, features=features, block=7)
    trainer = make_trainer(max_steps=2, callbacks=[callback], logger=logger, limit_val_batches=2)
    trainer.fit(model, make_loader(4, shuffle=True), held_out)
    rows = callback.draw(model, callback._batches[0])
    assert rows.shape == (4, 3, 1, 8, 8)
    assert_close(rows[:, 0], rows[:, 1], rtol=0, atol=0)
    logged = logger.experiment.metrics[-1]
    assert logged["nearest/samples"] == 0
    compared = images[:, :, 4, 4] if features else images
    distance = compared.flatten(1).square().mean(dim=1).sqrt().min()
    assert logged["nearest/held_out"] == pytest.approx(distance.item())


def test_the_least_distant_sample_is_drawn_first(make_model: Any, make_trainer: Any) -> None:
    train = torch.zeros(6, 1, 8, 8)
    model = make_model(n_critic=1)
    callback = NearestNeighbours(n=5, neighbours=1)
    make_trainer(max_steps=1, callbacks=[callback]).fit(model, DataLoader(train, 2))
    rows = callback.draw(model, callback._batches[0])
    samples = model.sample(5, seed=0)
    order = samples.square().flatten(1).mean(dim=1).argsort()
    assert_close(rows[:, 0], samples[order])


class Recorder(nn.Module):
    """Features that note every image they see."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return images.flatten(1)


def searched(make_model: Any, make_trainer: Any, shape: Any, **fit: Any) -> list[Tensor]:
    """Blocks of training images that a search goes through, after the queries."""
    recorder = Recorder()
    callback = NearestNeighbours(n=2, neighbours=1, features=recorder, block=256)
    model = make_model(n_critic=1, image_shape=shape)
    make_trainer(max_steps=1, callbacks=[callback]).fit(model, **fit)
    return recorder.seen[1:]


def test_all_training_images_of_our_data_are_searched_as_they_are(
    make_model: Any, make_trainer: Any
) -> None:
    data = DigitsDataModule(image_size=16, load_size=20, flip=True, batch_size=64)
    blocks = searched(make_model, make_trainer, (1, 16, 16), datamodule=data)
    assert [len(block) for block in blocks] == [256] * 5 + [157]
    # neither mirrored nor cropped at random, also those that fill no batch
    expected = data.finish(data.splits["train"].images)
    assert_close(torch.cat(blocks), expected, rtol=0, atol=0)


class Ready(Dataset[Tensor]):
    """Batches that were made beforehand."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Tensor:
        return torch.full((4, 1, 8, 8), index / 4)


def test_all_training_images_of_other_data_are_searched(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    loader = make_loader(8, n=30, shuffle=True)
    blocks = searched(make_model, make_trainer, (1, 8, 8), train_dataloaders=loader)
    assert_close(torch.cat(blocks), torch.stack([image for image, _ in loader.dataset]))
    ready = DataLoader(Ready(), batch_size=None, shuffle=True)
    blocks = searched(make_model, make_trainer, (1, 8, 8), train_dataloaders=ready)
    assert [block[0, 0, 0, 0].item() for block in blocks] == [0, 0.25, 0.5]


def test_drawing_changes_nothing_in_the_training(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    states = []
    for callbacks in ([], [kind(every_n_steps=2, n=4) for kind in PICTURES]):
        torch.manual_seed(3)
        model = make_model(n_critic=1)
        # each drawing is followed by an epoch, whose order comes from the global random state
        trainer = make_trainer(max_steps=6, callbacks=callbacks)
        trainer.fit(model, make_loader(4, n=8, shuffle=True))
        states.append(model.state_dict())
    assert_close(states[0], states[1], rtol=0, atol=0)


class Stream(IterableDataset[Tensor]):
    def __iter__(self) -> Any:
        return iter(torch.zeros(6, 1, 8, 8))


class Other(LightningModule):
    pass


ZEROS = torch.zeros(4, 1, 8, 8)
UNIFORM = {"latent_distribution": "uniform"}


def fit(make_trainer: Any, callback: Any, model: Any, loader: Any) -> None:
    make_trainer(max_steps=1, callbacks=[callback]).fit(model, loader)


@pytest.mark.parametrize(
    ("callback", "options", "data", "line"),
    [
        (LatentInterpolation(), {"image_shape": (2,)}, torch.zeros(4, 2), "draws images, not po"),
        (TruncationGrid(thresholds=[1.5]), UNIFORM, ZEROS, r"truncation=1.5 must be in \(0, 1\]"),
        (NearestNeighbours(), {}, Stream(), "goes through the training images in order"),
        (NearestNeighbours(), {}, ZEROS, "neighbours=5 must be at most 4, the number of training"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_said_before_training(
    callback: Any, options: Any, data: Any, line: str, make_model: Any, make_trainer: Any
) -> None:
    model = make_model(n_critic=1, **options)
    with pytest.raises(ValueError, match=line):
        fit(make_trainer, callback, model, DataLoader(data, 2))
    assert model.global_step == 0


@pytest.mark.parametrize("kind", [LatentInterpolation, NearestNeighbours, TruncationGrid])
def test_models_without_latents_are_refused(kind: Any, make_trainer: Any) -> None:
    loader = DataLoader(TensorDataset(ZEROS, ZEROS), 2)
    line = f"{kind.__name__} draws from a model with the method {kind.needs}, not a CycleGAN"
    with pytest.raises(ValueError, match=line):
        fit(make_trainer, kind(), CycleGAN(image_shape=(1, 8, 8)), loader)


def test_other_modules_are_refused(make_trainer: Any) -> None:
    with pytest.raises(ValueError, match="draws from a GenerativeModule, not a Other"):
        RealAgainstFake().setup(make_trainer(), Other(), "fit")


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: LatentInterpolation(steps=1), "steps=1 must be at least 2"),
        (lambda: LatentInterpolation(every_n_steps=0), "every_n_steps=0 must be at least 1"),
        (lambda: RealAgainstFake(n=0), "n=0 must be at least 1"),
        (lambda: NearestNeighbours(neighbours=0), "neighbours=0 must be at least 1"),
        (lambda: NearestNeighbours(block=0), "block=0 must be at least 1"),
        (lambda: TruncationGrid(thresholds=[]), r"thresholds=\[\] must be one number at least"),
        (lambda: SampleTable(n=0), "n=0 must be at least 1"),
    ],
)
def test_wrong_options(make: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make()


def test_loggers_get_pictures_animations_and_tables(
    make_model: Any, make_trainer: Any, make_loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: dict[str, list[Any]] = {}
    original = WandbLogger.log_metrics

    def note(self: Any, metrics: Any, step: Any = None) -> None:
        for key, value in metrics.items():
            sent.setdefault(key, []).append((step, value))
        original(self, metrics, step)

    monkeypatch.setattr(WandbLogger, "log_metrics", note)
    model = make_model(n_critic=1, num_classes=3, conditional=True)
    loggers = [WandbLogger(save_dir="w", mode="offline"), TensorBoardLogger("board")]
    table = SampleTable(every_n_steps=2, n=4, seed=5)
    trainer: Trainer = make_trainer(
        max_steps=3, callbacks=[LatentInterpolation(), RealAgainstFake(), table], logger=loggers
    )
    trainer.fit(model, make_loader(2))
    wandb.finish()
    media = {path.suffix for path in Path("w").rglob("files/media/*/*")}
    assert media >= {".png", ".gif", ".json"}
    assert [step for step, _ in sent["interpolation"]] == [3]
    (((_, (video,)),)) = sent["interpolation_animated"]
    assert isinstance(video, wandb.Video)
    assert [step for step, _ in sent["sample_table"]] == [2, 3]
    rows = sent["sample_table"][-1][1].data
    numbers = [(step, index, label) for step, index, _, label in rows]
    assert numbers == [(3, 0, 0), (3, 1, 1), (3, 2, 2), (3, 3, 0)]
    images = model.sample(4, seed=5)
    for row, image in zip(rows, images, strict=True):
        expected = ((image + 1) / 2).mul(255).round().byte().expand(3, -1, -1)
        assert_close(pil_to_tensor(row[2].image), expected)
    written = list(Path("w").rglob("sample_table_*.table.json"))
    assert len(written) == 2
    assert json.loads(written[0].read_text())["columns"] == ["step", "index", "image", "label"]
    (events,) = Path("board").rglob("events.out.tfevents.*")
    board = EventAccumulator(str(events)).Reload()
    assert set(board.Tags()["images"]) == {"interpolation", "real_and_fake"}


def test_a_table_needs_weights_and_biases(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    with pytest.warns(UserWarning, match="SampleTable has no effect: this run does not log to"):
        fit(make_trainer, SampleTable(), make_model(n_critic=1), make_loader(2))


def test_pictures_from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    cli.main(
        [
            "fit", "--config", "wgan_gp.yaml", "--trainer.max_steps", "1", "--trainer.logger",
            "false", "--trainer.callbacks+=LatentInterpolation", "--trainer.callbacks.steps", "3",
            "--trainer.callbacks+=NearestNeighbours",
            "--trainer.callbacks.features", "torch.nn.Flatten",
            "--trainer.callbacks+=TruncationGrid", "--trainer.callbacks.thresholds", "[0.5]",
        ]
    )  # fmt: skip
    run = Path("runs/wgan_gp/0")
    made = {"interpolation", "nearest", "truncation", "samples"}
    assert made <= {path.name for path in run.iterdir()}
    assert pixels(run / "truncation" / "step_000001.png").shape == (3, 2 * 50 + 2, 10 * 50 + 2)
