"""What a GPU shows of this package, in three runs of at most ten minutes.

    python benchmarks/gpu.py --part 1 --output variants.json    every variant, every way
    python benchmarks/gpu.py --part 2 --output speed.json       against public scripts
    python benchmarks/gpu.py --part 3 --data DIR --output DIR   CIFAR-10

``--device cpu`` runs each very small: whether the script works, not how fast. The parts are
``gpu_variants.py``, ``gpu_speed.py`` and ``gpu_cifar.py``.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from gpu_cifar import SMALL, train_cifar
from gpu_loops import make_cases
from gpu_speed import measure_speed
from gpu_variants import WAYS, all_recipes, check_variants
from throughput import conditions

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", type=int, choices=[1, 2, 3], required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--output", type=Path, help="a JSON file; of part 3 a folder")
    parser.add_argument("--recipes", nargs="+", choices=all_recipes(), default=all_recipes())
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--updates", type=int, default=50, help="of each training of part 1")
    parser.add_argument("--processes", type=int, default=12, help="side by side in part 1")
    parser.add_argument("--tasks", nargs="+", choices=list(make_cases(True)))
    parser.add_argument("--rounds", type=int, default=5, help="windows of each way of part 2")
    parser.add_argument("--steps", type=int, default=30, help="iterations in a window")
    parser.add_argument("--size", type=int, default=50_000, help="images of data of part 2")
    parser.add_argument("--data", type=Path, help="folder of part 3")
    parser.add_argument("--seconds", type=float, default=480, help="of each training of part 3")
    parser.add_argument("--cifar", nargs="+", choices=list(SMALL), default=["sngan"])
    options = parser.parse_args(arguments)
    if options.part == 1:
        _part_1(options)
    elif options.part == 2:
        tasks = options.tasks or list(make_cases(True))
        sizes = options.rounds, options.steps, options.size
        measure_speed(options.device, *sizes, tasks, options.output)
    elif options.data is None or options.output is None:
        parser.error("--part 3 needs --data, a folder of images, and --output, a folder")
    else:
        for recipe in options.cifar:
            folder = options.output / recipe
            train_cifar(options.device, options.data, options.seconds, folder, recipe)


def _part_1(options: argparse.Namespace) -> None:
    ways = [way for way in options.ways if options.device == "cuda" or "graphs" not in way]
    found = []
    for row in check_variants(
        options.device, options.updates, options.recipes, ways, options.processes
    ):
        found.append(row)
        said = ", ".join(
            f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}"
            for k, v in row.items()
            if k not in ("recipe", "way")
        )
        print(f"{row['recipe']:<20} {row['way']:<12} {said}"[:400], flush=True)
        if options.output:
            results = {"conditions": conditions(options.device), "rows": found}
            options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
