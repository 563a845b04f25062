"""Saving, reloading without knowing the class, and resuming exactly."""

import pickle
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch.testing import assert_close

from datamodules import DigitsDataModule
from gan_modules import WGANGP, GANModule, NoiseGAN
from gan_modules.callbacks import StepCheckpoint
from gan_modules.networks import MLPDiscriminator, MLPGenerator


class SmallWGANGP(WGANGP):
    """Networks by overriding, so that a checkpoint describes the whole model."""

    def __init__(self, width: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build_generator(self) -> MLPGenerator:
        return MLPGenerator(self.image_shape, self.latent_dim, hidden=(self.hparams["width"],))

    def build_discriminator(self) -> MLPDiscriminator:
        return MLPDiscriminator(self.image_shape, hidden=(self.hparams["width"],))


def trained(make_trainer: Any, make_loader: Any, model: WGANGP) -> Path:
    trainer = make_trainer(max_steps=2)
    trainer.fit(model, make_loader(model.n_critic * 2))
    trainer.save_checkpoint("model.ckpt")
    return Path("model.ckpt")


@pytest.mark.parametrize("cls", [GANModule, NoiseGAN, SmallWGANGP])
def test_round_trip(cls: Any, make_trainer: Any, make_loader: Any) -> None:
    model = SmallWGANGP(width=6, image_shape=(1, 8, 8), latent_dim=3, n_critic=2)
    path = trained(make_trainer, make_loader, model)
    again = cls.load_from_checkpoint(path)
    assert type(again) is SmallWGANGP
    assert (again.latent_dim, again.n_critic, again.hparams["width"]) == (3, 2, 6)
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert_close(again.sample(4, seed=0), model.sample(4, seed=0), rtol=0, atol=0)


class SettledWGANGP(SmallWGANGP):
    """Passes its parent what a user may then not pass."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            gp_weight=3.0, n_critic=2, generator=partial(MLPGenerator, hidden=(4,)), **kwargs
        )


def test_what_a_subclass_settles_is_not_asked_for_again(
    make_trainer: Any, make_loader: Any
) -> None:
    model = SettledWGANGP(image_shape=(1, 8, 8), latent_dim=3)
    assert (model.hparams["gp_weight"], model.hparams["width"]) == (3.0, 8)
    path = trained(make_trainer, make_loader, model)
    saved = torch.load(path, weights_only=True)["hyper_parameters"]
    assert saved == {"image_shape": (1, 8, 8), "latent_dim": 3}
    again = GANModule.load_from_checkpoint(path)
    assert isinstance(again, SettledWGANGP)
    assert (again.gp_weight, again.latent_dim) == (3.0, 3)
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


class Positional(WGANGP):
    """Names its arguments first and takes them in any way."""

    def __init__(self, image_shape: Any, latent_dim: int = 5, **kwargs: Any) -> None:
        super().__init__(image_shape=image_shape, latent_dim=latent_dim, n_critic=1, **kwargs)


class PassedOn(Positional):
    """Passes on what it does not name, and takes one of its arguments out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        weight = kwargs.pop("gp_weight", 3.0)
        super().__init__(*args, gp_weight=weight, **kwargs)
        # what writers of Lightning modules are used to
        self.save_hyperparameters()


@pytest.mark.parametrize("cls", [Positional, PassedOn])
def test_arguments_given_in_any_way_are_saved(
    cls: Any, make_trainer: Any, make_loader: Any
) -> None:
    optimizer = partial(torch.optim.SGD, lr=0.1)
    model = cls((1, 8, 8), 3, gp_weight=7.0, generator_optimizer=optimizer)
    again = GANModule.load_from_checkpoint(trained(make_trainer, make_loader, model))
    assert type(again) is cls
    assert (again.image_shape, again.latent_dim, again.gp_weight) == ((1, 8, 8), 3, 7.0)
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    twin = pickle.loads(pickle.dumps(deepcopy(again)))
    assert_close(twin.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_networks_passed_in_python_must_be_passed_again(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    model = make_model()
    path = trained(make_trainer, make_loader, model)
    with pytest.raises(
        ValueError, match=r"with discriminator and generator passed in Python: pass"
    ):
        GANModule.load_from_checkpoint(path)
    again = GANModule.load_from_checkpoint(
        path,
        generator=partial(MLPGenerator, hidden=(8,)),
        discriminator=partial(MLPDiscriminator, hidden=(8,)),
    )
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    # classes, unlike functions of one's own, are told by their paths
    second = trained(make_trainer, make_loader, again)
    alone = GANModule.load_from_checkpoint(second)
    assert_close(alone.state_dict(), again.state_dict(), rtol=0, atol=0)


def test_classes_passed_in_python_are_told_by_their_paths(
    make_trainer: Any, make_loader: Any
) -> None:
    optimizer = partial(torch.optim.SGD, lr=0.25, momentum=0.5)
    model = WGANGP(
        image_shape=(1, 8, 8),
        n_critic=1,
        generator=MLPGenerator,
        discriminator=partial(MLPDiscriminator, hidden=(4, 5)),
        generator_optimizer=optimizer,
    )
    path = trained(make_trainer, make_loader, model)
    hparams = torch.load(path, weights_only=True)["hyper_parameters"]
    assert hparams["discriminator"] == {
        "class_path": "gan_modules.networks.mlp.MLPDiscriminator",
        "init_args": {"hidden": (4, 5)},
    }
    again = GANModule.load_from_checkpoint(path)
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert not again.training
    # it can be trained on: the optimizer is known, too
    resumed = make_trainer(max_steps=2)
    resumed.fit(again, make_loader(4), ckpt_path=path)
    assert resumed.optimizers[0].param_groups[0]["momentum"] == 0.5
    assert again.training


class Augmented(SmallWGANGP):
    def __init__(self, augment: Any = torch.neg, **kwargs: Any) -> None:
        super().__init__(**kwargs)


def test_anything_else_passed_in_python_must_be_passed_again_too(
    make_trainer: Any, make_loader: Any
) -> None:
    options: dict[str, Any] = {"image_shape": (1, 8, 8), "n_critic": 1}
    path = trained(make_trainer, make_loader, Augmented(**options))
    assert type(GANModule.load_from_checkpoint(path)) is Augmented
    path = trained(make_trainer, make_loader, Augmented(augment=torch.abs, **options))
    with pytest.raises(ValueError, match="with augment passed in Python"):
        GANModule.load_from_checkpoint(path)


def test_a_class_that_is_not_imported_is_named(make_trainer: Any, make_loader: Any) -> None:
    class Passing(SmallWGANGP):
        pass

    path = trained(make_trainer, make_loader, Passing(image_shape=(1, 8, 8), n_critic=1))
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["class"] = "elsewhere.Unknown"
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match=r"holds a elsewhere.Unknown, which is not imported"):
        GANModule.load_from_checkpoint(path)


def test_foreign_files_are_named() -> None:
    torch.save({"state_dict": {}}, "other.ckpt")
    with pytest.raises(ValueError, match=r"other.ckpt was not saved by a module of this package"):
        GANModule.load_from_checkpoint("other.ckpt")


def fit_digits(steps: int, ckpt_path: str | None = None, workers: int = 0) -> Any:
    # a resumed process starts from another seed: everything must come from the checkpoint
    torch.manual_seed(0 if ckpt_path is None else 1)
    model = SmallWGANGP(image_shape=(1, 16, 16), latent_dim=3, n_critic=2)
    trainer = Trainer(
        accelerator="cpu", max_steps=steps, logger=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, callbacks=[
            StepCheckpoint(every_n_train_steps=1, dirpath="saved")
        ],
    )  # fmt: skip
    # 1,437 images make 11 iterations of 2 x 64
    trainer.fit(model, DigitsDataModule(num_workers=workers), ckpt_path=ckpt_path)
    return trainer, model


@pytest.mark.parametrize(("saved_at", "workers"), [(4, 0), (11, 0), (15, 0), (15, 2)])
@pytest.mark.filterwarnings("ignore:.*directory .* exists and is not empty")
@pytest.mark.filterwarnings("ignore:.*use_fork_safe|.*multi-threaded, use of fork")
def test_resume_is_bitwise(saved_at: int, workers: int) -> None:
    trainer, model = fit_digits(25)
    resumed_trainer, resumed = fit_digits(25, f"saved/step_{saved_at:06d}.ckpt", workers)
    assert resumed_trainer.global_step == 25
    assert_close(resumed.state_dict(), model.state_dict(), rtol=0, atol=0)
    for ours, theirs in zip(resumed_trainer.optimizers, trainer.optimizers, strict=True):
        assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_step_checkpoint_names_and_keeps(make_trainer: Any, make_loader: Any) -> None:
    def saved(save_top_k: Any, folder: str) -> list[str]:
        model = SmallWGANGP(image_shape=(1, 8, 8), n_critic=1)
        callback = StepCheckpoint(2, save_top_k=save_top_k)
        trainer = make_trainer(
            max_steps=5, callbacks=[callback], enable_checkpointing=True, default_root_dir=folder
        )
        trainer.fit(model, make_loader(2))
        last = Path(folder, "checkpoints", "last.ckpt")
        assert torch.load(last, weights_only=True)["global_step"] == 5
        return sorted(path.name for path in last.parent.iterdir())

    names = [f"step_{n:06d}.ckpt" for n in (2, 4, 5)]
    assert saved(-1, "all") == ["last.ckpt", *names]
    assert saved(1, "one") == ["last.ckpt", names[-1]]


def test_a_second_training_in_the_same_folder_leaves_the_first_alone(
    make_trainer: Any, make_loader: Any
) -> None:
    for _ in range(2):
        trainer = make_trainer(
            max_steps=2, callbacks=[StepCheckpoint(1)], enable_checkpointing=True
        )
        trainer.fit(SmallWGANGP(image_shape=(1, 8, 8), n_critic=1), make_loader(2))
    for folder in ("checkpoints", "checkpoints-v1"):
        names = sorted(path.name for path in Path(folder).iterdir())
        assert names == ["last.ckpt", "step_000001.ckpt", "step_000002.ckpt"]


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before")
def test_optimizers_passed_in_python_must_be_passed_again_to_train_on(
    make_trainer: Any, make_loader: Any
) -> None:
    options: dict[str, Any] = {
        "generator_optimizer": lambda p: torch.optim.SGD(p, lr=0.1),
        "discriminator_scheduler": lambda o: torch.optim.lr_scheduler.StepLR(o, 1),
    }
    model = SmallWGANGP(image_shape=(1, 8, 8), n_critic=1, **options)
    path = trained(make_trainer, make_loader, model)
    again = GANModule.load_from_checkpoint(path)
    assert_close(again.sample(2, seed=0), model.sample(2, seed=0), rtol=0, atol=0)  # type: ignore[operator]
    with pytest.raises(
        ValueError, match="with discriminator_scheduler and generator_optimizer passed"
    ):
        make_trainer(max_steps=3).fit(again, make_loader(2), ckpt_path=path)
    again = GANModule.load_from_checkpoint(path, **options)
    trainer = make_trainer(max_steps=3)
    trainer.fit(again, make_loader(2), ckpt_path=path)
    assert isinstance(trainer.optimizers[0], torch.optim.SGD)


@pytest.mark.parametrize("content", [b"text", b"", torch.zeros(2)])
def test_unreadable_files_are_named(content: Any) -> None:
    if isinstance(content, bytes):
        Path("bad.ckpt").write_bytes(content)
    else:
        torch.save(content, "bad.ckpt")
    with pytest.raises(
        ValueError, match=r"bad.ckpt (is not a readable checkpoint|was not saved by)"
    ):
        GANModule.load_from_checkpoint("bad.ckpt")


class Payload:
    """A pickle that would create a file when it is read."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("executed"),)


def test_a_hostile_file_is_not_executed() -> None:
    torch.save({"given_in_python": [], "payload": Payload()}, "hostile.ckpt")
    with pytest.raises(ValueError, match=r"hostile.ckpt is not a readable checkpoint"):
        GANModule.load_from_checkpoint("hostile.ckpt")
    assert not Path("executed").exists()
