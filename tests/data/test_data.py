import gzip
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch.testing import assert_close
from torchvision.datasets import MNIST

from datamodules import DigitsDataModule, ImageDataModule, MNISTDataModule
from datamodules.base import ImageTensorDataset
from datamodules.sampling import IterationSampler
from gan_modules.seeding import derive_seed


def sampler(n: int, batch_size: int, processed: int = 0, **kwargs: Any) -> IterationSampler:
    dataset = ImageTensorDataset(torch.empty(n), torch.empty(n))
    total = SimpleNamespace(processed=processed)
    epoch_loop = SimpleNamespace(batch_progress=SimpleNamespace(total=total))
    trainer: Any = SimpleNamespace(fit_loop=SimpleNamespace(epoch_loop=epoch_loop))
    return IterationSampler(dataset, batch_size, trainer=trainer, **kwargs)


def permutation(n: int, seed: int, number: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(derive_seed(seed, "permutation", number))
    return torch.randperm(n, generator=generator)


def test_an_epoch_is_a_permutation_without_its_rest() -> None:
    batches = list(sampler(10, 3, seed=4))
    order = permutation(10, 4, 0)
    assert [batch.tolist() for batch in batches] == order[:9].reshape(3, 3).tolist()
    again = list(sampler(10, 3, processed=3, seed=4))
    order = permutation(10, 4, 1)
    assert [batch.tolist() for batch in again] == order[:9].reshape(3, 3).tolist()


def test_a_seed_is_not_its_neighbour_an_epoch_later() -> None:
    later = list(sampler(40, 40, processed=1, seed=0))
    assert later[0].tolist() != next(iter(sampler(40, 40, seed=1))).tolist()


@pytest.mark.parametrize("processed", range(7))
def test_starting_anywhere_continues_the_same_stream(processed: int) -> None:
    stream = [batch for epoch in range(4) for batch in sampler(10, 3, processed=3 * epoch)]
    started = list(sampler(10, 3, processed=processed))
    assert_close(started, stream[processed : processed + 3])


def test_ranks_share_every_global_batch() -> None:
    whole = list(sampler(20, 6))
    ranks = [list(sampler(20, 3, num_replicas=2, rank=rank)) for rank in range(2)]
    for batch, first, second in zip(whole, *ranks, strict=True):
        assert_close(torch.stack([first, second], dim=1).flatten(), batch)


def test_too_little_data_is_named() -> None:
    with pytest.raises(ValueError, match=r"one training iteration takes 12 images .* has 10"):
        sampler(10, 6, num_replicas=2)


def test_digits_are_scikit_learns() -> None:
    data = DigitsDataModule(image_size=16)
    data.setup()
    sizes = {name: len(split) for name, split in data.splits.items()}
    assert sizes == {"train": 1437, "val": 180, "test": 180}
    # the splits together are the 1,797 images, each once
    parts = [data.load(split) for split in ("train", "val", "test")]
    images = torch.cat([images for images, _ in parts]).flatten(1)
    labels = torch.cat([labels for _, labels in parts])
    digits = load_digits()
    expected = (torch.from_numpy(digits.data) * 255 / 16).round().to(torch.uint8)
    key = images.double() @ torch.arange(1.0, 65.0, dtype=torch.float64).pow(2)
    other = expected.double() @ torch.arange(1.0, 65.0, dtype=torch.float64).pow(2)
    assert_close(images[key.argsort()], expected[other.argsort()])
    assert_close(labels.bincount(), torch.from_numpy(digits.target).bincount())
    shares = data.splits["val"].labels.bincount()
    assert shares.min() >= 17
    assert shares.max() <= 19


@pytest.mark.parametrize("image_size", [16, 32])
def test_digits_batches(image_size: int, make_model: Any, make_trainer: Any) -> None:
    data = DigitsDataModule(image_size=image_size, batch_size=10)
    assert data.image_shape == (1, image_size, image_size)
    trainer = make_trainer(max_steps=1)
    model = make_model(image_shape=data.image_shape, n_critic=3)
    trainer.fit(model, data)
    batch = next(iter(trainer.train_dataloader))
    assert batch[0].dtype == torch.uint8
    images, labels = data.on_after_batch_transfer(batch, 0)
    assert images.shape == (30, 1, image_size, image_size)
    assert images.dtype == torch.float32
    assert images.min() == -1
    assert images.max() <= 1
    assert labels.shape == (30,)
    assert_close(data.on_after_batch_transfer((torch.tensor([0, 51, 255]), None), 0)[0],
                 torch.tensor([-1.0, -0.6, 1.0]))  # fmt: skip


def test_evaluation_sees_every_image_once() -> None:
    data = DigitsDataModule(batch_size=50)
    data.setup()
    loader = data.val_dataloader()
    assert len(loader) == 4
    labels = torch.cat([labels for _, labels in loader])
    assert_close(labels, data.splits["val"].labels)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"image_size": 28}, "image_size=28 must be 16 or 32"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"num_workers": -1}, "num_workers=-1 must be at least 0"),
    ],
)
def test_wrong_options(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        DigitsDataModule(**options)


@pytest.mark.parametrize("image_size", [16, 28, 32])
def test_mnist(image_size: int, mnist_root: Path) -> None:
    data = MNISTDataModule(root=str(mnist_root), image_size=image_size)
    data.prepare_data()
    data.setup()
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 20,
        "val": 5_000,
        "test": 12,
    }
    images, labels = data.splits["val"][torch.tensor([0, 3])]
    assert images.shape == (2, 1, image_size, image_size)
    assert images.dtype == torch.uint8
    assert images[1].unique().tolist() == [23]
    assert labels.tolist() == [0, 3]


def test_a_failed_download_says_which_files_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a file of the local disk stands for a server that has nothing
    monkeypatch.setattr(MNIST, "mirrors", [f"file://{tmp_path}/nowhere/"])
    data = MNISTDataModule(root="missing")
    with pytest.raises(FileNotFoundError) as caught:
        data.prepare_data()
    line = str(caught.value)
    assert "\n" not in line
    for word in ("root='missing'", "train-images-idx3-ubyte.gz", "missing/MNIST/raw"):
        assert word in line


def test_archives_already_there_are_unpacked_without_a_download(
    mnist_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = mnist_root / "MNIST" / "raw"
    for path in list(raw.iterdir()):
        with gzip.open(f"{path}.gz", "wb") as archive:
            archive.write(path.read_bytes())
        path.unlink()
    monkeypatch.setattr(MNIST, "mirrors", [f"file://{tmp_path}/nowhere/"])
    MNISTDataModule(root=str(mnist_root)).prepare_data()
    assert (raw / "train-images-idx3-ubyte").is_file()


def test_a_data_module_of_ones_own_is_a_dozen_lines(make_model: Any, make_trainer: Any) -> None:
    class Squares(ImageDataModule):
        channels = 1
        num_classes = 2

        def load(self, split: str) -> tuple[torch.Tensor, torch.Tensor]:
            images = torch.zeros(40, 1, 8, 8, dtype=torch.uint8)
            images[::2, :, 2:6, 2:6] = 255
            return images, torch.arange(40) % 2

    trainer = make_trainer(max_steps=3, limit_val_batches=None)
    trainer.fit(make_model(n_critic=2), Squares(image_size=8, batch_size=10))
    assert trainer.global_step == 3


@pytest.mark.parametrize(
    ("images", "labels", "line"),
    [
        (torch.rand(4, 1, 8, 8), torch.zeros(4), "gives torch.float32 images"),
        (torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.zeros(4), r"shape \(4, 3, 8, 8\)"),
        (torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.zeros(3), r"shape \(3,\) for 4 images"),
    ],
)
def test_what_a_data_module_loads_is_checked(
    images: torch.Tensor, labels: torch.Tensor, line: str
) -> None:
    class Wrong(ImageDataModule):
        channels, num_classes = 1, 2

        def load(self, split: str) -> tuple[torch.Tensor, torch.Tensor]:
            return images, labels

    with pytest.raises(ValueError, match=line):
        Wrong(image_size=8).setup("fit")


@pytest.mark.filterwarnings("ignore:You requested to overfit")
def test_overfit_batches_is_refused(make_model: Any, make_trainer: Any) -> None:
    model = make_model(image_shape=(1, 16, 16))
    with pytest.raises(ValueError, match="overfit_batches replaces the order"):
        make_trainer(max_steps=1, overfit_batches=1).fit(model, DigitsDataModule())
