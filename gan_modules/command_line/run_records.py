"""What a finished run left in its folder."""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from gan_modules.metrics.scores import HIGHER_IS_BETTER

__all__ = ["Curve", "RunRecord", "metric_names", "read_run", "read_runs", "rows_until"]


class Curve(NamedTuple):
    """A value over generator updates."""

    steps: list[int]
    values: list[float]

    def best(self, higher_is_better: bool) -> tuple[int, float]:
        """Where it is best, and how good."""
        choose = max if higher_is_better else min
        finite = [(v, s) for s, v in zip(self.steps, self.values, strict=True) if v == v]
        value, step = choose(finite, key=lambda found: found[0], default=(float("nan"), 0))
        return step, value


class RunRecord(NamedTuple):
    """A run as it is compared with others."""

    name: str
    """Such as ``cgan/0``."""
    model: str
    """Its class; empty where the run has no ``config.yaml``."""
    curves: dict[str, Curve]
    """All that was logged, by name."""
    samples: Path | None
    """The last picture of samples, if there is one."""

    @property
    def updates(self) -> int:
        """The last generator update that something was logged of."""
        return max((curve.steps[-1] for curve in self.curves.values()), default=0)

    def spent_at(self, steps: Sequence[int], unit: str) -> list[float]:
        """Seconds or images that a ``TrainingBudget`` counted up to some generator updates."""
        known = dict(zip(*self.curves[f"spent/{unit}"], strict=True))
        return [known.get(step, float("nan")) for step in steps]

    def spent_in_words(self) -> list[str]:
        """All that a ``TrainingBudget`` counted."""
        formats = {"images": "{:,.0f} images", "seconds": "{:,.1f} seconds"}
        return [
            words.format(self.curves[f"spent/{unit}"].values[-1])
            for unit, words in formats.items()
            if f"spent/{unit}" in self.curves
        ]


def read_runs(folders: Sequence[str]) -> list[RunRecord]:
    """Read several runs; those of one name go by their paths.

    Raises:
        ValueError: if one is no run folder.
    """
    runs = [read_run(folder) for folder in folders]
    names = [run.name for run in runs]
    return [
        run if names.count(run.name) == 1 else run._replace(name=folder)
        for run, folder in zip(runs, folders, strict=True)
    ]


def read_run(folder: str) -> RunRecord:
    """Read one run.

    Args:
        folder: such as ``runs/cgan/0``.

    Raises:
        ValueError: if it is no run folder, or nothing was logged.
    """
    path = Path(folder)
    file = path / "metrics.csv"
    if not file.is_file():
        raise ValueError(f"{folder} must be a run folder with a metrics.csv, as in runs/cgan/0")
    curves: dict[str, Curve] = {}
    for row in rows_until(file):
        for name, value in row.items():
            if name not in ("step", "epoch"):
                curve = curves.setdefault(name, Curve([], []))
                curve.steps.append(int(row["step"]))
                curve.values.append(float(value))
    if not curves:
        raise ValueError(f"{file} holds nothing: the run ended before anything was logged")
    config = path / "config.yaml"
    content = yaml.safe_load(config.read_text()) if config.is_file() else {}
    model = content.get("model") or {}
    pictures = {
        int(found[1]): picture
        for picture in path.glob("samples*/step_*.png")
        if (found := re.fullmatch(r"step_(\d+)", picture.stem))
    }
    whole = path.resolve()
    return RunRecord(
        name=f"{whole.parent.name}/{whole.name}",
        model=str(model.get("class_path", "")).rpartition(".")[2],
        curves=curves,
        samples=pictures[max(pictures)] if pictures else None,
    )


def rows_until(file: Path, step: int | None = None) -> list[dict[str, str]]:
    """Rows of a ``metrics.csv`` up to a generator update, without empty cells.

    A last row that was cut off is left out.
    """
    with file.open(newline="") as lines:
        rows = [{k: v for k, v in row.items() if k and v} for row in csv.DictReader(lines)]
    numbered = [row for row in rows if row.get("step", "").isdecimal()]
    return [row for row in numbered if step is None or int(row["step"]) <= step]


def metric_names(runs: Iterable[RunRecord]) -> dict[str, bool]:
    """Metrics of generated images that were measured in validation: whether higher is better.

    Where there are none, the sums of the players' losses in training, which say less: those of two
    objectives cannot be compared.
    """
    logged = [name for run in runs for name in run.curves]
    players = {name.partition("/")[0] for name in logged if not name.startswith("val/")}
    measured = [
        name
        for name in dict.fromkeys(logged)
        if name.startswith("val/") and name.split("/")[1] not in players
    ]
    losses = [name for name in dict.fromkeys(logged) if re.fullmatch(r"(?!val/)[^/]+/loss", name)]
    return {
        name: name.removeprefix("val/").split("_")[0] in HIGHER_IS_BETTER
        for name in sorted(measured or losses)
    }
