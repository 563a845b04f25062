"""Mixed precision: what half the digits change, and what a loss scaler does to two players."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor
from torch.optim import SGD
from torch.testing import assert_close
from variants import (
    LATENT_MODELS,
    VARIANTS,
    batches,
    for_each_player,
    in_phase_of,
    narrower,
    player_of,
    small,
    turns_of,
)

import gan_modules
from gan_modules import WGANGP, StyleGAN2
from gan_modules.checkpoints.rebuilding import _defaults
from gan_modules.networks import MLPDiscriminator
from gan_modules.objectives.penalties import gradient_penalty


@pytest.fixture(params=VARIANTS, ids=lambda variant: variant.__name__)
def variant(request: pytest.FixtureRequest) -> Any:
    return request.param


def sgd(rate: float) -> Any:
    return lambda parameters: SGD(parameters, lr=rate)


def both(rate: float) -> dict[str, Any]:
    return {"generator_optimizer": sgd(rate), "discriminator_optimizer": sgd(rate)}


def flat(tensors: Any) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def relative(ours: Tensor, theirs: Tensor, scale: Tensor | None = None) -> float:
    return ((ours - theirs).norm() / (theirs if scale is None else scale).norm()).item()


PLAYERS = ("generator", "discriminator")


# one step a turn
DENSE = {"gamma_every": 1, "path_every": 1}


class Updates(Callback):
    """Notes what every optimizer step begins with."""

    def __init__(self) -> None:
        self.players: list[str] = []
        self.gradients: list[Tensor] = []
        self.scales: list[float] = []
        self.before: list[dict[str, Tensor]] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.players.append(player_of(pl_module, optimizer))
        self.gradients.append(flat(p.grad for p in parameters if p.grad is not None))
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        self.scales.append(scaler.get_scale() if scaler else 1.0)
        self.before.append(
            {player: flat(getattr(pl_module, player).parameters()) for player in PLAYERS}
        )


# ---- bfloat16 --------------------------------------------------------------------------------

# largest of three seeds: 0.05 and 0.15; CycleGAN 0.14 and 0.37, whose gradient in float32 moves by
# 0.27 if every weight is changed by a random 2^-9 of itself, the rounding of bfloat16
BF16 = {"discriminator": (0.1, 0.3), "generator": (0.3, 0.75), "encoder": (0.3, 0.75)}
# what is normalised over the batch magnifies rounding, the more the fewer images there are, which
# counts where gradients of real images and of fakes nearly cancel. So do the gradients themselves,
# not only what bfloat16 makes of them: those of VAEGAN, off by up to 0.41, move in float64 by 0.36
# if weights are changed by at most 2^-8 of themselves, while float32's are off by less than 1e-5.
# ProGAN's discriminator compares images: of 8 its gradients are off by 0.13, of 64 by 0.03
BF16_NORMALISED = {
    gan_modules.InfoGAN: 0.3,
    gan_modules.BiGAN: 0.3,
    gan_modules.VAEGAN: 0.6,
    gan_modules.ProGAN: 0.1,
}


# where few will do: of hundreds of channels an image takes a second without hardware for bfloat16
BF16_IMAGES = dict.fromkeys(BF16_NORMALISED, 64) | {gan_modules.SNGAN: 4, WGANGP: 4}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_bf16_gradients(variant: Any, seed: int, make_trainer: Any) -> None:
    """The first gradient of each player with the networks of the paper, on the same noise."""
    noise = variant in LATENT_MODELS
    side, n = (16, BF16_IMAGES.get(variant, 8)) if noise else (32, 1)

    def gradients(precision: str) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        options: dict[str, Any] = {"num_classes": 3} if noise else {}
        # of one channel CUT's first head sees no more than signs: the gradient of its biases would
        # be that of the pixel nearest to 0
        shape = (1 if noise else 3, side, side)
        options |= {"image_shape": shape, "n_critic": 1, **narrower(variant)}
        options |= in_phase_of(variant, "generator")
        options |= DENSE if variant is StyleGAN2 else {}
        # nobody moves: who plays later would see what rounding made of earlier steps
        model = variant(**for_each_player(variant, "optimizer", sgd(1e-30)), **options)
        updates = Updates()
        trainer = make_trainer(max_steps=1, precision=precision, callbacks=[updates])
        trainer.fit(model, batches(model, n, n))
        return dict(zip(updates.players, updates.gradients, strict=True))

    exact, rounded = gradients("32-true"), gradients("bf16-mixed")
    assert [*exact] == turns_of(variant)
    for player in exact:
        bounds = BF16[player]
        assert rounded[player].dtype == torch.float32
        error = relative(rounded[player], exact[player])
        bound = max(bounds[0 if noise else 1], BF16_NORMALISED.get(variant, 0.0))
        assert 0 < error < bound, (player, error)


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_the_penalty_of_a_variant_is_float32(
    make_trainer: Any, norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def noted(critic: Any, real: Tensor, fake: Tensor) -> Tensor:
        state = torch.get_rng_state()
        penalty = gradient_penalty(critic, real, fake)
        torch.set_rng_state(state)
        with torch.autocast("cpu", enabled=False):
            seen.append((penalty, gradient_penalty(critic, real.float(), fake.float())))
        return penalty

    monkeypatch.setattr("gan_modules.models.wgan_gp.gradient_penalty", noted)
    critic = MLPDiscriminator((1, 8, 8), hidden=[8, 8], norm=norm)  # type: ignore[arg-type]
    model = small(WGANGP, image_shape=(1, 8, 8), n_critic=1, discriminator=critic)
    make_trainer(max_steps=2, precision="bf16-mixed").fit(model, batches(model, 8, 16))
    assert len(seen) == 2
    for penalty, expected in seen:
        assert penalty.dtype == torch.float32
        assert_close(penalty, expected, rtol=1e-5, atol=0)


# ---- float16 and its loss scaler, on CPU -----------------------------------------------------


def scaled(scale: float, growth_interval: int = 2000) -> list[MixedPrecision]:
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=growth_interval)
    return [MixedPrecision("16-mixed", "cpu", scaler=scaler)]


def train(
    variant: Any,
    make_trainer: Any,
    plugins: Any = None,
    steps: int = 3,
    hook: Callable[[int, Tensor], Tensor] | None = None,
    **options: Any,
) -> tuple[Any, Updates]:
    """Three iterations of two discriminator updates; the hook sees the number of the update."""
    torch.manual_seed(0)
    # with narrower bounds clipping is all that moves a WGAN's critic
    wide = {"clip_value": 1.0} if "clip_value" in inspect.signature(variant).parameters else {}
    phase = in_phase_of(variant, "generator")
    phase |= DENSE if variant is StyleGAN2 else {}
    arguments = {"n_critic": 2, "ema_decay": 0.0, **both(1e-4), **phase, **wide, **options}
    model = small(variant, image_shape=(1, 16, 16), **arguments)
    for parameter in model.discriminator.parameters():
        # each parameter counts for itself, one call per backward pass
        numbers = iter(range(100))
        if hook is not None:
            parameter.register_hook(lambda g, numbers=numbers: hook(next(numbers), g))
    updates = Updates()
    trainer = make_trainer(max_steps=steps, plugins=plugins, callbacks=[updates])
    trainer.fit(model, batches(model, 8, 16 * steps))
    assert trainer.global_step == steps
    return model, updates


def at_the_fourth(factor: float) -> Callable[[int, Tensor], Tensor]:
    """Multiplies the fourth of the discriminator's gradients."""
    return lambda number, gradient: gradient * factor if number == 3 else gradient


def fourth(updates: Updates) -> int:
    """Number of that update among all."""
    return [n for n, name in enumerate(updates.players) if name == "discriminator"][3]


# of the way that the weights go; largest seen 0.013, CycleGAN 0.08
FP16 = (0.03, 0.15)
# CUT tells patches apart that are nearly equal at the start: 0.30. Its way in float64 is another by
# 0.33 if weights are changed by at most 2^-10 of themselves, the rounding of float16; float32's is
# off by 1e-5
FP16_PATCHES = 0.6


def test_fp16_weights_follow_float32(variant: Any, make_trainer: Any) -> None:
    exact, reference = train(variant, make_trainer)
    rounded, updates = train(variant, make_trainer, scaled(2.0**8))
    # one scale for all updates: nothing overflows, and it is too early to raise it
    assert updates.players == turns_of(variant, 2) * 3
    assert updates.scales == [2.0**8] * len(updates.players)
    for player in PLAYERS:
        ours, theirs = (flat(getattr(m, player).parameters()) for m in (rounded, exact))
        error = relative(ours, theirs, theirs - reference.before[0][player])
        bound = FP16[0 if variant in LATENT_MODELS else 1]
        if "projector" in variant.players[player]:
            bound = FP16_PATCHES
        assert 0 < error < bound, (player, error)


def test_an_overflow_skips_that_update_and_no_other(variant: Any, make_trainer: Any) -> None:
    """In the second iteration the second gradient of the discriminator overflows."""
    model, updates = train(variant, make_trainer, scaled(2.0**8), hook=at_the_fourth(torch.inf))
    twin, reference = train(variant, make_trainer, scaled(2.0**8), hook=at_the_fourth(0.0))
    # updates: D D G, D (D) G, D D G
    bad, n = fourth(updates), len(updates.players)
    assert updates.scales == [2.0**8] * (bad + 1) + [2.0**7] * (n - bad - 1)
    assert reference.scales == [2.0**8] * n
    before, after = (updates.before[n]["discriminator"] for n in (bad, bad + 1))
    assert_close(after, before, rtol=0, atol=0)
    for number, (ours, theirs) in enumerate(
        zip(updates.gradients, reference.gradients, strict=True)
    ):
        assert ours.isfinite().all() == (number != bad)
        if number != bad:
            # half the scale is exact but for numbers near the end of float16's range
            assert relative(ours, theirs) < 1e-3, number
    for player in PLAYERS:
        ours, theirs = (flat(getattr(m, player).parameters()) for m in (model, twin))
        assert_close(ours, theirs, rtol=0, atol=1e-6)
        moved = [
            not torch.equal(a[player], b[player])
            for a, b in zip(updates.before[:-1], updates.before[1:], strict=True)
        ]
        turns = [n for n, name in enumerate(updates.players[:-1]) if name == player and n != bad]
        assert [n for n, changed in enumerate(moved) if changed] == turns


def test_the_scale_rises_after_good_updates(make_trainer: Any) -> None:
    steady, _ = train(WGANGP, make_trainer, scaled(2.0**8))
    # after four updates of whichever player
    rising, updates = train(WGANGP, make_trainer, scaled(2.0**8, growth_interval=4))
    assert updates.scales == [2.0**8] * 4 + [2.0**9] * 4 + [2.0**10]
    assert_close(rising.state_dict(), steady.state_dict(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("player", PLAYERS)
def test_gradients_are_clipped_after_unscaling(player: Any, make_trainer: Any) -> None:
    stepped: list[float] = []

    class Noting(SGD):
        def step(self, closure: Any = None) -> Any:
            stepped.append(flat(p.grad for p in self.param_groups[0]["params"]).norm().item())
            return super().step(closure)

    def run(clip: float | None) -> list[float]:
        stepped.clear()
        options = {f"{player}_optimizer": lambda p: Noting(p, lr=1e-6)}
        options |= {f"{player}_gradient_clip_val": clip}
        train(WGANGP, make_trainer, scaled(2.0**8), steps=1, **options)
        return list(stepped)

    free = run(None)
    assert all(norm > 0.01 for norm in free)
    assert run(0.01) == pytest.approx([0.01] * len(free), rel=1e-4)
    # scaled norms would be clipped, too
    assert run(2 * max(free)) == pytest.approx(free, rel=1e-6)


def test_fused_optimizers_skip_an_overflow_too(variant: Any, make_trainer: Any) -> None:
    """The papers' optimizers, fused where they can be, unscale and skip by themselves."""

    def run(fused: bool) -> tuple[Any, Updates]:
        def make(player: str) -> Any:
            factory = _defaults(variant)[f"{player}_optimizer"]

            def optimizer(parameters: Any) -> Any:
                papers = factory(parameters)
                # a new one of the same settings
                options = {k: v for k, v in papers.defaults.items() if fused or k != "fused"}
                return type(papers)(papers.param_groups[0]["params"], **options)

            return optimizer

        options = {f"{player}_optimizer": make(player) for player in PLAYERS}
        hook = at_the_fourth(torch.inf)
        return train(variant, make_trainer, scaled(2.0**8), hook=hook, **options)

    (model, updates), (twin, reference) = run(fused=True), run(fused=False)
    bad, n = fourth(updates), len(updates.players)
    expected = [2.0**8] * (bad + 1) + [2.0**7] * (n - bad - 1)
    assert updates.scales == reference.scales == expected
    for ours, theirs in zip(updates.before, reference.before, strict=True):
        assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert_close(model.state_dict(), twin.state_dict(), rtol=0, atol=1e-6)
    before, after = (updates.before[n]["discriminator"] for n in (bad, bad + 1))
    assert_close(after, before, rtol=0, atol=0)


def test_a_resumed_run_goes_on_with_the_scale(make_trainer: Any) -> None:
    torch.manual_seed(0)
    model = small(WGANGP, image_shape=(1, 8, 8), n_critic=1)
    trainer = make_trainer(max_steps=2, plugins=scaled(2.0**8, growth_interval=3))
    trainer.fit(model, batches(model, 2, 4))
    trainer.save_checkpoint("half.ckpt")
    updates = Updates()
    trainer = make_trainer(
        max_epochs=2, plugins=scaled(2.0**4, growth_interval=3), callbacks=[updates]
    )
    trainer.fit(model, batches(model, 2, 4), ckpt_path="half.ckpt", weights_only=True)
    # four updates before, four after: the scale rose after the third and rises after the sixth
    assert updates.scales == [2.0**9] * 2 + [2.0**10] * 2


class Noted(torch.autograd.Function):
    """The identity; notes whether autocast is on in its backward pass."""

    seen: list[bool] = []  # noqa: RUF012

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        Noted.seen.append(torch.is_autocast_enabled("cpu"))
        return gradient


class NotingCritic(WGANGP):
    """Its loss passes through :class:`Noted`."""

    def discriminator_losses(self, batch: Any) -> dict[str, Tensor]:
        assert torch.is_autocast_enabled("cpu")
        terms = super().discriminator_losses(batch)
        return {name: Noted.apply(term) for name, term in terms.items()}  # type: ignore[no-untyped-call]


def test_autocast_does_not_reach_the_backward_pass(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    # there it would compute the penalty's gradient of a gradient in half precision
    Noted.seen.clear()
    trainer = make_trainer(max_steps=1, precision="bf16-mixed")
    trainer.fit(make_model(NotingCritic, n_critic=1), make_loader(4))
    assert Noted.seen == [False, False]
