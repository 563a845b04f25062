"""How much of an MLP's iteration is matrix products: milliseconds and operations, counted.

    OMP_NUM_THREADS=1 python benchmarks/products.py

The best hand-written loop of ``throughput.py`` runs with every tensor operator timed, and Python
between them is not. Printed are the wall milliseconds of an iteration, medians: all operators, the
fused optimizers and the matrix products, of which those in float32 also by themselves; then the
products' floating-point operations and speed.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Any

import throughput_best as best
import torch
from throughput_cases import CASES, random_images
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import mm_flop

from gan_modules.command_line.memory import keep_freed_memory
from gan_modules.networks import MLPDiscriminator, MLPGenerator

__all__ = ["main"]

COLUMNS = ("all", "optimizers", "products", "float32")
WARMUP = 10
"""Iterations."""
NAMES = [f"{name}{suffix}" for name in CASES if name.startswith("mlp_") for suffix in ("", "_bf16")]


class Timed(TorchDispatchMode):
    """Adds up what operators take, in milliseconds, and the operations of products."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ms: dict[str, float] = dict.fromkeys(COLUMNS, 0.0)
        self.operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        start = time.perf_counter()
        output = func(*args, **(kwargs or {}))
        ms = 1e3 * (time.perf_counter() - start)
        self.ms["all"] += ms
        if func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            self.ms["products"] += ms
            self.operations += mm_flop(*args[-2:])
            if output.dtype == torch.float32:
                self.ms["float32"] += ms
        elif "fused" in func.__name__:
            self.ms["optimizers"] += ms
        return output


def measure(name: str, steps: int) -> list[Timed]:
    """What one case's operators take in each of so many iterations."""
    case = CASES[name.removesuffix("_bf16")]
    num_classes = 10 if case.conditional else 0
    networks = (
        MLPGenerator(case.image_shape, case.latent_dim, num_classes),
        MLPDiscriminator(case.image_shape, num_classes),
    )
    loop = best.Loop(case, *networks, name.endswith("_bf16"))
    data = random_images(20_000, case.image_shape)
    iterations = best.LOOPS[case.objective](loop, best.batches_in_memory(*data, case.images, "cpu"))
    for _ in range(WARMUP):
        next(iterations)
    timed = [Timed() for _ in range(steps)]
    for each in timed:
        with each:
            next(iterations)
    return timed


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=NAMES, default=NAMES, metavar="CASE")
    parser.add_argument("--steps", type=int, default=50, help="iterations")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    print(f"{'ms':<18}" + "".join(f"{c:>11}" for c in (*COLUMNS, "GFlop", "GFlop/s")))
    for name in options.cases:
        timed = measure(name, options.steps)
        ms = [statistics.median(each.ms[column] for each in timed) for column in COLUMNS]
        operations = timed[0].operations / 1e9
        speed = 1e3 * operations / ms[COLUMNS.index("products")]
        figures = "".join(f"{each:>11.1f}" for each in ms)
        print(f"{name:<18}{figures}{operations:>11.2f}{speed:>11.0f}", flush=True)


if __name__ == "__main__":
    main()
