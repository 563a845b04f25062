"""Toys: where the modes are, how wide, and how they are counted."""

import pickle
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from datamodules import ToyDataModule
from gan_modules.networks import MLPDiscriminator, MLPGenerator

NAMES = ["ring", "grid", "swiss_roll", "parallel_lines", "two_points"]


@pytest.mark.parametrize("name", NAMES)
def test_points_lie_in_the_square(name: str) -> None:
    data = ToyDataModule(name=name, n=20_000)
    data.setup()
    assert data.image_shape == (2,)
    assert {split: len(part) for split, part in data.splits.items()} == {
        "train": 20_000,
        "val": 2_000,
        "test": 2_000,
    }
    points, labels = data.splits["train"].images, data.splits["train"].labels
    assert points.dtype == torch.float32
    assert points.shape == (20_000, 2)
    assert points.abs().max() <= 1
    assert points.abs().max() > 0.49
    assert labels.max() == max(data.num_classes - 1, 0)
    # the splits are different points, the same whatever the seed of the order
    assert not torch.equal(data.splits["val"].images, data.splits["test"].images) or (
        name == "two_points"
    )
    other = ToyDataModule(name=name, n=20_000, seed=7).make_split("train")
    assert_close(other.images, points, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "modes", "sigma"), [("ring", 8, 0.02 / 2.25), ("grid", 25, 0.05 / 4.5)]
)
def test_modes_are_gaussians_around_their_centres(name: str, modes: int, sigma: float) -> None:
    data = ToyDataModule(name=name, n=50_000)
    train = data.make_split("train")
    assert data.num_classes == modes
    assert data.centers.shape == (modes, 2)
    assert data.sigma == pytest.approx(sigma)
    residuals = train.images - data.centers[train.labels]
    # 100,000 numbers: the error of their standard deviation is 0.22 %
    assert float(residuals.std()) == pytest.approx(sigma, rel=0.01)
    assert float(residuals.mean()) == pytest.approx(0, abs=0.02 * sigma)
    shares = train.labels.bincount() / 50_000 * modes
    assert shares.min() > 0.9
    assert shares.max() < 1.1


def test_centres_by_hand() -> None:
    ring = ToyDataModule(name="ring").centers * 2.25
    r = 2**0.5
    assert_close(ring[:4], torch.tensor([[2.0, 0.0], [r, r], [0.0, 2.0], [-r, r]]))
    assert_close(ring.norm(dim=1), torch.full((8,), 2.0))
    grid = ToyDataModule(name="grid").centers * 4.5
    expected = {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert {tuple(p) for p in grid.round().int().tolist()} == expected
    assert_close(grid, grid.round())


def test_the_other_toys() -> None:
    lines = ToyDataModule(name="parallel_lines", n=5_000).make_split("train")
    assert_close(lines.images[:, 0], lines.labels - 0.5)
    assert float(lines.images[:, 1].std()) == pytest.approx(3**-0.5, rel=0.03)
    two = ToyDataModule(name="two_points", n=100)
    points = two.make_split("train")
    assert_close(points.images, torch.stack([points.labels - 0.5, torch.zeros(100)], dim=1))
    assert (two.num_classes, two.sigma) == (2, 0.0)
    roll = ToyDataModule(name="swiss_roll", n=5_000)
    assert roll.num_classes == 0
    assert roll.centers.shape == (0, 2)
    # the radius is the angle: t (cos t, sin t), t from 1.5 pi to 4.5 pi, and noise of 0.25
    x, y = (roll.make_split("train").images * 16).double().T
    radius, angle = torch.hypot(x, y), torch.atan2(y, x)
    turns = (radius - angle) / (2 * torch.pi)
    residual = (turns - turns.round()) * 2 * torch.pi
    assert float(residual.std()) == pytest.approx(0.25, rel=0.1)
    assert radius.min() > 3.5
    assert radius.max() < 15.5


def test_counting_modes_by_hand() -> None:
    data = ToyDataModule(name="ring")
    centers, sigma = data.centers, data.sigma
    # 2,500 points: 20 on mode 0, 19 on mode 1, 100 just inside mode 2, 100 just outside mode 3,
    # the rest in the middle
    points = torch.zeros(2_500, 2)
    points[:20] = centers[0]
    points[20:39] = centers[1]
    points[39:139] = centers[2] + torch.tensor([2.99 * sigma, 0])
    points[139:239] = centers[3] + torch.tensor([0, 3.01 * sigma])
    assert data.count_modes(points) == (2, pytest.approx(139 / 2_500))
    # the threshold goes with the number: 2 of 250
    few = torch.zeros(250, 2)
    few[:2], few[2:3] = centers[0], centers[1]
    assert data.count_modes(few) == (1, pytest.approx(3 / 250))
    assert data.count_modes(centers) == (8, 1.0)
    assert data.count_modes(torch.zeros(5, 2, requires_grad=True)) == (0, 0.0)


@pytest.mark.parametrize(("name", "modes"), [("ring", 8), ("grid", 25)])
def test_true_points_cover_all_modes(name: str, modes: int) -> None:
    data = ToyDataModule(name=name, n=2_500)
    found, share = data.count_modes(data.make_split("train").images)
    assert found == modes
    # 1 - exp(-9 / 2) = 0.98889 of a Gaussian in the plane lie within 3 sigma
    assert share == pytest.approx(0.98889, abs=0.007)


def test_a_plain_trainer_fits_them(make_model: Any, make_trainer: Any) -> None:
    data = ToyDataModule(name="grid", n=400, batch_size=20)
    model = make_model(
        image_shape=(2,),
        n_critic=2,
        generator=lambda **kwargs: MLPGenerator(hidden=(8,), **kwargs),
        discriminator=lambda **kwargs: MLPDiscriminator(hidden=(8,), **kwargs),
    )
    trainer = make_trainer(max_steps=11, limit_val_batches=1)
    trainer.fit(model, data)
    assert trainer.global_step == 11
    points, labels = next(iter(trainer.train_dataloader))
    assert points.shape == (40, 2)
    assert labels.shape == (40,)


def test_batches_with_workers_and_ranks() -> None:
    def batches(size: int, workers: int, *ranks: int) -> list[Any]:
        data = ToyDataModule(name="ring", n=100, batch_size=size, num_workers=workers)
        data._ranks = lambda: ranks or (1, 0)  # type: ignore[assignment,method-assign]
        data.setup("fit")
        return [data.on_after_batch_transfer(batch, 0) for batch in data.train_dataloader()]

    whole = batches(40, 0)
    assert_close(batches(40, 2), whole)
    for batch, first, second in zip(whole, batches(20, 0, 2, 0), batches(20, 0, 2, 1), strict=True):
        assert_close(torch.stack([first[0], second[0]], dim=1).flatten(0, 1), batch[0])


def test_it_goes_to_other_processes() -> None:
    data = ToyDataModule(name="ring", n=100)
    data.setup()
    again = pickle.loads(pickle.dumps(data))
    assert_close(again.splits["train"].images, data.splits["train"].images)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"name": "rings"}, "name='rings' must be one of ring, grid, swiss_roll, parallel_lines"),
        ({"n": 9}, "n=9 must be at least 10"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
    ],
)
def test_wrong_options(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        ToyDataModule(**options)


@pytest.mark.parametrize("name", ["swiss_roll", "parallel_lines", "two_points"])
def test_modes_that_cannot_be_counted(name: str) -> None:
    with pytest.raises(ValueError, match="has no Gaussian modes to count: choose ring or grid"):
        ToyDataModule(name=name).count_modes(torch.zeros(3, 2))


@pytest.mark.parametrize("shape", [(3,), (3, 3), (0, 2)])
def test_points_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be of shape \(N, 2\)"):
        ToyDataModule().count_modes(torch.zeros(shape))
