"""What holds for every variant that the package exports, found by enumeration."""

import inspect
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset
from variants import NOISE_VARIANTS, VARIANTS

from gan_modules import GANModule, NoiseGAN, TranslationGAN
from gan_modules.networks import MLPDiscriminator, MLPGenerator


@pytest.fixture(params=VARIANTS, ids=lambda variant: variant.__name__)
def variant(request: pytest.FixtureRequest) -> Any:
    return request.param


def build(variant: Any, seed: int = 0, **kwargs: Any) -> Any:
    """A variant with its default networks, for images of 8x8 pixels."""
    torch.manual_seed(seed)
    if issubclass(variant, NoiseGAN):
        kwargs = {"num_classes": 3, **kwargs}
    return variant(image_shape=(1, 8, 8), **kwargs)


def batches(model: Any) -> DataLoader[Any]:
    """What the model's family trains on: two iterations of two images per update."""
    n = 2 * 2 * model.n_critic
    generator = torch.Generator().manual_seed(1)
    first, second = torch.rand(2, n, 1, 8, 8, generator=generator) * 2 - 1
    other = second if isinstance(model, TranslationGAN) else 2 - torch.arange(n) % 3
    return DataLoader(TensorDataset(first, other), 2 * model.n_critic, drop_last=True)


def test_every_family_has_variants() -> None:
    names = {variant.__name__ for variant in VARIANTS}
    assert {"GAN", "DCGAN", "CGAN", "WGAN", "WGANGP", "CycleGAN"} <= names
    assert len(NOISE_VARIANTS) < len(VARIANTS)


def test_update_ratio_and_finite_losses(variant: Any, make_trainer: Any) -> None:
    model = build(variant)
    steps = {"generator": 0, "discriminator": 0}

    class Counter(Callback):
        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            first = optimizer.param_groups[0]["params"][0]
            ours = any(first is parameter for parameter in pl_module.generator.parameters())
            steps["generator" if ours else "discriminator"] += 1

    trainer = make_trainer(max_steps=2, log_every_n_steps=1, callbacks=[Counter()])
    trainer.fit(model, batches(model))
    assert steps == {"generator": 2, "discriminator": 2 * model.n_critic}
    assert trainer.global_step == 2
    assert all(value.isfinite() for value in trainer.callback_metrics.values())
    assert {"d/loss", "g/loss"} <= set(trainer.callback_metrics)


@pytest.mark.parametrize("resting", ["generator", "discriminator"])
def test_each_optimizer_moves_its_own_player_only(
    variant: Any, resting: str, make_trainer: Any
) -> None:
    class Resting(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            """Leave the weights alone."""

    still = {f"{resting}_optimizer": Resting}
    model = build(variant, **still)
    moving = "generator" if resting == "discriminator" else "discriminator"
    before = {
        player: [p.detach().clone() for p in getattr(model, player).parameters()]
        for player in (resting, moving)
    }
    make_trainer(max_steps=1).fit(model, batches(model))
    after = {player: list(getattr(model, player).parameters()) for player in (resting, moving)}
    expected = before[resting]
    if resting == "discriminator" and hasattr(model, "clip_value"):
        expected = [p.clamp(-model.clip_value, model.clip_value) for p in expected]
    assert_close([p.detach() for p in after[resting]], expected, rtol=0, atol=0)
    moved = [not torch.equal(p, old) for p, old in zip(after[moving], before[moving], strict=True)]
    assert sum(moved) > len(moved) / 2
    assert all(p.grad is None for p in (*after[resting], *after[moving]))


def test_checkpoint_round_trip(variant: Any, make_trainer: Any) -> None:
    model = build(variant)
    trainer = make_trainer(max_steps=1)
    trainer.fit(model, batches(model))
    trainer.save_checkpoint("model.ckpt")
    again = GANModule.load_from_checkpoint("model.ckpt")
    assert type(again) is variant
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_validation_sees_the_whole_objective(variant: Any, make_trainer: Any) -> None:
    model = build(variant)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (metrics,) = make_trainer(limit_val_batches=2).validate(model, batches(model), verbose=False)
    assert {"val/d/loss", "val/g/loss"} <= set(metrics)
    assert_close(model.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("variant", NOISE_VARIANTS)
def test_sample_shape_and_range(variant: Any) -> None:
    images = build(variant).sample(3, seed=0)
    assert images.shape == (3, 1, 8, 8)
    assert images.abs().max() <= 1


def test_sample_grid_shape_and_range(variant: Any) -> None:
    model = build(variant)
    images = model.sample_grid(12, 0, next(iter(batches(model))))
    assert images.ndim == 5
    assert images.shape[2:] == (1, 8, 8)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("variant", NOISE_VARIANTS)
def test_conditional_use(variant: Any, make_trainer: Any) -> None:
    # a variant that is always conditional has no such option
    always = "num_classes" in inspect.signature(variant).parameters
    options = {} if always else {"conditional": True}
    model = build(variant, **options)
    make_trainer(max_steps=1).fit(model, batches(model))
    images = model.sample(2, labels=[0, 0], seed=1), model.sample(2, labels=[0, 2], seed=1)
    assert_close(images[0][0], images[1][0])
    assert not torch.equal(images[0][1], images[1][1])
    with pytest.raises(ValueError, match=r"labels from \d to 2, but num_classes=2"):
        make_trainer(max_steps=1).fit(build(variant, num_classes=2, **options), batches(model))


def test_bf16_trains_with_float32_weights(variant: Any, make_trainer: Any) -> None:
    model = build(variant)
    trainer = make_trainer(max_steps=1, precision="bf16-mixed", log_every_n_steps=1)
    trainer.fit(model, batches(model))
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert all(value.isfinite() for value in trainer.callback_metrics.values())


def test_a_subclass_adds_a_term(variant: Any, make_trainer: Any) -> None:
    class Brighter(variant):  # type: ignore[misc]
        def generator_losses(self, batch: Any) -> dict[str, Tensor]:
            terms: dict[str, Tensor] = super().generator_losses(batch)
            fake = self.generate(batch)
            return {**terms, "darkness": -(fake if isinstance(fake, Tensor) else fake[0]).mean()}

    model = build(Brighter)
    trainer = make_trainer(max_steps=1, log_every_n_steps=1)
    trainer.fit(model, batches(model))
    metrics = trainer.callback_metrics
    terms = [value for name, value in metrics.items() if name[:2] == "g/" and name != "g/loss"]
    assert "g/darkness" in metrics
    assert_close(metrics["g/loss"], torch.stack(terms).sum())


def test_a_new_variant_is_one_class(make_trainer: Any) -> None:
    class RelativisticGAN(NoiseGAN):
        """Jolicoeur-Martineau 2018 (arXiv:1807.00734): each logit counts relative to its pair."""

        def build_generator(self) -> nn.Module:
            return MLPGenerator(self.image_shape, self.latent_dim, self.num_classes)

        def build_discriminator(self) -> nn.Module:
            return MLPDiscriminator(self.image_shape, self.num_classes)

        def discriminator_losses(self, batch: Any) -> dict[str, Tensor]:
            real, fake = self.discriminate_both(batch[0], self.generate(batch), batch[1])
            return {"relativistic": F.softplus(fake - real).mean()}

        def generator_losses(self, batch: Any) -> dict[str, Tensor]:
            real, fake = self.discriminate_both(batch[0], self.generate(batch), batch[1])
            return {"relativistic": F.softplus(real - fake).mean()}

    model = build(
        RelativisticGAN,
        latent_dim=4,
        generator_optimizer=torch.optim.Adam,
        discriminator_optimizer=torch.optim.Adam,
    )
    trainer = make_trainer(max_steps=3, log_every_n_steps=1)
    trainer.fit(model, batches(model))
    assert {"d/relativistic", "g/relativistic"} <= set(trainer.callback_metrics)
    trainer.save_checkpoint("model.ckpt")
    again = GANModule.load_from_checkpoint("model.ckpt")
    assert type(again) is RelativisticGAN
    assert_close(again.sample(2, seed=0), model.sample(2, seed=0))
