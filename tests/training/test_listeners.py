"""Updates that nobody listens to are made without asking; they are the same ones."""

from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.profilers import SimpleProfiler
from torch import Tensor
from torch.testing import assert_close

from gan_modules import WGANGP
from gan_modules.training.listeners import updates_are_plain

HOOKS = ("on_before_backward", "on_after_backward", "on_before_optimizer_step")
CALLS = 2 * (3 + 1)  # two iterations of three critic updates and one of the generator


class Counting(WGANGP):
    """Counts how often each hook of the module is called."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.calls = 0

    def on_after_backward(self) -> None:
        self.calls += 1


class Scaling(WGANGP):
    """Has a backward pass of its own."""

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        super().backward(loss * 2, *args, **kwargs)


def fit(make_model: Any, make_trainer: Any, loader: Any, cls: Any = WGANGP, **options: Any) -> Any:
    torch.manual_seed(0)
    model = make_model(cls, n_critic=3, generator_gradient_clip_val=0.1,
                       discriminator_gradient_clip_val=0.1)  # fmt: skip
    make_trainer(max_steps=2, **options).fit(model, loader(6))
    return model


@pytest.mark.parametrize("hook", HOOKS)
def test_listeners_are_called(
    hook: str, make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    calls: list[str] = []
    lambdas = LambdaCallback(**{hook: lambda *_: calls.append("lambda")})

    class Listener(Callback):
        pass

    setattr(Listener, hook, lambda *_: calls.append("method"))
    heard = fit(make_model, make_trainer, make_loader, callbacks=[Listener()])
    assert calls == ["method"] * CALLS
    calls.clear()
    fit(make_model, make_trainer, make_loader, callbacks=[lambdas])
    assert calls == ["lambda"] * CALLS
    unheard = fit(make_model, make_trainer, make_loader, callbacks=[Callback()])
    assert updates_are_plain(unheard.trainer, unheard)
    assert not updates_are_plain(heard.trainer, heard)
    # the same weights to the last bit, clipped gradients and all
    assert_close(heard.state_dict(), unheard.state_dict(), rtol=0, atol=0)


def test_overrides_and_profilers_are_heard(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    assert fit(make_model, make_trainer, make_loader, Counting).calls == CALLS
    plain = fit(make_model, make_trainer, make_loader)
    scaled = fit(make_model, make_trainer, make_loader, Scaling)
    assert updates_are_plain(plain.trainer, plain)
    assert not updates_are_plain(scaled.trainer, scaled)
    profiler = SimpleProfiler()
    fit(make_model, make_trainer, make_loader, profiler=profiler)
    assert len(profiler.recorded_durations["[LightningModule]WGANGP.on_after_backward"]) == CALLS
    half = fit(make_model, make_trainer, make_loader, precision="bf16-mixed")
    assert not updates_are_plain(half.trainer, half)
