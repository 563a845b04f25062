"""pix2pix, the U-Net and translation in one direction."""

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from gan_modules import GenerativeModule, Pix2Pix
from gan_modules.networks import PatchGANDiscriminator, UNetGenerator
from gan_modules.networks.layers.noise import NoiseDropout, without_noise

SHAPE = (1, 8, 8)


class Affine(nn.Module):
    """``slope * x + offset``."""

    def __init__(self, slope: float, offset: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))
        self.offset = nn.Parameter(torch.tensor(offset))

    def forward(self, x: Tensor) -> Tensor:
        return self.slope * x + self.offset


class PairJudge(nn.Module):
    """Twice the input plus the output."""

    def forward(self, pair: Tensor) -> Tensor:
        assert pair.shape[1:] == (2, 8, 8)
        return 2 * pair[:, :1] + pair[:, 1:]


def softplus(x: float) -> float:
    return float(F.softplus(torch.tensor(x, dtype=torch.float64)))


def by_hand(**kwargs: Any) -> Pix2Pix:
    return Pix2Pix(
        image_shape=SHAPE, generator=Affine(0.5, 0.1), discriminator=PairJudge(), **kwargs
    )


def test_objective_by_hand() -> None:
    # x = 0.6, y = -0.4: G(x) = 0.4, D(x, y) = 0.8, D(x, G(x)) = 1.6
    batch = (torch.full((3, *SHAPE), 0.6), torch.full((3, *SHAPE), -0.4))
    model = by_hand()
    (loss,) = model.discriminator_losses(batch).values()
    assert loss.item() == pytest.approx((softplus(-0.8) + softplus(1.6)) / 2, rel=1e-5)
    losses = model.generator_losses(batch)
    assert losses["l1"].item() == pytest.approx(100 * 0.8, rel=1e-5)
    assert losses["adversarial"].item() == pytest.approx(softplus(-1.6), rel=1e-5)
    assert losses.keys() == {"l1", "adversarial"}


def test_other_weights_and_losses() -> None:
    batch = (torch.full((3, *SHAPE), 0.6), torch.full((3, *SHAPE), -0.4))
    alone = by_hand(adversarial_weight=0.0, l1_weight=2.0)
    assert_close(alone.generator_losses(batch), {"l1": torch.tensor(1.6)})
    squares = by_hand(loss="least_squares", discriminator_weight=1.0, adversarial_weight=3.0)
    # halved by the loss itself
    (loss,) = squares.discriminator_losses(batch).values()
    assert_close(loss, torch.tensor((0.2**2 + 1.6**2) / 2))
    assert_close(squares.generator_losses(batch)["adversarial"], torch.tensor(3 * 0.6**2))
    relative = by_hand(loss="relativistic")
    term = relative.generator_losses(batch)["adversarial"]
    assert term.item() == pytest.approx(softplus(0.8 - 1.6), rel=1e-5)


def data(n: int) -> DataLoader[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.rand(2, n, *SHAPE, generator=generator) * 2 - 1).double()
    return DataLoader(TensorDataset(a, b), 2)


def sgd(parameters: Any) -> SGD:
    return SGD(parameters, lr=0.01)


def straight_unet(network: UNetGenerator, x: Tensor) -> Tensor:
    """Two halvings and two doublings, written out: no normalisation first, innermost and last."""
    (first,), (_, second) = network.down
    (_, up, norm), (_, last) = network.up
    e1 = first(x)
    e2 = second(F.leaky_relu(e1, 0.2))
    d1 = up(F.relu(e2))
    mean, var = d1.mean((2, 3), keepdim=True), d1.var((2, 3), unbiased=False, keepdim=True)
    scale, shift = (p[:, None, None] for p in (norm.weight, norm.bias))
    d1 = (d1 - mean) / (var + norm.eps).sqrt() * scale + shift
    return last(F.relu(torch.cat([d1, e1], 1))).tanh()


def test_same_weights_as_a_straight_loop(make_trainer: Any, double: None) -> None:
    """Section 3 of arXiv:1611.07004, discriminator first, one pass for each term."""
    torch.manual_seed(0)
    model = Pix2Pix(
        image_shape=SHAPE,
        generator=partial(UNetGenerator, width=2, n_layers=2, dropout=0.0),  # type: ignore[arg-type]
        discriminator=partial(PatchGANDiscriminator, width=2, n_layers=1),  # type: ignore[arg-type]
        generator_optimizer=sgd,
        discriminator_optimizer=sgd,
    )
    g, d = (copy.deepcopy(x) for x in (model.generator, model.discriminator))
    start = copy.deepcopy(model.state_dict())
    make_trainer(max_steps=3).fit(model, data(6))
    for x, y in data(6):
        fake = straight_unet(g, x)
        real_logits, fake_logits = (d(torch.cat([x, out], 1)) for out in (y, fake.detach()))
        loss = -(real_logits.sigmoid().log().mean() + (1 - fake_logits.sigmoid()).log().mean())
        d.zero_grad()
        (0.5 * loss).backward()
        with torch.no_grad():
            for p in d.parameters():
                p -= 0.01 * p.grad
        g.zero_grad()
        loss = -d(torch.cat([x, fake], 1)).sigmoid().log().mean()
        (loss + 100 * (y - fake).abs().mean()).backward()
        with torch.no_grad():
            for p in g.parameters():
                p -= 0.01 * p.grad
    assert_close(model.generator.state_dict(), g.state_dict(), rtol=0, atol=1e-10)
    assert_close(model.discriminator.state_dict(), d.state_dict(), rtol=0, atol=1e-10)
    moved = [k for k, v in model.state_dict().items() if not torch.equal(v, start[k])]
    assert len(moved) == len(start)


def test_both_players_have_the_same_noise(make_trainer: Any) -> None:
    """One translation in an iteration, dropout and all."""
    seen: list[Tensor] = []
    model = Pix2Pix(image_shape=SHAPE, generator=partial(UNetGenerator, width=2))  # type: ignore[arg-type]
    model.discriminator.register_forward_hook(
        lambda network, inputs, output: seen.append(inputs[0].detach()[-2:, 1])
    )
    calls: list[int] = []
    model.generator.register_forward_hook(lambda *given: calls.append(1))
    make_trainer(max_steps=1).fit(
        model, DataLoader(TensorDataset(*torch.rand(2, 2, *SHAPE) * 2 - 1), 2)
    )
    assert len(calls) == 1
    assert_close(seen[0], seen[1], rtol=0, atol=0)


# ---- noise -----------------------------------------------------------------------------------


def test_noise_dropout_by_hand() -> None:
    x = torch.ones(100, 100)
    kept = NoiseDropout(0.25).eval()(x)
    assert_close(kept.unique(), torch.tensor([0.0, 4 / 3]))
    assert kept.mean().item() == pytest.approx(1, abs=0.03)
    assert_close(NoiseDropout(0.25, when_sampling=False).eval()(x), x, rtol=0, atol=0)
    assert NoiseDropout(0.25, when_sampling=False).train()(x).min() == 0
    with pytest.raises(ValueError, match=r"dropout=1.0 must be in \[0, 1\)"):
        NoiseDropout(1.0)


def test_samples_are_noisy_by_the_seed_alone() -> None:
    torch.manual_seed(0)
    model = Pix2Pix(image_shape=(1, 16, 16), generator=partial(UNetGenerator, width=4))  # type: ignore[arg-type]
    images = torch.rand(2, 1, 16, 16)
    state = torch.get_rng_state()
    first = model.translate(images)
    assert_close(torch.get_rng_state(), state, rtol=0, atol=0)
    assert_close(model.translate(images, seed=0), first, rtol=0, atol=0)
    assert not torch.equal(model.translate(images, seed=1), first)
    batch = (images, images)
    grids = [model.sample_grid(6, seed, batch) for seed in (3, 3, 4)]
    assert_close(grids[0], grids[1], rtol=0, atol=0)
    assert not torch.equal(grids[0], grids[2])
    still = without_noise(copy.deepcopy(model.sampler)).eval()
    assert_close(still(images), still(images), rtol=0, atol=0)


# ---- the interface of one direction ----------------------------------------------------------


def test_one_direction_alone() -> None:
    model = by_hand(ema_decay=0.0)
    images = torch.full((4, *SHAPE), 0.6)
    assert_close(model.translate(images), torch.full((4, *SHAPE), 0.4))
    line = "direction='b_to_a' must be a_to_b"
    for call in (model.translate, model):
        with pytest.raises(ValueError, match=line):
            call(images, "b_to_a")
    # input, output and truth, two pairs in a row
    truth = torch.full((4, *SHAPE), -0.4)
    grid = model.sample_grid(100, 0, (images, truth))
    assert grid.shape == (2, 6, *SHAPE)
    row = torch.tensor([0.6, 0.4, -0.4] * 2)
    assert_close(grid.amax((2, 3, 4)), row.expand(2, 6))
    assert model.sample_grid(3, 0, (images, truth)).shape == (1, 3, *SHAPE)
    table = model.sample_table(3, 0, (images, truth))
    assert {name: len(column) for name, column in table.items()} == {"a": 3, "a_to_b": 3, "b": 3}
    both = model.real_and_fake(2, 0, (images, truth))
    assert_close(both[:, 0, 0, 0, 0], torch.tensor([-0.4, 0.4]))


def test_default_networks_are_the_papers() -> None:
    with torch.device("meta"):
        model = Pix2Pix(image_shape=(3, 256, 256), ema_decay=0.0)
        images = torch.zeros(1, 3, 256, 256)
        down = [conv.out_channels for conv in convs(model.generator.down)]
        assert down == [64, 128, 256, 512, 512, 512, 512, 512]
        up = [conv.out_channels for conv in convs(model.generator.up)]
        assert up == [512, 512, 512, 512, 256, 128, 64, 3]
        drops = [any(isinstance(m, NoiseDropout) for m in layer) for layer in model.generator.up]
        assert drops == [True] * 3 + [False] * 5
        assert model.generator(images).shape == images.shape
        assert model.discriminator(torch.zeros(1, 6, 256, 256)).shape == (1, 1, 30, 30)


def convs(network: Any) -> list[Any]:
    return [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"l1_weight": -1.0}, "l1_weight=-1.0 must be at least 0 and finite"),
        ({"adversarial_weight": float("inf")}, "adversarial_weight=inf must be at least 0"),
        ({"l1_weight": 0.0, "adversarial_weight": 0.0}, "l1_weight=0.0 must be above 0"),
        ({"image_shape": (1, 8, 9)}, "does not fit UNetGenerator"),
        ({"image_shape": (8,)}, r"image_shape=\(8,\) must be \(C, H, W\)"),
    ],
)
def test_bad_options(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        Pix2Pix(**{"image_shape": SHAPE, **options})


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"n_layers": 4}, "does not go with n_layers=4 of UNetGenerator: n_layers from 1 to 3 fit"),
        ({"n_layers": 0}, "n_layers=0 of UNetGenerator"),
        ({"norm": "layer"}, "norm='layer' must be one of instance, batch, none"),
        ({"width": 0}, "width=0 must be at least 1"),
        ({"dropout": 1.5}, r"dropout=1.5 must be in \[0, 1\)"),
    ],
)
def test_bad_options_of_the_unet(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        UNetGenerator((3, 8, 8), **options)


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_unet_of_any_norm_keeps_the_shape(norm: Any) -> None:
    network = UNetGenerator((3, 8, 16), width=2, norm=norm, spectral_norm=True)
    images = network(torch.rand(2, 3, 8, 16))
    assert images.shape == (2, 3, 8, 16)
    assert images.abs().max() <= 1


def test_a_checkpoint_carries_one_generator(make_trainer: Any) -> None:
    model = Pix2Pix(image_shape=SHAPE, generator=UNetGenerator, ema_decay=0.0)
    trainer = make_trainer(max_steps=1)
    trainer.fit(model, DataLoader(TensorDataset(*torch.rand(2, 2, *SHAPE) * 2 - 1), 2))
    trainer.save_checkpoint("a.ckpt")
    names = torch.load("a.ckpt", weights_only=True)["state_dict"].keys()
    assert {name.split(".")[1] for name in names if name.startswith("generator")} == {"down", "up"}
    again: Any = GenerativeModule.load_from_checkpoint("a.ckpt")
    images = torch.rand(2, *SHAPE)
    assert_close(again.translate(images), model.translate(images), rtol=0, atol=0)
