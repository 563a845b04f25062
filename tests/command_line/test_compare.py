"""Curves of resumed runs, and runs beside one another."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from matplotlib.image import imread
from torch.testing import assert_close

import cli
from gan_modules.callbacks import LossPlot
from gan_modules.command_line.comparison import Entry, comparison_picture, comparison_table
from gan_modules.command_line.run_records import Curve, RunRecord, metric_names, rows_until


@pytest.fixture
def config(small_text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A config that measures at updates 2, 4, ... and saves then."""
    text = yaml.safe_load(small_text)
    text["trainer"] |= {"max_steps": 4, "val_check_interval": 2, "log_every_n_steps": 1}
    text["checkpoint"] = {"every_n_train_steps": 2}
    module = {"class_path": "torch.nn.Flatten"}
    features = {"class_path": "ModuleFeatures", "init_args": {"module": module}}
    text["metrics"] = {"names": ["fid", "precision"], "n": 20, "features": features}
    Path("small.yaml").write_text(yaml.safe_dump(text))
    monkeypatch.setattr("sys.argv", ["cli.py"])
    return "small.yaml"


def rows(run: str) -> list[dict[str, str]]:
    with Path(run, "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if v} for row in csv.DictReader(file)]


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:.*is not the best checkpoint of this training any more")
def test_a_resumed_run_has_the_whole_curve(config: str) -> None:
    cli.main(["fit", "--config", config])
    # from the middle: what came after it is another story
    middle = "runs/small/0/checkpoints/step_000002.ckpt"
    done: Any = cli.main(
        ["fit", "--config", config, "--ckpt_path", middle, "--trainer.max_steps", "6"]
    )
    first, second = rows("runs/small/0"), rows("runs/small/1")
    assert [row["step"] for row in first] == ["1", "2", "2", "3", "4", "4"]
    assert [row["step"] for row in second] == ["1", "2", "2", "3", "4", "4", "5", "6", "6"]
    assert second[:3] == first[:3]
    # it is resumed exactly, so that the rest agrees with the run that was not stopped
    assert_close(float(second[3]["d/loss"]), float(first[3]["d/loss"]))
    plot = next(c for c in done.trainer.callbacks if isinstance(c, LossPlot))
    assert plot._curves["d/loss"][0] == [1, 2, 3, 4, 5, 6]
    assert plot._curves["val/fid_flatten_20"][0] == [2, 4, 6]
    expected = [float(row["d/loss"]) for row in second if "d/loss" in row]
    assert_close(plot._curves["d/loss"][1], expected)
    # and once more, from the resumed one
    cli.main(
        ["fit", "--config", config, "--trainer.max_steps", "7",
         "--ckpt_path", "runs/small/1/checkpoints/last.ckpt"]
    )  # fmt: skip
    third = rows("runs/small/2")
    assert third[:9] == second
    assert [row["step"] for row in third[9:]] == ["7"]


@pytest.mark.thorough
def test_a_checkpoint_without_its_run_begins_an_own_file(config: str) -> None:
    cli.main(["fit", "--config", config])
    Path("runs/small/0/checkpoints/step_000002.ckpt").rename("moved.ckpt")
    cli.main(["fit", "--config", config, "--ckpt_path", "moved.ckpt"])
    # the validation of update 2 was due when it was saved
    assert [row["step"] for row in rows("runs/small/1")] == ["2", "3", "4", "4"]


def test_a_row_that_was_cut_off_is_left_out() -> None:
    Path("metrics.csv").write_text("d/loss,epoch,step\r\n0.5,0,1\r\n,,2\r\n0.25,0,3\r\n0.1")
    found = rows_until(Path("metrics.csv"), 2)
    assert found == [{"d/loss": "0.5", "epoch": "0", "step": "1"}, {"step": "2"}]
    assert len(rows_until(Path("metrics.csv"))) == 3


def test_no_line_is_drawn_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []

    def note(figure: Any, *args: Any, **kwargs: Any) -> None:
        lines.extend(line.get_label() for axis in figure.axes for line in axis.lines)

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", note)

    class Trainer:
        is_global_zero, fast_dev_run = True, False
        lightning_module = None

    plot = LossPlot()
    plot._file = Path("losses.png")
    one = ([1, 2], [1.0, 2.0])
    plot._curves = {
        "d/adversarial": one, "d/loss": one, "val/d/adversarial": one, "val/d/loss": one,
        "g/adversarial": one, "g/cycle": one, "g/loss": one, "val/fid": ([1], [3.0]),
    }  # fmt: skip
    plot._draw(Trainer())  # type: ignore[arg-type]
    assert lines == [
        "adversarial", "adversarial (validation)", "adversarial", "cycle", "loss", "fid",
    ]  # fmt: skip


def record(name: str, **curves: list[float]) -> RunRecord:
    steps = {key: [*range(100, 100 * len(v) + 1, 100)] for key, v in curves.items()}
    named = {f"val/{key}": Curve(steps[key], v) for key, v in curves.items()}
    return RunRecord(name, "GAN", {**named, "g/loss": Curve([100], [0.5])}, None)


def test_table_by_hand() -> None:
    first = record("a/0", fid_x_2k=[9.0, 3.0, 5.0], precision_x_2k=[0.1, 0.3])
    second = record("b/0", fid_x_2k=[8.0, float("nan"), 4.0], precision_x_2k=[0.5, 0.2])
    metrics = metric_names([first, second])
    assert metrics == {"val/fid_x_2k": False, "val/precision_x_2k": True}
    entries = [Entry(run.name, [run]) for run in (first, second)]
    table = comparison_table(entries, metrics)
    cells = [*zip(*(column.cells for column in table.columns), strict=True)]
    assert cells == [
        ("fid_x_2k", "b/0", "GAN", "4", "4", "300", "300"),
        ("", "a/0", "GAN", "5", "3", "200", "300"),
        ("precision_x_2k", "a/0", "GAN", "0.3", "0.3", "200", "300"),
        ("", "b/0", "GAN", "0.2", "0.5", "100", "300"),
    ]
    figure = comparison_picture(entries, metrics)
    drawn = {axis.get_title(): axis for axis in figure.axes if axis.lines}
    assert [*drawn] == ["fid_x_2k (lower is better)", "precision_x_2k (higher is better)"]
    for run, line in zip((first, second), drawn["fid_x_2k (lower is better)"].lines, strict=True):
        assert line.get_label() == run.name
        xy = torch.tensor(line.get_xydata())
        expected = torch.tensor([*zip(*run.curves["val/fid_x_2k"], strict=True)])
        assert_close(xy, expected.double(), equal_nan=True)


def test_without_metrics_the_losses_are_compared() -> None:
    assert metric_names([record("a/0")]) == {"g/loss": False}


@pytest.mark.thorough
def test_from_the_command_line(config: str, capsys: Any) -> None:
    cli.main(["fit", "--config", config])
    cli.main(["fit", "--config", config, "--seed_everything", "1"])
    capsys.readouterr()
    runs = ["runs/small/0", "runs/small/1/"]
    assert cli.main(["compare", *runs]) is None
    out = capsys.readouterr().out
    for run in ("small/0", "small/1"):
        assert run in out
    best = min(float(row["val/fid_flatten_20"]) for run in runs for row in rows(run) if "val/fid_flatten_20" in row)  # fmt: skip  # noqa: E501
    assert f"{best:.4g}" in out
    assert out.splitlines()[-1] == "compare.png"
    assert imread("compare.png").std() > 0.05
    cli.main(["compare", *runs, "--out", "compare.png"])
    assert Path("compare-v1.png").is_file()
    # the last samples of both are in the picture: two pictures below two panels
    from gan_modules.command_line.run_records import read_runs

    records = read_runs(runs)
    assert [r.samples and r.samples.name for r in records] == ["step_000004.png"] * 2
    figure = comparison_picture([Entry(r.name, [r]) for r in records], metric_names(records))
    assert len([axis for axis in figure.axes if axis.images]) == 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("runs", "runs must be a run folder with a metrics.csv, as in runs/cgan/0"),
        ("empty", "empty/metrics.csv holds nothing: the run ended before anything was logged"),
        ("empty --out x.jpg", "out='x.jpg' must be a file that ends in .png"),
        ("", "runs"),
    ],
)
def test_wrong_words_end_in_one_line(words: str, line: str, capsys: Any) -> None:
    Path("empty").mkdir()
    Path("empty/metrics.csv").write_text("step\n")
    with pytest.raises(SystemExit) as caught:
        cli.main(["compare", *words.split()])
    assert caught.value.code in (1, 2)
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.match(f"error: .*{re.escape(line)}", error)
