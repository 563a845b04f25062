"""How fast training is on a GPU, against public scripts and against what a GPU can do.

    python benchmarks/gpu.py --part 2 --output speed.json

Three tasks, batches of 64: ``wgan_gp``, the public script's fully connected networks at 32 pixels;
``resnet``, the paper's residual networks in the same loop; ``dcgan``, pytorch/examples' networks at
64 pixels. Each is trained in turn by

script            the public loop (``public_scripts.py``) with its own loader and workers
script_memory     the same loop, given batches that lie on the device already
best, ..._bf16    the best hand-written loop (``gpu_best.py``), all images on the device as uint8
best_graph, ...   one iteration of it captured as a CUDA graph; compiled losses in it
ours_loader       a model and a data module in a plain ``Trainer``, images in the host's memory
ours, ..._bf16    with ``on_device``
ours_graph, ...   the same with ``cuda_graphs``; with ``compile``

Each is measured by device events in several windows of iterations, after a warm-up in which
everything is compiled. The share of the peak is the floating-point operations of one iteration of
the best loop, matrix products and convolutions, over the time of an iteration, over the speed of a
large matrix product in bfloat16. A table says which kernels the best loop's time goes to, and
"busy" what share of an eager iteration in bfloat16 the device computes in.
"""

import contextlib
import io
import json
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import torch
from gpu_loops import WARMUP, Bench, Loop, advance, make_cases
from lightning.pytorch import Callback, Trainer
from public_scripts import load_pictures
from recipes import NoiseImages
from stopwatch import Stopwatch
from throughput import conditions, model_of
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

__all__ = ["measure_speed"]

OURS: dict[str, tuple[str, bool, bool]] = {
    "ours_loader": ("32-true", False, False),
    "ours": ("32-true", True, False),
    "ours_bf16": ("bf16-mixed", True, False),
    "ours_compiled_bf16": ("bf16-mixed", True, True),
    "ours_graph": ("32-true", True, False),
    "ours_graph_bf16": ("bf16-mixed", True, False),
    "ours_graph_compiled_bf16": ("bf16-mixed", True, True),
}
"""Precision, whether images lie on the device, and whether losses are compiled."""


def measure(loop: Loop, device: str, rounds: int, steps: int) -> list[float]:
    """Seconds per iteration in each window."""
    advance(loop, WARMUP)
    clock, kind = Stopwatch(device), "device" if device == "cuda" else "cpu"
    seconds = []
    for _ in range(rounds):
        clock.start()
        advance(loop, steps)
        seconds.append(clock.stop()[kind] / steps)
    return seconds


class Windows(Callback):
    """Measures a fit as :func:`measure` does a loop."""

    def __init__(self, device: str, steps: int) -> None:
        self.clock, self.steps = Stopwatch(device), steps
        self.kind = "device" if device == "cuda" else "cpu"
        self.seconds: list[float] = []

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        """End a window, or begin the first."""
        step = trainer.global_step - WARMUP
        if step > 0 and step % self.steps == 0:
            self.seconds.append(self.clock.stop()[self.kind] / self.steps)
        if step >= 0 and step % self.steps == 0:
            self.clock.start()


def measure_ours(bench: Bench, way: str, rounds: int, steps: int) -> list[float]:
    """Seconds per iteration in each window of a fit."""
    precision: Any
    precision, on_device, compiles = OURS[way]
    windows = Windows(bench.device, steps)
    side, case = bench.case.shape[-1], bench.case
    data = NoiseImages(
        channels=case.shape[0], image_size=side, size=bench.size, stored_size=case.stored,
        batch_size=case.batch_size, on_device=on_device,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        trainer = Trainer(
            accelerator="gpu" if bench.device == "cuda" else "cpu", devices=1, precision=precision,
            max_steps=WARMUP + rounds * steps, logger=False,
            callbacks=[windows],
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            limit_val_batches=0, default_root_dir=folder,
        )  # fmt: skip
        options = {"compile": compiles, "cuda_graphs": "graph" in way}
        trainer.fit(model_of(case, case.script(case.shape), **options), datamodule=data)
    return windows.seconds


class Operations(TorchDispatchMode):
    """Counts floating-point operations as ``FlopCounterMode`` does.

    That also assigns them to layers, by hooks that do not go with a gradient of a gradient.
    """

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, and count it if it is a product or a convolution."""
        output = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            formula = flop_registry[func.overloadpacket]
            self.count += int(formula(*args, **(kwargs or {}), out_val=output))
        return output


def peak(device: str) -> float:
    """Floating-point operations per second of a large matrix product in bfloat16."""
    n, repeats = (256, 2) if device == "cpu" else (8192, 50)
    a, b = torch.randn(2, n, n, device=device, dtype=torch.bfloat16)
    products: Loop = (None for _ in repeat(None) if a.mm(b) is not None)
    return 2 * n**3 / min(measure(products, device, 3, repeats))


def kernels(loop: Loop, device: str, rows: int = 12) -> tuple[float, list[tuple[str, float]]]:
    """Seconds of kernels (on a CPU: of operators) per iteration, and the largest shares of them."""
    on_gpu = device == "cuda"
    advance(loop, WARMUP)
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    with profile(activities=activities) as profiler:
        advance(loop, 3)
        if on_gpu:
            torch.cuda.synchronize()
    wanted, clock = (DeviceType.CPU, "self_cpu_time_total")
    if on_gpu:
        wanted, clock = (DeviceType.CUDA, "self_device_time_total")
    events = [event for event in profiler.key_averages() if event.device_type == wanted]
    times = [(event.key, float(getattr(event, clock))) for event in events]
    total = sum(time for _, time in times)
    ranked = sorted(times, key=lambda pair: pair[1], reverse=True)
    return total / 3 / 1e6, [(name, time / total) for name, time in ranked[:rows]]


def loops_of(bench: Bench) -> dict[str, Callable[[], Loop]]:
    """The ways that are not ours."""
    # as each script has it
    workers = 2 if bench.script == "examples" else 0
    loops: dict[str, Callable[[], Loop]] = {
        "script": lambda: bench.script_loop(workers),
        "script_memory": bench.script_loop,
        "best": lambda: bench.best_loop(bf16=False),
        "best_bf16": lambda: bench.best_loop(bf16=True),
    }
    if bench.device == "cuda":
        loops["best_graph"] = lambda: bench.graph(bf16=False)
        loops["best_graph_bf16"] = lambda: bench.graph(bf16=True)
        loops["best_graph_compiled_bf16"] = lambda: bench.graph(bf16=True, compiles=True)
    return loops


def measure_input(bench: Bench, batches: int) -> dict[str, float]:
    """Images per second of each way of loading them, by wall time."""
    size, side = bench.case.batch_size, bench.case.shape[-1]
    found: dict[str, float] = {}
    for name, workers in (("script, no workers", 0), ("script, 8 workers", 8)):
        loader = load_pictures(bench.stored, side, size, workers, bench.device)
        found[name] = _rate(loader, batches, size, bench.device)
    found["ours, on the device"] = _rate(
        (x for x, _ in bench.batches(size)), batches, size, bench.device
    )
    return found


def _rate(batches: Any, n: int, size: int, device: str) -> float:
    for _ in islice(batches, 3):
        pass
    if device == "cuda":
        torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in islice(batches, n):
        pass
    if device == "cuda":
        torch.cuda.synchronize()
    return n * size / (time.perf_counter() - begun)


def measure_speed(
    device: str, rounds: int, steps: int, size: int, tasks: list[str], output: Path | None
) -> None:
    """Measure, print the tables, and write JSON where asked, after every way."""
    warnings.filterwarnings("ignore", ".*does not have many workers")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()):
        speed = peak(device)
    results: dict[str, Any] = {
        "conditions": conditions(device) | {"threads": torch.get_num_threads()},
        "peak_flops_per_s": speed,
        "tasks": {},
    }
    for task in tasks:
        bench = Bench(*make_cases(device == "cpu")[task], device, size)
        found: dict[str, Any] = {"seconds_per_iteration": {}, "errors": {}}
        results["tasks"][task] = found
        with Operations() as operations:  # type: ignore[no-untyped-call]
            next(bench.best_loop(bf16=False))
        found["flops_per_iteration"] = operations.count
        print(f"{task}: {operations.count / 1e9:.4g} GFLOP an iteration, "
              f"peak {speed / 1e12:.4g} TFLOP/s")  # fmt: skip
        print(f"{'':<26}{'images/s':>10}{'x script':>10}{'of peak':>10}{'ms (least-largest)':>28}")
        loops = loops_of(bench)
        ours = [way for way in OURS if device == "cuda" or "graph" not in way]
        for name in (*loops, *ours):
            try:
                with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
                    if name in loops:
                        windows = steps if "script" not in name else max(1, steps // 2)
                        seconds = measure(loops[name](), device, rounds, windows)
                    else:
                        seconds = measure_ours(bench, name, rounds, steps)
            except Exception as error:
                first, *_ = str(error).splitlines() or [""]
                found["errors"][name] = f"{type(error).__name__}: {first}"
                print(f"{name:<26}{found['errors'][name][:300]}", flush=True)
                continue
            found["seconds_per_iteration"][name] = seconds
            _print_row(name, found, bench, speed)
            _write(results, output)
        found["input_images_per_s"] = measure_input(bench, 100 if device == "cuda" else 2)
        for name, rate in found["input_images_per_s"].items():
            print(f"loading: {name} {rate:,.0f} images/s")
        computing, found["kernels"] = kernels(bench.best_loop(bf16=True), device)
        eager = found["seconds_per_iteration"].get("best_bf16")
        if eager:
            found["busy"] = computing / statistics.median(eager)
            print(f"busy: {found['busy']:.0%}")
        for kernel, share in found["kernels"]:
            print(f"{share:>7.1%}  {kernel[:90]}")
        _write(results, output)


def _print_row(name: str, found: dict[str, Any], bench: Bench, speed: float) -> None:
    times = found["seconds_per_iteration"]
    seconds = times[name]
    middle = statistics.median(seconds)
    script = statistics.median(times["script"]) / middle if "script" in times else float("nan")
    extent = f"{middle * 1e3:.2f} ({min(seconds) * 1e3:.2f}-{max(seconds) * 1e3:.2f})"
    print(
        f"{name:<26}{bench.images_per_iteration / middle:>10,.0f}{script:>10.2f}"
        f"{found['flops_per_iteration'] / middle / speed:>10.1%}{extent:>28}",
        flush=True,
    )


def _write(results: dict[str, Any], output: Path | None) -> None:
    if output:
        output.write_text(json.dumps(results, indent=2) + "\n")
