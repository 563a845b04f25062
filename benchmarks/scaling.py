"""How images/s and memory grow with batch, image, n_critic, processes and data set.

    OMP_NUM_THREADS=1 python benchmarks/scaling.py --output scaling.json --plots docs/pictures

The command line trains WGAN-GP with fully connected networks (3 layers of 512) and DCGAN (32
channels wide) on random images, one thread per process. Each point is a process of its own, so that
its peak of memory is that training's: the largest resident set up to the last window, over what is
resident after the imports (Linux only). Checkpoints and pictures come after the last window.

Images/s are of real images, all processes together: the median over windows of the images of a
window over its CPU time, with several processes and beside them over its wall time. From one axis
to the next everything else is as in ``Point``.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from recipes import CASES, Case, NoiseImages, fit
from stopwatch import Stopwatch
from throughput import conditions
from torch import Tensor

from datamodules.base import Split

__all__ = ["AXES", "Point", "TrainingImages", "Windows", "draw", "main", "measure"]

WARMUP = 3
"""Iterations ahead of the first window; the second and third say how long windows are."""
NAMES = {"wgan_gp": "WGAN-GP, MLP of 3 x 512", "dcgan": "DCGAN, width 32"}
"""In the plots."""
HELD_OUT = 64
"""Validation images, which are loaded but not used."""


@dataclass(frozen=True)
class Point:
    """What is trained, and how.

    Attributes:
        model: ``wgan_gp`` or ``dcgan``.
        batch: images per update and process.
        image_size: side of the images, which have one channel.
        n_critic: discriminator updates per generator update; 0 for the variant's default, 5 or 1.
        processes: how many train together.
        dataset: images of data.
    """

    model: str
    batch: int = 64
    image_size: int = 32
    n_critic: int = 0
    processes: int = 1
    dataset: int = 50_000

    def case(self) -> Case:
        """The model with its networks."""
        case = CASES[{"wgan_gp": "mlp_wgan_gp", "dcgan": "dcgan"}[self.model]]
        n_critic = self.n_critic or case.n_critic
        arguments = {**case.model["init_args"], "n_critic": n_critic}
        if self.model == "dcgan":
            for player in ("Generator", "Discriminator"):
                network = {"class_path": f"DCGAN{player}", "init_args": {"width": 32}}
                arguments[player.lower()] = network
        return replace(
            _Training(**vars(case)),
            model={**case.model, "init_args": arguments},
            image_shape=(1, self.image_size, self.image_size),
            batch_size=self.batch,
            n_critic=n_critic,
        )


class _Training(Case):
    """Loads the images that it trains on, and hardly any others."""

    def config(self, size: int) -> dict[str, Any]:
        config = super().config(size)
        config["data"]["class_path"] = "scaling.TrainingImages"
        return config


class TrainingImages(NoiseImages):
    """``NoiseImages`` of which the held-out ones take no memory worth counting."""

    def load(self, split: Split) -> tuple[Tensor, Tensor]:
        """Images ``(N, C, S, S)`` and labels."""
        if split == "train":
            return super().load(split)
        shape = (HELD_OUT, *self.image_shape)
        return torch.zeros(shape, dtype=torch.uint8), torch.zeros(HELD_OUT, dtype=torch.long)


# small data at 128 pixels, where 50,000 images are 0.8 GB
_IMAGE = {"dataset": 5_000}
AXES: dict[str, tuple[str, str, list[Point]]] = {
    "batch": (
        "batch", "images per update",
        [Point(m, batch=n) for m in ("wgan_gp", "dcgan") for n in (16, 32, 64, 128, 256, 512)],
    ),
    "image_size": (
        "image_size", "side of the images, pixels",
        [Point("wgan_gp", image_size=n, **_IMAGE) for n in (16, 32, 64)]
        + [Point("dcgan", image_size=n, **_IMAGE) for n in (16, 32, 64, 128)],
    ),
    "n_critic": (
        "n_critic", "n_critic",
        [Point(m, n_critic=n) for m in ("wgan_gp", "dcgan") for n in (1, 2, 5, 10)],
    ),
    "processes": (
        "processes", "processes",
        [Point(m, processes=n) for m in ("wgan_gp", "dcgan") for n in (1, 2)],
    ),
    "dataset": (
        "dataset", "images of data",
        [Point(m, dataset=n) for m in ("wgan_gp", "dcgan")
         for n in (1_000, 10_000, 50_000, 200_000)],
    ),
}  # fmt: skip
"""By the end of the plot's name: the attribute of the points, its label, the points."""


class Windows(Callback):
    """Times windows of whole iterations, and stops the training after the last.

    Args:
        windows: how many.
        seconds: that each takes, about.
    """

    def __init__(self, windows: int, seconds: float) -> None:
        self.windows, self.seconds = windows, seconds
        self.times: list[dict[str, float]] = []
        self.steps = 0
        self.peak = 0.0
        self.stopwatch = Stopwatch("cpu")

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        """Settle how long a window is, end one, begin the next."""
        step = trainer.global_step - WARMUP
        if step == 1 - WARMUP:
            self.stopwatch.start()
        elif step == 0:
            each = self.stopwatch.stop()["wall"] / (WARMUP - 1)
            # all processes stop at the same step
            self.steps = trainer.strategy.broadcast(math.ceil(self.seconds / each))
            self.stopwatch.start()
        elif step > 0 and step % self.steps == 0:
            self.times.append(self.stopwatch.stop())
            if len(self.times) == self.windows:
                self.peak = resident("VmHWM")
                trainer.should_stop = True
            self.stopwatch.start()


def resident(field: str) -> float:
    """MiB of this process's memory: now (VmRSS), or the most there ever was (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def measure(point: Point, windows: int = 5, seconds: float = 0.3) -> dict[str, Any]:
    """Images/s by either clock, all windows of them, and MiB, in this process."""
    # the imports may have needed more for a moment
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    callback = Windows(windows, seconds)
    case = point.case()
    more = "--trainer.accelerator", "cpu", "--trainer.devices", str(point.processes)
    fit(case, callback, "32-true", 10**9, point.dataset, *more)
    images = callback.steps * case.images * point.processes
    rates = {c: [images / times[c] for times in callback.times] for c in ("cpu", "wall")}
    return {
        "n_critic": case.n_critic,
        "images_per_window": images,
        "images_per_s": {clock: median(found) for clock, found in rates.items()},
        "images_per_s_windows": rates,
        "mib": callback.peak - before,
    }


def apart(point: Point) -> dict[str, Any]:
    """:func:`measure` in a process of its own."""
    command = [sys.executable, __file__, "--point", json.dumps(asdict(point))]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def draw(
    label: str, curves: dict[str, dict[int, tuple[float, float]]], path: Path, log: bool = True
) -> None:
    """Plot images/s and MiB, two panels.

    Args:
        label: of the axis.
        curves: by model, then by the value on the axis: images/s and MiB.
        path: file to write.
        log: whether the axis is logarithmic.
    """
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    ticks = sorted({value for found in curves.values() for value in found})
    for i, (axes, name) in enumerate(
        zip(figure.subplots(1, 2), ("images/s", "peak memory of a process, MiB"), strict=True)
    ):
        for model, found in curves.items():
            axes.plot(list(found), [values[i] for values in found.values()], "o-", label=model)
        heights = [values[i] for found in curves.values() for values in found.values()]
        # room enough for what is level to look so
        axes.set_ylim(min(heights) / 1.5, max(heights) * 1.5)
        axes.set(xlabel=label, ylabel=name, xscale="log" if log else "linear", yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_xticks(ticks, [f"{n // 1000}k" if n >= 1000 else str(n) for n in ticks])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    lines = figure.axes[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside upper center", ncols=2, fontsize="small")
    figure.savefig(path, dpi=90)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write JSON and plots where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES), metavar="AXIS")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--plots", type=Path, help="folder")
    parser.add_argument("--point", type=json.loads, help="measure this only, and print JSON")
    options = parser.parse_args(arguments)
    if options.point:
        found = measure(Point(**options.point))
        # the other processes run this script, too
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(json.dumps(found))
        return
    results: dict[str, Any] = {"axes": {}}
    if options.output and options.output.exists():
        # of axes that are not measured now
        results = json.loads(options.output.read_text())
    results["conditions"] = conditions("cpu")
    begun = time.perf_counter()
    for axis in options.axes:
        attribute, label, points = AXES[axis]
        clock = "wall" if axis == "processes" else "cpu"
        curves: dict[str, dict[int, tuple[float, float]]] = {}
        rows = results["axes"][axis] = []
        for point in points:
            default = CASES["mlp_wgan_gp" if point.model == "wgan_gp" else "dcgan"].n_critic
            key = replace(point, n_critic=point.n_critic or default)
            found = apart(key)
            rows.append(asdict(key) | found)
            value = getattr(key, attribute)
            rate = found["images_per_s"][clock]
            curves.setdefault(NAMES[point.model], {})[value] = rate, found["mib"]
            spread = found["images_per_s_windows"][clock]
            print(
                f"{axis:<12}{point.model:<9}{value:>7}{rate:>9,.0f} images/s by {clock} "
                f"({min(spread):,.0f}-{max(spread):,.0f}){found['mib']:>7,.0f} MiB "
                f"{time.perf_counter() - begun:>5.0f} s",
                flush=True,
            )
        if options.plots:
            draw(label, curves, options.plots / f"scaling_{axis}.png", axis != "processes")
        if options.output:
            options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
