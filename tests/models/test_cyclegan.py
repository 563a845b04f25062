"""CycleGAN and the family of image translation."""

import copy
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from gan_modules.families.adversarial import GANModule
from gan_modules.families.translation import TranslationGAN
from gan_modules.models.cyclegan import CycleGAN
from gan_modules.networks.cyclegan import CycleGANGenerator
from gan_modules.networks.patchgan import PatchGANDiscriminator

SHAPE = (1, 8, 8)


def small_translator(*, image_shape: tuple[int, ...]) -> nn.Module:
    return CycleGANGenerator(image_shape, width=2, n_blocks=1, n_downsampling=1)


def small_patchgan(*, image_shape: tuple[int, ...]) -> nn.Module:
    return PatchGANDiscriminator(image_shape, width=2, n_layers=1)


class Small(CycleGAN):
    """Networks by overriding, so that a checkpoint describes the whole model."""

    def build_generator(self) -> nn.Module:
        return small_translator(image_shape=self.image_shape)

    def build_discriminator(self) -> nn.Module:
        return small_patchgan(image_shape=self.image_shape)


def make(cls: type[CycleGAN] = Small, **kwargs: Any) -> CycleGAN:
    return cls(**{"image_shape": SHAPE} | kwargs)


def pairs(n: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.rand(2, n, *SHAPE, generator=generator) * 2 - 1).unbind()
    return a, b


def loader(batch_size: int, n: int = 24) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(*pairs(n)), batch_size)


def sgd(parameters: Any) -> SGD:
    return SGD(parameters, lr=0.01)


# ---- the objective ---------------------------------------------------------------------------


class Affine(nn.Module):
    """``slope * x + offset``."""

    def __init__(self, slope: float, offset: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))
        self.offset = nn.Parameter(torch.tensor(offset))

    def forward(self, x: Tensor) -> Tensor:
        return self.slope * x + self.offset


def by_hand(**kwargs: Any) -> CycleGAN:
    return make(
        CycleGAN,
        generator=nn.ModuleDict({"a_to_b": Affine(0.5, 0.1), "b_to_a": Affine(-1.0, 0.2)}),
        discriminator=nn.ModuleDict({"a": Affine(2.0, 0.0), "b": Affine(1.0, -1.0)}),
        **kwargs,
    )


def test_objective_by_hand() -> None:
    # a = 0.6 and b = -0.4 everywhere: fake_b = 0.4, fake_a = 0.6
    batch = (torch.full((3, *SHAPE), 0.6), torch.full((3, *SHAPE), -0.4))
    model = by_hand(cycle_weight=10.0, identity_weight=5.0)
    losses = model.discriminator_losses(batch)
    # D_a(a) = D_a(fake_a) = 1.2; D_b(b) = -1.4 and D_b(fake_b) = -0.6
    assert_close(losses, {"a": torch.tensor((0.04 + 1.44) / 2), "b": torch.tensor(3.06)})
    expected = {
        # D_b(fake_b) = -0.6 and D_a(fake_a) = 1.2
        "a_to_b": 1.6**2,
        "b_to_a": 0.2**2,
        # fake_b to A: -0.2; fake_a to B: 0.4
        "cycle_a": 10 * 0.8,
        "cycle_b": 10 * 0.8,
        # a to A: -0.4; b to B: -0.1
        "identity_a": 5 * 1.0,
        "identity_b": 5 * 0.3,
    }
    losses = model.generator_losses(batch)
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-5), name


def test_other_adversarial_losses() -> None:
    batch = (torch.full((3, *SHAPE), 0.6), torch.full((3, *SHAPE), -0.4))
    model = by_hand(loss="wasserstein", identity_weight=0.0, cycle_weight=0.0)
    losses = model.discriminator_losses(batch)
    assert_close(losses, {"a": torch.tensor(0.0), "b": torch.tensor(0.8)})
    assert_close(model.generator_losses(batch)["a_to_b"], torch.tensor(0.6))


def straight_losses(
    networks: dict[str, nn.Module], a: Tensor, b: Tensor, identity: float
) -> dict[str, Tensor]:
    """Equations 1 to 3 and section 5.2 of arXiv:1703.10593, one network pass per term."""
    g, f, d_a, d_b = (networks[name] for name in ("g", "f", "d_a", "d_b"))
    terms = {
        "a_to_b": ((d_b(g(a)) - 1) ** 2).mean(),
        "b_to_a": ((d_a(f(b)) - 1) ** 2).mean(),
        "cycle_a": 10 * (f(g(a)) - a).abs().mean(),
        "cycle_b": 10 * (g(f(b)) - b).abs().mean(),
    }
    if identity:
        terms["identity_a"] = identity * (f(a) - a).abs().mean()
        terms["identity_b"] = identity * (g(b) - b).abs().mean()
    return terms


def networks_of(model: CycleGAN) -> dict[str, nn.Module]:
    return {
        "g": model.generator["a_to_b"],
        "f": model.generator["b_to_a"],
        "d_a": model.discriminator["a"],
        "d_b": model.discriminator["b"],
    }


@pytest.mark.parametrize("identity", [0.0, 5.0, 3.0])
def test_objective_of_convolutional_networks(identity: float, double: None) -> None:
    model, (a, b) = make(identity_weight=identity).double(), pairs(3)
    expected = straight_losses(networks_of(model), a.double(), b.double(), identity)
    assert_close(model.generator_losses((a.double(), b.double())), expected)


def normalised_translator(*, image_shape: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 1, 3, 1, 1), nn.BatchNorm2d(1), nn.Tanh())


def normalised_patchgan(*, image_shape: tuple[int, ...]) -> nn.Module:
    return PatchGANDiscriminator(image_shape, 2, 1, norm="batch")


def test_batch_norm_sees_each_input_by_itself(double: None) -> None:
    model = make(CycleGAN, generator=normalised_translator, discriminator=normalised_patchgan)
    model, (a, b) = model.double(), pairs(3)
    a, b = a.double(), b.double()
    g, f, d_a, d_b = networks_of(model).values()
    assert_close(model.generator_losses((a, b)), straight_losses(networks_of(model), a, b, 5.0))
    losses = model.discriminator_losses((a, b))
    assert_close(losses["a"], 0.5 * ((d_a(a) - 1) ** 2).mean() + 0.5 * (d_a(f(b)) ** 2).mean())
    assert_close(losses["b"], 0.5 * ((d_b(b) - 1) ** 2).mean() + 0.5 * (d_b(g(a)) ** 2).mean())


def passes(model: CycleGAN, losses: Any) -> dict[str, int]:
    """Forward passes of each network that one call takes."""
    counts = dict.fromkeys(networks_of(model), 0)
    handles = []
    for name, network in networks_of(model).items():

        def count(*_: Any, name: str = name) -> None:
            counts[name] += 1

        handles.append(network.register_forward_hook(count))
    losses(pairs(2))
    for handle in handles:
        handle.remove()
    return counts


def test_no_network_pass_is_wasted() -> None:
    model = make()
    assert passes(model, model.discriminator_losses) == {"g": 1, "f": 1, "d_a": 1, "d_b": 1}
    assert passes(model, model.generator_losses) == {"g": 2, "f": 2, "d_a": 1, "d_b": 1}
    without = make(identity_weight=0.0)
    assert passes(without, without.generator_losses) == {"g": 2, "f": 2, "d_a": 1, "d_b": 1}
    normalised = make(CycleGAN, generator=normalised_translator, discriminator=normalised_patchgan)
    assert passes(normalised, normalised.generator_losses) == {"g": 3, "f": 3, "d_a": 1, "d_b": 1}


def test_defaults_are_the_papers() -> None:
    model = CycleGAN(image_shape=(3, 32, 32))
    assert (model.cycle_weight, model.identity_weight, model.n_critic) == (10.0, 5.0, 1)
    assert model.pools["a"].pool_size == model.pools["b"].pool_size == 50
    for network in model.generator.values():
        assert isinstance(network, CycleGANGenerator)
    for network in model.discriminator.values():
        assert isinstance(network, PatchGANDiscriminator)
        assert network(torch.zeros(1, 3, 70, 70)).shape == (1, 1, 6, 6)
    for configured in model.configure_optimizers():  # type: ignore[union-attr]
        optimizer = configured["optimizer"]  # type: ignore[index]
        assert isinstance(optimizer, Adam)
        group = optimizer.param_groups[0]
        assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))
        assert {id(p) for p in group["params"]} in (
            {id(p) for p in model.generator.parameters()},
            {id(p) for p in model.discriminator.parameters()},
        )
    weights = [next(network.parameters()) for network in networks_of(model).values()]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[2], weights[3])
    assert CycleGAN(image_shape=(1, 16, 16)).discriminator["a"](torch.zeros(1, 1, 16, 16)).numel()


# ---- training --------------------------------------------------------------------------------


class Repeatable(Small):
    """Draws what a loop written in the test can draw too."""

    def _seed_noise(self) -> None:
        torch.manual_seed(self.global_step)


class Pool:
    """The image pool as CycleGAN describes it, image by image."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def query(self, images: Tensor) -> Tensor:
        free = min(len(images), self.size - len(self.images))
        self.images += list(images[:free])
        returned = list(images[:free])
        if self.size and free < len(images):
            swap = torch.rand(len(images) - free) < 0.5
            slots = torch.randint(self.size, (len(images) - free,)).tolist()
            for image, swapped, slot in zip(images[free:], swap, slots, strict=True):
                returned.append(self.images[slot] if swapped else image)
                if swapped:
                    self.images[slot] = image
        return torch.stack(returned) if self.size else images


def reference_training(networks: dict[str, nn.Module], steps: int, pool_size: int) -> None:
    """CycleGAN as a straight loop, discriminators first."""
    g, f, d_a, d_b = (networks[name] for name in ("g", "f", "d_a", "d_b"))
    generators = sgd([*g.parameters(), *f.parameters()])
    discriminators = sgd([*d_a.parameters(), *d_b.parameters()])
    pool_a, pool_b = Pool(pool_size), Pool(pool_size)
    for step, (a, b) in zip(range(steps), loader(3), strict=False):
        a, b = a.double(), b.double()
        torch.manual_seed(step)
        fake_a = pool_a.query(f(b).detach())
        fake_b = pool_b.query(g(a).detach())
        loss_a = (((d_a(a) - 1) ** 2).mean() + (d_a(fake_a) ** 2).mean()) / 2
        loss_b = (((d_b(b) - 1) ** 2).mean() + (d_b(fake_b) ** 2).mean()) / 2
        discriminators.zero_grad()
        (loss_a + loss_b).backward()
        discriminators.step()
        generators.zero_grad()
        sum(straight_losses(networks, a, b, 5.0).values()).backward()  # type: ignore[union-attr]
        generators.step()


@pytest.mark.parametrize("pool_size", [0, 4, 50])
def test_same_weights_as_a_straight_loop(pool_size: int, make_trainer: Any, double: None) -> None:
    model = make(
        Repeatable, pool_size=pool_size, generator_optimizer=sgd, discriminator_optimizer=sgd
    )
    twin = {name: copy.deepcopy(network) for name, network in networks_of(model).items()}
    start = copy.deepcopy(twin)
    make_trainer(max_steps=6).fit(model, loader(3))
    reference_training(twin, 6, pool_size)
    for name, network in networks_of(model).items():
        assert_close(network.state_dict(), twin[name].state_dict(), rtol=0, atol=1e-10)
        moved = [
            (p - q).abs().max()
            for p, q in zip(network.parameters(), start[name].parameters(), strict=True)
        ]
        assert min(moved) > 1e-6


class Watcher(Callback):
    """Notes whose turn each optimizer step is, and which networks have gradients."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.gradients: list[set[str]] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        names = {id(p): n.split(".")[0] for n, p in pl_module.named_parameters()}
        self.steps.append(names[id(optimizer.param_groups[0]["params"][0])])
        self.gradients.append(
            {
                ".".join(n.split(".")[:2])
                for n, p in pl_module.named_parameters()
                if p.grad is not None
            }
        )


@pytest.mark.parametrize("n_critic", [1, 2])
def test_update_ratio_and_frozen_players(n_critic: int, make_trainer: Any) -> None:
    watcher = Watcher()
    make_trainer(max_steps=3, callbacks=[watcher]).fit(
        make(n_critic=n_critic), loader(2 * n_critic)
    )
    assert watcher.steps == (["discriminator"] * n_critic + ["generator"]) * 3
    players = {
        "discriminator": {"discriminator.a", "discriminator.b"},
        "generator": {"generator.a_to_b", "generator.b_to_a"},
    }
    assert watcher.gradients == [players[name] for name in watcher.steps]


def test_each_network_is_passed_as_rarely_as_can_be(make_trainer: Any) -> None:
    seen: list[tuple[str, bool]] = []

    def note(name: str) -> Any:
        return lambda network, inputs, output: seen.append((name, inputs[0].requires_grad))

    for options, whole in (({}, True), ({"generator_accumulate_grad_batches": 2}, False)):
        model = make(n_critic=2, **options)
        for name, network in networks_of(model).items():
            network.register_forward_hook(note(name))
        make_trainer(max_steps=1).fit(model, loader(4))
        # one part for the discriminators alone, one for both; what they judge in their own step
        # has no graph, and nobody translates for them again what the generators' step translates
        translate, judge = [("f", False), ("g", False)], [("d_a", False), ("d_b", False)]
        cycle = [("f", True), ("g", True), ("d_b", True), ("d_a", True)]
        if whole:
            assert seen == [*translate, *judge, *translate, *judge, *cycle]
        else:
            assert seen == [*translate, *judge] * 2 + [*translate, *cycle] * 2
        seen.clear()


def test_nothing_translated_is_left(make_trainer: Any) -> None:
    model = make()
    make_trainer(max_steps=1).fit(model, loader(2))
    copy.deepcopy(model)  # refused by tensors with a graph

    class Stops(Small):
        def generator_losses(self, batch: Any) -> Any:
            assert self._shared_now is not None
            raise RuntimeError("stop here")

    stopped = make(Stops)
    with pytest.raises(RuntimeError, match="stop here"):
        make_trainer(max_steps=1).fit(stopped, loader(2))
    assert stopped._shared_now is None


def test_held_out_losses_leave_the_pool_alone(make_trainer: Any) -> None:
    model = make(pool_size=20)
    trainer = make_trainer(max_steps=4, limit_val_batches=2, val_check_interval=2)
    trainer.fit(model, loader(3), loader(3))
    assert [len(pool) for pool in model.pools.values()] == [12, 12]
    metrics = trainer.callback_metrics
    assert {f"val/d/{domain}" for domain in "ab"} <= metrics.keys()
    assert {"val/g/a_to_b", "val/g/cycle_b", "val/g/identity_a"} <= metrics.keys()


def test_accumulation_fills_the_pools(make_trainer: Any, double: None) -> None:
    def train(pieces: int) -> CycleGAN:
        torch.manual_seed(0)
        model = make(
            pool_size=9,
            generator_optimizer=sgd,
            discriminator_optimizer=sgd,
            generator_accumulate_grad_batches=pieces,
            discriminator_accumulate_grad_batches=pieces,
        )
        make_trainer(max_steps=2).fit(model, loader(6))
        return model

    whole, pieces = train(1), train(2)
    assert [len(pool) for pool in pieces.pools.values()] == [9, 9]
    # the first iteration only fills the pools: the fakes are the same
    assert_close(
        whole.pools["a"].state_dict()["images"][:6], pieces.pools["a"].state_dict()["images"][:6]
    )
    make_trainer(max_steps=10).fit(pieces, loader(6))
    assert len(pieces.pools["a"]) == 9


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_precisions(precision: str, make_trainer: Any) -> None:
    trainer = make_trainer(max_steps=4, precision=precision, log_every_n_steps=1)
    trainer.fit(make(pool_size=3), loader(2))
    assert trainer.global_step == 4
    assert all(value.isfinite() for value in trainer.callback_metrics.values())


# ---- checkpoints -----------------------------------------------------------------------------


class DataByStep(Small):
    """Trained on batches that are a function of the iteration, wherever the loader restarts."""

    def training_step(self, batch: Any, batch_idx: int) -> None:
        super().training_step(pairs(2, seed=self.global_step), batch_idx)


def fit(make_trainer: Any, steps: int, ckpt_path: str | None = None) -> Any:
    # a resumed process starts from another seed: everything must come from the checkpoint
    torch.manual_seed(0 if ckpt_path is None else 1)
    model = make(DataByStep, pool_size=8)
    trainer = make_trainer(max_steps=steps)
    trainer.fit(model, loader(2), ckpt_path=ckpt_path)
    return trainer, model


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before")
@pytest.mark.parametrize(("half", "stored"), [(2, 4), (7, 8)])
def test_resume_is_bitwise(half: int, stored: int, make_trainer: Any) -> None:
    trainer, model = fit(make_trainer, 2 * half)
    first_trainer, first = fit(make_trainer, half)
    assert len(first.pools["a"]) == stored
    first_trainer.save_checkpoint("half.ckpt")
    resumed_trainer, resumed = fit(make_trainer, 2 * half, "half.ckpt")
    assert resumed_trainer.global_step == 2 * half
    assert_close(resumed.state_dict(), model.state_dict(), rtol=0, atol=0)
    for name, pool in model.pools.items():
        assert_close(resumed.pools[name].state_dict(), pool.state_dict(), rtol=0, atol=0)
    for ours, theirs in zip(resumed_trainer.optimizers, trainer.optimizers, strict=True):
        assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("cls", [GANModule, TranslationGAN, Small])
def test_round_trip(cls: Any, make_trainer: Any) -> None:
    model = make(cycle_weight=3.0, pool_size=4)
    trainer = make_trainer(max_steps=2)
    trainer.fit(model, loader(2))
    trainer.save_checkpoint("model.ckpt")
    torch.load("model.ckpt", weights_only=True)
    again = cls.load_from_checkpoint("model.ckpt")
    assert type(again) is Small
    assert (again.cycle_weight, again.image_shape) == (3.0, SHAPE)
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    images = pairs(2)[0]
    assert_close(again.translate(images, "a_to_b"), model.translate(images, "a_to_b"))
    # fakes of the past are no part of a model to translate with
    assert len(again.pools["a"]) == 0


def test_networks_passed_in_python_must_be_passed_again(make_trainer: Any) -> None:
    model = make(CycleGAN, generator=small_translator, discriminator=small_patchgan)
    trainer = make_trainer(max_steps=1)
    trainer.fit(model, loader(2))
    trainer.save_checkpoint("model.ckpt")
    with pytest.raises(ValueError, match="discriminator and generator passed in Python"):
        GANModule.load_from_checkpoint("model.ckpt")
    modules = {
        player: nn.ModuleDict({k: copy.deepcopy(v) for k, v in getattr(model, player).items()})
        for player in ("generator", "discriminator")
    }
    again = GANModule.load_from_checkpoint("model.ckpt", **modules)
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    trainer = make_trainer(max_steps=1)
    trainer.fit(again, loader(2))
    trainer.save_checkpoint("again.ckpt")
    checkpoint = torch.load("again.ckpt", weights_only=True)
    assert checkpoint["given_in_python"] == ["discriminator", "generator"]


def test_a_checkpoint_before_any_training(make_trainer: Any) -> None:
    trainer = make_trainer(max_steps=0)
    trainer.fit(make(), loader(2))
    trainer.save_checkpoint("model.ckpt")
    model = make()
    make_trainer(max_steps=1).fit(model, loader(2), ckpt_path="model.ckpt")
    assert len(model.pools["b"]) == 2


# ---- translation -----------------------------------------------------------------------------


def test_translate() -> None:
    model = make(CycleGAN, generator=normalised_translator)
    model.train()
    images = pairs(4)[0]
    before = copy.deepcopy(model.state_dict())
    translated = model.translate(images, "a_to_b")
    assert translated.shape == images.shape
    assert not translated.requires_grad
    assert all(module.training for module in model.modules())
    # evaluation mode: images do not depend on each other, statistics stay
    assert_close(model.translate(images[:1], "a_to_b"), translated[:1])
    assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert not torch.equal(model.translate(images, "b_to_a"), translated)
    assert_close(model.translate(images.double(), "a_to_b"), translated)
    assert model.translate(images[:0], "a_to_b").shape == (0, *SHAPE)


def test_translation_is_by_the_averaged_generator() -> None:
    model = by_hand(ema_decay=0.5)
    nn.init.zeros_(model.generator["a_to_b"].slope)
    images = torch.full((1, *SHAPE), 0.5)
    assert_close(model.translate(images, "a_to_b"), torch.full((1, *SHAPE), 0.35))
    live = by_hand(ema_decay=0.0)
    nn.init.zeros_(live.generator["a_to_b"].slope)
    assert_close(live.translate(images, "a_to_b"), torch.full((1, *SHAPE), 0.1))


@pytest.mark.parametrize(
    ("images", "direction", "line"),
    [
        (torch.zeros(2, *SHAPE), "a_to_c", "direction='a_to_c' must be a_to_b or b_to_a"),
        (torch.zeros(SHAPE), "a_to_b", r"shape \(1, 8, 8\) cannot be translated"),
        (torch.zeros(2, 1, 8, 12), "a_to_b", r"shape \(2, 1, 8, 12\) cannot be translated"),
        (torch.zeros(2, *SHAPE, dtype=torch.uint8), "a_to_b", "torch.uint8 images cannot be"),
        (torch.full((2, *SHAPE), 255.0), "a_to_b", r"images in \[255, 255\] cannot be"),
        (torch.full((2, *SHAPE), float("nan")), "a_to_b", "cannot be translated"),
    ],
)
def test_what_cannot_be_translated(images: Tensor, direction: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make().translate(images, direction)


def test_sample_grid() -> None:
    model = by_hand()
    model.train()
    batch = (torch.full((3, *SHAPE), 0.6), torch.full((3, *SHAPE), -0.4))
    grid = model.sample_grid(13, 0, batch)
    assert grid.shape == (2, 6, *SHAPE)
    expected = torch.tensor([0.6, 0.4, -0.2, -0.4, 0.6, 0.4])
    assert_close(grid[1, :, 0, 0, 0], expected)
    assert not grid.requires_grad
    assert model.generator.training
    assert model.sampler.training
    assert len(model.sample_grid(64, 0, batch)) == 3
    assert len(model.sample_grid(1, 0, batch)) == 1


# ---- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "line"),
    [
        ((torch.zeros(4, *SHAPE), torch.arange(4)), r"gives shape \(4,\) beside .* \(images_a"),
        ((torch.zeros(4, *SHAPE),), "gives nothing beside its images: Small needs batches of two"),
        ((torch.zeros(4, 1, 9, 9), torch.zeros(4, *SHAPE)), r"domain A of shape \(1, 9, 9\)"),
        ((torch.zeros(4, *SHAPE), torch.zeros(4, 3, 8, 8)), r"domain B of shape \(3, 8, 8\)"),
        ((torch.zeros(4, *SHAPE), torch.full((4, *SHAPE), 9.0)), r"gives images in \[9, 9\]"),
        (
            (torch.zeros(4, *SHAPE), torch.zeros(4, *SHAPE, dtype=torch.uint8)),
            "gives torch.uint8 images",
        ),
    ],
)
def test_wrong_batches(batch: tuple[Tensor, ...], line: str, make_trainer: Any) -> None:
    with pytest.raises(ValueError, match=line):
        make_trainer(max_steps=1).fit(make(), DataLoader(TensorDataset(*batch), 4))


def test_domains_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="gives 4 images of domain A and 3 of domain B"):
        make().check_batch((torch.zeros(4, *SHAPE), torch.zeros(3, *SHAPE)))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"cycle_weight": -1.0}, "cycle_weight=-1.0 must be at least 0"),
        ({"identity_weight": -1.0}, "identity_weight=-1.0 must be at least 0"),
        ({"pool_size": -1}, "pool_size=-1 must be at least 0"),
        ({"loss": "quadratic"}, "loss='quadratic' must be"),
        ({"image_shape": (8, 8)}, r"image_shape=\(8, 8\) must be \(C, H, W\)"),
        ({"generator": nn.Identity()}, "generator passed as a module must be an nn.ModuleDict"),
        (
            {"discriminator": nn.ModuleDict({"a": nn.Identity()})},
            "discriminator passed as a module must be an nn.ModuleDict with the keys a and b",
        ),
    ],
)
def test_options_out_of_range(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make(**options)
