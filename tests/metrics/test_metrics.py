"""GenerativeMetrics in fit, validate and test, on models whose figures are known."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from datamodules import DigitsDataModule, ToyDataModule, UnpairedDigitsDataModule
from gan_modules import GAN, CycleGAN, GANModule, NoiseGAN, StyleGAN2
from gan_modules.callbacks import BestCheckpoint, GenerativeMetrics, StepCheckpoint
from gan_modules.metrics import (
    ClassifierFeatures,
    InceptionFeatures,
    ModuleFeatures,
    perceptual_path_length,
)
from gan_modules.metrics.cache import TensorCache
from gan_modules.metrics.data import RealData
from gan_modules.networks import StyledGenerator
from gan_modules.seeding import derive_seed

ALL = ("fid", "kid", "is", "precision", "recall", "density", "coverage")


class Projection(nn.Module):
    """Cheap features: a fixed random projection, and two of them as logits."""

    def __init__(self, pixels: int = 64, features: int = 6) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        weight = torch.randn(pixels, features, generator=generator)
        self.register_buffer("weight", weight / pixels**0.5)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = images.flatten(1) @ self.weight
        return features, features[:, :2]


def projected(**kwargs: Any) -> GenerativeMetrics:
    """Metrics that cost nothing, on images of 8x8 pixels."""
    options = {"features": ModuleFeatures(Projection()), "n": 100, "batch_size": 30, **kwargs}
    return GenerativeMetrics(**options)


class Digits8(LightningDataModule):
    """A DataModule of somebody else's: shuffled, in batches that leave a rest, with labels."""

    image_shape, num_classes = (1, 8, 8), 3

    def __init__(self, n: int = 70, shuffle: bool = True) -> None:
        super().__init__()
        self.shuffle = shuffle
        generator = torch.Generator().manual_seed(1)
        self.images = torch.rand(n, 1, 8, 8, generator=generator) * 2 - 1
        self.labels = (torch.arange(n) % 10 > 5).long() + (torch.arange(n) % 10 > 8).long()

    def train_dataloader(self) -> DataLoader[Any]:
        data = TensorDataset(self.images, self.labels)
        return DataLoader(data, 20, shuffle=self.shuffle, drop_last=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(self.images[:30], self.labels[:30]), 20)

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(self.images[30:], self.labels[30:]), 20)


@pytest.fixture
def validate(make_trainer: Any) -> Any:
    """Metrics of a model on a DataModule, as ``validate`` returns them."""

    def run(model: Any, data: Any, metrics: GenerativeMetrics, stage: str = "validate") -> Any:
        trainer = make_trainer(callbacks=[metrics], limit_val_batches=1, limit_test_batches=1)
        (values,) = getattr(trainer, stage)(model, data, verbose=False)
        split = "val" if stage == "validate" else "test"
        own = {k.removeprefix(f"{split}/"): v for k, v in values.items() if "/loss" not in k}
        return {k: v for k, v in own.items() if not k.startswith(("d/", "g/"))}

    return run


def features_of(images: Tensor) -> Any:
    return Projection()(images)[0].double().numpy()


def frechet(x: Any, y: Any) -> float:
    a, b = (np.cov(z, rowvar=False) for z in (x, y))
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ b @ root).clip(0)).sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * shared)


def mmd(x: Any, y: Any) -> float:
    kxx, kyy, kxy = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    within = (kxx.sum() - np.trace(kxx)) / (n * (n - 1)) + (kyy.sum() - np.trace(kyy)) / (
        m * (m - 1)
    )
    return float(within - 2 * kxy.mean())


class Noting(GAN):
    """A GAN that notes what was sampled of it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.noted: list[tuple[Tensor, Any]] = []

    def sample(self, n: int, labels: Any = None, seed: int | None = None) -> Tensor:
        images = super().sample(n, labels, seed)
        self.noted.append((images, labels))
        return images


class Picture(nn.Module):
    """A generator that gives one of the images it holds, as the latent's first number says."""

    def __init__(self, images: Tensor, **_: Any) -> None:
        super().__init__()
        self.register_buffer("images", images)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor) -> Tensor:
        place = torch.special.ndtr(z[:, 0]) * len(self.images)
        return self.images[place.long().clamp(0, len(self.images) - 1)] + 0 * self.weight


# ---- figures -----------------------------------------------------------------------------------


@pytest.mark.thorough
def test_validate_gives_the_figures_of_an_independent_computation(
    validate: Any, digits_cache: str
) -> None:
    """On digits, in the features of a classifier trained on them, as the command line would."""
    data = DigitsDataModule()
    model = Noting(image_shape=(1, 16, 16), latent_dim=8)
    classifier = ClassifierFeatures(steps=150)
    metrics = GenerativeMetrics(n=250, features=classifier, cache_dir=digits_cache)
    found = validate(model, data, metrics)
    names = {"fid_digits_classifier_250", "kid_digits_classifier_250"}
    assert set(found) == {*names, "accuracy_digits_classifier"}
    fakes = torch.cat([images for images, _ in model.noted])
    assert len(fakes) == 250
    assert len(fakes.unique(dim=0)) == 250
    network: Any = classifier.module
    reals = data.splits["train"].images / 127.5 - 1
    x, y = (network.features(images).double().numpy() for images in (reals, fakes))
    assert found["fid_digits_classifier_250"] == pytest.approx(frechet(x, y), rel=1e-4)
    assert found["kid_digits_classifier_250"] == pytest.approx(mmd(x, y), rel=1e-4)
    held_out = data.splits["val"]
    right = network.classify(held_out.images / 127.5 - 1) == held_out.labels
    assert classifier.accuracy == pytest.approx(right.float().mean().item())
    assert classifier.accuracy > 0.9


@pytest.fixture(scope="module")
def digits_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the classifier of digits is kept, once it is trained."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def digit_metrics(digits_cache: str) -> Any:
    """All metrics of what a generator gives, against the training digits."""

    def make() -> GenerativeMetrics:
        return GenerativeMetrics(ALL, 1000, ClassifierFeatures(150), cache_dir=digits_cache)

    return make


def test_floor_noise_and_collapse(digit_metrics: Any, validate: Any) -> None:
    data = DigitsDataModule()
    data.setup()
    train = data.splits["train"].images / 127.5 - 1

    def scores(images: Tensor) -> dict[str, float]:
        model = GAN(image_shape=(1, 16, 16), latent_dim=1, generator=Picture(images))
        found = validate(model, data, digit_metrics())
        return {name.split("_")[0]: value for name, value in found.items()}

    floor, noise = scores(train), scores(torch.rand(1000, 1, 16, 16) * 2 - 1)
    one_class = train[data.splits["train"].labels == 7][:1]
    collapsed = scores(one_class)
    assert floor["fid"] < noise["fid"] / 50
    assert abs(floor["kid"]) < noise["kid"] / 50
    assert floor["precision"] == 1
    assert floor["recall"] > 0.8  # of drawing with replacement
    assert floor["density"] == pytest.approx(1, abs=0.2)
    assert floor["coverage"] > 0.9
    assert floor["is"] > 5
    assert noise["precision"] < 0.05
    assert noise["recall"] < 0.05
    assert collapsed["precision"] == 1
    assert collapsed["recall"] < 0.01
    assert collapsed["coverage"] < 0.05
    assert collapsed["is"] == pytest.approx(1, abs=1e-4)
    assert collapsed["fid"] > 10 * floor["fid"]


def test_names_state_metric_features_samples_and_what_was_chosen(validate: Any) -> None:
    data, model = Digits8(), GAN(image_shape=(1, 8, 8), latent_dim=4)
    found = validate(model, data, projected(names=ALL, n=2000, n_kept=60, reference="val"))
    assert set(found) == {
        "fid_projection_2k_vs_val", "is_projection_2k_vs_val",
        *(f"{name}_projection_60_vs_val" for name in ALL if name not in ("fid", "is")),
    }  # fmt: skip
    found = validate(model, data, projected(names=["fid"]), "test")
    assert set(found) == {"fid_projection_100"}


@pytest.mark.parametrize("reference", ["train", "val", "test"])
def test_the_reference_is_every_image_of_the_split_once(reference: Any, validate: Any) -> None:
    data, model = Digits8(), Noting(image_shape=(1, 8, 8), latent_dim=4)
    found = validate(model, data, projected(reference=reference))
    images = {"train": data.images, "val": data.images[:30], "test": data.images[30:]}[reference]
    fakes = torch.cat([images for images, _ in model.noted])
    expected = frechet(features_of(images), features_of(fakes))
    assert found[f"fid_projection_100_vs_{reference}"] == pytest.approx(expected, rel=1e-5)
    expected = mmd(features_of(images), features_of(fakes))
    assert found[f"kid_projection_100_vs_{reference}"] == pytest.approx(expected, rel=1e-4)


def test_kept_images_are_a_choice_of_all(validate: Any) -> None:
    """Data are often sorted by class: the first images would be of one."""
    data, model = Digits8(), Noting(image_shape=(1, 8, 8), latent_dim=4)
    found = validate(model, data, projected(names=["kid"], n_kept=20))
    fakes = torch.cat([images for images, _ in model.noted])[:20]
    chosen = torch.randperm(70, generator=torch.Generator().manual_seed(0))[:20]
    expected = mmd(features_of(data.images[chosen]), features_of(fakes))
    assert found["kid_projection_20"] == pytest.approx(expected, rel=1e-4)


def test_conditional_models_draw_labels_in_the_proportions_of_the_data(validate: Any) -> None:
    model = Noting(image_shape=(1, 8, 8), latent_dim=4, num_classes=3, conditional=True)
    validate(model, Digits8(), projected(n=200))
    labels = torch.cat([labels for _, labels in model.noted])
    # 60, 30 and 10 % of the data
    assert labels.bincount().tolist() == [120, 60, 20]
    # mixed: a part of the samples has all classes
    assert 10 < labels[:100].bincount(minlength=3)[1] < 50


def test_a_conditional_model_needs_labels(validate: Any) -> None:
    class Bare(Digits8):
        def train_dataloader(self) -> DataLoader[Any]:
            return DataLoader(self.images, 20)

    model = GAN(image_shape=(1, 8, 8), latent_dim=4, num_classes=3, conditional=True)
    with pytest.raises(ValueError, match="conditional, but the real images have no labels"):
        validate(model, Bare(), projected())


def test_points_are_compared_as_they_are(validate: Any) -> None:
    data = ToyDataModule(name="ring", n=500)
    model = GAN(image_shape=(2,), latent_dim=2, generator=Picture(torch.zeros(1, 2)))
    metrics = GenerativeMetrics(["fid"], 50, ModuleFeatures(nn.Flatten(), "plane"))
    found = validate(model, data, metrics)
    # a point in the middle: the mean is as far as that of the data, and all variance is missing
    points = data.splits["train"].images.double()
    expected = points.mean(0).square().sum() + points.var(0).sum()
    assert found["fid_plane_50"] == pytest.approx(expected.item(), rel=1e-4)


def test_translation_is_measured_per_direction(validate: Any) -> None:
    data = UnpairedDigitsDataModule()
    model = CycleGAN(
        image_shape=(3, 16, 16),
        generator=nn.ModuleDict({"a_to_b": Darker(0.5), "b_to_a": Darker(0.8)}),
    )
    features = ModuleFeatures(Projection(3 * 256))
    found = validate(model, data, GenerativeMetrics(["fid", "kid"], 1000, features))
    split = data.splits["val"]
    a, b = (domain.images / 127.5 - 1 for domain in (split.a, split.b))
    assert (len(a), len(b)) == (90, 90)

    def look(images: Tensor) -> Any:
        return Projection(3 * 256)(images)[0].double().numpy()

    expected = {
        "fid_projection_90_a_to_b": frechet(look(b), look(0.5 * a)),
        "fid_projection_90_b_to_a": frechet(look(a), look(0.8 * b)),
        "kid_projection_90_a_to_b": mmd(look(b), look(0.5 * a)),
        "kid_projection_90_b_to_a": mmd(look(a), look(0.8 * b)),
    }
    for name in ("fid", "kid"):
        both = [expected[f"{name}_projection_90_{way}"] for way in ("a_to_b", "b_to_a")]
        expected[f"{name}_projection_90"] = sum(both) / 2
    assert found == pytest.approx(expected, rel=1e-4)


class Darker(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images: Tensor) -> Tensor:
        return images * self.factor


@pytest.mark.thorough
def test_domains_of_any_size_are_read_once_each(make_trainer: Any) -> None:
    data = UnpairedDigitsDataModule(batch_size=32)
    data.setup()
    split = data.splits["train"]
    split.b.images, split.b.labels = split.b.images[:40], split.b.labels[:40]

    def look(real: RealData) -> None:
        for member, domain in ((0, split.a), (1, split.b)):
            parts = list(real.batches("train", member))
            images = torch.cat([batch[member] for _, batch in parts])  # type: ignore[misc]
            assert_close(images, domain.images / 127.5 - 1)
            positions = torch.cat([positions for positions, _ in parts])
            assert_close(positions, torch.arange(len(domain)))
        assert real.index("train", 0).count == 718
        assert real.index("train", 1).count == 40

    seen(make_trainer, CycleGAN(image_shape=(3, 16, 16)), data, look)


def seen(make_trainer: Any, model: Any, data: Any, look: Any) -> Any:
    """What a function of the real data returns while a trainer validates."""

    class Look(Callback):
        def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
            self.answer = look(RealData(trainer))

    callback = Look()
    make_trainer(callbacks=[callback], limit_val_batches=1).validate(model, data, verbose=False)
    return callback.answer


def test_a_broken_generator_is_nan_and_not_an_error(validate: Any) -> None:
    broken = Picture(torch.full((1, 1, 8, 8), torch.nan))
    model = GAN(image_shape=(1, 8, 8), latent_dim=1, generator=broken)
    found = validate(model, Digits8(), projected(names=ALL))
    assert len(found) == 7
    assert all(np.isnan(value) for value in found.values())


# ---- training ----------------------------------------------------------------------------------


class Dice(nn.Module):
    """A generator that draws more noise from the global state, and a part that trains."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 64)

    def forward(self, z: Tensor) -> Tensor:
        return (self.layer(z) + 0.1 * torch.randn(len(z), 64)).tanh().reshape(-1, 1, 8, 8)


def fit(
    make_trainer: Any,
    callbacks: list[Any],
    steps: int = 8,
    data: Any = None,
    ckpt_path: str | None = None,
    **kwargs: Any,
) -> Any:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  (a library's global state is what is watched)
    model = GAN(image_shape=(1, 8, 8), latent_dim=4, generator=Dice())
    trainer = make_trainer(
        max_steps=steps,
        callbacks=callbacks,
        limit_val_batches=1,
        val_check_interval=2,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        **kwargs,
    )
    trainer.fit(model, data or Digits8(), ckpt_path=ckpt_path, weights_only=True)
    return trainer


@pytest.mark.filterwarnings("ignore:.*learnt nothing")
def test_training_is_bitwise_the_same_with_metrics(make_trainer: Any) -> None:
    states = []
    classifier = GenerativeMetrics(n=20, features=ClassifierFeatures(steps=5))
    for callbacks in ([], [projected(names=ALL), classifier]):
        trainer = fit(make_trainer, callbacks)
        # the loader shuffles by the global state, three batches an epoch
        drawn = torch.rand(1), np.random.rand(1)  # noqa: NPY002
        states.append((trainer.model.state_dict(), drawn))
    assert_close(states[1], states[0], rtol=0, atol=0)


def test_samples_are_the_same_at_every_measurement(make_trainer: Any) -> None:
    metrics = projected(names=["fid"])
    trainer = fit(make_trainer, [metrics], steps=2)
    before = trainer.callback_metrics["val/fid_projection_100"].item()
    (again,) = trainer.validate(trainer.model, Digits8(), verbose=False)
    assert again["val/fid_projection_100"] == before


def logged(trainer: Any, name: str) -> list[tuple[int, float]]:
    import csv

    with (Path(trainer.logger.log_dir) / "metrics.csv").open() as file:
        return [(int(r["step"]), float(r[name])) for r in csv.DictReader(file) if r.get(name)]


def test_every_kth_validation_is_measured_and_logged_at_generator_updates(
    make_trainer: Any, make_model: Any
) -> None:
    from lightning.pytorch.loggers import CSVLogger

    model = make_model(n_critic=2)
    for every, expected in ((1, [2, 4, 6, 8]), (3, [6])):
        trainer = make_trainer(
            max_steps=8, callbacks=[projected(every_n_validations=every)], limit_val_batches=1,
            val_check_interval=2, check_val_every_n_epoch=None, num_sanity_val_steps=1,
            logger=CSVLogger("logs"),
        )  # fmt: skip
        trainer.fit(model, Digits8())
        assert [step for step, _ in logged(trainer, "val/fid_projection_100")] == expected
        assert [step for step, _ in logged(trainer, "val/d/loss")] == [2, 4, 6, 8]


def test_lightnings_checkpoint_can_monitor_it(make_trainer: Any) -> None:
    keeper = ModelCheckpoint("kept", "{step}", monitor="val/fid_projection_100", save_top_k=1)
    callbacks = [projected(), keeper]
    trainer = fit(make_trainer, callbacks, enable_checkpointing=True)
    score = trainer.callback_metrics["val/fid_projection_100"]
    assert keeper.best_model_score is not None
    assert keeper.best_model_score <= score
    assert Path(keeper.best_model_path).is_file()


def test_best_and_last_are_kept_and_reported(make_trainer: Any, capsys: Any) -> None:
    figures = iter([float("nan"), 5.0, 3.0, 4.0])

    class Scripted(GenerativeMetrics):
        def measure(self, *args: Any) -> dict[str, float]:
            return {"fid_projection_100": next(figures)}

    best = BestCheckpoint(dirpath="best")
    fit(make_trainer, [Scripted(["fid"], features=ModuleFeatures(Projection())), best])
    path = "best/best_fid_projection_100.ckpt"
    assert capsys.readouterr().out.strip() == (
        f"val/fid_projection_100: best 3 after 6 generator updates ({path}), last 4 after 8"
    )
    assert [p.name for p in Path("best").iterdir()] == ["best_fid_projection_100.ckpt"]
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["global_step"] == 6
    assert isinstance(GANModule.load_from_checkpoint(path, generator=Dice()), GAN)


def test_a_second_training_begins_anew(make_trainer: Any, capsys: Any) -> None:
    figures = iter([1.0, 2.0, 5.0, 4.0])

    class Scripted(GenerativeMetrics):
        def measure(self, *args: Any) -> dict[str, float]:
            return {"fid_projection_100": next(figures)}

    callbacks = [Scripted(["fid"], features=ModuleFeatures(Projection())), BestCheckpoint()]
    for _ in range(2):
        fit(make_trainer, callbacks, steps=4)
    first, second = capsys.readouterr().out.splitlines()
    assert re.search(r"best 1 after 2 generator updates \(\S+/checkpoints/best_fid", first)
    assert re.search(r"best 4 after 4 generator updates \(\S+/checkpoints-v1/best_fid", second)


def test_a_monitor_that_never_comes_is_refused(make_trainer: Any) -> None:
    line = "BestCheckpoint.monitor='val/fid' must be one of .*val/fid_projection_100, val/g/adv"
    with pytest.raises(ValueError, match=line):
        fit(make_trainer, [projected(), BestCheckpoint("val/fid")], steps=2)


def test_what_cannot_be_measured_stops_before_training(make_trainer: Any) -> None:
    for options, line in (
        (
            {"names": ["is"], "features": ModuleFeatures(nn.Flatten())},
            "the Inception Score needs classes, which features=flatten does not tell",
        ),
        ({"names": ["recall"], "n": 5}, "need 6 images at least: metrics.n and metrics.n_kept"),
        ({"features": ModuleFeatures(nn.Linear(3, 2))}, "mat1 and mat2 shapes cannot be multip"),
    ):
        trainer = make_trainer(callbacks=[projected(**options)], max_steps=2, limit_val_batches=1)
        with pytest.raises((ValueError, RuntimeError), match=line):
            trainer.fit(GAN(image_shape=(1, 8, 8), latent_dim=4), Digits8())
        assert trainer.global_step == 0


def test_the_best_is_remembered_by_a_resumed_run(make_trainer: Any, capsys: Any) -> None:
    def run(folder: str, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Weights, and best and last figure with their steps."""
        # the first figure is the highest
        best = BestCheckpoint(mode="max", dirpath=folder)
        callbacks = [projected(every_n_validations=2), best]
        trainer = fit(make_trainer, callbacks, data=Digits8(80, shuffle=False), **kwargs)
        trainer.save_checkpoint(f"{folder}.ckpt", weights_only=False)
        return trainer.model.state_dict(), best.state_dict()

    weights, whole = run("whole", steps=12)
    assert (whole["best"]["step"], whole["last"]["step"]) == (4, 12)
    run("half", steps=8)
    capsys.readouterr()
    resumed_weights, resumed = run("rest", steps=12, ckpt_path="half.ckpt")
    assert_close(resumed_weights, weights, rtol=0, atol=0)
    path = "rest/best_fid_projection_100.ckpt"
    assert resumed["best"] == {**whole["best"], "path": path}
    assert resumed["last"] == whole["last"]
    assert f"after 4 generator updates ({path}), last" in capsys.readouterr().out
    assert torch.load(path, weights_only=True)["global_step"] == 4
    # a folder may have been moved as a whole
    Path("half").rename("moved")
    Path("half.ckpt").rename("moved/last.ckpt")
    _, moved = run("third", steps=12, ckpt_path="moved/last.ckpt")
    assert moved["best"]["step"] == 4
    # from the best itself training goes on exactly, too
    again, _ = run("again", steps=12, ckpt_path=path)
    assert_close(again, weights, rtol=0, atol=0)
    # one that has gone on has overwritten the file
    Path("moved/best_fid_projection_100.ckpt").write_bytes(Path("whole.ckpt").read_bytes())
    with pytest.warns(match="is not the best checkpoint of this training any more: begin anew"):
        _, anew = run("fourth", steps=12, ckpt_path="moved/last.ckpt")
    assert anew["best"]["step"] == 12


def test_what_a_checkpoint_came_before_is_measured_when_it_is_resumed(make_trainer: Any) -> None:
    """A step that is saved and validated is saved first: the file knows nothing of the figure."""

    def run(folder: str, **kwargs: Any) -> dict[str, Any]:
        best = BestCheckpoint(mode="max")
        keeper = StepCheckpoint(every_n_train_steps=4, dirpath=folder)
        callbacks = [projected(every_n_validations=2), best, keeper]
        data = Digits8(80, shuffle=False)
        fit(make_trainer, callbacks, steps=12, data=data, enable_checkpointing=True, **kwargs)
        return best.state_dict()

    whole = run("whole")
    assert whole["best"]["step"] == 4
    resumed = run("rest", ckpt_path="whole/step_000004.ckpt")
    assert resumed["last"] == whole["last"]
    path = str(Path("rest/best_fid_projection_100.ckpt").resolve())
    assert resumed["best"] == {**whole["best"], "path": path}


# ---- cache -------------------------------------------------------------------------------------


class Counting(Projection):
    """A projection that counts the images it has seen."""

    seen = 0

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        Counting.seen += len(images)
        return super().forward(images)


def test_real_statistics_are_computed_once_and_found_by_all_that_decides_them(
    validate: Any,
) -> None:
    model = GAN(image_shape=(1, 8, 8), latent_dim=4)

    def run(data: Any, **kwargs: Any) -> tuple[dict[str, float], int]:
        """Figures, and real images whose features were computed, beside two that are looked at."""
        Counting.seen = 0
        module = kwargs.pop("module", None) or Counting()
        metrics = GenerativeMetrics(n=100, features=ModuleFeatures(module, "x"), **kwargs)
        found = validate(model, data, metrics)
        return found, max(Counting.seen - 102, 0)

    first, computed = run(Digits8())
    assert computed == 70
    assert run(Digits8()) == (first, 0)
    assert run(Digits8(), batch_size=30)[1] == 0
    assert run(Digits8(), seed=3)[1] == 0
    # each of these is another set of real images, or other features of them
    darker = Digits8()
    darker.images[13, 0, 4, 4] += 0.01
    assert run(darker)[1] == 70
    other_label = Digits8()
    other_label.labels[5] = 1
    assert run(other_label)[1] == 70
    swapped = Digits8()
    swapped.images[[3, 4]] = swapped.images[[4, 3]]
    assert run(swapped)[1] == 70
    assert run(Digits8(71))[1] == 71
    assert run(Digits8(), reference="val")[1] == 30
    assert run(Digits8(), n_kept=50)[1] == 70
    assert run(Digits8(), module=Counting(features=5))[1] == 70
    turned = Counting()
    turned.weight = -turned.weight
    assert run(Digits8(), module=turned)[1] == 70
    assert run(Digits8(), cache_dir="elsewhere")[1] == 70
    assert run(Digits8()) == (first, 0)
    # a file that was cut off is made anew
    for path in Path("elsewhere").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert run(Digits8(), cache_dir="elsewhere") == (first, 70)
    assert run(Digits8(), cache_dir="elsewhere") == (first, 0)


def test_image_size_is_part_of_the_key(make_trainer: Any) -> None:
    def index(**kwargs: Any) -> Any:
        data = DigitsDataModule(**kwargs)
        model = GAN(image_shape=data.image_shape, latent_dim=2)
        return seen(make_trainer, model, data, lambda real: real.index("val"))

    assert index() == index(batch_size=7)
    assert index() == index(seed=5, flip=True)  # which concern training only
    assert len({index().fingerprint, index(image_size=32).fingerprint}) == 2
    assert index().fingerprint != index(load_size=20).fingerprint


def test_the_classifier_is_trained_once(
    digit_metrics: Any, validate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = GAN(image_shape=(1, 16, 16), latent_dim=4), DigitsDataModule()
    first = validate(model, data, digit_metrics())

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("gan_modules.metrics.classifier.train_classifier", fail)
    assert validate(model, data, digit_metrics()) == first
    with pytest.raises(AssertionError):
        validate(model, data, GenerativeMetrics(n=10, features=ClassifierFeatures(steps=151)))


@pytest.mark.filterwarnings("ignore:.*learnt nothing")
def test_its_accuracy_is_that_on_the_images_held_out_now(validate: Any, tmp_path: Path) -> None:
    class Shorter(Digits8):
        def val_dataloader(self) -> DataLoader[Any]:
            return DataLoader(TensorDataset(self.images[:6], torch.zeros(6).long()), 20)

    for data, labels in ((Digits8(), None), (Shorter(), torch.zeros(6))):
        classifier = ClassifierFeatures(steps=20)
        metrics = GenerativeMetrics(n=10, features=classifier, cache_dir=str(tmp_path / "c"))
        validate(GAN(image_shape=(1, 8, 8), latent_dim=4), data, metrics)
        network: Any = classifier.module
        wanted = data.labels[:30] if labels is None else labels
        right = network.classify(data.images[: len(wanted)]) == wanted
        assert classifier.accuracy == pytest.approx(right.float().mean().item())


def test_a_cache_that_cannot_be_written_to(validate: Any) -> None:
    Path("file").touch()
    with pytest.raises(ValueError, match=r"cache_dir='file/\*.pt' cannot be written to: file is a"):
        validate(GAN(image_shape=(1, 8, 8)), Digits8(), projected(cache_dir="file"))
    # one that fails later
    with pytest.raises(ValueError, match="cache_dir='file' cannot be written to"):
        TensorCache("file").write("x", {})


# ---- what cannot work --------------------------------------------------------------------------


@pytest.fixture
def _offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def fail(*_: Any, **__: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    monkeypatch.setenv("TORCH_HOME", "hub")


@pytest.mark.usefixtures("_offline")
def test_missing_weights_stop_the_run_before_it_starts(make_trainer: Any) -> None:
    with pytest.raises(ValueError, match="the weights of Inception-v3 cannot be downloaded"):
        fit(make_trainer, [GenerativeMetrics()])


@pytest.mark.usefixtures("_offline")
def test_missing_weights_are_skipped_on_request(make_trainer: Any) -> None:
    metrics = GenerativeMetrics(features=InceptionFeatures(), on_missing_weights="skip")
    with pytest.warns(match="no fid, kid in this run: the weights of Inception-v3 cannot be do"):
        trainer = fit(make_trainer, [metrics, projected(), BestCheckpoint()])
    assert trainer.global_step == 8
    ours = {name for name in trainer.callback_metrics if "/loss" not in name}
    assert {"val/fid_projection_100", "val/kid_projection_100"} <= ours
    assert not any("inception" in name for name in ours)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"names": ["fod"]}, "names='fod' must be of fid, kid, is, precision"),
        ({"n": 1}, "n=1 must be at least 2"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"every_n_validations": 0}, "every_n_validations=0 must be at least 1"),
        ({"n_kept": 1}, "n_kept=1 must be at least 2"),
        ({"reference": "training"}, "reference='training' must be train, val or test"),
        ({"on_missing_weights": "ignore"}, "on_missing_weights='ignore' must be error or skip"),
    ],
)
def test_wrong_options(options: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        GenerativeMetrics(**options)


def test_wrong_options_of_others() -> None:
    with pytest.raises(ValueError, match="steps=0 must be at least 1"):
        ClassifierFeatures(steps=0)
    with pytest.raises(ValueError, match="seed=-1 must be at least 0"):
        ClassifierFeatures(seed=-1)
    with pytest.raises(ValueError, match="mode='low' must be min or max"):
        BestCheckpoint(mode="low")  # type: ignore[arg-type]


def test_what_does_not_fit_together(validate: Any, make_trainer: Any) -> None:
    model, data = GAN(image_shape=(1, 8, 8)), Digits8()
    cycle, untouched = CycleGAN(image_shape=(3, 16, 16)), GAN(image_shape=(1, 8, 8))
    labelled = ClassifierFeatures()
    with pytest.raises(ValueError, match="features=flatten does not tell: leave 'is' out of names"):
        validate(model, data, GenerativeMetrics(["is"], 10, ModuleFeatures(nn.Flatten())))
    with pytest.raises(ValueError, match="ClassifierFeatures needs batches of images and their la"):
        validate(cycle, UnpairedDigitsDataModule(), GenerativeMetrics(features=labelled))
    data.labels[:] = 0
    with pytest.raises(ValueError, match="needs labels from 0 to 1 at least, the data has 0 to 0"):
        validate(model, data, GenerativeMetrics(features=labelled))
    with pytest.raises(ValueError, match="the metrics need the train images, for which there is"):
        validate(model, Digits8().val_dataloader(), projected())
    assert validate(model, Digits8().val_dataloader(), projected(reference="val"))
    with pytest.raises(ValueError, match="measures at the end of validation, of which there is"):
        make_trainer(max_steps=1, callbacks=[projected()]).fit(untouched, Digits8())
    with pytest.raises(ValueError, match="monitor=None must be the name of a metric"):
        fit(make_trainer, [BestCheckpoint()])


def test_another_family_says_itself_what_to_compare(validate: Any) -> None:
    class Other(GANModule):
        def build_generator(self) -> nn.Module:
            return nn.Linear(1, 1)

        build_discriminator = build_generator
        sample_grid = NoiseGAN.sample_grid

        def discriminator_losses(self, batch: Any) -> dict[str, Tensor]:
            return {"a": torch.zeros(())}

        generator_losses = discriminator_losses

    model = Other(generator_optimizer=torch.optim.SGD, discriminator_optimizer=torch.optim.SGD)
    with pytest.raises(ValueError, match="GenerativeMetrics cannot draw from a Other: it knows"):
        validate(model, Digits8(), projected())


def test_a_trial_and_no_names_measure_nothing(make_trainer: Any, validate: Any) -> None:
    callbacks = [projected(), BestCheckpoint()]
    trainer = make_trainer(callbacks=callbacks, fast_dev_run=True, limit_val_batches=1)
    trainer.fit(GAN(image_shape=(1, 8, 8)), Digits8())
    assert list(Path().iterdir()) == []
    assert validate(GAN(image_shape=(1, 8, 8)), Digits8(), projected(names=[])) == {}


def test_data_first_read_while_validating_can_still_be_trained_on(make_trainer: Any) -> None:
    """Lightning validates in inference mode, whose tensors would end a later training."""

    class Sliced(Digits8):
        def setup(self, stage: str) -> None:
            if stage == "fit" and not hasattr(self, "parts"):
                self.parts = list((self.images * 1).split(10))

        def train_dataloader(self) -> DataLoader[Any]:
            return DataLoader(self.parts, None)  # type: ignore[arg-type]

    data = Sliced()
    trainer = make_trainer(max_steps=2, callbacks=[projected()], limit_val_batches=1)
    # whose batch normalisation keeps real and fake apart: the real ones reach it as they come
    judge = nn.Sequential(nn.Flatten(), nn.Linear(64, 1), nn.BatchNorm1d(1), nn.Flatten(0))
    model = GAN(image_shape=(1, 8, 8), latent_dim=2, discriminator=judge)
    trainer.validate(model, data, verbose=False)
    assert data.parts
    model.train()
    trainer.fit(model, data)
    assert trainer.global_step == 2


@pytest.mark.filterwarnings("ignore:.*learnt nothing")
def test_a_classifier_can_be_trained_while_validating(validate: Any) -> None:
    metrics = GenerativeMetrics(n=20, features=ClassifierFeatures(steps=2))
    found = validate(GAN(image_shape=(1, 8, 8), latent_dim=2), Digits8(), metrics)
    names = {"fid_digits8_classifier_20", "kid_digits8_classifier_20"}
    assert set(found) == {*names, "accuracy_digits8_classifier"}


# ---- path lengths ------------------------------------------------------------------------------


class Flat(nn.Module):
    """Features are pixels."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


class LinearStyles(StyledGenerator):
    """A style is twice the latent; an image is a linear map of the styles of two layers."""

    def __init__(self, image_shape: Any, latent_dim: int) -> None:
        super().__init__(latent_dim, 2)
        self.synthesis = nn.Sequential(nn.Flatten(), nn.Linear(2 * latent_dim, 64))
        self.synthesis.append(nn.Unflatten(1, (1, 8, 8)))

    def mapping(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return 2 * z


def lengths(model: Any, names: Any, validate: Any, **options: Any) -> list[float]:
    options = {"features": ModuleFeatures(Flat()), "n": 90, "batch_size": 40, **options}
    found = validate(model, Digits8(), GenerativeMetrics(names=names, **options))
    assert set(found) == {f"{name}_flat_90" for name in names}
    return [found[f"{name}_flat_90"] for name in names]


def test_path_length_of_a_linear_generator(validate: Any) -> None:
    model = StyleGAN2(image_shape=(1, 8, 8), latent_dim=3, generator=LinearStyles)
    names = ["ppl_zfull", "ppl_wfull", "ppl_zend", "ppl_wend"]
    z_full, w_full, z_end, w_end = lengths(model, names, validate)
    synthesis: Any = model.averaged_generator.synthesis  # type: ignore[union-attr]
    per_layer = synthesis[1].weight.double().unflatten(1, (2, 3))
    # of the latent: both layers have one style, which is twice it
    slope = 2 * per_layer.sum(1)
    seeds = [(n, derive_seed(0, "ways", start)) for n, start in ((40, 0), (40, 40), (10, 80))]
    pairs = [model.latents(2 * n, seed).double().chunk(2) for n, seed in seeds]
    a, b = (torch.cat(ends) for ends in zip(*pairs, strict=True))

    def mean_of(steps: Tensor) -> float:
        squared = (steps @ slope.T).square().sum(1).sort().values
        # the 1st and the 99th percentile of 90 are the first and the last
        return float(squared.mean())

    # a straight way goes at one speed
    assert w_end == pytest.approx(mean_of(b - a), rel=1e-3)
    assert w_full == pytest.approx(w_end, rel=2e-3)
    # an arc begins at a right angle to its radius, which grows or shrinks
    sizes = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    cosine = (a * b).sum(1, keepdim=True) / (sizes[0] * sizes[1])
    across = b / sizes[1] - cosine * a / sizes[0]
    across = across / across.norm(dim=1, keepdim=True)
    start = (sizes[1] - sizes[0]) * a / sizes[0] + sizes[0] * cosine.acos() * across
    assert z_end == pytest.approx(mean_of(start), rel=1e-3)
    # elsewhere it goes another way
    assert z_full == pytest.approx(z_end, rel=0.3)
    assert abs(z_full / z_end - 1) > 1e-3


def test_the_mean_path_length_leaves_the_ends_out() -> None:
    values = torch.arange(101.0)
    values[-1] = 1e6
    # 1 to 99, over a quarter
    assert perceptual_path_length(values.flip(0), epsilon=0.5) == pytest.approx(200.0)
    # of two hundred, from the second to the last but one
    values = torch.cat([torch.tensor([0.0]), torch.ones(198), torch.tensor([7.0])])
    assert perceptual_path_length(values, epsilon=1.0) == 1.0
    # of three, none is below the 1st percentile or above the 99th
    assert perceptual_path_length(torch.tensor([8.0, 0.0, 1.0]), epsilon=1.0) == 3.0
    assert math.isnan(perceptual_path_length(torch.tensor([1.0, math.nan, 2.0])))


def test_a_way_has_one_class(validate: Any) -> None:
    class Classes(nn.Module):
        def __init__(self, **_: Any) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, z: Tensor, labels: Tensor) -> Tensor:
            seen.append(labels)
            return labels.reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8) / 3 + 0 * self.weight

    seen: list[Tensor] = []
    model = GAN(
        image_shape=(1, 8, 8), latent_dim=4, num_classes=3, conditional=True, generator=Classes()
    )
    seen.clear()
    assert lengths(model, ["ppl_zfull"], validate) == [0.0]
    counts = torch.cat(seen[-3:]).bincount()
    # in the proportions of the data, both ends of each of 90 ways
    assert counts.tolist() == [108, 54, 18]


def test_what_has_no_ways_is_said(validate: Any) -> None:
    model = GAN(image_shape=(1, 8, 8), latent_dim=4)
    with pytest.raises(ValueError, match=r"names=ppl_wend must be left out: .* has z only"):
        lengths(model, ["ppl_wend"], validate)

    class Rounded(ModuleFeatures):
        rounds = True

    with pytest.raises(ValueError, match="names=ppl_zend must be left out with features=flat"):
        lengths(model, ["ppl_zend"], validate, features=Rounded(Flat()))
    cyclegan = CycleGAN(image_shape=(1, 16, 16))
    data = UnpairedDigitsDataModule(batch_size=4)
    with pytest.raises(ValueError, match=r"names=ppl_zend must be left out: .* has none"):
        validate(cyclegan, data, projected(names=["ppl_zend"]))
    assert InceptionFeatures.rounds


def test_a_path_length_takes_float32(make_trainer: Any) -> None:
    model = GAN(image_shape=(1, 8, 8), latent_dim=4)
    metrics = GenerativeMetrics(names=["ppl_zend"], features=ModuleFeatures(Flat()), n=90)
    trainer = make_trainer(callbacks=[metrics], limit_val_batches=1, precision="bf16-true")
    line = "names=ppl_zend must be left out with trainer.precision=bf16-true, which rounds"
    with pytest.raises(ValueError, match=line):
        trainer.validate(model, Digits8(), verbose=False)
