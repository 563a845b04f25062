"""Ways through latent space, by hand and against SciPy."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from gan_modules.families.latents import slerp, truncate_normal
from gan_modules.networks import MLPGenerator
from gan_modules.seeding import derive_seed

ROOT = math.sqrt(0.5)


def test_halfway_between_orthogonal_unit_vectors() -> None:
    x, y = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])
    assert_close(slerp(x, y, 0.5), torch.tensor([ROOT, ROOT, 0.0]))
    # a third of a right angle
    expected = torch.tensor([math.cos(math.pi / 6), math.sin(math.pi / 6), 0.0])
    assert_close(slerp(x, y, 1 / 3), expected)
    assert_close(slerp(x, y, 0.0), x, rtol=0, atol=0)
    assert_close(slerp(x, y, 1.0), y, rtol=0, atol=0)


def test_the_norm_is_kept_and_the_angle_grows_evenly() -> None:
    first, second = torch.randn(2, 50, 16, dtype=torch.float64)
    second = second / second.norm(dim=-1, keepdim=True) * first.norm(dim=-1, keepdim=True)
    weight = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]
    path = slerp(first[:, None], second[:, None], weight)
    assert path.shape == (50, 5, 16)
    assert_close(path.norm(dim=-1), first.norm(dim=-1)[:, None].expand(50, 5))
    unit = path / path.norm(dim=-1, keepdim=True)
    steps = (unit[:, 1:] * unit[:, :-1]).sum(dim=-1).acos()
    whole = (unit[:, 0] * unit[:, -1]).sum(dim=-1).acos()
    assert_close(steps, (whole / 4)[:, None].expand(50, 4))


def test_norms_between_two() -> None:
    # half of a right angle, at the mean of both norms
    middle = slerp(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0]), 0.5)
    assert_close(middle, torch.tensor([3 * ROOT, 3 * ROOT]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("factor", [1.0, 3.0, -1.0, 0.0, 1 + 1e-6])
def test_parallel_opposite_and_zero_vectors_divide_nothing_by_zero(
    factor: float, dtype: torch.dtype
) -> None:
    first = torch.tensor([[0.6, -0.8, 0.2]], dtype=dtype)
    second = factor * first
    path = slerp(first[:, None], second[:, None], torch.linspace(0, 1, 3, dtype=dtype)[:, None])
    assert path.isfinite().all()
    assert_close(path[:, 0], first)
    assert_close(path[:, 2], second)
    if factor >= 0:
        assert_close(path[:, 1], (first + second) / 2)
    else:
        assert_close(path[:, 1].norm(), first.norm())


def test_nearly_opposite_vectors_keep_their_norm() -> None:
    # the arc cosine of their product is some percent off in float32
    first = torch.tensor([1.0, 0.0])
    second = torch.tensor([-math.cos(7e-4), math.sin(7e-4)])
    assert_close(slerp(first, second, 0.5), torch.tensor([3.5e-4, 1.0]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("threshold", [0.04, 0.5, 1.0, 2.0, 6.0])
def test_truncation_is_the_truncated_normal_distribution(threshold: float) -> None:
    z = torch.cat([torch.randn(1000), torch.tensor([-9.0, 0.0, 9.0])])
    truncated = truncate_normal(z, threshold)
    assert truncated.dtype == torch.float32
    assert truncated.abs().max() <= threshold
    uniform = stats.norm.cdf(z.double().numpy())
    expected = stats.truncnorm.ppf(uniform, -threshold, threshold)
    # SciPy's upper tail ends where 1 minus its share is lost
    assert_close(truncated, torch.from_numpy(expected).float(), rtol=1e-5, atol=1e-6)


def test_latents_of_a_model(make_model: Any) -> None:
    model = make_model()
    # blocks of 64, each with a seed of its own
    blocks = [torch.randn(64, 4, generator=_seed(3, number)) for number in (0, 1)]
    assert_close(model.latents(100, seed=3), torch.cat(blocks)[:100])
    z = model.latents(5, seed=3)
    assert_close(model.latents(5, seed=3, truncation=0.5), truncate_normal(z, 0.5))
    uniform = make_model(latent_distribution="uniform")
    z = uniform.latents(5, seed=3)
    assert_close(z, (torch.rand(64, 4, generator=_seed(3, 0)) * 2 - 1)[:5])
    assert_close(uniform.latents(5, seed=3, truncation=0.5), z / 2)
    # the same global state, the same latents
    torch.manual_seed(8)
    first = model.latents(2)
    torch.manual_seed(8)
    assert_close(model.latents(2), first)


def _seed(seed: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(seed, "latents", number))


@pytest.mark.parametrize("latent_distribution", ["normal", "uniform", "sphere"])
def test_the_first_of_many_are_the_first_of_few(latent_distribution: str, make_model: Any) -> None:
    model = make_model(latent_distribution=latent_distribution, num_classes=3, conditional=True)
    many = model.sample(300, seed=5)
    for n in (1, 7, 64, 65, 257):
        assert torch.equal(model.latents(n, seed=5), model.latents(300, seed=5)[:n])
        assert_close(model.sample(n, seed=5), many[:n])
    assert_close(model.interpolate(2, 3, seed=5), model.interpolate(5, 3, seed=5)[:2])
    in_double = model.double().latents(70, seed=5)
    assert in_double.dtype == torch.float64
    assert torch.equal(in_double, model.float().latents(70, seed=5).double())
    for dtype in (torch.bfloat16, torch.float16):
        drawn = model.to(dtype).latents(70, seed=5)
        assert torch.equal(drawn, in_double.to(dtype))
    assert model.float().bfloat16().sample(2, seed=5).dtype == torch.bfloat16


def test_memory_of_a_sample_does_not_grow_with_it(make_model: Any) -> None:
    sizes: list[int] = []
    model = make_model()
    model.sampler.register_forward_hook(lambda m, inputs, out: sizes.append(len(out)))
    assert len(model.sample(700, seed=0)) == 700
    assert sizes == [256, 256, 188]


def test_using_a_model_does_not_change_it(make_model: Any) -> None:
    model = make_model(generator=partial(MLPGenerator, hidden=(8,), batch_norm=True)).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    z = model.latents(8, seed=0)
    images = model(z)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert_close(model.sample(8, seed=0), images)
    assert model.sampler.training


def test_truncated_samples(make_model: Any) -> None:
    model = make_model()
    z = truncate_normal(model.latents(3, seed=1), 0.7)
    assert_close(model.sample(3, seed=1, truncation=0.7), model(z).detach())


def test_interpolation_between_latents(make_model: Any) -> None:
    model = make_model(num_classes=3, conditional=True)
    images = model.interpolate(2, 5, seed=4, labels=[2, 0])
    assert images.shape == (2, 5, 1, 8, 8)
    first, second = model.latents(4, seed=4).unflatten(0, (2, 2)).unbind(1)
    labels = torch.tensor([2, 0])
    for step, weight in enumerate((0.0, 0.25, 0.5, 0.75, 1.0)):
        expected = model(slerp(first, second, weight), labels).detach()
        assert_close(images[:, step], expected)
    uniform = make_model(latent_distribution="uniform")
    first, second = uniform.latents(4, seed=4).unflatten(0, (2, 2)).unbind(1)
    expected = uniform((first + 3 * second) / 4).detach()
    assert_close(uniform.interpolate(2, 5, seed=4)[:, 3], expected)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda m: m.latents(0), "n=0 must be at least 1"),
        (lambda m: m.sample(2, truncation=0), "truncation=0 must be positive"),
        (lambda m: m.interpolate(2, 1), "steps=1 must be at least 2"),
        (lambda m: m.interpolate(-1, 2), "n=-1 must be at least 1"),
        (lambda m: m.interpolate(2, 2, labels=[0, 0]), "WGANGP is not conditional"),
    ],
)
def test_wrong_requests(call: Any, line: str, make_model: Any) -> None:
    with pytest.raises(ValueError, match=line):
        call(make_model())


def test_uniform_latents_end_at_one(make_model: Any) -> None:
    model = make_model(latent_distribution="uniform")
    with pytest.raises(ValueError, match=r"truncation=1.5 must be in \(0, 1\] for uniform"):
        model.sample(1, truncation=1.5)
