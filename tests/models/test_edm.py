"""EDM: preconditioning, loss and sampler against formulas and closed forms."""

import itertools
import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_modules import EDM
from gan_modules.models.edm import loss_weight
from gan_modules.networks import MLPDenoiser, UNetDenoiser
from gan_modules.networks.diffusion import HeunGenerator, Preconditioned, karras_sigmas
from gan_modules.tools.export import to_exported_program


class Times(nn.Module):
    """A network that multiplies by a number, and notes what it is given."""

    def __init__(self, gain: float = 0.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))
        self.given: list[Tensor] = []

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        self.given[:] = [x, level]
        return self.gain * x


# ---- preconditioning and weights -----------------------------------------------------------------


@pytest.mark.parametrize("sigma_data", [0.5, 0.3])
def test_preconditioning_by_hand(sigma_data: float, double: None) -> None:
    x, sigma = torch.randn(3, 1, 2, 2), torch.tensor([0.01, 1.0, 50.0])
    network = Times(0.7)
    found = Preconditioned(network, sigma_data)(x, sigma)
    for n, s in enumerate(sigma.tolist()):
        c_skip = sigma_data**2 / (s**2 + sigma_data**2)
        c_out = s * sigma_data / math.sqrt(sigma_data**2 + s**2)
        c_in = 1 / math.sqrt(s**2 + sigma_data**2)
        assert_close(network.given[0][n], c_in * x[n])
        assert_close(network.given[1][n].item(), math.log(s) / 4)
        assert_close(found[n], c_skip * x[n] + c_out * (0.7 * c_in * x[n]))


def test_the_network_sees_and_gives_unit_variance() -> None:
    # what it is to give: (x - c_skip (x + n)) / c_out
    torch.manual_seed(0)
    for s in (0.05, 0.5, 20.0):
        x, noise = 0.5 * torch.randn(200_000, 1), s * torch.randn(200_000, 1)
        network = Times()
        denoised = Preconditioned(network)(x + noise, torch.full((200_000,), s))
        target = (x - denoised) * (s**2 + 0.25) ** 0.5 / (0.5 * s)
        assert network.given[0].std().item() == pytest.approx(1, abs=0.01)
        assert target.std().item() == pytest.approx(1, abs=0.01)


def test_the_weight_is_that_of_the_paper() -> None:
    sigma = torch.tensor([0.002, 0.5, 80.0])
    expected = (sigma**2 + 0.25) / (sigma * 0.5) ** 2
    assert_close(loss_weight(sigma, 0.5), expected)
    c_out = sigma * 0.5 / (sigma**2 + 0.25).sqrt()
    assert_close(loss_weight(sigma, 0.5) * c_out**2, torch.ones(3))


def test_the_loss_by_hand(double: None) -> None:
    model = EDM(image_shape=(2,), generator=partial(MLPDenoiser, hidden=(8,)))
    images = torch.rand(5, 2)
    torch.manual_seed(3)
    loss = model.denoiser_losses((images, None))["denoising"]
    torch.manual_seed(3)
    sigma = (-1.2 + 1.2 * torch.randn(5)).exp()
    noise = torch.randn_like(images)
    expected = []
    for n, s in enumerate(sigma):
        denoised = model.generator.denoiser(images[n : n + 1] + s * noise[n : n + 1], s[None])
        weight = (s**2 + 0.25) / (s * 0.5) ** 2
        expected.append(weight * (denoised - images[n]).square().mean())
    assert_close(loss, torch.stack(expected).mean())


@pytest.mark.parametrize("std", [0.5, 0.2])
@pytest.mark.parametrize("log_sigma", [-1.0, 0.5])
def test_its_minimiser_for_gaussian_data_is_the_posterior_mean(
    std: float, log_sigma: float, double: None
) -> None:
    """The loss of networks that multiply is a parabola, whose vertex three values tell."""
    network = Times()
    model = EDM(image_shape=(2,), generator=network, noise_mean=log_sigma, noise_std=0.0)
    images = std * torch.randn(200_000, 2)

    def loss(gain: float) -> float:
        network.gain.data.fill_(gain)
        torch.manual_seed(1)
        return model.denoiser_losses((images, None))["denoising"].item()

    left, middle, right = (loss(gain) for gain in (-1.0, 0.0, 1.0))
    network.gain.data.fill_((left - right) / (2 * (left - 2 * middle + right)))
    sigma = math.exp(log_sigma)
    x = torch.randn(4, 2)
    expected = std**2 * x / (sigma**2 + std**2)
    assert_close(model.generator.denoiser(x, torch.full((4,), sigma)), expected, rtol=0, atol=0.01)


# ---- the sampler ---------------------------------------------------------------------------------


def test_sigmas_by_hand() -> None:
    sigmas = karras_sigmas(18)
    expected = [(80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in (0, 5)]
    assert [sigmas[0], sigmas[5]] == pytest.approx(expected)
    assert sigmas[-1] == pytest.approx(0.002)
    assert karras_sigmas(1) == pytest.approx([80.0])
    assert sigmas == sorted(sigmas, reverse=True)


def solved(steps: int, x: Tensor, std: float = 0.5) -> Tensor:
    """Samples with the exact denoiser of N(0, std^2): that of a network that gives 0."""
    denoiser = Preconditioned(Times(0.0), std)
    return HeunGenerator(denoiser, (3,), karras_sigmas(steps, 1e-6)).solve(x)


def test_heun_against_the_closed_form(double: None) -> None:
    """``dx/dsigma = x sigma / (sigma^2 + s^2)``, so that x goes as the root of that sum."""
    x = 80 * torch.randn(4, 3)
    exact = x * 0.5 / math.sqrt(80**2 + 0.25)
    assert_close(solved(1000, x), exact, rtol=1e-4, atol=0)
    errors = [(solved(n, x) / exact - 1).abs().mean().item() for n in (64, 128, 256)]
    # second order: twice the steps, a quarter of the error
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(4, rel=0.1)


def test_one_step_of_heun_by_hand(double: None) -> None:
    def denoise(x: float, s: float) -> float:
        return x * 0.25 / (s**2 + 0.25)

    sampler = HeunGenerator(Preconditioned(Times(0.0)), (1,), [2.0, 1.0])
    x = 3.0
    slope = (x - denoise(x, 2.0)) / 2.0
    euler = x - slope
    x -= (slope + (euler - denoise(euler, 1.0)) / 1.0) / 2
    # the last step is Euler's
    x -= (x - denoise(x, 1.0)) / 1.0
    assert_close(sampler.solve(torch.tensor([[3.0]])), torch.tensor([[x]]))


def test_samples_are_the_solution_from_the_noise() -> None:
    model = EDM(image_shape=(1, 8, 8), generator=partial(UNetDenoiser, width=4), steps=3)
    z = model.latents(2, seed=1)
    assert model.latent_dim == 64
    assert z.shape == (2, 64)
    with torch.no_grad():
        solution = model.averaged_or_live("generator").solve(80 * z.reshape(2, 1, 8, 8))  # type: ignore[operator]
    assert_close(model.sample(2, seed=1), solution.clamp(-1, 1))


# ---- networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "shape"), [(MLPDenoiser, (2,)), (MLPDenoiser, (1, 8, 8)), (UNetDenoiser, (3, 8, 16))]
)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_denoisers(cls: Any, shape: tuple[int, ...], num_classes: int) -> None:
    small = {"hidden": (8, 12)} if cls is MLPDenoiser else {"width": 4}
    network = cls(shape, num_classes, **small)
    labels = [torch.tensor([0, 2])] if num_classes else []
    x = torch.randn(2, *shape)
    level = torch.tensor([-1.0, 1.0])
    assert network(x, level, *labels).shape == x.shape
    assert network.features(x, level, *labels).shape == (2, network.num_features)
    other = network(x, torch.tensor([-1.0, 0.5]), *labels)
    assert_close(network(x, level, *labels)[0], other[0])
    assert not torch.equal(network(x, level, *labels)[1], other[1])
    if num_classes:
        with pytest.raises(ValueError, match="must be given labels"):
            network(x, level)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps=0 must be at least 1"),
        ({"sigma_data": 0.0}, r"sigma_data=0\.0 must be positive and finite"),
        ({"sigma_min": 0.0}, r"sigma_min=0\.0 must be positive"),
        ({"sigma_max": 0.001}, r"sigma_max=0\.001 must be above sigma_min=0\.002"),
        ({"rho": -1.0}, r"rho=-1\.0 must be positive"),
        ({"noise_std": -1.0}, r"noise_std=-1\.0 must be at least 0 and finite"),
        ({"image_shape": (1, 6, 8)}, r"image_shape=\(1, 6, 8\) must be .* multiples of 4"),
        ({"image_shape": (1, 6, 0)}, r"image_shape=\(1, 6, 0\) must be"),
        ({"generator": partial(MLPDenoiser, hidden=())}, r"hidden=\[\] must be one width or more"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EDM(**{"image_shape": (1, 8, 8), **options})


def test_a_network_of_another_shape_is_told(make_trainer: Any, make_loader: Any) -> None:
    model = EDM(image_shape=(1, 8, 8), generator=MLPDenoiser((1, 4, 16), hidden=(4,)))
    with pytest.raises(ValueError, match=r"generator makes images of shape \(4, 1, 4, 16\)"):
        make_trainer(max_steps=1).fit(model, make_loader(4))


@pytest.mark.thorough
@pytest.mark.parametrize("conditional", [False, True])
def test_the_sampler_is_exported(conditional: bool) -> None:
    options = {"num_classes": 3, "conditional": conditional}
    model = EDM(image_shape=(1, 8, 8), generator=partial(UNetDenoiser, width=4), steps=2, **options)  # type: ignore[arg-type]
    # compared with the model's own samples, for several numbers of images
    to_exported_program(model, "edm.pt2", tolerance=1e-4)
