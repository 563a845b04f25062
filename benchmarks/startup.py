"""Seconds until the command line answers and until a training has made its first step.

    OMP_NUM_THREADS=1 python benchmarks/startup.py --output startup.json

Four commands take turns, each in a process of its own:

import  ``import lightning.pytorch``, to which the others are compared
help    ``python cli.py --help``
step    ``python cli.py fit --config wgan_gp.yaml``, which ends after its first training step
wandb   the same with the logger of the recipe, Weights & Biases, offline (its own process's CPU
        time is not counted, the time to wait for it is)

A first round, which is not counted, reads the files from the disk. CPU time is user and system time
of the process; ratios are medians over rounds of two processes of one round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from throughput import conditions

__all__ = ["COMMANDS", "main", "seconds"]

REPOSITORY = Path(__file__).parents[1]
FIRST_STEP = """
import os, sys, warnings
from lightning.pytorch import Callback
import cli

class Leave(Callback):
    def on_train_batch_end(self, *args):
        os._exit(0)

warnings.filterwarnings("ignore", "LightningCLI's args parameter")
cli.run(sys.argv[1:], trainer_defaults={"callbacks": [Leave()]})
sys.exit("there was no training step")
"""
FIT = [
    "-c", FIRST_STEP, "fit", "--config", "wgan_gp.yaml",
    "--trainer.accelerator", "cpu", "--trainer.default_root_dir", "{folder}",
]  # fmt: skip
COMMANDS = {
    "import": ["-c", "import lightning.pytorch"],
    "help": [str(REPOSITORY / "cli.py"), "--help"],
    "step": [*FIT, "--trainer.logger", "false"],
    "wandb": FIT,
}
GOALS = {"help": 1.3, "step": 2.0, "wandb": 2.0}
"""Times as long as the import, at most."""


def seconds(arguments: Sequence[str]) -> dict[str, float]:
    """CPU and wall time of ``python *arguments``; ``{folder}`` is one that is removed afterwards.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "WANDB_MODE": "offline"}
    # W&B's process may still be writing
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [sys.executable, *(word.replace("{folder}", folder) for word in arguments)]
        with Path(folder, "output.txt").open("w+") as output:
            start = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=output, stderr=output
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                raise subprocess.CalledProcessError(process.returncode, command, output.read())
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": wall}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    for command in COMMANDS.values():
        seconds(command)
    rounds = [
        {name: seconds(command) for name, command in COMMANDS.items()}
        for _ in range(options.rounds)
    ]
    print(f"{'':<8}{'CPU s (least)':>16}{'wall s (least)':>16}  times import: CPU, wall, goal")
    results = {}
    for name in COMMANDS:
        found = {}
        line = f"{name:<8}"
        for clock in ("cpu", "wall"):
            all_rounds = [times[name][clock] for times in rounds]
            found[f"{clock}_s"] = statistics.median(all_rounds)
            found[f"{clock}_s_least"] = min(all_rounds)
            ratios = [times[name][clock] / times["import"][clock] for times in rounds]
            found[f"{clock}_over_import"] = statistics.median(ratios)
            line += f"{found[f'{clock}_s']:>9.2f} ({min(all_rounds):.2f})"
        print(
            f"{line}  {found['cpu_over_import']:.2f} {found['wall_over_import']:.2f} "
            f"{GOALS.get(name, '')}"
        )
        results[name] = found
    if options.output:
        report = {"conditions": conditions("cpu"), "goals": GOALS, "commands": results}
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
