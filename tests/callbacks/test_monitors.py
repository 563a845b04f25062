"""``ModelCheckpoint`` and ``EarlyStopping`` on what a run logs, and what they cannot monitor."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor, nn

import cli
from gan_modules import CGAN, DCGAN, GAN, R1, VAE, WGANGP, CycleGAN
from gan_modules.callbacks import BestCheckpoint, GenerativeMetrics
from gan_modules.metrics import ModuleFeatures

FID = "val/fid_flatten_20"


def scripted(*figures: float, every: int = 2) -> GenerativeMetrics:
    """Figures in the place of measurements, at every so manieth validation."""
    left = iter(figures)

    class Scripted(GenerativeMetrics):
        def measure(self, *args: Any) -> dict[str, float]:
            return {"fid_flatten_20": next(left)}

    Scripted.__module__ = GenerativeMetrics.__module__
    features = ModuleFeatures(nn.Flatten())
    return Scripted(["fid"], n=20, features=features, every_n_validations=every)


def fit(
    make_trainer: Any, make_loader: Any, *callbacks: Callback, steps: int = 8, **kw: Any
) -> Any:
    options = {
        "max_steps": steps, "callbacks": [*callbacks], "limit_val_batches": 1,
        "val_check_interval": 1, "check_val_every_n_epoch": None, "num_sanity_val_steps": 0,
        "enable_checkpointing": True, **kw,
    }  # fmt: skip
    trainer = make_trainer(**options)
    model = GAN(image_shape=(1, 8, 8), latent_dim=2)
    trainer.fit(model, make_loader(10), make_loader(10))
    return trainer


@pytest.mark.filterwarnings("ignore:.*many workers")
def test_a_checkpoint_is_kept_of_measured_weights_only(make_trainer: Any, make_loader: Any) -> None:
    # measured after 2, 4, 6 and 8 updates
    keeper = ModelCheckpoint("kept", "{step}", monitor=FID, save_top_k=2, save_last=True)
    fit(make_trainer, make_loader, scripted(5.0, 2.0, 4.0, 3.0), keeper)
    assert sorted(p.name for p in Path("kept").iterdir()) == ["last.ckpt", "step=4.ckpt", "step=8.ckpt"]  # fmt: skip  # noqa: E501
    assert Path(keeper.best_model_path).name == "step=4.ckpt"
    assert keeper.best_model_score == 2
    assert torch.load(keeper.best_model_path, weights_only=True)["global_step"] == 4


@pytest.mark.filterwarnings("ignore:.*many workers")
def test_patience_counts_measurements(make_trainer: Any, make_loader: Any) -> None:
    stop = EarlyStopping(FID, patience=2)
    # better, worse, worse: the third measurement, at the sixth validation, ends it
    trainer = fit(make_trainer, make_loader, scripted(1.0, 2.0, 3.0, 0.0, 0.0), stop, steps=10)
    assert trainer.global_step == 6
    assert stop.best_score == 1


@pytest.mark.filterwarnings("ignore:.*many workers")
def test_terms_that_are_logged_less_often_than_validated(
    make_trainer: Any, make_loader: Any
) -> None:
    stop = EarlyStopping("d/loss", patience=100)
    keeper = ModelCheckpoint("kept", "{step}", monitor="g/loss", save_top_k=-1)
    trainer = fit(make_trainer, make_loader, stop, keeper, log_every_n_steps=4, steps=6)
    assert trainer.global_step == 6
    assert float(stop.best_score) < float("inf")
    # what was logged after 4 updates is there at the next validations
    assert sorted(path.name for path in Path("kept").iterdir()) == [
        "step=4.ckpt", "step=5.ckpt", "step=6.ckpt"
    ]  # fmt: skip


WRONG = [
    (
        ModelCheckpoint(monitor="fid"),
        r"ModelCheckpoint.monitor='fid' must be one of d/adversarial, d/",
    ),
    (EarlyStopping("val_loss"), r"EarlyStopping.monitor='val_loss' must be one of .*, val/fid_fl"),
    (BestCheckpoint("val/kid_flatten_20"), r"BestCheckpoint.monitor='val/kid_flatten_20' must be"),
]


@pytest.mark.filterwarnings("ignore:.*many workers")
@pytest.mark.parametrize(("callback", "line"), WRONG)
def test_an_unknown_monitor_is_refused_before_training(
    callback: Callback, line: str, make_trainer: Any, make_loader: Any
) -> None:
    trainer = None
    with pytest.raises(ValueError, match=line) as caught:
        trainer = fit(make_trainer, make_loader, scripted(1.0), callback)
    assert trainer is None
    assert "\n" not in str(caught.value)
    real = str(caught.value).split("must be one of ")[1].split(", ")
    assert real == [
        "d/adversarial", "d/loss", "g/adversarial", "g/loss",
        "val/d/adversarial", "val/d/loss", FID, "val/g/adversarial", "val/g/loss",
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*many workers")
def test_without_validation_nothing_of_it_can_be_monitored(
    make_trainer: Any, make_loader: Any
) -> None:
    with pytest.raises(ValueError, match="'val/g/loss' must be one of d/adversarial, d/loss, g/"):
        fit(make_trainer, make_loader, ModelCheckpoint(monitor="val/g/loss"), limit_val_batches=0)


class Own(Callback):
    """Logs something of its own."""

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        pl_module.log("val/mine", float(trainer.global_step))


@pytest.mark.filterwarnings("ignore:.*many workers")
def test_what_a_callback_of_ones_own_logs_is_not_refused(
    make_trainer: Any, make_loader: Any
) -> None:
    keeper = ModelCheckpoint("kept", "{step}", monitor="val/mine", mode="max")
    fit(make_trainer, make_loader, Own(), keeper, steps=3)
    assert Path(keeper.best_model_path).name == "step=3.ckpt"


class Terms(Callback):
    """Notes everything that is logged."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self.seen |= {*trainer.callback_metrics}


Terms.__module__ = Callback.__module__


@pytest.mark.filterwarnings("ignore:.*many workers")
@pytest.mark.parametrize("kind", [GAN, CGAN, DCGAN, VAE, WGANGP, CycleGAN])
def test_the_names_are_those_that_are_logged(
    kind: Any, make_trainer: Any, make_loader: Any
) -> None:
    from torch.utils.data import DataLoader, TensorDataset

    size = 8 if kind in (GAN, CGAN, VAE, WGANGP) else 32
    options: dict[str, Any] = {"image_shape": (1, size, size)}
    loader = make_loader(10, 60, (1, size, size))
    if kind is CGAN:
        options["num_classes"] = 3
    if kind is WGANGP:
        options["n_critic"] = 2
    if kind is CycleGAN:
        images = torch.zeros(10, 1, size, size)
        loader = DataLoader(TensorDataset(images, images), 2)
    states: list[Tensor] = []

    def trained(*callbacks: Callback) -> Any:
        torch.manual_seed(0)
        trainer = make_trainer(
            max_steps=1, callbacks=[*callbacks], limit_val_batches=1, log_every_n_steps=1,
            val_check_interval=1, check_val_every_n_epoch=None, num_sanity_val_steps=0,
            enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        )  # fmt: skip
        model = kind(**options)
        trainer.fit(model, loader, loader)
        states.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
        return trainer

    terms = Terms()
    trainer = trained(terms)
    logged = terms.seen | {*trainer.callback_metrics}
    with pytest.raises(ValueError, match="must be one of") as caught:
        trained(ModelCheckpoint("none", monitor="nothing"))
    assert {*str(caught.value).split("must be one of ")[1].split(", ")} == logged
    # and looking leaves no trace in what is trained
    term = min(name for name in logged if name.startswith("val/"))
    trained(ModelCheckpoint("kept", monitor=term, save_weights_only=True))
    assert torch.equal(states[0], states[1])


@pytest.mark.thorough
def test_from_the_command_line(small_text: str, fails: Any) -> None:
    text = yaml.safe_load(small_text)
    text["trainer"] |= {"val_check_interval": 1, "max_steps": 4}
    text["metrics"] = {
        "names": ["fid"],
        "n": 20,
        "every_n_validations": 2,
        "features": {
            "class_path": "ModuleFeatures",
            "init_args": {"module": {"class_path": "torch.nn.Flatten"}},
        },
    }

    def with_monitor(name: str) -> str:
        keeper = {"class_path": "ModelCheckpoint", "init_args": {"monitor": name, "dirpath": "k"}}
        stop = {"class_path": "EarlyStopping", "init_args": {"monitor": name, "patience": 9}}
        text["trainer"]["callbacks"] = [keeper, stop]
        Path("small.yaml").write_text(yaml.safe_dump(text))
        return "fit --config small.yaml"

    line = fails(with_monitor("val/fid"))
    assert line.startswith("EarlyStopping.monitor='val/fid' must be one of d/")
    assert ", val/fid_flatten_20, " in line
    done = cli.main(with_monitor(FID).split())
    assert done.trainer.global_step == 4
    assert len([*Path("k").iterdir()]) == 1


def test_a_regularizer_may_be_monitored(make_trainer: Any, make_loader: Any) -> None:
    """Its term is there in training alone, and not in every iteration."""
    keeper = ModelCheckpoint("kept", "{step}", monitor="d/r1", save_top_k=-1)
    model = GAN(image_shape=(1, 8, 8), latent_dim=2, regularizers=[R1(every=2)])
    trainer = make_trainer(
        max_steps=4, callbacks=[keeper], limit_val_batches=1, val_check_interval=1,
        check_val_every_n_epoch=None, num_sanity_val_steps=0, enable_checkpointing=True,
        log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(model, make_loader(10), make_loader(10))
    assert len(list(Path("kept").iterdir())) == 4
