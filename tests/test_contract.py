"""What holds for every variant that the package exports, found by enumeration."""

import inspect
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor
from torch.testing import assert_close

import gan_modules
from gan_modules import GANModule

VARIANTS = [
    variant
    for variant in (getattr(gan_modules, name) for name in gan_modules.__all__)
    if inspect.isclass(variant)
    and issubclass(variant, GANModule)
    and not inspect.isabstract(variant)
]


@pytest.fixture(params=VARIANTS, ids=lambda variant: variant.__name__)
def variant(request: pytest.FixtureRequest) -> Any:
    return request.param


def build(variant: Any, **kwargs: Any) -> Any:
    torch.manual_seed(0)
    return variant(image_shape=(1, 8, 8), **kwargs)


def test_there_are_variants() -> None:
    assert gan_modules.WGANGP in VARIANTS


def test_update_ratio_and_finite_losses(variant: Any, make_trainer: Any, make_loader: Any) -> None:
    model = build(variant)
    steps = {"generator": 0, "discriminator": 0}

    class Counter(Callback):
        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            first = optimizer.param_groups[0]["params"][0]
            ours = any(first is parameter for parameter in pl_module.generator.parameters())
            steps["generator" if ours else "discriminator"] += 1

    trainer = make_trainer(max_steps=2, log_every_n_steps=1, callbacks=[Counter()])
    trainer.fit(model, make_loader(2 * model.n_critic))
    assert steps == {"generator": 2, "discriminator": 2 * model.n_critic}
    assert trainer.global_step == 2
    assert all(value.isfinite() for value in trainer.callback_metrics.values())
    assert {"d/loss", "g/loss"} <= set(trainer.callback_metrics)


def test_checkpoint_round_trip(variant: Any, make_trainer: Any, make_loader: Any) -> None:
    model = build(variant)
    trainer = make_trainer(max_steps=1)
    trainer.fit(model, make_loader(2 * model.n_critic))
    trainer.save_checkpoint("model.ckpt")
    again = GANModule.load_from_checkpoint("model.ckpt")
    assert type(again) is variant
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_sample_shape_and_range(variant: Any) -> None:
    images = build(variant).sample(3, seed=0)
    assert images.shape == (3, 1, 8, 8)
    assert images.abs().max() <= 1


def test_bf16_trains_with_float32_weights(
    variant: Any, make_trainer: Any, make_loader: Any
) -> None:
    model = build(variant)
    trainer = make_trainer(max_steps=1, precision="bf16-mixed", log_every_n_steps=1)
    trainer.fit(model, make_loader(2 * model.n_critic))
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert all(value.isfinite() for value in trainer.callback_metrics.values())


def test_a_subclass_adds_a_term(variant: Any, make_trainer: Any, make_loader: Any) -> None:
    class Brighter(variant):  # type: ignore[misc]
        def generator_losses(self, batch: Any) -> dict[str, Tensor]:
            terms: dict[str, Tensor] = super().generator_losses(batch)
            return {**terms, "darkness": -self.generate(batch).mean()}

    model = build(Brighter)
    trainer = make_trainer(max_steps=1, log_every_n_steps=1)
    trainer.fit(model, make_loader(2 * model.n_critic))
    metrics = trainer.callback_metrics
    terms = [value for name, value in metrics.items() if name[:2] == "g/" and name != "g/loss"]
    assert "g/darkness" in metrics
    assert_close(metrics["g/loss"], torch.stack(terms).sum())
