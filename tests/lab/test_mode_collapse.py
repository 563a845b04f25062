"""Modes counted by hand, one step ahead by hand, and who covers the ring."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.lab import Lab
from gan_modules.lab.mode_collapse import MODELS, covered, mode_collapse
from gan_modules.lab.training import draw
from gan_modules.lab.unrolled import UnrolledGAN
from gan_modules.tools.toys import TOYS, Toy

STEP = 0.7


class Line(nn.Module):
    """A discriminator ``w x``."""

    def __init__(self, w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, x: Tensor) -> Tensor:
        return self.w * x.flatten()


class Shift(nn.Module):
    """A generator of one point."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.tensor(at))

    def forward(self, z: Tensor) -> Tensor:
        return self.at.expand(len(z), 1)


def unrolled(steps: int) -> UnrolledGAN:
    return UnrolledGAN(
        image_shape=(1,),
        latent_dim=1,
        generator=Shift(0.4),
        discriminator=Line(0.5),
        steps=steps,
        step_size=STEP,
        ema_decay=0,
    )


def test_a_step_ahead_by_hand() -> None:
    # L(w, t) = softplus(-w a) + softplus(w t), real point a, fake point t
    a, t, w = 0.9, 0.4, 0.5
    model = unrolled(1)
    (loss,) = model.generator_losses((torch.full((4, 1), a), None)).values()
    loss.backward()

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    def slope(x: float) -> float:
        return sigmoid(x) * sigmoid(-x)

    ahead = w - STEP * (-a * sigmoid(-w * a) + t * sigmoid(w * t))
    # how the step depends on the fake point
    by_t = -STEP * (sigmoid(w * t) + w * t * slope(w * t))
    value_by_w = -a * sigmoid(-ahead * a) + t * sigmoid(ahead * t)
    value_by_t = ahead * sigmoid(ahead * t)
    value = math.log1p(math.exp(-ahead * a)) + math.log1p(math.exp(ahead * t))
    assert loss.item() == pytest.approx(-value, abs=1e-6)
    assert model.generator.at.grad.item() == pytest.approx(
        -(value_by_t + value_by_w * by_t), abs=1e-6
    )
    # the discriminator is as it was
    assert model.discriminator.w.item() == w
    assert model.discriminator.w.grad is None


def test_no_step_ahead_is_the_minimax_game() -> None:
    model = unrolled(0)
    (loss,) = model.generator_losses((torch.full((4, 1), 0.9), None)).values()
    loss.backward()
    at = torch.tensor(0.4, requires_grad=True)
    F.logsigmoid(-0.5 * at).backward()
    assert model.generator.at.grad.item() == pytest.approx(at.grad.item(), abs=1e-6)


def test_training_leaves_both_players_their_gradients() -> None:
    model = unrolled(2)
    Lab().fit(model, Toy1D(), 3, 8)
    assert model.discriminator.w.item() != 0.5
    assert model.generator.at.item() != pytest.approx(0.4, abs=1e-6)


class Toy1D:
    def sample(self, shape: torch.Size) -> Tensor:
        return torch.rand(shape)


@pytest.mark.parametrize("options", [{"steps": -1}, {"step_size": 0.0}])
def test_steps_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        UnrolledGAN(image_shape=(1,), generator=Shift(0.0), discriminator=Line(0.0), **options)


def test_divergence_from_uniform_by_hand() -> None:
    toy = Toy("ring")
    assert toy.kl_to_uniform(toy.centers) == pytest.approx(0, abs=1e-6)
    assert toy.kl_to_uniform(toy.centers[:1].repeat(5, 1)) == pytest.approx(math.log(8), abs=1e-6)
    # three quarters at one mode, a quarter at another, none within 3 sigma
    points = torch.cat([toy.centers[:1].repeat(3, 1), toy.centers[4:5]]) * 0.5
    by_hand = math.log(8) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    assert toy.kl_to_uniform(points) == pytest.approx(by_hand, abs=1e-6)
    assert toy.count_modes(points) == (0, 0.0)
    with pytest.raises(ValueError, match="no Gaussian modes"):
        Toy("swiss_roll").kl_to_uniform(points)


def test_samples_of_the_toys_are_the_toys() -> None:
    for name in TOYS:
        points = draw(Toy(name), 2000)
        assert points.shape == (2000, 2)
        assert points.abs().max() <= 1
    toy = Toy("grid")
    modes, share = toy.count_modes(draw(toy, 5000))
    assert modes == 25
    # of a Gaussian in the plane 1 - exp(-9 / 2) lies within 3 sigma
    assert share == pytest.approx(1 - math.exp(-4.5), abs=0.01)
    # both draw the same roll: every angle between 1.5 and 4.5 pi, radius and angle as one
    roll = draw(Toy("swiss_roll"), 5000).norm(dim=1) * 16
    assert roll.min().item() == pytest.approx(1.5 * math.pi, abs=1)
    assert roll.max().item() == pytest.approx(4.5 * math.pi, abs=1)
    assert roll.mean().item() == pytest.approx(3 * math.pi, abs=0.2)


def test_covered_by_hand() -> None:
    real = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert covered(real, torch.tensor([[0.05, 0.0], [1.0, 0.2]])) == 0.25
    assert covered(real, real) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("toy", ["ring", "swiss_roll"])
def test_every_model_is_trained_and_one_is_shown(toy: str) -> None:
    found = mode_collapse(Lab(effort=0.004), toy=toy, batch_norm=True, animated="D2GAN")
    assert found.numbers.keys() == MODELS.keys()
    assert found.checks
    assert len(found.frames) >= 2
    titles = [axis.get_title() for axis in found.figure.axes]
    assert [title.partition(":")[0] for title in titles[:-1]] == [*MODELS]
    assert titles[-1] == {"ring": "KL to the uniform over modes"}.get(toy, "data covered")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mode_collapse(seed: int) -> None:
    assert [check for check in mode_collapse(Lab(seed)).checks if not check.holds] == []
