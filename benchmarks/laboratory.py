"""All experiments of the laboratory over several seeds, for the site.

    python benchmarks/laboratory.py                  # every experiment, seeds 0 to 4
    python benchmarks/laboratory.py transport --seeds 0 1

What is in the JSON file of other experiments and seeds stays as it is.
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from gan_modules.command_line.lab import write_findings
from gan_modules.lab import EXPERIMENTS, Lab

DOCS = Path(__file__).parents[1] / "docs"


def experiment(job: tuple[str, int, Path]) -> dict[str, Any]:
    name, seed, pictures = job
    torch.set_num_threads(1)
    begin = time.process_time()
    findings = EXPERIMENTS[name](Lab(seed))
    seconds = time.process_time() - begin
    if seed == 0:
        path = pictures / f"lab_{name}.png"
        write_findings(findings, path, {})
        path.with_suffix(".json").unlink()
    checks = [check.plain() for check in findings.checks]
    for check in checks:
        print(name, seed, check["what"], f"{check['seen']:.4g}", check["theory"], check["holds"])
    print(name, seed, f"{seconds:.0f} CPU s", flush=True)
    return {"name": name, "seed": seed, "cpu_seconds": round(seconds), "checks": checks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[*EXPERIMENTS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="experiments at a time")
    parser.add_argument("--output", type=Path, default=DOCS / "lab_results.json")
    parser.add_argument("--pictures", type=Path, default=DOCS / "pictures")
    options = parser.parse_args()
    jobs = [(name, seed, options.pictures) for seed in options.seeds for name in options.names]
    known: dict[str, list[dict[str, Any]]] = {}
    if options.output.is_file():
        known = json.loads(options.output.read_text())["experiments"]
    with ProcessPoolExecutor(options.jobs) as pool:
        for result in pool.map(experiment, jobs):
            name = result.pop("name")
            others = [run for run in known.get(name, []) if run["seed"] != result["seed"]]
            known[name] = sorted([*others, result], key=lambda run: int(run["seed"]))
            options.output.write_text(json.dumps({"experiments": known}, indent=1) + "\n")


if __name__ == "__main__":
    main()
