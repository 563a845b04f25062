"""What users of GAN repositories try, and what they are told: models and trainers."""

from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import (
    BatchSizeFinder,
    GradientAccumulationScheduler,
    LearningRateFinder,
)
from lightning.pytorch.tuner import Tuner
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from datamodules import DigitsDataModule
from gan_modules import DCGAN, GAN, WGANGP, GANModule
from gan_modules.networks import MLPDiscriminator, MLPGenerator, PackedDiscriminator

NETWORKS: dict[str, Any] = {
    "generator": partial(MLPGenerator, hidden=(8,)),
    "discriminator": partial(MLPDiscriminator, hidden=(8,)),
    "latent_dim": 4,
}


def model(**options: Any) -> GAN:
    return GAN(**{"image_shape": (1, 8, 8), **NETWORKS, **options})


def loader(images: Tensor, size: int = 8) -> DataLoader[Any]:
    return DataLoader(TensorDataset(images, torch.arange(len(images)) % 3), size)


# every batch has values from one end to the other
IMAGES = torch.linspace(-1, 1, 64).expand(32, 64).reshape(32, 1, 8, 8).contiguous()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gradient_clip_val": 1.0}, r"gradient_clip_val=1\.0 of the trainer knows one optimizer"),
        ({"accumulate_grad_batches": 2}, "accumulate_grad_batches=2 of the trainer knows one"),
        (
            {"callbacks": [GradientAccumulationScheduler({0: 2})]},
            "GradientAccumulationScheduler knows one optimizer, .* generator_accumulate_grad",
        ),
        ({"callbacks": [LearningRateFinder()]}, "LearningRateFinder takes the rate at which one"),
    ],
)
def test_options_that_know_one_optimizer(
    options: dict[str, Any], message: str, make_trainer: Any
) -> None:
    with pytest.raises(ValueError, match=message):
        make_trainer(max_steps=1, **options).fit(model(), loader(IMAGES))


def test_the_learning_rate_finder_of_a_tuner(make_trainer: Any) -> None:
    with pytest.raises(ValueError, match="LearningRateFinder takes the rate"):
        Tuner(make_trainer(max_steps=1)).lr_find(model(), loader(IMAGES))


@pytest.mark.filterwarnings("ignore")
def test_the_batch_size_finder_works(make_trainer: Any) -> None:
    data = DigitsDataModule(batch_size=4)
    finder = BatchSizeFinder(steps_per_trial=1, max_trials=3)
    trainer = make_trainer(max_steps=2, callbacks=[finder])
    trainer.fit(model(image_shape=data.image_shape), data)
    assert trainer.global_step == 2
    # 2, 4, 8
    assert data.batch_size == 8


def test_an_optimizer_is_no_factory() -> None:
    optimizer = torch.optim.Adam(MLPGenerator((1, 8, 8), 4).parameters())
    line = "generator_optimizer=Adam object must be a class or function that builds one"
    with pytest.raises(ValueError, match=line):
        model(generator_optimizer=optimizer)
    with pytest.raises(ValueError, match="discriminator_scheduler=int object must be"):
        model(discriminator_scheduler=3)


def test_losses_have_names(make_trainer: Any) -> None:
    class Bare(GAN):
        def generator_losses(self, batch: Any) -> Any:
            return self.generate(batch).mean()

    bare = Bare(image_shape=(1, 8, 8), **NETWORKS)
    with pytest.raises(ValueError, match="generator_losses gives a Tensor: it must give named"):
        make_trainer(max_steps=1).fit(bare, loader(IMAGES))


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("lr", "discriminator_optimizer or generator_optimizer"),
        ("ema", "ema_decay"),
        ("gp_weigth", "gp_weight"),
        ("frobnicate", None),
    ],
)
def test_an_unknown_option_is_named(option: str, hint: str | None) -> None:
    line = f"WGANGP has no option {option}" + (f": did you mean {hint}" if hint else "$")
    with pytest.raises(TypeError, match=line):
        WGANGP(image_shape=(1, 8, 8), **{option: 1.0})


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_weight_norm_of_old(make_trainer: Any) -> None:
    generator = MLPGenerator((1, 8, 8), 4, hidden=(8,))
    nn.utils.weight_norm(generator.layers[0])
    with pytest.raises(ValueError, match=r"spectral_norm of torch\.nn\.utils\.param"):
        model(generator=generator)
    # spectral normalisation of old is averaged, its vectors copied
    generator = MLPGenerator((1, 8, 8), 4, hidden=(8,))
    nn.utils.spectral_norm(generator.layers[0])
    trained = model(generator=generator)
    make_trainer(max_steps=3).fit(trained, loader(IMAGES))
    u = trained.averaged_generator.layers[0].weight_u  # type: ignore[union-attr,index]
    assert_close(u, generator.layers[0].weight_u)


def test_several_validation_loaders(make_trainer: Any) -> None:
    trainer = make_trainer(max_steps=2, limit_val_batches=1, val_check_interval=2)
    trainer.fit(model(), loader(IMAGES), [loader(IMAGES), loader(IMAGES.flip(0))])
    assert {"val/d/loss/dataloader_idx_0", "val/d/loss/dataloader_idx_1"} <= set(
        trainer.callback_metrics
    )


def test_a_last_batch_of_one_image_is_told_at_once(make_trainer: Any) -> None:
    normalised = partial(MLPGenerator, hidden=(8,), batch_norm=True)
    line = "the last batch of an epoch has one image for a gradient"
    trainer = make_trainer(max_epochs=1, max_steps=-1)
    with pytest.raises(ValueError, match=line):
        trainer.fit(model(generator=normalised), loader(IMAGES[:9]))
    assert trainer.global_step == 0
    make_trainer(max_epochs=1, max_steps=-1).fit(model(), loader(IMAGES[:9]))


@pytest.mark.parametrize(
    ("images", "batch_size", "pieces", "line"),
    [
        (9, 8, 2, "has 1 images for an update, which cannot be cut into generator_accumulate_grad"),
        (10, 8, 2, "the last batch of an epoch has one image for a gradient"),
        (8, 2, 2, "batches of 2 have one image for a gradient, .* a larger batch_size"),
        (8, 1, 1, "batches of 1 have one image for a gradient, .* a larger batch_size"),
    ],
)
def test_batches_of_one_image_for_a_gradient(
    images: int, batch_size: int, pieces: int, line: str, make_trainer: Any
) -> None:
    normalised = partial(MLPGenerator, hidden=(8,), batch_norm=True)
    gan = model(generator=normalised, generator_accumulate_grad_batches=pieces)
    trainer = make_trainer(max_epochs=1, max_steps=-1)
    with pytest.raises(ValueError, match=line):
        trainer.fit(gan, DataLoader(TensorDataset(IMAGES[:images]), batch_size))
    assert trainer.global_step == 0


def test_pieces_of_the_last_batch_are_whole_packs(make_trainer: Any) -> None:
    pairs = partial(PackedDiscriminator, packing=2, discriminator=MLPDiscriminator)
    pieces: dict[str, Any] = {f"{p}_accumulate_grad_batches": 2 for p in GAN.players}
    gan = model(discriminator=pairs, **pieces)
    trainer = make_trainer(max_epochs=1, max_steps=-1)
    # two pieces of one image each
    with pytest.raises(ValueError, match="packing=2") as caught:
        trainer.fit(gan, DataLoader(TensorDataset(IMAGES[:10]), 8))
    assert "the last batch of an epoch" in caught.value.__notes__[-1]
    assert trainer.global_step == 0


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before")
def test_images_are_counted(make_trainer: Any) -> None:
    """Those of short batches, too, and on from a checkpoint."""
    seen: list[int] = []

    class Counting(GAN):
        def on_iteration(self, step: int, images: int) -> None:
            super().on_iteration(step, images)
            seen.append(images)

    def fit(steps: int, **options: Any) -> Any:
        trainer = make_trainer(max_steps=steps)
        trainer.fit(
            Counting(image_shape=(1, 8, 8), **NETWORKS),
            DataLoader(TensorDataset(IMAGES[:10]), 4),
            **options,
        )
        return trainer

    fit(3).save_checkpoint("three.ckpt")
    fit(6, ckpt_path="three.ckpt")
    assert seen == [0, 4, 8, 10, 14, 18]


# ---- values ----------------------------------------------------------------------------------


def test_images_without_a_value_below_zero_are_told(make_trainer: Any) -> None:
    with pytest.warns(UserWarning, match="images without a value below 0: black is -1 here"):
        make_trainer(max_steps=1).fit(model(), loader((IMAGES + 1) / 2))


@pytest.mark.parametrize("bad", [1.5, -3.0, float("nan")])
def test_images_that_leave_their_range_later(bad: float, make_trainer: Any) -> None:
    images = IMAGES.clone()
    images[-1, 0, 0, 0] = bad
    line = "the DataLoader has given images in .*: they must be in"
    with pytest.raises(ValueError, match=line):
        make_trainer(max_steps=4, log_every_n_steps=4).fit(model(), loader(images))


def test_labels_that_leave_their_range_later(make_trainer: Any) -> None:
    conditional = model(num_classes=3, conditional=True, ema_decay=0.0)
    labels = torch.zeros(32, dtype=torch.long)
    labels[-1] = -1
    batches = DataLoader(TensorDataset(IMAGES, labels), 8)
    # where a network does not look, the loop does
    conditional.generator, conditional.discriminator = _Blind(), _Blind()
    with pytest.raises(ValueError, match=r"has given labels in \[-1, 0\] .* must be in \[0, 2\]"):
        make_trainer(max_steps=4, log_every_n_steps=4).fit(conditional, batches)


def test_labels_that_leave_their_range_where_they_are_looked_up(
    make_trainer: Any,
) -> None:
    conditional = model(num_classes=3, conditional=True)
    labels = torch.zeros(len(IMAGES), dtype=torch.long)
    labels[-1] = 7
    batches = DataLoader(TensorDataset(IMAGES, labels), 8)
    line = r"has given labels in \[0, 7\] .* must be in \[0, 2\]"
    with pytest.raises(ValueError, match=line):
        make_trainer(max_steps=4, log_every_n_steps=4).fit(conditional, batches)


def test_held_out_images_that_leave_their_range_later(make_trainer: Any) -> None:
    images = IMAGES.clone()
    images[-1, 0, 0, 0] = 5
    model = GAN(image_shape=(1, 8, 8), **NETWORKS)
    trainer = make_trainer(limit_val_batches=1.0)
    for evaluate in (trainer.validate, trainer.test):
        with pytest.raises(ValueError, match=r"has given images in \[-?[\d.]+, 5\] since"):
            evaluate(model, loader(images))


class _Blind(nn.Module):
    """Takes no notice of labels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.weight * (x.flatten(1).mean(1) if x.ndim == 4 else x.new_zeros(len(x), 1, 8, 8))


def test_the_range_is_looked_at_without_waiting(make_trainer: Any) -> None:
    """Between two moments of logging nothing is read from the device."""
    reads: list[int] = []

    class Counting(GAN):
        def _look(self) -> None:
            reads.append(self.global_step)
            super()._look()

    counting = Counting(image_shape=(1, 8, 8), **NETWORKS)
    make_trainer(max_steps=4, log_every_n_steps=2).fit(counting, loader(IMAGES))
    assert reads == [2, 4, 4]


# ---- what is loaded --------------------------------------------------------------------------


def test_what_is_loaded_is_in_evaluation_mode(make_trainer: Any, tmp_path: Any) -> None:
    dcgan = DCGAN(image_shape=(1, 8, 8), latent_dim=4, ema_decay=0.0)
    trainer = make_trainer(max_steps=2)
    trainer.fit(dcgan, loader(IMAGES))
    trainer.save_checkpoint("model.ckpt")
    dcgan.save_pretrained(tmp_path)
    z = torch.randn(3, 4)
    for loaded in (
        GANModule.load_from_checkpoint("model.ckpt"),
        GANModule.from_pretrained(tmp_path),
    ):
        assert not any(module.training for module in loaded.modules())
        before = loaded.sample(4, seed=0)
        assert_close(loaded(z), loaded.generator(z))
        loaded.train()(z)
        assert_close(loaded.sample(4, seed=0), before, rtol=0, atol=0)
