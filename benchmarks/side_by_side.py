"""Trainings side by side, each judged by the process that waited for it; results are kept."""

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from quality import Digits
from training import train

__all__ = [
    "Job",
    "add_options",
    "kept",
    "load_kept",
    "prepare_judge",
    "run_all",
    "spread",
    "train_on",
]

Job = dict[str, Any]
"""What a training is, in values that JSON keeps."""
GRAPHS = ("--model.cuda_graphs", "true")


def add_options(parser: argparse.ArgumentParser, name: str, updates: int | None = None) -> None:
    """What every such benchmark can be told; the number of updates where one is given."""
    default = Path("runs", name)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="that trains")
    if updates is not None:
        parser.add_argument("--updates", type=int, default=updates, help="of the generator")
    parser.add_argument("--seconds", type=float, help="begin no training after so many")
    parser.add_argument("--runs", type=Path, default=default, help="folder of trainings")
    parser.add_argument("--output", type=Path, default=default / "found.json", help="JSON file")


def train_on(
    device: str, recipe: str, seed: int, runs: Path, options: Sequence[str]
) -> dict[str, Any]:
    """Train a recipe, nothing measured beside it; its run folder, and what it took.

    On a GPU iterations are CUDA graphs, unless they cannot be.
    """
    never = str(10**6)
    line = [*options, "--metrics.names", "[]", "--samples.every_n_steps", never]
    line += ["--trainer.val_check_interval", never, "--trainer.devices", "1"]
    ways: list[Sequence[str]] = [("--trainer.accelerator", "cpu")]
    if device == "cuda":
        line += ["--data.on_device", "true"]
        ways = [("--trainer.accelerator", "gpu", *GRAPHS), ("--trainer.accelerator", "gpu")]
    for way in ways:
        begun = time.perf_counter()
        try:
            run, seconds = train(recipe, seed, runs, [*line, *way])
        except SystemExit as error:
            if way is ways[-1]:
                raise
            print(f"again without graphs: {error}", flush=True)
            continue
        took = {"cpu_seconds": seconds, "seconds": time.perf_counter() - begun}
        return {"run": run, "graphs": GRAPHS[0] in way, **took}
    raise AssertionError("there is a way at least")


def prepare_judge(path: Path, image_size: int, mnist: str | None, device: str) -> Digits:
    """Train the judge where there is none."""

    def make() -> Digits:
        digits = Digits(image_size, mnist, device)
        # no longer needed, and large
        digits.train = digits.train[:0].clone()
        return digits

    digits: Digits = kept(path, make)
    return digits


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """What is made where the file is not there, for all processes and further calls."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(make(), path)
    return load_kept(path)


@cache
def load_kept(path: Path) -> Any:
    """The same, once per process."""
    # a file of our own
    return torch.load(path, weights_only=False)


def _attempt(work: Callable[[Job], dict[str, Any]], deadline: float, job: Job) -> Any:
    """What was found, an error, or None where it is too late to begin."""
    if time.time() > deadline:
        return None
    torch.set_num_threads(1)
    try:
        return {**job, **work(job)}
    except (Exception, SystemExit) as error:
        return f"{job}: {type(error).__name__}: {error}"


def run_all(
    work: Callable[[Job], dict[str, Any]],
    jobs: list[Job],
    options: argparse.Namespace,
    facts: dict[str, Any],
) -> list[dict[str, Any]]:
    """Do all jobs that the JSON file does not have, and write what each finds as it comes."""
    results: list[dict[str, Any]] = []
    if options.output.is_file():
        results = json.loads(options.output.read_text())["results"]
    left = [job for job in jobs if _place(job, results) is None]
    deadline = time.time() + (options.seconds or 10**9)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    attempt = partial(_attempt, work, deadline)
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(attempt, job) for job in left]):
            found = done.result()
            if isinstance(found, dict):
                results.append(found)
                report = {"date": time.strftime("%Y-%m-%d"), **facts, "results": results}
                written = options.output.with_suffix(".new")
                written.write_text(json.dumps(report, indent=1) + "\n")
                written.replace(options.output)
                print(f"{len(results)} done, {found['seconds']:.0f} s: {found['run']}", flush=True)
            elif found is not None:
                print(f"error: {found}", flush=True)
    places = [_place(job, results) for job in jobs]
    return [results[place] for place in places if place is not None]


def _place(job: Job, results: list[dict[str, Any]]) -> int | None:
    """Where the result of a job is."""
    matches = (
        i for i, r in enumerate(results) if job.items() <= {k: r.get(k) for k in job}.items()
    )
    return next(matches, None)


def spread(values: list[float], digits: int = 1) -> str:
    """Mean and standard deviation, as text."""
    deviation = stdev(values) if len(values) > 1 else 0.0
    return f"{mean(values):.{digits}f} ± {deviation:.{digits}f}"
