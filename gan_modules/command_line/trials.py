"""Recipes that are trained to be compared, and go on where they were interrupted."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import gan_modules
from gan_modules.callbacks.budget import TrainingBudget
from gan_modules.callbacks.stop_signals import StopSignals
from gan_modules.checkpoints.reading import read_checkpoint
from gan_modules.command_line.resume import LastRun, find_last_run, run_name
from gan_modules.tools.files import whole_file

__all__ = ["ROOT", "Trial", "train", "try_out", "wanted"]

ROOT = Path("runs", "compare")
RECORD = "finished.json"
LOG = "fit.log"
NO_OTHER_END = (
    *("--trainer.max_steps", "-1", "--trainer.max_epochs", "-1", "--trainer.max_time", "null"),
    *("--trainer.min_steps", "null", "--trainer.min_epochs", "null"),
)


class Trial(NamedTuple):
    """One recipe with one seed."""

    recipe: str
    """Path of the config."""
    seed: int
    unit: str | None
    """What is budgeted: seconds, updates or images; None for the recipe's own end."""
    amount: float | None
    options: tuple[str, ...]
    """Of ``fit``, besides."""
    folder: Path
    """Of this trial; its runs are in it."""

    def finished(self) -> Path | None:
        """Folder of the run, if it came to its end."""
        with suppress(FileNotFoundError):
            return self.folder / str(json.loads((self.folder / RECORD).read_text())["run"])
        return None

    def begun(self) -> LastRun | None:
        """The newest run with a checkpoint to go on from, if any."""
        try:
            return find_last_run(self.folder, run_name(self.recipe))
        except ValueError:
            return None

    def words(self) -> list[str]:
        """The command line that begins it."""
        ends = [] if self.unit is None else [*NO_OTHER_END]
        kind = f"{TrainingBudget.__module__}.{TrainingBudget.__qualname__}"
        budget = [f"--trainer.callbacks+={kind}"]
        if self.unit is not None:
            budget += [f"--trainer.callbacks.{self.unit}={self.amount}"]
        seed = ["--seed_everything", str(self.seed)]
        bar = ["--trainer.enable_progress_bar", "false"]
        return ["fit", "--config", self.recipe, *seed, *bar, *ends, *budget, *self.options]


def wanted(
    recipe: str,
    seeds: int,
    budget: TrainingBudget,
    options: Sequence[str] = (),
    root: Path = ROOT,
) -> list[Trial]:
    """The trials of a recipe, seed by seed.

    They are in a folder named by the recipe, its budget, and a hash of the file's content and the
    options: what is trained otherwise does not meet it.

    Args:
        recipe: path of the config.
        seeds: how many, from 0.
        budget: of each.
        options: of ``fit``, besides.
        root: folder of all of them.
    """
    content = Path(recipe).read_bytes() + json.dumps([*options]).encode()
    name = run_name(recipe).replace("/", "_")
    end = "" if budget.unit is None else f"-{budget.amount:.12g}_{budget.unit}"
    folder = root / f"{name}{end}-{sha256(content).hexdigest()[:8]}"
    what = (budget.unit, budget.amount, tuple(options))
    return [Trial(recipe, seed, *what, folder / f"seed_{seed}") for seed in range(seeds)]


def try_out(trial: Trial) -> None:
    """Train for one iteration, which leaves nothing behind.

    Raises:
        ValueError: if that cannot be, with the line that says why.
    """
    with tempfile.TemporaryFile() as log:
        status = _run([*trial.words(), "--trainer.fast_dev_run", "true"], log)
        if status:
            raise ValueError(f"{trial.recipe} cannot be trained: {_reason(log)}")


def train(trial: Trial) -> str | None:
    """Train to the end, from the last checkpoint if there is one.

    Returns:
        What went wrong, if something did.

    Raises:
        SystemExit: on Ctrl-C or ``SIGTERM``, when the training has saved a checkpoint.
    """
    trial.folder.mkdir(parents=True, exist_ok=True)
    where = ["--trainer.default_root_dir", str(trial.folder)]
    begun = trial.begun()
    words = [*trial.words(), *where]
    if begun is not None:
        words = ["fit", "--config", trial.recipe, *where, "--ckpt_path", "last"]
        if _is_over(read_checkpoint(begun.checkpoint)):
            # all that is left is to measure
            words += ["--trainer.max_steps", "-1", "--trainer.max_epochs", "-1"]
    with (trial.folder / LOG).open("ab+") as log:
        if _run(words, log):
            return f"{_reason(log)} ({trial.folder / LOG})"
    parent = trial.folder / run_name(trial.recipe)
    newest = max((p for p in parent.iterdir() if p.name.isdecimal()), key=lambda p: int(p.name))
    facts: dict[str, Any] = {"run": newest.relative_to(trial.folder).as_posix()}
    facts |= trial._asdict() | {"folder": str(trial.folder)}
    with whole_file(trial.folder / RECORD) as file:
        file.write((json.dumps(facts, indent=2) + "\n").encode())
    return None


def _is_over(checkpoint: dict[str, Any]) -> bool:
    state = checkpoint.get("callbacks", {}).get(TrainingBudget.__qualname__, {})
    return bool(state.get("is_over"))


def _run(words: Sequence[str], log: BinaryIO) -> int:
    """Run the command line in a process of its own, which is told once to stop as this one is."""
    path = [str(Path(gan_modules.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    signals, told = StopSignals(), False
    signals.install()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "gan_modules", *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C in a terminal reaches all processes of a session
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                if signals.received and not told:
                    process.send_signal(signals.received)
                    told = True
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
        finally:
            # a second Ctrl-C
            process.kill()
            process.wait()
    finally:
        signals.remove()
    # what came to its end all the same is recorded first
    if signals.received and process.returncode:
        raise SystemExit(128 + signals.received)
    return process.returncode


def _reason(log: BinaryIO) -> str:
    """The line that a failed run ends in."""
    log.seek(0)
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    return next(reversed(errors or lines), "it ended without a word").removeprefix("error: ")
