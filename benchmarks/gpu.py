"""How near WGAN-GP comes to what a GPU can do, and where its time goes.

    python benchmarks/gpu.py --output gpu.json

The paper's residual networks at 32 pixels, batches of 64, five critic updates to one of the
generator, trained in turn by

best            the best hand-written loop (``gpu_best.py``), float32, with all images on the
                device as uint8
ours            the command line, Lightning and all, float32, with ``on_device``
best_bf16       the best loop in bfloat16
ours_bf16       the command line in bfloat16
ours_compiled   the same with ``compile``
graph           the best loop in bfloat16, one iteration of it captured as a CUDA graph
graph_compiled  the same with compiled losses

Each is measured by device events in several windows of iterations, after a warm-up in which
everything is compiled. The share of the peak is the floating-point operations of one iteration of
the best loop, matrix products and convolutions, over the time of an iteration, over the speed of a
large matrix product in bfloat16. A table says which kernels the best loop's time goes to.

``--device cpu`` runs all but the graphs, very small: whether the script works, not how fast.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from gpu_loops import WARMUP, Bench, Loop, advance
from lightning.pytorch import Callback
from recipes import fit
from stopwatch import Stopwatch
from throughput import conditions
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

__all__ = ["main"]


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


def measure_ours(bench: Bench, precision: str, compiles: bool, rounds: int, steps: int) -> Any:
    """Seconds per iteration of the command line in each window."""
    windows = Windows(bench.device, steps)
    accelerator = "gpu" if bench.device == "cuda" else "cpu"
    more = [
        "--trainer.accelerator", accelerator, "--model.compile", str(compiles).lower(),
        "--data.on_device", "true", "--trainer.enable_model_summary", "false",
    ]  # fmt: skip
    fit(bench.case, windows, precision, WARMUP + rounds * steps, bench.size, *more)
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


def kernels(loop: Loop, device: str, rows: int = 15) -> list[tuple[str, float]]:
    """The kernels (on a CPU: operators) that the most time goes to, and their shares of it."""
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
    return [(name, time / total) for name, time in ranked[:rows]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print both tables, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50, help="iterations in a window")
    parser.add_argument("--size", type=int, default=50_000, help="images of data")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    device, size = options.device, (options.rounds, options.steps)
    bench = Bench(device, options.size)
    with Operations() as operations:  # type: ignore[no-untyped-call]
        next(bench.best_loop(bf16=False))
    work, speed = operations.count, peak(device)
    ours = {"ours": ("32-true", False), "ours_bf16": ("bf16-mixed", False)}
    ours["ours_compiled"] = ("bf16-mixed", True)
    loops: dict[str, Callable[[], Loop]] = {
        "best": lambda: bench.best_loop(bf16=False),
        "best_bf16": lambda: bench.best_loop(bf16=True),
    }
    if device == "cuda":
        loops["graph"] = lambda: bench.graph(compiles=False)
        loops["graph_compiled"] = lambda: bench.graph(compiles=True)
    results: dict[str, Any] = {
        "conditions": conditions(device),
        "flops_per_iteration": work,
        "peak_flops_per_s": speed,
        "seconds_per_iteration": {},
    }
    print(f"{work / 1e9:.4g} GFLOP an iteration, peak {speed / 1e12:.4g} TFLOP/s")
    print(f"{'':<16}{'images/s':>10}{'x best':>10}{'of peak':>10}{'ms (least-largest)':>26}")
    for name in (*loops, *ours):
        if name in loops:
            seconds = measure(loops[name](), device, *size)
        else:
            seconds = measure_ours(bench, *ours[name], *size)
        results["seconds_per_iteration"][name] = seconds
        middle = statistics.median(seconds)
        times_best = statistics.median(results["seconds_per_iteration"]["best"]) / middle
        extent = f"{middle * 1e3:.2f} ({min(seconds) * 1e3:.2f}-{max(seconds) * 1e3:.2f})"
        print(
            f"{name:<16}{bench.case.images / middle:>10,.0f}{times_best:>10.2f}"
            f"{work / middle / speed:>10.1%}{extent:>26}"
        )
    results["kernels_of_best_bf16"] = kernels(bench.best_loop(bf16=True), device)
    for kernel, share in results["kernels_of_best_bf16"]:
        print(f"{share:>7.1%}  {kernel[:90]}")
    if options.output:
        options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
