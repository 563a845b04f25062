"""Flips and crops: pixel by pixel, after a resume, and on two ranks."""

from typing import Any

import pytest
import torch
from recorder import Recorder
from torch import Tensor
from torch.testing import assert_close

from datamodules import ImageDataModule
from datamodules.augmentation import augment, centre_crop, to_float
from datamodules.base import ImageTensorDataset
from datamodules.sampling import IterationSampler
from gan_modules.seeding import derive_seed


class Noise(ImageDataModule):
    """Images whose every pixel differs, so that a wrong crop or flip shows."""

    channels, num_classes = 2, 5

    def load(self, split: str) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(len(split))
        n, size = 20, self.load_size
        images = torch.randint(256, (n, 2, size, size), generator=generator, dtype=torch.uint8)
        return images, torch.arange(n) % 5


def by_hand(image: Tensor, draws: Tensor, size: int, flip: bool) -> Tensor:
    """One image, pixel by pixel, with the draws as numbers in [0, 1)."""
    mirror, u, v = (draws.double() / 2**24).tolist()
    offsets = image.shape[-1] - size + 1
    top, left = int(u * offsets), int(v * offsets)
    result = torch.empty(image.shape[0], size, size, dtype=image.dtype)
    for row in range(size):
        for column in range(size):
            source = size - 1 - column if flip and mirror < 0.5 else column
            result[:, row, column] = image[:, top + row, left + source]
    return result


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("size", [4, 7])
def test_crop_and_flip_pixel_by_pixel(size: int, flip: bool) -> None:
    images = torch.randint(256, (40, 3, 7, 7), dtype=torch.uint8)
    draws = torch.randint(2**24, (40, 3))
    result = augment(images, draws, size, flip)
    expected = [by_hand(i, d, size, flip) for i, d in zip(images, draws, strict=True)]
    assert_close(result, torch.stack(expected))
    assert not torch.equal(result, images[..., :size, :size]) or (size == 7 and not flip)


def test_the_extreme_draws() -> None:
    image = torch.arange(9, dtype=torch.uint8).reshape(1, 1, 3, 3)
    images = image.expand(3, 1, 3, 3)
    last, half = 2**24 - 1, 2**23
    draws = torch.tensor([[half, 0, 0], [half - 1, 0, 0], [last, last, last]])
    result = augment(images, draws, 2, flip=True).flatten(1).tolist()
    assert result == [[0, 1, 3, 4], [1, 0, 4, 3], [4, 5, 7, 8]]


def test_the_middle_and_the_range() -> None:
    images = torch.arange(25, dtype=torch.uint8).reshape(1, 1, 5, 5)
    assert centre_crop(images, 3).flatten().tolist() == [6, 7, 8, 11, 12, 13, 16, 17, 18]
    assert_close(to_float(torch.tensor([0, 51, 255])), torch.tensor([-1.0, -0.6, 1.0]))


def test_every_offset_and_both_sides_come_up() -> None:
    dataset = ImageTensorDataset(torch.empty(4_000), torch.empty(4_000))
    _, draws = next(iter(IterationSampler(dataset, 4_000, draws=3)))
    assert draws.shape == (4_000, 3)
    # 5 offsets: expected 800 each, standard deviation 25
    for column in draws[:, 1:].T:
        counts = ((column * 5) >> 24).bincount(minlength=5)
        assert counts.min() > 700
        assert counts.max() < 900
    assert 1_850 < int((draws[:, 0] < 2**23).sum()) < 2_150
    correlation = torch.corrcoef(draws.T.double()) - torch.eye(3)
    assert correlation.abs().max() < 0.08


def test_draws_follow_seed_and_number_of_the_batch() -> None:
    dataset = ImageTensorDataset(torch.empty(6), torch.empty(6))
    batches = [draws for _, draws in IterationSampler(dataset, 2, seed=3, draws=2)]
    for number, draws in enumerate(batches):
        generator = torch.Generator().manual_seed(derive_seed(3, "draws", number))
        assert_close(draws, torch.randint(2**24, (2, 2), generator=generator))
    other = [draws for _, draws in IterationSampler(dataset, 2, seed=4, draws=2)]
    assert not torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], other[0])


def test_without_augmentation_nothing_is_drawn() -> None:
    data = Noise(image_size=6, batch_size=4)
    data.setup("fit")
    assert all(len(batch) == 2 for batch in data.train_dataloader())
    # load_size of image_size leaves nothing to choose
    data = Noise(image_size=6, load_size=6, batch_size=4)
    data.setup("fit")
    assert all(len(batch) == 2 for batch in data.train_dataloader())


@pytest.mark.parametrize("num_workers", [0, 2])
def test_what_the_model_sees(num_workers: int, make_trainer: Any) -> None:
    data = Noise(image_size=4, load_size=6, flip=True, batch_size=8, num_workers=num_workers)
    model = Recorder()
    make_trainer(max_steps=3, limit_val_batches=None, val_check_interval=2).fit(model, data)
    stored = data.splits["train"].images
    sampler = IterationSampler(data.splits["train"], 8, draws=3)
    for (images, labels), (indices, draws) in zip(model.batches, sampler, strict=False):
        pairs = zip(stored[indices], draws, strict=True)
        expected = torch.stack([by_hand(image, d, 4, flip=True) for image, d in pairs])
        assert_close(images, expected / 127.5 - 1)
        assert_close(labels, indices % 5)
    # held-out images: the middle, as they are, in order
    middle = data.splits["val"].images[:, :, 1:5, 1:5]
    assert_close(torch.cat([images for images, _ in model.held_out[-3:]]), middle / 127.5 - 1)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_resumed_run_sees_the_same_crops(steps: int, make_trainer: Any) -> None:
    def data() -> Noise:
        return Noise(image_size=4, load_size=7, flip=True, batch_size=9, seed=5)

    whole, first, second = Recorder(), Recorder(), Recorder()
    make_trainer(max_steps=6).fit(whole, data())
    trainer = make_trainer(max_steps=steps)
    trainer.fit(first, data())
    trainer.save_checkpoint("now.ckpt")
    make_trainer(max_steps=6).fit(second, data(), ckpt_path="now.ckpt", weights_only=True)
    assert len(second.batches) == 6 - steps
    assert_close(first.batches + second.batches, whole.batches, rtol=0, atol=0)


def test_low_precision_leaves_the_draws_alone(make_trainer: Any) -> None:
    models = []
    for precision in ("32-true", "bf16-true"):
        model = Recorder()
        data = Noise(image_size=4, load_size=40, flip=True, batch_size=20)
        make_trainer(max_steps=1, precision=precision).fit(model, data)
        models.append(model)
    assert_close(models[0].batches[0][0].float(), models[1].batches[0][0].float())


def test_two_ranks_share_the_global_batch() -> None:
    options: dict[str, Any] = {"image_size": 4, "load_size": 6, "flip": True}

    def batches(rank: int, ranks: int) -> list[Any]:
        data = Noise(batch_size=8 // ranks, **options)
        data._ranks = lambda: (ranks, rank)  # type: ignore[method-assign]
        data.setup("fit")
        return [data.on_after_batch_transfer(batch, 0) for batch in data.train_dataloader()]

    whole, first, second = batches(0, 1), batches(0, 2), batches(1, 2)
    assert len(whole) == len(first) == len(second) == 2
    for (images, labels), one, two in zip(whole, first, second, strict=True):
        assert_close(torch.stack([one[0], two[0]], dim=1).flatten(0, 1), images)
        assert_close(torch.stack([one[1], two[1]], dim=1).flatten(), labels)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"image_size": 8, "load_size": 7}, "load_size=7 must be at least image_size=8"),
        ({"image_size": 0}, "image_size=0 must be at least 1"),
        ({"image_size": 8, "seed": -1}, "seed=-1 must be at least 0"),
    ],
)
def test_wrong_options(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        Noise(**options)
