"""Which GANs forget modes: the laboratory's experiment on all toys, over seeds.

    python benchmarks/collapse.py                    # 32 runs of seven trainings, 40 CPU minutes

Without batch normalisation in the generators with seeds 0 to 4, with it with seeds 0 to 2. What is
in the JSON file of other runs stays as it is; the site shows it.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import torch

from gan_modules.lab import Lab
from gan_modules.lab.mode_collapse import mode_collapse

TOYS = ("ring", "grid", "parallel_lines", "swiss_roll")
DOCS = Path(__file__).parents[1] / "docs"


def run(job: tuple[str, bool, int]) -> dict[str, Any]:
    """What each model reaches."""
    toy, batch_norm, seed = job
    torch.set_num_threads(1)
    findings = mode_collapse(Lab(seed), toy=toy, batch_norm=batch_norm)  # type: ignore[arg-type]
    return {"toy": toy, "batch_norm": batch_norm, "seed": seed, "models": findings.numbers}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    parser.add_argument("--output", type=Path, default=DOCS / "lab_modes.json")
    options = parser.parse_args()
    jobs = [*product(TOYS, [False], range(5)), *product(TOYS, [True], range(3))]
    found: dict[str, Any] = {}
    if options.output.is_file():
        found = json.loads(options.output.read_text())
    left = [job for job in jobs if " ".join(map(str, job)) not in found]
    with ProcessPoolExecutor(options.jobs) as pool:
        for job, result in zip(left, pool.map(run, left), strict=True):
            found[" ".join(map(str, job))] = result
            print(*job, result["models"], flush=True)
            options.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
