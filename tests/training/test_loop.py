"""The training loop: what it updates, when, and by how much."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from gan_modules import WGANGP
from gan_modules.training.batches import Batch
from gan_modules.training.players import PlayerOptions, configure_player


def sgd(parameters: Any) -> SGD:
    return SGD(parameters, lr=0.1)


class Watcher(Callback):
    """Notes every optimizer step: whose it was, and which weights it changed."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.changed: list[set[str]] = []
        self.gradients: list[set[str]] = []
        self._before: dict[str, Tensor] = {}

    def _settle(self, module: LightningModule) -> None:
        now = {name: p.detach().clone() for name, p in module.named_parameters()}
        if self._before:
            self.changed.append(
                {n.split(".")[0] for n in now if not torch.equal(now[n], self._before[n])}
            )
        self._before = now

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        self._settle(pl_module)
        names = {id(p): n.split(".")[0] for n, p in pl_module.named_parameters()}
        self.steps.append(names[id(optimizer.param_groups[0]["params"][0])])
        self.gradients.append(
            {n.split(".")[0] for n, p in pl_module.named_parameters() if p.grad is not None}
        )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._settle(pl_module)


@pytest.mark.parametrize("n_critic", [1, 3])
def test_update_ratio_and_order(
    n_critic: int, make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    watcher = Watcher()
    trainer = make_trainer(max_steps=4, callbacks=[watcher])
    trainer.fit(make_model(n_critic=n_critic), make_loader(n_critic * 2))
    assert watcher.steps == (["discriminator"] * n_critic + ["generator"]) * 4
    assert trainer.global_step == 4


def test_only_the_stepped_network_moves_and_has_gradients(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    watcher = Watcher()
    model = make_model(n_critic=2, ema_decay=0.0)
    make_trainer(max_steps=3, callbacks=[watcher]).fit(model, make_loader(4))
    assert watcher.changed == [{name} for name in watcher.steps]
    assert watcher.gradients == [{name} for name in watcher.steps]
    assert all(p.grad is None for p in model.parameters())
    assert all(p.requires_grad for p in model.parameters())


def test_fakes_carry_no_graph_in_the_discriminator_step(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    seen: list[tuple[str, bool, bool]] = []

    class Spy(WGANGP):
        def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
            frozen = not any(p.requires_grad for p in self.generator.parameters())
            seen.append(("d", self.generate(batch).requires_grad, frozen))
            return super().discriminator_losses(batch)

        def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
            frozen = not any(p.requires_grad for p in self.discriminator.parameters())
            seen.append(("g", self.generate(batch).requires_grad, frozen))
            return super().generator_losses(batch)

    make_trainer(max_steps=1).fit(make_model(Spy, n_critic=1), make_loader(2))
    assert seen == [("d", False, True), ("g", True, True)]


def test_a_network_its_user_froze_stays_frozen(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    model = make_model(n_critic=1, ema_decay=0.0)
    frozen = next(model.discriminator.parameters()).requires_grad_(False)
    before = frozen.clone()
    make_trainer(max_steps=2).fit(model, make_loader(2))
    assert not frozen.requires_grad
    assert_close(frozen, before, rtol=0, atol=0)


class Repeatable(WGANGP):
    """Draws noise that a loop written in the test can draw too."""

    def _seed_noise(self) -> None:
        torch.manual_seed(self.global_step)


def reference_training(
    model: WGANGP, loader: Any, steps: int, optimizers: list[Optimizer], weight: float
) -> None:
    """Algorithm 1 of arXiv:1704.00028 as a straight loop."""
    generator, critic = model.generator, model.discriminator
    optimizer_g, optimizer_d = optimizers
    for step, (images, _) in zip(range(steps), loader, strict=False):
        torch.manual_seed(step)
        for real in images.chunk(model.n_critic):
            fake = generator(torch.randn(len(real), 4)).detach()
            position = torch.rand(len(real), 1, 1, 1)
            mixed = (position * real + (1 - position) * fake).requires_grad_()
            (gradient,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
            norms = gradient.flatten(1).norm(dim=1)
            loss = critic(fake).mean() - critic(real).mean() + weight * ((norms - 1) ** 2).mean()
            optimizer_d.zero_grad()
            loss.backward()
            optimizer_d.step()
        loss = -critic(generator(torch.randn(len(real), 4))).mean()
        optimizer_g.zero_grad()
        loss.backward()
        optimizer_g.step()


@pytest.mark.parametrize("optimizer", [sgd, lambda p: Adam(p, lr=1e-2, betas=(0.5, 0.9))])
def test_same_weights_as_a_straight_loop(
    optimizer: Any, make_model: Any, make_trainer: Any, make_loader: Any, double: None
) -> None:
    options = {
        "n_critic": 3,
        "gp_weight": 2.0,
        "generator_optimizer": optimizer,
        "discriminator_optimizer": optimizer,
    }
    model, twin = make_model(Repeatable, **options), make_model(Repeatable, **options)
    twin.load_state_dict(model.state_dict())
    make_trainer(max_steps=5).fit(model, make_loader(12))
    optimizers = [
        optimizer(twin.generator.parameters()),
        optimizer(twin.discriminator.parameters()),
    ]
    reference_training(twin, make_loader(12), 5, optimizers, weight=2.0)
    for name in ("generator", "discriminator"):
        ours, theirs = getattr(model, name), getattr(twin, name)
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert_close(a, b)


def test_averaged_generator_by_hand(make_model: Any, make_trainer: Any, make_loader: Any) -> None:
    history: list[Tensor] = []

    class Recorder(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
            history.append(next(pl_module.generator.parameters()).detach().clone())

    model = make_model(n_critic=1, ema_decay=0.4, generator_optimizer=sgd)
    expected = next(model.generator.parameters()).detach().clone()
    make_trainer(max_steps=5, callbacks=[Recorder()]).fit(model, make_loader(2))
    # (1 + t) / (10 + t) is 2/11, 3/12, 4/13, 5/14, 6/15 = 0.4: below 0.4 until the last
    for decay, weight in zip((2 / 11, 3 / 12, 4 / 13, 5 / 14, 0.4), history, strict=True):
        expected = decay * expected + (1 - decay) * weight
    assert_close(next(model.averaged_generator.parameters()), expected)


def test_averaging_covers_batch_norm_and_never_changes_training(
    make_trainer: Any, make_loader: Any
) -> None:
    def train(ema_decay: float) -> WGANGP:
        torch.manual_seed(0)
        model = WGANGP(
            image_shape=(1, 8, 8), n_critic=1, latent_dim=4, ema_decay=ema_decay,
            generator=normalised_generator, discriminator=flat_critic,
        )  # fmt: skip
        make_trainer(max_steps=3).fit(model, make_loader(6))
        return model

    averaged, live = train(0.5), train(0.0)
    assert_close(averaged.generator.state_dict(), live.generator.state_dict(), rtol=0, atol=0)
    norm, average = averaged.generator[1], averaged.averaged_generator.get_submodule("1")
    assert_close(average.num_batches_tracked, norm.num_batches_tracked)
    assert not torch.equal(average.running_mean, norm.running_mean)
    assert average.running_mean.abs().sum() > 0


def normalised_generator(*, image_shape: Any, latent_dim: int) -> nn.Module:
    return nn.Sequential(nn.Linear(latent_dim, 64), nn.BatchNorm1d(64), nn.Unflatten(1, (1, 8, 8)))


def flat_critic(*, image_shape: Any) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0))


def test_a_metric_scheduler_is_refused(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    model = make_model(n_critic=1, generator_scheduler=ReduceLROnPlateau)
    with pytest.raises(ValueError, match="generator_scheduler='ReduceLROnPlateau' must be a"):
        make_trainer(max_steps=1).fit(model, make_loader(2))


def test_clipping_is_per_network(make_model: Any, make_trainer: Any, make_loader: Any) -> None:
    norms: dict[str, float] = {}

    class Stepped(SGD):
        def step(self, closure: Any = None) -> Any:
            result = closure() if closure is not None else None
            gradients = [p.grad.flatten() for p in self.param_groups[0]["params"]]
            norms[self.param_groups[0]["player"]] = torch.cat(gradients).norm().item()
            return result

    def player(name: str) -> Any:
        return lambda p: Stepped([{"params": list(p), "player": name}], lr=1e-6)

    def train(**kwargs: Any) -> dict[str, float]:
        torch.manual_seed(0)
        model = make_model(
            Repeatable,
            n_critic=1,
            generator_optimizer=player("generator"),
            discriminator_optimizer=player("discriminator"),
            **kwargs,
        )
        make_trainer(max_steps=1).fit(model, make_loader(10))
        return dict(norms)

    free = train()
    clipped = train(discriminator_gradient_clip_val=1e-3)
    assert free["discriminator"] > 1e-2
    assert clipped["discriminator"] == pytest.approx(1e-3, rel=1e-3)
    assert clipped["generator"] == pytest.approx(free["generator"], rel=1e-3)
    assert train(generator_gradient_clip_val=1e-4)["generator"] == pytest.approx(1e-4, rel=1e-3)


class Deterministic(WGANGP):
    """Noise and penalty positions that do not depend on how a batch is cut."""

    def sample_noise(self, n: int, generator: Any = None) -> Tensor:
        return torch.ones(n, self.latent_dim)

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        real, fake = batch[0], self.generate(batch)
        return {"square": (self.discriminator(real) - 1).square().mean() + self.discriminator(fake).square().mean()}  # fmt: skip  # noqa: E501


def test_accumulation_gives_the_same_update(
    make_model: Any, make_trainer: Any, make_loader: Any, double: None
) -> None:
    def train(pieces: int) -> WGANGP:
        torch.manual_seed(0)
        model: WGANGP = make_model(
            Deterministic,
            n_critic=2,
            generator_optimizer=sgd,
            discriminator_optimizer=sgd,
            generator_accumulate_grad_batches=pieces,
            discriminator_accumulate_grad_batches=pieces,
        )
        trainer = make_trainer(max_steps=3, log_every_n_steps=1)
        trainer.fit(model, make_loader(12))
        assert trainer.global_step == 3
        model.logged = dict(trainer.callback_metrics)  # type: ignore[attr-defined]
        return model

    whole, pieces = train(1), train(3)
    assert_close(whole.state_dict(), pieces.state_dict())
    assert_close(whole.logged, pieces.logged)  # type: ignore[attr-defined]


def test_noise_is_a_function_of_seed_rank_and_step(
    make_model: Any, make_trainer: Any, make_loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[int, Tensor] = {}

    class Noise(WGANGP):
        def sample_noise(self, n: int, generator: Any = None) -> Tensor:
            z = super().sample_noise(n)
            drawn.setdefault(self.global_step, z)
            return z

    def draw(seed: int, rank: int) -> dict[int, Tensor]:
        drawn.clear()
        monkeypatch.setattr(Noise, "global_rank", rank)
        model = make_model(Noise, n_critic=1)
        torch.manual_seed(seed)
        make_trainer(max_steps=2).fit(model, make_loader(2))
        return dict(drawn)

    first = draw(seed=5, rank=0)
    assert_close(first, draw(seed=5, rank=0), rtol=0, atol=0)
    for other in (draw(seed=6, rank=0), draw(seed=5, rank=1), {0: first[1]}):
        assert not torch.equal(first[0], other[0])


def test_terms_are_logged_when_due_with_generator_updates_as_axis(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    logger = CSVLogger(".", name="", version="log")
    trainer = make_trainer(max_steps=8, log_every_n_steps=4, logger=logger)
    trainer.fit(make_model(n_critic=2), make_loader(4))
    with Path("log/metrics.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert [row["step"] for row in rows] == [4, 8]
    assert {"d/loss", "d/wasserstein", "d/gradient_penalty", "g/loss", "g/adversarial"} < set(
        rows[0]
    )
    for row in rows:
        total = row["d/wasserstein"] + row["d/gradient_penalty"]
        assert row["d/loss"] == pytest.approx(total, abs=1e-6)


def test_held_out_losses_are_means_over_images(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    class Bright(WGANGP):
        def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
            return {"brightness": batch[0].mean()}

        def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
            return {"one": torch.ones(())}

    # batches of 7 do not divide 60: the last one weighs less
    loader = make_loader(60)
    images = next(iter(loader))[0]
    held_out = DataLoader(TensorDataset(images), batch_size=7)
    trainer = make_trainer(limit_val_batches=None)
    (metrics,) = trainer.validate(make_model(Bright), held_out, verbose=False)
    assert metrics["val/d/brightness"] == pytest.approx(images.mean().item(), abs=1e-6)
    assert metrics["val/g/loss"] == 1.0
    (metrics,) = trainer.test(make_model(Bright), held_out, verbose=False)
    assert metrics["test/d/loss"] == pytest.approx(images.mean().item(), abs=1e-6)


def test_validation_inside_fit_leaves_training_alone(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    def train(**kwargs: Any) -> dict[str, Tensor]:
        torch.manual_seed(0)
        model = make_model(n_critic=1)
        make_trainer(max_steps=4, **kwargs).fit(model, make_loader(10), make_loader(10))
        return dict(model.state_dict())

    validated = train(limit_val_batches=2, val_check_interval=2, num_sanity_val_steps=1)
    assert_close(validated, train(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"n_critic": 0}, "n_critic=0 must be at least 1"),
        ({"ema_decay": 1.0}, r"ema_decay=1.0 must be in \[0, 1\)"),
        ({"latent_dim": 0}, "latent_dim=0 must be at least 1"),
        ({"image_shape": (8, 0)}, r"image_shape=\(8, 0\) must be \(C, H, W\)"),
        ({"gp_weight": -1.0}, "gp_weight=-1.0 must be"),
        ({"conditional": True}, "num_classes=0 must be at least 2 if conditional"),
        ({"generator_gradient_clip_val": 0.0}, "generator_gradient_clip_val=0.0 must be positive"),
        (
            {"discriminator_accumulate_grad_batches": 0},
            "discriminator_accumulate_grad_batches=0 must be at least 1",
        ),
    ],
)
def test_options_out_of_range(options: dict[str, Any], line: str, make_model: Any) -> None:
    with pytest.raises(ValueError, match=line):
        make_model(**options)


@pytest.mark.parametrize(
    ("batch", "line"),
    [
        (torch.zeros(4, 1, 8, 8, dtype=torch.uint8), "gives torch.uint8 images"),
        (torch.full((4, 1, 8, 8), 255.0), r"gives images in \[255, 255\]"),
        (torch.full((4, 1, 8, 8), torch.nan), r"gives images in \[nan, nan\]"),
        (torch.zeros(4, 1, 9, 9), r"shape \(1, 9, 9\), but .* image_shape=\(1, 8, 8\)"),
        (torch.zeros(3, 1, 8, 8), "3 images cannot be cut into n_critic=2 equal parts"),
    ],
)
def test_wrong_batches(batch: Tensor, line: str, make_model: Any, make_trainer: Any) -> None:
    loader = DataLoader(batch, batch_size=len(batch))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=line):
        make_trainer(max_steps=1).fit(make_model(n_critic=2), loader)


def test_batches_of_other_kinds(make_model: Any, make_trainer: Any) -> None:
    images = torch.zeros(4, 1, 8, 8)
    named = DataLoader(list(zip(images, "abcd", strict=True)), batch_size=4)  # type: ignore[arg-type]
    make_trainer(max_steps=1).fit(make_model(n_critic=1), named)
    keyed = DataLoader([{"image": image} for image in images], batch_size=4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gives a dict: a batch must be images, or a tuple"):
        make_trainer(max_steps=1).fit(make_model(n_critic=1), keyed)


def test_held_out_batches_are_checked_too(make_model: Any, make_trainer: Any) -> None:
    wrong = DataLoader(torch.zeros(4, 1, 9, 9), batch_size=4)  # type: ignore[arg-type]
    right = DataLoader(torch.zeros(4, 1, 8, 8), batch_size=4)  # type: ignore[arg-type]
    trainer = make_trainer(max_steps=1, limit_val_batches=None)
    with pytest.raises(ValueError, match=r"shape \(1, 9, 9\), but .* image_shape=\(1, 8, 8\)"):
        trainer.fit(make_model(n_critic=1), right, wrong)
    with pytest.raises(ValueError, match=r"shape \(1, 9, 9\), but"):
        make_trainer(limit_val_batches=None).validate(make_model(), wrong)


def test_the_discriminator_may_be_skipped(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    class EverySecond(WGANGP):
        def turns(self, parts: Any) -> Any:
            turns = super().turns(parts)
            return turns if self.global_step % 2 else turns[1:]

    watcher = Watcher()
    trainer = make_trainer(max_steps=4, callbacks=[watcher], log_every_n_steps=1)
    trainer.fit(make_model(EverySecond, n_critic=1), make_loader(2))
    assert watcher.steps == ["generator", "discriminator", "generator"] * 2


def test_wrong_labels(make_model: Any, make_trainer: Any, make_loader: Any) -> None:
    model = make_model(n_critic=1, num_classes=2, conditional=True)
    with pytest.raises(ValueError, match="labels from 0 to 2, but num_classes=2 allows 0 to 1"):
        make_trainer(max_steps=1).fit(model, make_loader(6))
    images = torch.zeros(4, 1, 8, 8)
    for labels in (torch.zeros(4), torch.zeros(4, 2, dtype=torch.long)):
        loader = DataLoader(TensorDataset(images, labels), batch_size=4)
        with pytest.raises(ValueError, match="they must be integers, one per image"):
            make_trainer(max_steps=1).fit(model, loader)
    small = DataLoader(TensorDataset(images, torch.ones(4, dtype=torch.uint8)), batch_size=4)
    make_trainer(max_steps=1).fit(model, small)
    bare = DataLoader(torch.zeros(4, 1, 8, 8), batch_size=4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"must give \(images, labels\)"):
        make_trainer(max_steps=1).fit(model, bare)


@pytest.mark.parametrize(
    "terms",
    [
        {"scores": torch.ones(4)},
        {"loss": torch.ones(())},
        {"a": torch.ones(()), "b": torch.ones(1)},
    ],
)
def test_terms_must_be_named_scalars(
    terms: dict[str, Tensor], make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    class Odd(WGANGP):
        def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
            return terms

    with pytest.raises(ValueError, match=r"must be a scalar, under any name but 'loss'"):
        make_trainer(max_steps=1).fit(make_model(Odd, n_critic=1), make_loader(4))


def test_logging_can_be_switched_off(make_model: Any, make_trainer: Any, make_loader: Any) -> None:
    trainer = make_trainer(max_steps=2, log_every_n_steps=0)
    trainer.fit(make_model(n_critic=1), make_loader(2))
    assert trainer.global_step == 2
    assert trainer.callback_metrics == {}


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_precisions(
    precision: str, clip: float | None, make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    model = make_model(n_critic=1, generator_gradient_clip_val=clip)
    trainer = make_trainer(max_steps=2, precision=precision, log_every_n_steps=1)
    trainer.fit(model, make_loader(4))
    assert trainer.global_step == 2
    assert all(value.isfinite() for value in trainer.callback_metrics.values())


@pytest.mark.parametrize("fused", [False, True])
def test_clipping_is_before_a_fused_optimizer_unscales(fused: bool) -> None:
    """Under a loss scaler a fused optimizer divides by the scale itself, after the clipping."""
    weight = torch.nn.Parameter(torch.zeros(2))
    options = PlayerOptions(lambda p: Adam(p, lr=1.0, eps=1.0, fused=fused), gradient_clip_val=1.0)
    optimizer = configure_player("generator", options, [weight])["optimizer"]
    scale = 8.0 if fused else 1.0
    if fused:
        optimizer.grad_scale = torch.tensor(scale)
        optimizer.found_inf = torch.tensor(0.0)
    weight.grad = torch.tensor([3.0, 4.0]) * scale
    optimizer.step()
    # the gradient of norm 5 becomes (0.6, 0.8), and the first step of Adam is g / (|g| + eps)
    assert_close(weight.detach(), -torch.tensor([0.6 / 1.6, 0.8 / 1.8]), rtol=1e-5, atol=0)
