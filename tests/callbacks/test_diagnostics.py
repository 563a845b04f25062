"""Figures of a training by hand; each condition provoked; none in healthy training."""

import json
import re
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from processes import run_together
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset
from variants import (
    MODELS,
    batches,
    critics,
    for_a,
    for_each_player,
    mlp_generator,
    small,
    translates,
)

from datamodules import DigitsDataModule, UnpairedDigitsDataModule
from gan_modules import AEGAN, D2GAN, GAN, VAE, WGAN, WGANGP, CycleGAN, NoiseGAN, StyleGAN2
from gan_modules.callbacks import Diagnostics
from gan_modules.callbacks.training_figures import (
    figures_of,
    spread,
    usable_size,
    without_effect,
)
from gan_modules.networks.layers.minibatch_stddev import MinibatchStdDev
from gan_modules.networks.packed import PackedDiscriminator
from gan_modules.objectives.losses import adversarial_loss

PREFIX = "diagnostics/"
BOTH = {
    f"{p}/{k}" for p in ("generator", "discriminator") for k in ("gradient_norm", "update_ratio")
}
SLOPES = {"slope_mean", "slope_max"}
ACCURACY = {"accuracy_real", "accuracy_fake", "r_t"}


class Last(Callback):
    """Keeps the figures of the last look, and the iterations of all."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self.steps: list[int] = []

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        found = trainer.callback_metrics
        now = {k.removeprefix(PREFIX): v.item() for k, v in found.items() if k.startswith(PREFIX)}
        if now and now != self.figures:
            self.figures = now
            self.steps.append(trainer.global_step)


@pytest.fixture
def look(make_trainer: Any) -> Any:
    """Train a little, and give the figures of the last look."""

    def fit(
        model: Any, loader: Any, held_out: Any = None, steps: int = 1, **options: Any
    ) -> dict[str, float]:
        last = Last()
        options = {"every_n_steps": 1, "patience": 1000, **options}
        trainer = make_trainer(
            max_steps=steps,
            callbacks=[Diagnostics(**options), last],
            limit_val_batches=0 if held_out is None else 1,
            num_sanity_val_steps=0,
        )
        trainer.fit(model, loader, held_out)
        return last.figures

    return fit


# ---- figures by hand -------------------------------------------------------------------------


class Weights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0, 4.0]))


class Line(nn.Module):
    """Points (z, 2 z) of latents (z,)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.1, 0.2]))

    def forward(self, z: Tensor) -> Tensor:
        return z * self.weight


class Plane(nn.Module):
    """Scores w.x + b."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0, 4.0]))
        self.bias = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class Known(NoiseGAN):
    """The generator's gradient is (6, 8), the discriminator's (0, 0, 5) and with updates more."""

    updates = 0

    def build_generator(self) -> nn.Module:
        return Line()

    def build_discriminator(self) -> nn.Module:
        return Plane()

    def discriminator_losses(self, batch: Any) -> dict[str, Tensor]:
        self.updates += 1
        return {"known": 5 * self.updates * self.discriminator.bias}

    def generator_losses(self, batch: Any) -> dict[str, Tensor]:
        return {"known": (self.generator.weight * torch.tensor([6.0, 8.0])).sum()}


def known(**kwargs: Any) -> Known:
    sgd = partial(torch.optim.SGD, lr=0.01)
    options = {"generator_optimizer": sgd, "discriminator_optimizer": sgd, **kwargs}
    return Known(image_shape=(2,), latent_dim=1, ema_decay=0.0, **options)


def points(n: int, seed: int = 1) -> Tensor:
    return torch.rand(n, 2, generator=torch.Generator().manual_seed(seed)) - 0.5


def test_gradients_before_clipping_and_updates_after(look: Any) -> None:
    model = known(n_critic=2, generator_gradient_clip_val=1.0, discriminator_gradient_clip_val=1.0)
    found = look(model, DataLoader(points(8), 8))
    # |(6, 8)|, though the step is taken with a gradient of 1
    assert found["generator/gradient_norm"] == pytest.approx(10)
    assert found["generator/update_ratio"] == pytest.approx(0.01 / (0.1**2 + 0.2**2) ** 0.5, 1e-4)
    # of two discriminator updates the last one, after a step of 0.01 from a bias of 1
    assert found["discriminator/gradient_norm"] == pytest.approx(10)
    size = (3**2 + 4**2 + 0.99**2) ** 0.5
    assert found["discriminator/update_ratio"] == pytest.approx(0.01 / size, rel=1e-4)


@pytest.mark.parametrize(("loss", "boundary"), [("hinge", 0.0), ("least_squares", 0.5)])
def test_figures_of_logits(loss: Any, boundary: float) -> None:
    model = known()
    model.loss = adversarial_loss(loss)
    real, held_out = points(40), points(30, 2) - 0.2
    found = figures_of(model, (real, None), (held_out, None))
    fake = model.generator(model.latents(40, seed=0)).detach()
    d = model.discriminator
    real_scores, fake_scores, others = (d(x).detach() for x in (real, fake, held_out))
    above = real_scores > boundary
    assert found["accuracy_real"] == above.sum() / 40
    assert 0 < found["accuracy_real"] < 1
    assert found["accuracy_fake"] == (fake_scores < boundary).sum() / 40
    assert found["r_t"] == (2 * above.sum() - 40) / 40
    deviation = ((real_scores.var() + others.var()) / 2) ** 0.5
    assert_close(found["held_out_gap"], (real_scores.mean() - others.mean()) / deviation)
    # w = (3, 4) everywhere
    assert_close(found["slope_mean"], torch.tensor(5.0))
    assert_close(found["slope_max"], torch.tensor(5.0))
    assert "wasserstein" not in found
    model.loss = adversarial_loss("wasserstein")
    found = figures_of(model, (real, None), (held_out, None))
    assert_close(found["wasserstein"], others.mean() - fake_scores.mean())
    assert not ACCURACY & {*found}


def test_spread_by_hand() -> None:
    # 3, 4 and 5 from each other
    assert_close(spread(torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])), torch.tensor(4.0))
    # nearly equal ones are near, far from the origin too
    near = 100 + torch.zeros(30, 2)
    near[::2] += 1e-4
    assert spread(near) < 1e-4
    model = known()
    fake = model.generator(model.latents(20, seed=0)).detach()
    found = figures_of(model, (points(20), None), None)
    assert_close(found["diversity"], spread(fake) / spread(points(20)))


def test_only_sizes_that_layers_take() -> None:
    assert usable_size(nn.Linear(1, 1), 7) == 7
    assert usable_size(MinibatchStdDev(4), 7) == 4
    assert usable_size(PackedDiscriminator((1, 8, 8), packing=3), 64) == 63
    assert usable_size(PackedDiscriminator((1, 8, 8), packing=3), 2) == 0


def test_two_discriminators_are_one_judgement() -> None:
    model = small(D2GAN, image_shape=(2,))
    logits = model.judge(points(6)).logits
    assert_close(model.realness(logits), logits[:, 0] - logits[:, 1])
    patches = torch.arange(8.0).reshape(2, 1, 2, 2)
    assert known().realness(patches).tolist() == [1.5, 5.5]


def test_logits_have_a_boundary_or_none() -> None:
    smoothed = adversarial_loss("least_squares", 0.2)
    assert smoothed.boundary == pytest.approx(0.4)
    expected = {"minimax": 0, "non_saturating": 0, "hinge": 0, "relativistic": None}
    for name, boundary in expected.items():
        assert adversarial_loss(name).boundary == boundary  # type: ignore[arg-type]
        assert not adversarial_loss(name).critic  # type: ignore[arg-type]
    assert adversarial_loss("wasserstein").critic
    assert adversarial_loss("wasserstein").boundary is None


# ---- by what a model has ---------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (GAN, BOTH | SLOPES | ACCURACY | {"diversity", "held_out_gap"}),
        (WGANGP, BOTH | SLOPES | {"diversity", "held_out_gap", "wasserstein"}),
        (D2GAN, BOTH | SLOPES | {"diversity", "held_out_gap"}),
        (CycleGAN, BOTH),
        (VAE, {"autoencoder/gradient_norm", "autoencoder/update_ratio", "diversity"}),
    ],
)
def test_what_is_measured(variant: Any, expected: set[str], look: Any) -> None:
    model = small(variant, image_shape=(1, 8, 8))
    assert {*look(model, batches(model, 4, 20), batches(model, 4, 20))} == expected
    model = small(variant, image_shape=(1, 8, 8))
    assert {*look(model, batches(model, 4, 20))} == expected - {"held_out_gap", "wasserstein"}


def test_looks_come_at_their_interval(make_trainer: Any, make_loader: Any) -> None:
    last = Last()
    model = small(GAN, image_shape=(1, 8, 8))
    callback = Diagnostics(3)
    trainer = make_trainer(max_steps=8, callbacks=[callback, last])
    trainer.fit(model, make_loader(4))
    assert last.steps == [3, 6]
    assert callback._curves["diagnostics/diversity"][0] == [3, 6]
    # nothing is left on the optimizers
    assert not any(o._optimizer_step_post_hooks for o in trainer.optimizers)
    assert Path("diagnostics.png").is_file()
    off = Diagnostics(None, path="off.png")
    make_trainer(max_steps=2, callbacks=[off]).fit(
        small(GAN, image_shape=(1, 8, 8)), make_loader(4)
    )
    assert not off._curves
    assert not Path("off.png").exists()


def test_packs_and_pieces(look: Any, make_loader: Any) -> None:
    model = small(
        GAN,
        image_shape=(1, 8, 8),
        discriminator=partial(PackedDiscriminator, packing=3),
        discriminator_accumulate_grad_batches=2,
    )
    found = look(model, make_loader(12, n=24), make_loader(5))
    assert {*found} == BOTH | SLOPES | ACCURACY | {"diversity", "held_out_gap"}


# ---- without effect --------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("variant", MODELS, ids=lambda variant: variant.__name__)
def test_training_is_the_same_bit_for_bit(variant: Any, make_trainer: Any) -> None:
    def train(*callbacks: Any) -> tuple[dict[str, Tensor], Tensor]:
        torch.manual_seed(3)
        networks = {}
        if not translates(variant):
            networks["generator"] = mlp_generator(variant, hidden=(8,), batch_norm=True)
        model = small(variant, image_shape=(1, 8, 8), **networks)
        loader = batches(model, 4, 24)
        trainer = make_trainer(
            max_steps=5, callbacks=[*callbacks], limit_val_batches=1, num_sanity_val_steps=0
        )
        trainer.fit(model, loader, batches(model, 4, 24))
        return model.state_dict(), torch.rand(3)

    without, drawn = train()
    watched, also = train(Diagnostics(1, patience=1000))
    assert_close(watched, without, rtol=0, atol=0)
    assert_close(also, drawn, rtol=0, atol=0)


def test_buffers_and_random_numbers_are_put_back() -> None:
    model = small(
        GAN,
        image_shape=(1, 8, 8),
        discriminator=nn.Sequential(
            nn.Flatten(),
            torch.nn.utils.parametrizations.spectral_norm(nn.Linear(64, 8)),
            nn.BatchNorm1d(8),
            nn.Dropout(),
            nn.Linear(8, 1),
            nn.Flatten(0),
        ),
    )
    kept = {name: buffer.clone() for name, buffer in model.named_buffers()}
    part = (torch.rand(8, 1, 8, 8), None)
    state = torch.get_rng_state()
    with without_effect(model):
        figures_of(model, part, part)
        changed = [n for n, b in model.named_buffers() if not torch.equal(b, kept[n])]
    assert len(changed) >= 4
    assert_close(dict(model.named_buffers()), kept, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in model.parameters())


# ---- what it says ----------------------------------------------------------------------------


class OneImage(nn.Module):
    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, 8, 8), 0.1))

    def forward(self, z: Tensor) -> Tensor:
        return self.weight.expand(len(z), -1, -1, -1) + 1e-3 * z[:, :1, None, None]


class Sure(nn.Module):
    """Knows fakes by their corner; without a gradient that reaches it where it is flat."""

    def __init__(self, flat: bool = False, **_: Any) -> None:
        super().__init__()
        self.flat, self.weight = flat, nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        corner = x[:, 0, 0, 0] - 0.5
        return 9 * self.weight * (corner * 1e-12 if self.flat else corner)


class Memory(nn.Module):
    """Knows the images it was made with, which are brighter than 0."""

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x.flatten(1).mean(1) + 0.01 * x[:, 0, 0, 0])


def bright(low: float, high: float, seed: int = 0, n: int = 16) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(seed)
    images = low + (high - low) * torch.rand(n, 1, 8, 8, generator=generator)
    return DataLoader(TensorDataset(images), 8, drop_last=True)


SLOW = partial(torch.optim.SGD, lr=1e-9)
STILL = {"generator_optimizer": SLOW, "discriminator_optimizer": SLOW}
PROVOKED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "collapse": (GAN, {"generator": OneImage}, "mode collapse suspected: pairwise distance of sam"),
    "saturation": (
        GAN,
        {"generator": OneImage, "discriminator": Sure},
        "discriminator saturated: it tells 100% of real images and 100% of fakes",
    ),
    "vanishing_generator": (
        GAN,
        {"discriminator": partial(Sure, flat=True)},
        "gradients of the generator vanish: norm",
    ),
    "overfitting": (
        GAN, {"discriminator": Memory}, "discriminator overfits: held-out images score",
    ),
    "flat_critic": (WGAN, {"clip_value": 1e-4}, "critic gradient norm .*clipping too tight"),
    "steep_critic": (
        WGAN,
        {"discriminator": lambda **_: nn.Sequential(nn.Flatten(), Scaled(), nn.Flatten(0)),
         "clip_value": 100.0},
        "critic gradient norm 4e.02 .*clipping too loose",
    ),
    "large_updates_generator": (
        GAN,
        {"generator_optimizer": partial(torch.optim.Adam, lr=0.5)},
        "updates of the generator are too large: one changes weights by",
    ),
}  # fmt: skip


class Scaled(nn.Module):
    """The mean of 64 pixels, times 3200: a gradient of 50 for each, 400 in all."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(50.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x.sum(1, keepdim=True)


@pytest.mark.thorough
@pytest.mark.parametrize("name", PROVOKED)
def test_a_condition_is_named_once(name: str, make_trainer: Any) -> None:
    variant, options, line = PROVOKED[name]
    model = small(variant, image_shape=(1, 8, 8), **{**STILL, "n_critic": 1, **options})
    callback = Diagnostics(2, patience=3)
    trainer = make_trainer(
        max_steps=16, callbacks=[callback], limit_val_batches=1, num_sanity_val_steps=0
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(model, bright(0.6, 1.0), bright(-1.0, -0.6, 5, 8))
    said = [str(w.message) for w in caught if str(w.message).startswith("iteration ")]
    its = [text for text in said if re.search(line, text)]
    assert len(its) == 1
    # the third look, one after the other
    assert its[0].startswith("iteration 6: ")
    assert " for 6 updates: " in its[0]
    assert len(said) == len(callback.named)
    assert name in callback.named


def test_a_condition_must_last(make_trainer: Any) -> None:
    model = small(GAN, image_shape=(1, 8, 8))
    callback = Diagnostics(10, patience=2)
    trainer = make_trainer()
    callback._sizes = {}
    for diversity in (0.1, 0.3, 0.1, 0.3, 0.19):
        callback._judge(trainer, model, {"diversity": diversity})
    with pytest.warns(UserWarning, match=r"samples 0\.11 of the data's for 20 updates: try a grad"):
        callback._judge(trainer, model, {"diversity": 0.11})
    callback._judge(trainer, model, {"diversity": 0.11})
    assert callback.named == ["collapse"]


@pytest.mark.thorough
def test_it_is_not_said_again_when_resumed(make_trainer: Any) -> None:
    def trainer(steps: int) -> tuple[Trainer, Diagnostics]:
        callback = Diagnostics(1, patience=3)
        return make_trainer(max_steps=steps, callbacks=[callback]), callback

    def model() -> Any:
        return small(GAN, image_shape=(1, 8, 8), generator=OneImage, **STILL)

    first, _ = trainer(2)
    first.fit(model(), bright(-1, 1))
    first.save_checkpoint("two.ckpt")
    second, callback = trainer(4)
    # the two looks of the first run count
    with pytest.warns(UserWarning, match="iteration 3: mode collapse suspected.*for 3 updates"):
        second.fit(model(), bright(-1, 1), ckpt_path="two.ckpt", weights_only=True)
    second.save_checkpoint("four.ckpt")
    assert callback._curves["diagnostics/diversity"][0] == [1, 2, 3, 4]
    third, callback = trainer(8)
    third.fit(model(), bright(-1, 1), ckpt_path="four.ckpt", weights_only=True)
    assert callback.named == ["collapse"]


HEALTHY: dict[Any, dict[str, Any]] = {
    # samples are nearly one image as long as only the decoder learns: nothing is said of them
    AEGAN: {"autoencoder_steps": 60},
    # it holds so small a generator back, and its discriminator tells everything for 50 updates
    StyleGAN2: {"path_weight": 0.0},
}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "variant",
    [pytest.param(v, marks=pytest.mark.slow) if translates(v) else v for v in MODELS],
    ids=lambda variant: variant.__name__,
)
def test_healthy_training_is_silent(variant: Any, make_trainer: Any) -> None:
    data: Any = DigitsDataModule(batch_size=32)
    if translates(variant):
        data = UnpairedDigitsDataModule(batch_size=4)
    adam = partial(torch.optim.Adam, lr=2e-3, betas=(0.5, 0.9))
    options = {} if variant is WGAN else for_each_player(variant, "optimizer", adam)
    options |= for_a(variant, HEALTHY)
    # as many again for a first phase
    steps = 80 + options.get("autoencoder_steps", 0)
    model = small(variant, image_shape=data.image_shape, **options, **critics(variant, 1))
    callback = Diagnostics(10)
    last = Last()
    trainer = make_trainer(
        max_steps=steps, callbacks=[callback, last], limit_val_batches=1, num_sanity_val_steps=0
    )
    # a line would be a warning, which is an error here
    trainer.fit(model, data)
    assert callback.named == []
    assert last.steps[-1] == steps


def test_wrong_options() -> None:
    for options, line in (
        ({"every_n_steps": 0}, "every_n_steps=0 must be at least 1, or null for none"),
        ({"n": 1}, "n=1 must be at least 2"),
        ({"patience": 0}, "patience=0 must be at least 1"),
        ({"draw_every_n_looks": 0}, "draw_every_n_looks=0 must be at least 1"),
        ({"most_gap": -1.0}, r"most_gap=-1\.0 must be at least 0"),
    ):
        with pytest.raises(ValueError, match=line):
            Diagnostics(**options)  # type: ignore[arg-type]


SCRIPT = """
import json, sys
from functools import partial
from pathlib import Path
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, TensorDataset
from gan_modules import GAN
from gan_modules.callbacks import Diagnostics
from gan_modules.networks import MLPDiscriminator, MLPGenerator

torch.set_num_threads(1)
torch.manual_seed(0)
images = torch.rand(16, 1, 8, 8) * 2 - 1
model = GAN(
    image_shape=(1, 8, 8), latent_dim=4,
    generator=partial(MLPGenerator, hidden=(8,), batch_norm=True),
    discriminator=partial(MLPDiscriminator, hidden=(8,)),
)
callback = Diagnostics(1, patience=1000)
trainer = Trainer(
    accelerator="cpu", devices=2, strategy="ddp", max_steps=2, callbacks=[callback], logger=False,
    enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    limit_val_batches=1, num_sanity_val_steps=0,
)
trainer.fit(model, DataLoader(TensorDataset(images), 4), DataLoader(TensorDataset(images), 4))
curves = {name: values for name, (_, values) in callback._curves.items()}
Path(f"rank_{trainer.global_rank}.json").write_text(json.dumps(curves))
"""


@pytest.mark.slow
def test_processes_average_their_figures() -> None:
    Path("script.py").write_text(SCRIPT)
    run_together([sys.executable, "script.py"])
    first, second = (json.loads(Path(f"rank_{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert {name.removeprefix(PREFIX) for name in first} == BOTH | SLOPES | ACCURACY | {
        "diversity", "held_out_gap",
    }  # fmt: skip
    assert Path("diagnostics.png").is_file()
    assert not Path("diagnostics-v1.png").exists()
