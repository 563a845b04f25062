"""Images per second in training, against what public scripts do.

    OMP_NUM_THREADS=1 python benchmarks/throughput.py --output benchmarks/results/throughput.json

Each script (``public_scripts.py``) trains its own networks (``public_networks.py``) in turns with
ours: a model and a data module in a plain ``Trainer``, once with the very networks of the script,
once with this project's own of the same widths. All run in one process on one thread and take turns
of a few iterations, so that both meet the same neighbours. A ratio is one turn's CPU time of the
script over ours; medians, least and largest are those of all turns. The first turn is not counted.
Images are random: what is in them does not change how long training takes.
"""

import argparse
import io
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import public_networks as networks
import torch
from lightning.pytorch import Callback, Trainer
from PIL import Image
from public_scripts import LOOPS, N_CRITIC, Files, endless, load_pictures
from recipes import NoiseImages, random_images
from stopwatch import Stopwatch
from torch import nn
from torch.utils.data import DataLoader

from datamodules import UnpairedFolderDataModule
from datamodules.base import InMemoryDataModule
from gan_modules import DCGAN, GAN, WGAN, WGANGP, CycleGAN, GANModule
from gan_modules.networks import (
    CycleGANGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    PatchGANDiscriminator,
)
from gan_modules.networks.layers.resampling import UpsampleConv2d

__all__ = ["CASES", "Case", "Turns", "conditions", "main", "measure"]

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Case:
    """A public script and ours for the same task.

    Attributes:
        model: ours.
        shape: of the images that the networks see.
        stored: side of the images before they are resized.
        script: builds the script's networks.
        own: builds ours.
        steps: updates of the generator in a turn.
        batch_size: images per update.
        n_critic: batches that belong to one update of the generator.
    """

    model: Callable[..., GANModule]
    shape: tuple[int, int, int]
    stored: int
    script: Callable[[Sequence[int]], Pair]
    own: Callable[[Sequence[int]], Pair]
    steps: int
    batch_size: int = 64
    n_critic: int = 1


def own_linear(shape: Sequence[int]) -> Pair:
    hidden = (128, 256, 512, 1024)
    generator = MLPGenerator(shape, 100, hidden=hidden, batch_norm=True)
    return generator, MLPDiscriminator(shape, hidden=(512, 256))


def own_conv(shape: Sequence[int]) -> Pair:
    """The script's, its upsampling and the convolution after it as one layer."""
    generator, judge = networks.conv_pair(shape)
    layers = list(generator)
    fused: list[nn.Module] = []
    for layer, previous in zip(layers, [None, *layers[:-1]], strict=True):
        if isinstance(layer, nn.Upsample):
            continue
        if isinstance(previous, nn.Upsample) and isinstance(layer, nn.Conv2d):
            one = UpsampleConv2d(layer.in_channels, layer.out_channels)
            one.load_state_dict(layer.state_dict())
            fused.append(one)
        else:
            fused.append(layer)
    generator = nn.Sequential(*fused)
    for network in (generator, judge):
        network.to(memory_format=torch.channels_last)
    return generator, judge


def own_examples(shape: Sequence[int]) -> Pair:
    return DCGANGenerator(shape, 100, width=64), DCGANDiscriminator(shape, width=64)


def own_cycle(shape: Sequence[int]) -> Pair:
    generators = {name: CycleGANGenerator(shape, n_blocks=9) for name in ("a_to_b", "b_to_a")}
    judges = {name: PatchGANDiscriminator(shape) for name in ("a", "b")}
    return nn.ModuleDict(generators), nn.ModuleDict(judges)


def _linear(shape: Sequence[int]) -> Pair:
    return networks.linear_pair(shape, sigmoid=True)


def _critic(shape: Sequence[int]) -> Pair:
    return networks.linear_pair(shape, sigmoid=False)


MNIST = (1, 28, 28)
CASES = {
    "gan": Case(GAN, MNIST, 28, _linear, own_linear, 20),
    "wgan": Case(WGAN, MNIST, 28, _critic, own_linear, 5, n_critic=N_CRITIC),
    "wgan_gp": Case(WGANGP, MNIST, 28, _critic, own_linear, 4, n_critic=N_CRITIC),
    "dcgan": Case(DCGAN, (1, 32, 32), 28, networks.conv_pair, own_conv, 3),
    "examples": Case(DCGAN, (3, 64, 64), 32, networks.examples_pair, own_examples, 1),
    "cyclegan": Case(
        CycleGAN, (3, 64, 64), 256, lambda s: networks.cycle_networks(s[0]), own_cycle, 1, 1
    ),
}
"""By the name of the script."""
SIZE = 20_000
"""Images of data."""
FILES = 20
"""Files of data per domain, for cyclegan.py."""


def make_files(root: Path, side: int) -> None:
    """Smooth random JPEG files of two domains."""
    for domain in "AB":
        (root / f"train{domain}").mkdir(parents=True)
        for i in range(FILES):
            coarse = torch.randint(256, (8, 8, 3), dtype=torch.uint8).numpy()
            picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
            picture.save(root / f"train{domain}" / f"{i:03d}.jpg", quality=90)


def data_of(case: Case, folder: Path) -> tuple[InMemoryDataModule, Iterator[Any]]:
    """Our data module, and the script's batches."""
    side = case.shape[-1]
    if case.model is CycleGAN:
        root = folder / "pictures"
        make_files(root, case.stored)
        ours: InMemoryDataModule = UnpairedFolderDataModule(
            root=str(root), image_size=side, load_size=int(side * 1.12),
            batch_size=case.batch_size, cache_dir=str(folder / "cache"),
        )  # fmt: skip
        loader = DataLoader(Files(root, side), case.batch_size, shuffle=True)
        return ours, endless(loader)
    channels = case.shape[0]
    ours = NoiseImages(
        channels=channels, image_size=side, size=SIZE, stored_size=case.stored,
        batch_size=case.batch_size,
    )  # fmt: skip
    images, _ = random_images(SIZE, (channels, case.stored, case.stored))
    return ours, load_pictures(images, side, case.batch_size)


def model_of(case: Case, pair: Pair, **more: Any) -> GANModule:
    """Ours with these networks, whose discriminator's last sigmoid is left out."""
    options: dict[str, Any] = {"image_shape": case.shape, **more}
    if case.model is not CycleGAN:
        options["latent_dim"] = 100
    if case.model in (GAN, DCGAN):
        options["latent_distribution"] = "normal"
    generator, judge = pair
    if isinstance(judge, nn.Sequential):
        judge = networks.logits(judge)
    return case.model(generator=generator, discriminator=judge, **options)


class Turns(Callback):
    """Measures the fit it is part of, and the script in between.

    Args:
        script: yields after every update of the generator.
        steps: updates of the generator in a turn.
    """

    def __init__(self, script: Iterator[None], steps: int) -> None:
        self.script, self.steps = script, steps
        self.turns: list[tuple[dict[str, float], dict[str, float]]] = []
        self.stopwatch = Stopwatch("cpu")

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        """End our turn, let the script have its own, and begin the next one."""
        if trainer.global_step % self.steps:
            return
        ours = self.stopwatch.stop()
        self.stopwatch.start()
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            for _ in range(self.steps):
                next(self.script)
        self.turns.append((ours, self.stopwatch.stop()))
        self.stopwatch.start()


def fit(case: Case, name: str, own: bool, rounds: int) -> Turns:
    """Train ours and the script in turns; the first turn is left out."""
    with tempfile.TemporaryDirectory() as folder:
        data, batches = data_of(case, Path(folder))
        turns = Turns(LOOPS[name](*case.script(case.shape), batches), case.steps)
        trainer = Trainer(
            accelerator="cpu", max_steps=(rounds + 1) * case.steps, callbacks=[turns],
            logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, limit_val_batches=0, default_root_dir=folder,
        )  # fmt: skip
        pair = (case.own if own else case.script)(case.shape)
        with redirect_stdout(io.StringIO()):
            trainer.fit(model_of(case, pair), datamodule=data)
    del turns.turns[0]
    return turns


def measure(case: Case, name: str, own: bool, rounds: int) -> dict[str, Any]:
    """Images/s of both by CPU time, and the ratios of all turns."""
    turns = fit(case, name, own, rounds).turns
    images = case.steps * case.batch_size * case.n_critic
    found: dict[str, Any] = {
        f"{who}_images_per_s": images / statistics.median(turn[i]["cpu"] for turn in turns)
        for i, who in enumerate(("ours", "script"))
    }
    ratios = [script["cpu"] / ours["cpu"] for ours, script in turns]
    return {**found, "ratio": statistics.median(ratios), "ratios": ratios}


def conditions(device: str) -> dict[str, Any]:
    """Where and with what the figures were measured."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text().splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__,
        "cpu": name,
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": 1,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=15, help="turns that are counted")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", ".*does not have many workers")
    results: dict[str, Any] = {
        "conditions": conditions("cpu"), "rounds": options.rounds, "cases": {}
    }  # fmt: skip
    print("| script | our networks | ours, images/s | script | times as fast (least-largest) |")
    print("| --- | --- | --- | --- | --- |")
    for name in options.cases:
        for own in (False, True):
            found = measure(CASES[name], name, own, options.rounds)
            kind = "our own" if own else "the script's"
            results["cases"].setdefault(name, {})[kind] = found
            extent = f"{min(found['ratios']):.2f}-{max(found['ratios']):.2f}"
            print(
                f"| {name} | {kind} | {found['ours_images_per_s']:,.4g} | "
                f"{found['script_images_per_s']:,.4g} | {found['ratio']:.2f} ({extent}) |",
                flush=True,
            )
            if options.output:
                options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
