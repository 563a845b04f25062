"""Images per second that reach the model, of this project's data modules and of the usual way.

    OMP_NUM_THREADS=1 python benchmarks/throughput_input.py --mnist DIR --jpeg DIR

The usual way is a data set of torchvision whose transforms turn images into tensors one by one, in
a ``DataLoader`` without workers. Ours are measured with their images in memory, or decoded in the
cache; what decoding took is printed beside. Both give shuffled batches of 64 float images in
[-1, 1]. CPU time of one thread, median of rounds in alternation. ``--mnist`` holds ``MNIST/raw``,
``--jpeg`` a folder per class; without them, random digits and JPEG files are made.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from throughput import conditions
from throughput_cases import NoiseImages
from throughput_usual import usual_loader
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from datamodules import ImageFolderDataModule, MNISTDataModule
from datamodules.images import AugmentedDataModule

__all__ = ["GOALS", "endless_ours", "endless_usual", "main", "make_jpegs"]

BATCH_SIZE = 64
GOALS = {"mnist": 50, "jpeg": 35}


def endless_ours(data: AugmentedDataModule) -> Iterator[torch.Tensor]:
    """Training batches as the model gets them."""
    while True:
        for batch in data.train_dataloader():
            yield data.on_after_batch_transfer(batch, 0)[0]


def endless_usual(loader: Any) -> Iterator[torch.Tensor]:
    while True:
        for images, _ in loader:
            yield images


def make_jpegs(folder: Path, number: int, side: int) -> None:
    """Smooth random pictures, two folders of them, whose files are of a usual size."""
    coarse = torch.randint(256, (number, 3, 8, 8), dtype=torch.uint8)
    for i, colours in enumerate(coarse):
        path = folder / "train" / f"class{i % 2}" / f"{i:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(colours.permute(1, 2, 0).numpy())
        picture.resize((side, side), Image.Resampling.BICUBIC).save(path, quality=90)


def mnist(root: Path | None) -> tuple[Iterator[Any], Iterator[Any], float]:
    """Batches of ours and of the usual way, and seconds of preparation."""
    data: AugmentedDataModule
    if root is None:
        data = NoiseImages(channels=1, image_size=28, size=55_000, batch_size=BATCH_SIZE)
        seconds = prepare(data)
        train = data.splits["train"]
        loader = usual_loader(train.images, train.labels, BATCH_SIZE, 28)
        return endless_ours(data), endless_usual(loader), seconds
    data = MNISTDataModule(root=str(root), batch_size=BATCH_SIZE)
    seconds = prepare(data)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])
    dataset = datasets.MNIST(str(root), transform=transform)
    return endless_ours(data), endless_usual(shuffled(dataset)), seconds


def jpeg(root: Path, side: int, cache: Path) -> tuple[Iterator[Any], Iterator[Any], float]:
    """The same of a folder of files, resized to so many pixels."""
    data = ImageFolderDataModule(
        root=str(root), image_size=side, batch_size=BATCH_SIZE, cache_dir=str(cache)
    )
    seconds = prepare(data)
    transform = transforms.Compose(
        [
            transforms.Resize(side),
            transforms.CenterCrop(side),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    train = root / "train" if (root / "train").is_dir() else root
    dataset = datasets.ImageFolder(str(train), transform=transform)
    return endless_ours(data), endless_usual(shuffled(dataset)), seconds


def shuffled(dataset: Any) -> Any:
    return DataLoader(dataset, BATCH_SIZE, shuffle=True, drop_last=True)


def prepare(data: AugmentedDataModule) -> float:
    begun = time.process_time()
    data.prepare_data()
    data.setup("fit")
    return time.process_time() - begun


def measure(
    make: Callable[[], tuple[Iterator[Any], Iterator[Any], float]],
    rounds: int,
    batches: int,
    goal: float,
) -> dict[str, Any]:
    """Images/s of both, and their ratio, over as many rounds; ours take 20 times the batches."""
    ours, usual, seconds = make()
    next(ours)
    next(usual)
    speeds: dict[str, list[float]] = {"ours": [], "usual": []}
    for _ in range(rounds):
        for name, loader, number in (("ours", ours, 20 * batches), ("usual", usual, batches)):
            begun = time.process_time()
            for _ in range(number):
                next(loader)
            speeds[name].append(number * BATCH_SIZE / (time.process_time() - begun))
    ratios = [a / b for a, b in zip(speeds["ours"], speeds["usual"], strict=True)]
    return {
        "preparation_s": seconds,
        **{f"{name}_images_per_s": statistics.median(found) for name, found in speeds.items()},
        "ours_over_usual": statistics.median(ratios),
        "ours_over_usual_rounds": ratios,
        "goal": goal,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a line each, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--jpeg", type=Path)
    parser.add_argument("--jpeg_size", type=int, default=64, help="side after resizing")
    parser.add_argument("--files", type=int, default=1000, help="JPEG files that are made")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=20, help="per round, of the usual way")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = options.jpeg or Path(name, "pictures")
        if options.jpeg is None:
            make_jpegs(folder, options.files, 128)
        makers = {
            "mnist": lambda: mnist(options.mnist),
            "jpeg": lambda: jpeg(folder, options.jpeg_size, Path(name, "cache")),
        }
        results: dict[str, Any] = {"conditions": conditions("cpu")}
        for kind, make in makers.items():
            found = measure(make, options.rounds, options.batches, GOALS[kind])
            results[kind] = found
            rounds = found["ours_over_usual_rounds"]
            print(
                f"{kind:<6} ours {found['ours_images_per_s']:>9,.0f} images/s   "
                f"usual {found['usual_images_per_s']:>7,.0f}   "
                f"ratio {found['ours_over_usual']:.1f} ({min(rounds):.1f}-{max(rounds):.1f}), "
                f"goal {GOALS[kind]}; prepared in {found['preparation_s']:.1f} s",
                flush=True,
            )
    if options.output:
        options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
