"""``compare``: runs and recipes side by side, as a table and one picture."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from jsonargparse.typing import PositiveInt
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gan_modules.callbacks.budget import TrainingBudget
from gan_modules.callbacks.paths import check_writable, unused
from gan_modules.command_line.comparison import Entry, comparison_picture, comparison_table
from gan_modules.command_line.config_files import ConfigFile
from gan_modules.command_line.parsing import GANArgumentParser
from gan_modules.command_line.resume import run_name
from gan_modules.command_line.run_records import metric_names, read_run, read_runs
from gan_modules.command_line.trials import ROOT, Trial, train, try_out, wanted
from gan_modules.errors import require
from gan_modules.tools.files import whole_file

__all__ = ["COMPARE", "compare_parser", "run_compare"]

COMPARE = "Compare runs, and recipes that are trained for it: a table, and one picture."
SEEDS = 3


def compare_parser() -> GANArgumentParser:
    """The parser of the command's options."""
    parser = GANArgumentParser(
        prog="cli.py compare",
        description=f"{COMPARE} Recipes are trained under {ROOT}; where that was interrupted, the "
        "same command goes on. What follows -- are options of fit, for each of them.",
        usage="%(prog)s RUN_OR_RECIPE [...] [options] [-- options of fit]",
    )
    parser.add_argument(
        "runs",
        type=str,
        nargs="+",
        help="Run folders, such as runs/cgan/0, and recipes, such as cgan.yaml.",
    )
    parser.add_argument(
        "--seeds",
        type=PositiveInt | None,
        default=None,
        help=f"Each recipe is trained with so many seeds, 0, 1, ...; by default {SEEDS}.",
    )
    parser.add_class_arguments(TrainingBudget, "budget")
    parser.add_argument(
        "--out",
        type=str,
        default="compare.png",
        help="The picture; where it exists, -v1 and so on is appended to the name.",
    )
    return parser


def run_compare(arguments: Sequence[str]) -> None:
    """Train what is to be trained, print the table, write the picture and say where it is.

    Args:
        arguments: the command line after ``compare``.

    Raises:
        ValueError: if a folder is no run's, a recipe cannot be trained, or the picture cannot be
            written.
        SystemExit: with status 1 if a training failed, after the others were compared.
    """
    parser = compare_parser()
    parser.arguments = arguments
    cut = [*arguments, "--"].index("--")
    chosen = parser.parse_args([*arguments[:cut]])
    out = Path(chosen.out)
    require(out.suffix.lower() == ".png", "out", chosen.out, "a file that ends in .png")
    check_writable("out", out)
    trials = _trials(parser, chosen, arguments[cut + 1 :])
    folders = [name for name in chosen.runs if name not in trials]
    # what is wrong with them is said before hours of training
    records = dict(zip(folders, read_runs(folders), strict=True))
    failed = _train([trial for its in trials.values() for trial in its])
    entries = []
    for name in chosen.runs:
        if name in records:
            entries.append(Entry(records[name].name, [records[name]]))
        elif runs := [read_run(str(run)) for t in trials[name] if (run := t.finished())]:
            entries.append(Entry(_label(name, trials), runs))
    if entries:
        _show(entries, chosen.budget, out)
    if failed:
        print(*(f"error: {line}" for line in failed), sep="\n", file=sys.stderr)
        raise SystemExit(1)


def _show(entries: Sequence[Entry], budget: Any, out: Path) -> None:
    metrics = metric_names([run for entry in entries for run in entry.runs])
    Console().print(comparison_table(entries, metrics))
    unit = next((unit for unit, amount in budget.items() if amount is not None), "updates")
    out = unused(out)
    with whole_file(out) as file:
        comparison_picture(entries, metrics, unit).savefig(file, format="png", dpi=120)
    print(out)


def _trials(
    parser: GANArgumentParser, chosen: Any, options: Sequence[str]
) -> dict[str, list[Trial]]:
    """The trials of each recipe, as it was named."""
    recipes = [name for name in chosen.runs if Path(name).suffix in (".yaml", ".yml")]
    for name in recipes:
        require(recipes.count(name) == 1, "runs", name, "given once")
    for word in options:
        known = word.partition("=")[0] not in ("--config", "-c", "--ckpt_path")
        require(known, "options of fit", word, "left out: it is for compare to give")
    try:
        budget = TrainingBudget(**chosen.budget)
    except ValueError as error:
        raise ValueError(f"budget.{error}") from error
    typed = {"--seeds": chosen.seeds, "--budget": budget.unit, "--": [*options] or None}
    idle = [name for name, value in typed.items() if value is not None]
    if idle and not recipes:
        raise ValueError(f"{idle[0]} does nothing without a recipe, such as dcgan.yaml")
    paths = {name: ConfigFile.valid(parser, name) for name in recipes}
    seeds = chosen.seeds or SEEDS
    return {name: wanted(path, seeds, budget, options) for name, path in paths.items()}


def _label(recipe: str, others: Any) -> str:
    """Name of a recipe, which is as it was typed where two have one name."""
    names = [run_name(other) for other in others]
    return run_name(recipe) if names.count(run_name(recipe)) == 1 else recipe


def _train(trials: Sequence[Trial]) -> list[str]:
    """Train one after the other, with a line each, and say what went wrong."""
    console, failed = Console(), []
    missing = [trial for trial in trials if trial.finished() is None]
    fresh = {trial.recipe: trial for trial in missing if trial.begun() is None}
    for trial in fresh.values():
        with _working(console, f"{run_name(trial.recipe)}: trying one update"):
            try_out(trial)
    for number, trial in enumerate(trials, 1):
        name = f"{number}/{len(trials)} {run_name(trial.recipe)}, seed {trial.seed}"
        if trial in missing:
            try:
                with _working(console, f"{name}: training, {trial.folder}"):
                    wrong = train(trial)
            except (SystemExit, KeyboardInterrupt):
                left = sum(trial.finished() is None for trial in trials)
                print(
                    f"stopped: {len(trials) - left} of {len(trials)} trainings are finished; "
                    "the same command goes on",
                    file=sys.stderr,
                )
                raise
            if wrong is not None:
                failed.append(f"{run_name(trial.recipe)}, seed {trial.seed}: {wrong}")
                console.print(f"{name}: failed", highlight=False, soft_wrap=True)
                continue
        run = read_run(str(trial.finished()))
        how = "trained" if trial in missing else "was trained before"
        facts = ", ".join([f"{run.updates:,} updates", *run.spent_in_words()])
        line = f"{name}: {how}, {facts}, {trial.finished()}"
        console.print(line, highlight=False, soft_wrap=True)
    return failed


def _working(console: Console, what: str) -> AbstractContextManager[Any]:
    """A line that shows for how long something has been going on; it says so once elsewhere."""
    if not console.is_terminal:
        console.print(what, highlight=False, soft_wrap=True)
        return nullcontext()
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    progress = Progress(*columns, console=console, transient=True)
    progress.add_task(what, total=None)
    return progress
