"""Images per second in training, of this project, of the usual scripts and of the best loops.

    OMP_NUM_THREADS=1 python benchmarks/throughput.py --output throughput.json

Three ways to train one and the same model:

ours    the command line, Lightning, its callbacks and all, measured between batches; pictures and
        metrics, which come at intervals, are left out, logging is not
usual   a loop as tutorials write it (``throughput_usual.py``), always float32
best    the best hand-written loop (``throughput_best.py``)

Each has a process, and they take turns, so that all meet the same neighbours on a shared machine:
after a fifth of a round of ours, both others run as many iterations. The first iteration of a turn
of many is not timed: the others have left the caches cold. Ratios are the median over
rounds of the ratio of two times of one round, of CPU time of the one thread that is used, or of
time between device events on a GPU. ``tests/test_throughput.py`` shows that all three
compute the same weights.
"""

import argparse
import io
import json
import math
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from throughput_cases import CASES, Case, random_images
from throughput_worker import Stopwatch, Worker

from gan_modules.command_line import run

__all__ = ["BEST_GOAL", "Rounds", "command", "fit"]

BEST_GOAL = 0.97
"""Ours over the best loop, at least."""
WARMUP = 3
"""Iterations ahead of the first window."""
SIZE = 50_000
"""Images of data."""
TURNS = 5
"""Windows of a round at most: as many as its iterations can be cut into, equally."""
MANY = 5
"""Iterations in a window of which the first is not timed."""


class Rounds(Callback):
    """Measures the fit it is part of, and in between the two other loops.

    Args:
        case: what is trained.
        steps: iterations in a round.
        device: "cpu" or "cuda".
        bf16: whether ours and the best loop compute in bfloat16.
    """

    def __init__(self, case: Case, steps: int, device: str, bf16: bool) -> None:
        self.case, self.steps, self.device, self.bf16 = case, steps, device, bf16
        self.window = next(n for n in range(math.ceil(steps / TURNS), steps + 1) if steps % n == 0)
        self.untimed = int(self.window >= MANY)
        self.rounds: list[dict[str, Counter[str]]] = []
        self.stopwatch = Stopwatch(device)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Copy the networks before they have learnt anything."""
        dataset = trainer.datamodule.splits["train"]
        if self.case.objective == "cycle":
            images, others = dataset.a.images, dataset.b.images
        else:
            images, others = dataset.images, dataset.labels
        networks = pl_module.generator, pl_module.discriminator
        how = self.device, self.bf16
        stored = images
        if self.case.stored_shape != self.case.image_shape:
            stored, _ = random_images(len(images), self.case.stored_shape)
        self.others = {
            "usual": Worker("usual", self.case, *networks, stored, others, *how),
            "best": Worker("best", self.case, *networks, images, others, *how),
        }

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        """End a window, let the others run, and begin the next one."""
        step = trainer.global_step - WARMUP
        if step == 0:
            for worker in self.others.values():
                worker.advance(WARMUP)
        elif step > 0 and step % self.window == 0:
            if len(self.rounds) * self.steps < step:
                self.rounds.append({name: Counter() for name in ("ours", *self.others)})
            self.rounds[-1]["ours"].update(self.stopwatch.stop())
            for name, worker in self.others.items():
                worker.advance(self.untimed)
                self.rounds[-1][name].update(worker.advance(self.window - self.untimed))
        if step >= 0 and step % self.window == self.untimed:
            self.stopwatch.start()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """End the other processes."""
        for worker in self.others.values():
            worker.end()


SUFFIXES = ("", "_bf16", "_compiled", "_bf16_compiled")
"""Of a case: how ours computes. The best loop has its precision and is never compiled."""


def command(case: Case, folder: Path, precision: str, steps: int, size: int) -> list[str]:
    """The command line of a training; pictures and checkpoints come at its end only."""
    config = folder / "case.yaml"
    # JSON is YAML, too
    config.write_text(json.dumps(case.config(size)))
    never = str(10**9)
    return [
        "fit", "--config", str(config), "--seed_everything", "0", "--torch_threads", "1",
        "--trainer.default_root_dir", str(folder), "--trainer.logger", "false",
        "--trainer.precision", precision, "--trainer.max_steps", str(steps),
        "--trainer.limit_val_batches", "0", "--checkpoint.every_n_train_steps", never,
        "--samples.every_n_steps", never,
    ]  # fmt: skip


def fit(case: Case, callback: Callback, precision: str, steps: int, size: int, *more: str) -> Any:
    """Train by the command line, with one callback more, in a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        line = command(case, Path(folder), precision, steps, size)
        warnings.filterwarnings("ignore", "LightningCLI's args parameter")
        return run([*line, *more], trainer_defaults={"callbacks": [callback]})


def measure(
    case: Case, bf16: bool, compiled: bool, rounds: int, steps: int, device: str
) -> dict[str, Any]:
    """Times of all rounds, and what follows from them; compilation lies ahead of the first."""
    steps = steps or case.steps
    callback = Rounds(case, steps, device, bf16)
    precision = "bf16-mixed" if bf16 else "32-true"
    on_gpu = device == "cuda"
    more = [
        # at least one logged step in every round
        "--trainer.log_every_n_steps", str(min(50, steps)),
        "--trainer.accelerator", "gpu" if on_gpu else "cpu",
        "--data.on_device", str(on_gpu).lower(),
        "--model.compile", str(compiled).lower(),
    ]  # fmt: skip
    fit(case, callback, precision, WARMUP + rounds * steps, SIZE, *more)
    kind = "device" if device == "cuda" else "cpu"
    images = steps // callback.window * (callback.window - callback.untimed) * case.images
    found: dict[str, Any] = {
        "precision": precision,
        "compiled": compiled,
        "steps": steps,
        "batch_size": case.batch_size,
    }
    for name in ("ours", "usual", "best"):
        found[f"{name}_images_per_s"] = {
            clock: images / statistics.median(times[name][clock] for times in callback.rounds)
            for clock in callback.rounds[0][name]
        }
    for name in ("best", "usual"):
        ratios = [times[name][kind] / times["ours"][kind] for times in callback.rounds]
        found[f"ours_over_{name}"] = statistics.median(ratios)
        found[f"ours_over_{name}_rounds"] = ratios
    found["goal_over_best"] = BEST_GOAL
    goal = case.bf16_goal if bf16 else case.goal
    found["goal_over_usual"] = case.compiled_goal if compiled else goal
    return found


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


HEADER = (
    f"{'case':<27}{'ours':>9}{'usual':>9}{'best':>9}{'ours/best':>17}{'ours/usual':>17}{'goal':>6}"
)


def row(name: str, found: dict[str, Any], clock: str) -> str:
    """One line of the table: images/s, and ratios with their least and largest."""
    speeds = [found[f"{which}_images_per_s"][clock] for which in ("ours", "usual", "best")]
    ratios = []
    for which in ("best", "usual"):
        all_rounds = found[f"ours_over_{which}_rounds"]
        extent = f"{min(all_rounds):.2f}-{max(all_rounds):.2f}"
        ratios.append(f"{found[f'ours_over_{which}']:.2f} ({extent})")
    return (
        f"{name:<27}"
        + "".join(f"{speed:>9,.0f}" for speed in speeds)
        + "".join(f"{ratio:>17}" for ratio in ratios)
        + f"{found['goal_over_usual'] or '-':>6}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and write JSON where asked."""
    names = [f"{name}{suffix}" for suffix in SUFFIXES for name in CASES]
    # with a goal
    default = [*CASES, *(f"{name}_bf16" for name, case in CASES.items() if case.bf16_goal)]
    default += [f"{name}_bf16_compiled" for name, case in CASES.items() if case.compiled_goal]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=names, default=default, metavar="CASE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=0, help="iterations in a round")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    clock = "device" if options.device == "cuda" else "cpu"
    results: dict[str, Any] = {"conditions": conditions(options.device), "cases": {}}
    print(f"images/s by {clock} time; ratios: median (least-largest of the rounds)")
    print(HEADER)
    for name in options.cases:
        uncompiled = name.removesuffix("_compiled")
        case = CASES[uncompiled.removesuffix("_bf16")]
        how = uncompiled.endswith("_bf16"), uncompiled != name
        found = measure(case, *how, options.rounds, options.steps, options.device)
        results["cases"][name] = found
        print(row(name, found, clock), flush=True)
        if options.output:
            options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
