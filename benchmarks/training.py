"""Train a recipe as a user does, in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

__all__ = ["CPUSeconds", "train"]

ROOT = Path(__file__).parents[1]


class CPUSeconds(Callback):
    """Ends a training after so many CPU seconds of its process, whatever else runs beside it."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.begun = seconds, 0.0

    def on_train_start(self, *args: Any) -> None:
        """Start the clock."""
        self.begun = time.process_time()

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Look at the clock."""
        if time.process_time() - self.begun >= self.seconds:
            trainer.should_stop = True


def train(recipe: str, seed: int, runs: Path, options: Sequence[str] = ()) -> tuple[Path, float]:
    """Train a recipe on one thread; return its run folder and the process's CPU seconds.

    A recipe is the bare name of one in ``configs/``, or the absolute path of another.
    """
    parent = runs.resolve() / f"seed_{seed}"
    parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / "cli.py"), "fit", "--config", recipe]
    command += ["--seed_everything", str(seed), "--torch_threads", "1"]
    command += ["--trainer.logger", "false", "--trainer.enable_progress_bar", "false"]
    command += ["--trainer.default_root_dir", str(parent), *options]
    log = parent / f"{recipe.replace('/', '_')}.log"
    # callbacks of this folder can be named
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"error: {' '.join(command)} failed, see {log}")
    path_of = Path(recipe)
    folder = parent / (path_of.stem if path_of.is_absolute() else path_of.with_suffix(""))
    newest = max((p for p in folder.iterdir() if p.name.isdecimal()), key=lambda p: int(p.name))
    return newest, usage.ru_utime + usage.ru_stime
