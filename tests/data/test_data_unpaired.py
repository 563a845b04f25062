"""Two domains: their orders, their augmentation, and digits whose translation is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from recorder import Recorder
from torch import Tensor
from torch.testing import assert_close

from datamodules import (
    DigitsDataModule,
    UnpairedDataModule,
    UnpairedDigitsDataModule,
    UnpairedFolderDataModule,
)
from datamodules.augmentation import augment
from datamodules.sampling import IterationSampler
from gan_modules.seeding import derive_seed


class Numbers(UnpairedDataModule):
    """11 images of domain A, filled with 0 to 10, and 4 of B, filled with 100 to 103."""

    channels = 1

    def load(self, split: str) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        a, b = torch.arange(11), torch.arange(100, 104)
        return (fill(a), a), (fill(b), b)


class Noise(Numbers):
    """20 and 9 images whose every pixel differs."""

    def load(self, split: str) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        images = torch.randint(256, (20, 1, 6, 6), generator=torch.Generator().manual_seed(1))
        images = images.to(torch.uint8)
        return (images, torch.zeros(20)), (images[:9], torch.zeros(9))


def fill(numbers: Tensor) -> Tensor:
    return numbers.to(torch.uint8)[:, None, None, None].expand(-1, 1, 6, 6)


def numbers(images: Tensor) -> list[int]:
    values: list[int] = ((images[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()
    return values


def train_batches(data: Any, rank: int = 0, ranks: int = 1) -> list[Any]:
    data._ranks = lambda: (ranks, rank)
    data.setup("fit")
    return [data.on_after_batch_transfer(batch, 0) for batch in data.train_dataloader()]


def permutation(n: int, seed: int, number: int) -> list[int]:
    generator = torch.Generator().manual_seed(derive_seed(seed, "permutation", number))
    order: list[int] = torch.randperm(n, generator=generator).tolist()
    return order


def test_each_domain_goes_its_own_way() -> None:
    batches = train_batches(Numbers(image_size=6, batch_size=2, seed=3))
    # 5 batches of the longer domain; 2 of the shorter one are a permutation of it
    assert len(batches) == 5
    order = permutation(11, 3, 0)
    assert [n for a, _ in batches for n in numbers(a)] == order[:10]
    seed = derive_seed(3, "b")
    expected = [n + 100 for number in range(3) for n in permutation(4, seed, number)]
    assert [n for _, b in batches for n in numbers(b)] == expected[:10]
    for a, b in batches:
        assert a.shape == b.shape == (2, 1, 6, 6)
        assert a.dtype == b.dtype == torch.float32


@pytest.mark.parametrize(("size", "expected"), [(3, 4), (11, 1)])
def test_held_out_images_come_in_order(size: int, expected: int) -> None:
    data = Numbers(image_size=6, batch_size=size)
    data.setup()
    loader = data.test_dataloader()
    assert len(loader) == expected
    batches = [data.on_after_batch_transfer(batch, 0) for batch in loader]
    assert [n for a, _ in batches for n in numbers(a)] == list(range(11))
    shorter = [100, 101, 102, 103]
    assert [n for _, b in batches for n in numbers(b)] == (shorter * 3)[:11]


def test_domains_are_cropped_and_flipped_apart() -> None:
    data = Noise(image_size=4, load_size=6, flip=True, batch_size=9)
    batches = train_batches(data)
    train = data.splits["train"]
    all_draws = []
    for k, (part, seed) in enumerate(
        [(train.a, data.order_seed), (train.b, derive_seed(data.order_seed, "b"))]
    ):
        sampler = IterationSampler(part, 9, seed, draws=3, length=20)
        for batch, (indices, draws) in zip(batches, sampler, strict=True):
            assert_close(batch[k], augment(part.images[indices], draws, 4, True) / 127.5 - 1)
            all_draws.append(draws)
    assert not torch.equal(all_draws[0], all_draws[2])


def test_two_ranks_share_the_global_batch() -> None:
    options: dict[str, Any] = {"image_size": 4, "load_size": 6, "flip": True}
    whole = train_batches(Numbers(batch_size=4, **options))
    first, second = (train_batches(Numbers(batch_size=2, **options), r, 2) for r in range(2))
    for batch, one, two in zip(whole, first, second, strict=True):
        for k in range(2):
            assert_close(torch.stack([one[k], two[k]], dim=1).flatten(0, 1), batch[k])


@pytest.mark.parametrize(("steps", "num_workers"), [(1, 0), (2, 0), (3, 0), (3, 2)])
def test_a_resumed_run_goes_on(steps: int, num_workers: int, make_trainer: Any) -> None:
    def data() -> Noise:
        return Noise(image_size=4, load_size=6, flip=True, batch_size=3, num_workers=num_workers)

    whole, first, second = Recorder(n_critic=2), Recorder(n_critic=2), Recorder(n_critic=2)
    make_trainer(max_steps=5).fit(whole, data())
    trainer = make_trainer(max_steps=steps)
    trainer.fit(first, data())
    assert len(trainer.train_dataloader) == 3  # 20 images, 2 x 3 each
    trainer.save_checkpoint("now.ckpt")
    make_trainer(max_steps=5).fit(second, data(), ckpt_path="now.ckpt", weights_only=True)
    assert len(first.batches) == steps
    assert first.batches[0][0].shape == (6, 1, 4, 4)
    assert_close(first.batches + second.batches, whole.batches, rtol=0, atol=0)


def test_a_domain_that_is_too_small() -> None:
    data = Numbers(image_size=6, batch_size=5)
    data.setup()
    with pytest.raises(ValueError, match=r"takes 5 images .* but the data set has 4"):
        data.train_dataloader()


def test_what_a_domain_loads_is_checked() -> None:
    class Wrong(Numbers):
        def load(self, split: str) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
            a, b = super().load(split)
            return a, (b[0].float(), b[1])

    with pytest.raises(ValueError, match=r"load\('train'\), domain B, gives torch.float32 images"):
        Wrong(image_size=6).setup("fit")


# ---- digits ------------------------------------------------------------------------------------


def test_digits_in_two_styles() -> None:
    image_size = 16
    data = UnpairedDigitsDataModule(image_size=image_size)
    data.setup()
    assert (data.image_shape, data.num_classes) == ((3, image_size, image_size), 0)
    plain = DigitsDataModule(image_size=image_size)
    plain.setup()
    for split, sizes in (("train", (718, 719)), ("val", (90, 90)), ("test", (90, 90))):
        part, digits = data.splits[split], plain.splits[split]  # type: ignore[index]
        assert (len(part.a), len(part.b)) == sizes
        # white is the plain digit in three channels; chalk, turned back, too, but for its rounding
        white = part.a.images
        assert (white == white[:, :1]).all()
        chalk = data.b_to_a(part.b.images.float() / 127.5 - 1)
        back = ((chalk[:, :1] + 1) * 127.5).round()
        known = {bytes(i.flatten().tolist()): int(n) for i, n in zip(digits.images, digits.labels, strict=True)}  # fmt: skip  # noqa: E501
        found = [bytes(image[0].flatten().tolist()) for image in white]
        assert [known[key] for key in found] == part.a.labels.tolist()
        # what is not in A is in B, in each class
        others = [k for k, image in enumerate(digits.images) if bytes(image.flatten().tolist()) not in set(found)]  # fmt: skip  # noqa: E501
        distance = torch.cdist(back.flatten(1), digits.images[others].flatten(1).float(), p=torch.inf)  # fmt: skip  # noqa: E501
        nearest = distance.min(dim=1)
        assert nearest.values.max() <= 1
        assert sorted(nearest.indices.tolist()) == list(range(len(others)))
        assert_close(digits.labels[others][nearest.indices], part.b.labels)
        counts = part.a.labels.bincount() - part.b.labels.bincount()
        assert counts.abs().max() <= 1


def test_styles_by_hand() -> None:
    data = UnpairedDigitsDataModule()
    grey = torch.tensor([-1.0, 0.0, 1.0]).reshape(3, 1, 1, 1).expand(3, 3, 2, 2)
    chalk = data.a_to_b(grey)[:, :, 0, 0]
    # board (20, 30, 110), half way, chalk (255, 230, 120)
    levels = torch.tensor([[20, 30, 110], [137.5, 130, 115], [255, 230, 120]])
    assert_close(chalk, levels / 127.5 - 1)
    # off the line between board and chalk: its foot, and no further than its ends
    stroke = torch.tensor([235.0, 200.0, 10.0])
    across = torch.tensor([-200.0, 235.0, 0.0]) / 10  # at right angles to the stroke
    points = torch.stack([levels[1] + across, levels[0] - 0.1 * stroke, levels[2] + stroke])
    back = data.b_to_a((points / 127.5 - 1).reshape(3, 3, 1, 1))
    assert_close(back[:, :, 0, 0], torch.tensor([0.0, -1.0, 1.0])[:, None].expand(3, 3))


def test_the_inverse_is_exact(double: None) -> None:
    data = UnpairedDigitsDataModule()
    white = (torch.rand(10, 1, 5, 4) * 2 - 1).expand(-1, 3, -1, -1)
    chalk = data.a_to_b(white)
    assert chalk.abs().max() <= 1
    # the colours are float32
    assert_close(data.b_to_a(chalk), white, rtol=0, atol=1e-12)
    assert_close(data.a_to_b(data.b_to_a(chalk)), chalk, rtol=0, atol=1e-12)


def test_digits_of_another_size() -> None:
    with pytest.raises(ValueError, match="image_size=28 must be 16 or 32 for Unpaired"):
        UnpairedDigitsDataModule(image_size=28)


# ---- folders -----------------------------------------------------------------------------------


def paint(folder: str, values: Sequence[int]) -> None:
    Path(folder).mkdir(parents=True)
    for value in values:
        Image.new("L", (9, 7), value).save(f"{folder}/{value:03}.png")


def folder(**kwargs: Any) -> UnpairedFolderDataModule:
    options = {"root": "root", "image_size": 4, "load_size": 5, "cache_dir": "cache"}
    return UnpairedFolderDataModule(**options | kwargs)


def levels(part: Any) -> list[int]:
    values: list[int] = part.images[:, 0, 0, 0].tolist()
    return values


def test_four_folders() -> None:
    paint("root/trainA", range(8))
    paint("root/trainB", range(100, 105))
    paint("root/testA", range(50, 53))
    paint("root/testB", range(150, 152))
    data = folder(batch_size=2)
    assert (data.image_shape, data.num_classes) == ((3, 4, 4), 0)
    data.prepare_data()
    data.setup()
    assert levels(data.splits["train"].a) == list(range(8))
    assert levels(data.splits["train"].b) == list(range(100, 105))
    for split in ("val", "test"):
        part = data.splits[split]  # type: ignore[index]
        assert (levels(part.a), levels(part.b)) == ([50, 51, 52], [150, 151])
    assert data.splits["train"].a.images.shape == (8, 3, 5, 5)
    batches = train_batches(data)
    assert len(batches) == 4
    assert all(a.shape == b.shape == (2, 3, 4, 4) for a, b in batches)
    assert sorted(n for a, _ in batches for n in numbers(a)) == list(range(8))


def test_defaults_are_cycle_gans(monkeypatch: pytest.MonkeyPatch) -> None:
    paint("root/trainA", [1])
    paint("root/trainB", [2])
    data = UnpairedFolderDataModule(root="root")
    assert (data.image_size, data.load_size, data.flip) == (256, 286, True)
    for size, loaded in ((16, 18), (512, 572), ((64, 48), (72, 54))):
        assert UnpairedFolderDataModule(root="root", image_size=size).load_size == loaded
    assert (folder(load_size=None).load_size, folder(channels=1).image_shape) == (4, (1, 4, 4))


def test_missing_test_folders_are_taken_from_training() -> None:
    paint("root/trainA", range(20))
    paint("root/trainB", range(100, 110))
    paint("root/testB", range(150, 152))
    data = folder(test_fraction=0.2)
    data.setup()
    train, test = data.splits["train"].a, data.splits["test"].a
    assert len(test) == 1
    assert sorted(levels(train) + levels(test)) == list(range(20))
    assert levels(data.splits["val"].a) == levels(test)
    assert levels(data.splits["train"].b) == list(range(100, 110))
    assert levels(data.splits["test"].b) == [150, 151]
    other = folder(test_fraction=0.2, seed=1)
    other.setup()
    assert levels(other.splits["test"].a) != levels(test)
    # no run's seed decides
    torch.manual_seed(1)
    none = folder(test_fraction=0.2, seed=None)
    none.setup()
    assert levels(none.splits["test"].a) == levels(test)


def test_missing_folders_are_named() -> None:
    with pytest.raises(FileNotFoundError, match="root='root' must be a folder"):
        folder()
    paint("root/trainA", [1])
    with pytest.raises(FileNotFoundError, match="root='root' has no folder trainB: put the"):
        folder()
    Path("root/trainB").mkdir()
    with pytest.raises(FileNotFoundError, match="root/trainB holds no images"):
        folder()


def test_corrupt_files() -> None:
    paint("root/trainA", range(3))
    paint("root/trainB", range(3))
    Path("root/trainB/bad.jpg").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"1 of 7 .* cannot be decoded: trainB/bad.jpg; remove"):
        folder().prepare_data()
    data = folder(skip_corrupt=True)
    with pytest.warns(UserWarning, match="left out: trainB/bad.jpg"):
        data.setup()
    assert len(data.splits["train"].b) == 2
