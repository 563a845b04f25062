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
from variants import (
    LATENT_MODELS,
    MODELS,
    NOISE_VARIANTS,
    VARIANTS,
    all_steps,
    batches,
    in_phase_of,
    narrower,
    player_of,
    translates,
    translator,
)

from gan_modules import GANModule, GenerativeModule, NoiseGAN
from gan_modules.networks import MLPDiscriminator, MLPGenerator

SHORT = {"generator": "g", "discriminator": "d"}


@pytest.fixture(params=MODELS, ids=lambda variant: variant.__name__)
def variant(request: pytest.FixtureRequest) -> Any:
    return request.param


def build(variant: Any, seed: int = 0, **kwargs: Any) -> Any:
    """A variant with its default networks, for images of 8x8 pixels."""
    torch.manual_seed(seed)
    if not translates(variant):
        kwargs = {"num_classes": 3, **kwargs}
    return variant(**{"image_shape": (1, 8, 8), **narrower(variant), **kwargs})


def two_batches(model: Any) -> DataLoader[Any]:
    """What the model's family trains on: two iterations of two images per update."""
    return batches(model, 2, 4 * model.parts_per_iteration)


def weights(model: Any, player: str) -> list[Tensor]:
    return [p for name in model.players[player] for p in getattr(model, name).parameters()]


def losses(model: Any, prefix: str = "") -> set[str]:
    return {f"{prefix}{SHORT.get(player, player)}/loss" for player in model.players}


def test_every_family_has_variants() -> None:
    names = {variant.__name__ for variant in MODELS}
    assert {"GAN", "DCGAN", "CGAN", "WGAN", "WGANGP", "CycleGAN", "VAE"} <= names
    assert len(NOISE_VARIANTS) < len(VARIANTS) < len(MODELS)
    assert len(NOISE_VARIANTS) < len(LATENT_MODELS) < len(MODELS)


def test_turns_are_counted_and_losses_finite(variant: Any, make_trainer: Any) -> None:
    model = build(variant)
    steps: list[str] = []

    class Noting(Callback):
        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            steps.append(player_of(pl_module, optimizer))

    trainer = make_trainer(max_steps=2, log_every_n_steps=1, callbacks=[Noting()])
    trainer.fit(model, two_batches(model))
    assert steps == all_steps(variant, getattr(model, "n_critic", 1), 2)
    assert trainer.global_step == 2
    assert all(value.isfinite() for value in trainer.callback_metrics.values())
    assert losses(model) <= set(trainer.callback_metrics)


class Resting(torch.optim.SGD):
    def step(self, closure: Any = None) -> None:
        """Leave the weights alone."""


@pytest.mark.parametrize(
    ("variant", "moving"), [(variant, player) for variant in MODELS for player in variant.players]
)
def test_each_optimizer_moves_its_own_player_only(
    variant: Any, moving: str, make_trainer: Any
) -> None:
    resting = [player for player in variant.players if player != moving]
    rest = {f"{player}_optimizer": Resting for player in resting}
    model = build(variant, **rest, **in_phase_of(variant, moving))
    before = {p: [w.detach().clone() for w in weights(model, p)] for p in model.players}
    make_trainer(max_steps=1).fit(model, two_batches(model))
    for player in resting:
        expected = before[player]
        if player == "discriminator" and hasattr(model, "clip_value"):
            expected = [p.clamp(-model.clip_value, model.clip_value) for p in expected]
        assert_close([p.detach() for p in weights(model, player)], expected, rtol=0, atol=0)
    pairs = zip(weights(model, moving), before[moving], strict=True)
    moved = [not torch.equal(p, old) for p, old in pairs]
    # branches that start at 0 hold what is before them still for one update
    assert sum(moved) > len(moved) / 4
    assert all(p.grad is None for player in model.players for p in weights(model, player))


def test_checkpoint_round_trip(variant: Any, make_trainer: Any) -> None:
    model = build(variant)
    trainer = make_trainer(max_steps=1)
    trainer.fit(model, two_batches(model))
    trainer.save_checkpoint("model.ckpt")
    again = GenerativeModule.load_from_checkpoint("model.ckpt")
    assert type(again) is variant
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_validation_sees_the_whole_objective(variant: Any, make_trainer: Any) -> None:
    model = build(variant)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (metrics,) = make_trainer(limit_val_batches=2).validate(
        model, two_batches(model), verbose=False
    )
    assert losses(model, "val/") <= set(metrics)
    assert_close(model.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("variant", LATENT_MODELS)
def test_sample_shape_and_range(variant: Any) -> None:
    images = build(variant).sample(3, seed=0)
    assert images.shape == (3, 1, 8, 8)
    assert images.abs().max() <= 1


def test_sample_grid_shape_and_range(variant: Any) -> None:
    model = build(variant)
    images = model.sample_grid(12, 0, next(iter(two_batches(model))))
    assert images.ndim == 5
    assert images.shape[2:] == (1, 8, 8)
    assert images.abs().max() <= 1


def labelled(model: Any) -> DataLoader[Any]:
    """One iteration, whose first two images are of the classes 2 and 1."""
    n = 2 * model.parts_per_iteration
    images = torch.rand(n, 1, 8, 8) * 2 - 1
    return DataLoader(TensorDataset(images, 2 - torch.arange(n) % 3), n)


@pytest.mark.parametrize("variant", LATENT_MODELS)
def test_conditional_use(variant: Any, make_trainer: Any) -> None:
    # a variant that is always conditional has no such option
    always = "num_classes" in inspect.signature(variant).parameters
    options = {} if always else {"conditional": True}
    model = build(variant, **options)
    make_trainer(max_steps=1).fit(model, labelled(model))
    images = model.sample(2, labels=[0, 0], seed=1), model.sample(2, labels=[0, 2], seed=1)
    assert_close(images[0][0], images[1][0])
    assert not torch.equal(images[0][1], images[1][1])
    with pytest.raises(ValueError, match=r"labels from \d to 2, but num_classes=2"):
        make_trainer(max_steps=1).fit(build(variant, num_classes=2, **options), labelled(model))


def test_bf16_trains_with_float32_weights(variant: Any, make_trainer: Any) -> None:
    model = build(variant)
    trainer = make_trainer(max_steps=1, precision="bf16-mixed", log_every_n_steps=1)
    trainer.fit(model, two_batches(model))
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert all(value.isfinite() for value in trainer.callback_metrics.values())


def test_a_subclass_adds_a_term(variant: Any, make_trainer: Any) -> None:
    class Brighter(variant):  # type: ignore[misc]
        def darkness(self, batch: Any) -> Tensor:
            if translates(self):
                return -translator(self)(batch[0]).mean()
            return -self.fakes(self.sample_noise(len(batch[0])), batch[1]).mean()

    def with_darkness(self: Any, batch: Any) -> dict[str, Tensor]:
        terms = getattr(variant, f"{player}_losses")(self, batch)
        return {**terms, "darkness": self.darkness(batch)}

    # whoever trains the generator
    (player,) = (player for player, names in variant.players.items() if "generator" in names)
    setattr(Brighter, f"{player}_losses", with_darkness)
    model = build(Brighter, **in_phase_of(variant, player))
    trainer = make_trainer(max_steps=1, log_every_n_steps=1)
    trainer.fit(model, two_batches(model))
    metrics = trainer.callback_metrics
    prefix = f"{SHORT.get(player, player)}/"
    terms = {name: value for name, value in metrics.items() if name.startswith(prefix)}
    total = terms.pop(f"{prefix}loss")
    assert f"{prefix}darkness" in terms
    assert_close(total, torch.stack([*terms.values()]).sum())


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
    trainer.fit(model, two_batches(model))
    assert {"d/relativistic", "g/relativistic"} <= set(trainer.callback_metrics)
    trainer.save_checkpoint("model.ckpt")
    again = GANModule.load_from_checkpoint("model.ckpt")
    assert type(again) is RelativisticGAN
    assert_close(again.sample(2, seed=0), model.sample(2, seed=0))
