"""Runs side by side: the table and the picture."""

from collections.abc import Mapping, Sequence
from math import ceil
from statistics import mean, stdev
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from PIL import Image
from rich.table import Table

from gan_modules.command_line.run_records import Curve, RunRecord

__all__ = ["Entry", "comparison_picture", "comparison_table"]

PANELS = 3
"""Panels in a row of the picture."""


class Entry(NamedTuple):
    """What is compared: a run, or those of one recipe with several seeds."""

    name: str
    runs: list[RunRecord]

    def curves(self, metric: str) -> list[Curve]:
        """Of the runs that have this metric."""
        return [run.curves[metric] for run in self.runs if metric in run.curves]


def comparison_table(entries: Sequence[Entry], metrics: Mapping[str, bool]) -> Table:
    """Last and best value of each metric, the best last value first.

    Over several seeds: mean and standard deviation, and means of all that is counted.

    Args:
        entries: to be compared.
        metrics: by name: whether higher is better.
    """
    spent = any("spent/seconds" in run.curves for entry in entries for run in entry.runs)
    table = Table()
    for column in ("metric", "recipe" if spent else "run", "model"):
        table.add_column(column, overflow="fold")
    for column in (*(["seeds"] if spent else []), "last", "best", "after", "of"):
        table.add_column(column, justify="right")
    for column in ("images", "seconds") if spent else ():
        table.add_column(column, justify="right")
    for name, higher in metrics.items():
        found = [(entry, curves) for entry in entries if (curves := entry.curves(name))]
        found.sort(key=lambda pair: _rank([c.values[-1] for c in pair[1]], higher))
        for number, (entry, curves) in enumerate(found):
            best = [curve.best(higher) for curve in curves]
            row = ["" if number else name.removeprefix("val/"), entry.name, entry.runs[0].model]
            row += [str(len(curves))] if spent else []
            row += [_spread([curve.values[-1] for curve in curves]), _spread([v for _, v in best])]
            row += [f"{mean(step for step, _ in best):,.0f}"]
            row += [f"{mean(run.updates for run in entry.runs):,.0f}"]
            for what, digits in (("images", 0), ("seconds", 1)) if spent else ():
                totals = [curve.values[-1] for curve in entry.curves(f"spent/{what}")]
                row += [f"{mean(totals):,.{digits}f}" if totals else ""]
            table.add_row(*row)
        table.add_section()
    return table


def _rank(values: Sequence[float], higher: bool) -> tuple[bool, float]:
    """The best first, and last of all what is no number."""
    value = mean(values)
    return value != value, -value if higher else value


def _spread(values: Sequence[float]) -> str:
    shown = f"{mean(values):.4g}"
    return f"{shown} ± {stdev(values):.3g}" if len(values) > 1 else shown


def comparison_picture(
    entries: Sequence[Entry], metrics: Mapping[str, bool], unit: str = "updates"
) -> Figure:
    """A panel per metric with a curve per run, and below them the last samples of each entry.

    Args:
        entries: to be compared.
        metrics: by name: whether higher is better.
        unit: of the curves' other axis, where all runs have it: updates, seconds or images.
    """
    first = [(run, i) for i, e in enumerate(entries) for run in e.runs[:1] if run.samples]
    shown = [(run, f"C{i}", entries[i].name) for run, i in first]
    runs = [run for entry in entries for run in entry.runs]
    known = unit != "updates" and all(f"spent/{unit}" in run.curves for run in runs)
    curve_rows, sample_rows = ceil(len(metrics) / PANELS), ceil(len(shown) / PANELS)
    heights = [3.0 * curve_rows, 4.0 * sample_rows]
    figure = Figure(figsize=(4 * PANELS, sum(heights)), layout="constrained")
    parts: Any = figure.subfigures(2 if shown else 1, 1, height_ratios=heights[: 1 + bool(shown)])
    above, *below = parts.flat if shown else [parts]
    axes = [*above.subplots(curve_rows, PANELS, squeeze=False).flat]
    for axis, (name, higher) in zip(axes, metrics.items(), strict=False):
        for number, entry in enumerate(entries):
            # one name for all seeds
            label: str | None = entry.name
            for run in entry.runs:
                if name in run.curves:
                    steps, values = run.curves[name]
                    places = run.spent_at(steps, unit) if known else steps
                    # a line needs two points
                    marker = "o" if len(steps) == 1 else None
                    axis.plot(places, values, f"C{number}", label=label, marker=marker)
                    label = None
        better = "higher" if higher else "lower"
        title = f"{name.removeprefix('val/')} ({better} is better)"
        axis.set_title(name if name.endswith("/loss") else title, fontsize="medium")
        axis.set_xlabel(f"{unit} of training" if known else "generator updates")
        if known:
            axis.set_xlim(left=0)
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    for axis in axes[len(metrics) :]:
        axis.axis("off")
    if below:
        places_below = below[0].subplots(sample_rows, PANELS, squeeze=False).flat
        for axis, (run, colour, label) in zip(places_below, shown, strict=False):
            assert run.samples is not None
            with Image.open(run.samples) as image:
                axis.imshow(image.convert("RGB"))
            step = int(run.samples.stem.removeprefix("step_"))
            axis.set_title(f"{label} after {step:,}", color=colour, fontsize="medium")
        for axis in below[0].axes:
            axis.axis("off")
    return figure
