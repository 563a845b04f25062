"""``compare``: finished runs side by side, as a table and one picture."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console
from rich.table import Table

from gan_modules.callbacks.paths import check_writable, unused
from gan_modules.command_line.parsing import GANArgumentParser
from gan_modules.command_line.run_records import RunRecord, metric_names, read_runs
from gan_modules.errors import require
from gan_modules.tools.files import whole_file

__all__ = ["COMPARE", "compare_parser", "comparison_picture", "comparison_table", "run_compare"]

COMPARE = "Compare finished runs: a table of their metrics, and one picture of curves and samples."
PANELS = 3
"""Panels in a row of the picture."""


def compare_parser() -> GANArgumentParser:
    """The parser of the command's options."""
    parser = GANArgumentParser(
        prog="cli.py compare", description=COMPARE, usage="%(prog)s RUN [RUN ...] [options]"
    )
    parser.add_argument("runs", type=str, nargs="+", help="Run folders, such as runs/cgan/0.")
    parser.add_argument(
        "--out",
        type=str,
        default="compare.png",
        help="The picture; where it exists, -v1 and so on is appended to the name.",
    )
    return parser


def run_compare(arguments: Sequence[str]) -> None:
    """Print the table, write the picture and say where it is.

    Args:
        arguments: the command line after ``compare``.

    Raises:
        ValueError: if a folder is no run's, or the picture cannot be written.
    """
    parser = compare_parser()
    parser.arguments = arguments
    chosen = parser.parse_args([*arguments])
    out = Path(chosen.out)
    require(out.suffix.lower() == ".png", "out", chosen.out, "a file that ends in .png")
    check_writable("out", out)
    runs = read_runs(chosen.runs)
    metrics = metric_names(runs)
    Console().print(comparison_table(runs, metrics))
    out = unused(out)
    with whole_file(out) as file:
        comparison_picture(runs, metrics).savefig(file, format="png", dpi=120)
    print(out)


def comparison_table(runs: Sequence[RunRecord], metrics: Mapping[str, bool]) -> Table:
    """Last and best value of each metric, the best run first.

    Args:
        runs: to be compared.
        metrics: by name: whether higher is better.
    """
    table = Table()
    for column in ("metric", "run", "model"):
        table.add_column(column, overflow="fold")
    for column in ("last", "best", "after", "of"):
        table.add_column(column, justify="right")
    for name, higher in metrics.items():
        found = [
            (run, run.curves[name], *run.curves[name].best(higher))
            for run in runs
            if name in run.curves
        ]
        found.sort(key=lambda entry: entry[3], reverse=higher)
        for number, (run, curve, step, best) in enumerate(found):
            last = f"{curve.values[-1]:.4g}"
            shown = "" if number else name.removeprefix("val/")
            updates = f"{run.updates:,}"
            table.add_row(shown, run.name, run.model, last, f"{best:.4g}", f"{step:,}", updates)
        table.add_section()
    return table


def comparison_picture(runs: Sequence[RunRecord], metrics: Mapping[str, bool]) -> Figure:
    """A panel per metric with a curve per run, and below them the last samples of each.

    Args:
        runs: to be compared.
        metrics: by name: whether higher is better.
    """
    shown = [(run, f"C{i}") for i, run in enumerate(runs) if run.samples is not None]
    curve_rows, sample_rows = ceil(len(metrics) / PANELS), ceil(len(shown) / PANELS)
    heights = [3.0 * curve_rows, 4.0 * sample_rows]
    figure = Figure(figsize=(4 * PANELS, sum(heights)), layout="constrained")
    parts: Any = figure.subfigures(2 if shown else 1, 1, height_ratios=heights[: 1 + bool(shown)])
    above, *below = parts.flat if shown else [parts]
    axes = [*above.subplots(curve_rows, PANELS, squeeze=False).flat]
    for axis, (name, higher) in zip(axes, metrics.items(), strict=False):
        for number, run in enumerate(runs):
            if name in run.curves:
                steps, values = run.curves[name]
                # a line needs two points
                marker = "o" if len(steps) == 1 else None
                axis.plot(steps, values, f"C{number}", label=run.name, marker=marker)
        better = "higher" if higher else "lower"
        title = f"{name.removeprefix('val/')} ({better} is better)"
        axis.set_title(name if name.endswith("/loss") else title, fontsize="medium")
        axis.set_xlabel("generator updates")
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    for axis in axes[len(metrics) :]:
        axis.axis("off")
    if below:
        places = below[0].subplots(sample_rows, PANELS, squeeze=False).flat
        for axis, (run, colour) in zip(places, shown, strict=False):
            assert run.samples is not None
            with Image.open(run.samples) as image:
                axis.imshow(image.convert("RGB"))
            step = int(run.samples.stem.removeprefix("step_"))
            axis.set_title(f"{run.name} after {step:,}", color=colour, fontsize="medium")
        for axis in below[0].axes:
            axis.axis("off")
    return figure
