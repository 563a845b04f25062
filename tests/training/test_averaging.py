"""How fast the averaged generator forgets, by hand."""

from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor
from torch.optim import SGD
from torch.testing import assert_close

from gan_modules import VAE
from gan_modules.training.averaging import Forgetting


@pytest.mark.parametrize(
    ("forgetting", "step", "images", "decay"),
    [
        # as it always was: (1 + t) / (10 + t) up to the decay
        (Forgetting(0.999), 1, 64, 2 / 11),
        (Forgetting(0.4), 5, 64, 6 / 15),
        (Forgetting(0.4), 6, 64, 0.4),
        # BigGAN's: a copy before the start, then the constant
        (Forgetting(0.9999, start=20_000), 19_999, 64, 0.0),
        (Forgetting(0.9999, start=20_000), 20_000, 64, 0.9999),
        # half of it after 100 images: 50 at a time, the root of a half
        (Forgetting(0.9, half_life=100), 1, 50, 0.5**0.5),
        (Forgetting(0.0, half_life=100), 7, 200, 0.25),
        (Forgetting(0.9, half_life=100, start=3), 2, 200, 0.0),
        (Forgetting(0.9, half_life=100, start=3), 3, 200, 0.25),
        # StyleGAN2's ramp: nothing seen before the first; 5 % of 80 is 4, of 4,000 it is 200
        (Forgetting(0.9, half_life=100, ramp=0.05), 1, 40, 0.0),
        (Forgetting(0.9, half_life=100, ramp=0.05), 3, 40, 0.5**10),
        (Forgetting(0.9, half_life=100, ramp=0.05), 101, 40, 0.5**0.4),
    ],
)
def test_decay_by_hand(forgetting: Forgetting, step: int, images: int, decay: float) -> None:
    assert forgetting.at(step, images) == pytest.approx(decay, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"ema_half_life": 0.0}, "ema_half_life=0.0 must be positive, or null"),
        ({"ema_half_life": 10, "ema_ramp": -1}, "ema_ramp=-1 must be positive, or null"),
        ({"ema_ramp": 0.05}, "ema_ramp=0.05 must be null without ema_half_life"),
        ({"ema_start": -1}, "ema_start=-1 must be at least 0"),
        ({"ema_start": 5, "ema_decay": 0}, "ema_start=5 must be 0 without an average"),
    ],
)
def test_wrong_options(make_model: Any, options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make_model(**options)


def test_a_half_life_counts_all_images_of_an_iteration(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    history: list[Tensor] = []

    class Recorder(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
            history.append(next(pl_module.generator.parameters()).detach().clone())

    # 2 critic updates of 2 images each: 4 a time, a quarter of the 4 and 8 seen is 1 and 2
    options = {"ema_half_life": 1.5, "ema_ramp": 0.25, "ema_start": 2}
    model = make_model(n_critic=2, generator_optimizer=partial(SGD, lr=1.0), **options)
    make_trainer(max_steps=3, callbacks=[Recorder()]).fit(model, make_loader(4))
    expected = history[0]
    for half_life, weight in zip((1, 1.5), history[1:], strict=True):
        decay = 0.5 ** (4 / half_life)
        expected = decay * expected + (1 - decay) * weight
    assert (history[2] - history[1]).abs().max() > 1e-2
    assert_close(next(model.averaged_generator.parameters()), expected)


def test_before_the_start_the_average_is_a_copy(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    model = make_model(n_critic=1, ema_start=4)
    make_trainer(max_steps=3).fit(model, make_loader(4))
    copy, live = model.averaged_generator.state_dict(), model.generator.state_dict()
    assert_close(copy, live, rtol=0, atol=0)


def test_a_half_life_makes_an_average_where_there_is_none_by_default() -> None:
    assert VAE(image_shape=(1, 8, 8), latent_dim=4).averaged_generator is None
    model = VAE(image_shape=(1, 8, 8), latent_dim=4, ema_half_life=1_000)
    assert model.averaged_generator is not None
    assert model.hparams["ema_half_life"] == 1_000
    assert isinstance(model.sample(1), torch.Tensor)
