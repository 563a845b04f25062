"""Recipes that are trained to be compared."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import yaml
from processes import ROOT

import cli
from gan_modules.callbacks import TrainingBudget
from gan_modules.command_line import trials
from gan_modules.command_line.comparison import Entry, comparison_picture, comparison_table
from gan_modules.command_line.run_records import Curve, RunRecord, read_run

pytestmark = pytest.mark.thorough


@pytest.fixture
def begun(small_text: str, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """``a.yaml`` and ``b.yaml``, trained in this process; all command lines of ``fit``."""
    content = yaml.safe_load(small_text)
    content["checkpoint"] = {"every_n_train_steps": 2}
    Path("a.yaml").write_text(yaml.safe_dump(content))
    content["model"]["init_args"]["n_critic"] = 1
    Path("b.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setattr("sys.argv", ["cli.py"])
    lines: list[list[str]] = []

    def run(words: Sequence[str], log: BinaryIO) -> int:
        lines.append([*words])
        if "--trainer.fast_dev_run" not in words:
            cli.main([*words])
        return 0

    monkeypatch.setattr(trials, "_run", run)
    return lines


def trained(lines: list[list[str]]) -> list[tuple[str, str, bool]]:
    """Recipe, seed and whether it went on, of what was not only tried."""
    return [
        (
            words[2],
            words[words.index("--seed_everything") + 1] if "--seed_everything" in words else "",
            "--ckpt_path" in words,
        )
        for words in lines
        if "--trainer.fast_dev_run" not in words
    ]


def test_seeds_under_one_budget(begun: list[list[str]], capsys: Any) -> None:
    words = ["compare", "a.yaml", "b.yaml", "--seeds", "1", "--budget.updates", "3"]
    cli.main(words)
    assert trained(begun) == [("a.yaml", "0", False), ("b.yaml", "0", False)]
    # each is tried before the first is trained
    assert ["--trainer.fast_dev_run" in words for words in begun] == [True, True, False, False]
    out = capsys.readouterr().out
    assert "2/2 b, seed 0: trained, 3 updates, 24 images" in out
    assert out.splitlines()[-1] == "compare.png"
    assert Path("compare.png").is_file()
    # 3 updates, where the recipe has 2 and no validation before the 10th: measured at the end
    record = read_run(str(*Path("runs/compare").glob("a-3_updates-*/seed_0/a/0")))
    assert record.curves["val/g/loss"].steps == [3]
    # 5 critic updates of 8 images each
    assert record.curves["spent/images"] == Curve([3], [120.0])
    # once more: nothing is trained; with another seed: that one is
    begun.clear()
    cli.main(words)
    assert begun == []
    assert "1/2 a, seed 0: was trained before, 3 updates" in capsys.readouterr().out
    cli.main(["compare", "a.yaml", "--seeds", "2", "--budget.updates", "3"])
    assert trained(begun) == [("a.yaml", "1", False)]


def test_what_is_trained_otherwise_has_another_folder(begun: list[list[str]]) -> None:
    options = ["--trainer.precision", "bf16-mixed"]
    budget = TrainingBudget(updates=3)
    found = [trials.wanted("a.yaml", 2, budget), trials.wanted("a.yaml", 2, TrainingBudget())]
    found += [trials.wanted("a.yaml", 2, budget, options)]
    found += [trials.wanted("a.yaml", 2, TrainingBudget(images=3))]
    with Path("a.yaml").open("a") as file:
        file.write("# changed\n")
    found += [trials.wanted("a.yaml", 2, budget)]
    folders = [trial.folder for its in found for trial in its]
    assert len({*folders}) == len(folders) == 10
    # a name that people can read
    large = trials.wanted("a.yaml", 1, TrainingBudget(images=25_000_000))[0].folder
    assert re.fullmatch(
        r"a-25000000_images-[0-9a-f]{8}/seed_0", str(large.relative_to(trials.ROOT))
    )


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("budget", [["--budget.updates", "5"], ["--", "--trainer.max_steps", "5"]])
def test_what_was_interrupted_goes_on(
    begun: list[list[str]], monkeypatch: pytest.MonkeyPatch, budget: list[str]
) -> None:
    words = ["compare", "a.yaml", "--seeds", "1", *budget]
    cli.main(words)
    (folder,) = Path("runs/compare").glob("a-*/seed_0")
    assert json.loads((folder / "finished.json").read_text())["run"] == "a/0"
    whole = read_run(str(folder / "a" / "0"))
    # as a process leaves it that is killed after update 4
    (folder / "finished.json").unlink()
    (folder / "a/0/checkpoints/step_000005.ckpt").unlink()
    begun.clear()
    cli.main(words)
    assert trained(begun) == [("a.yaml", "", True)]
    again = read_run(str(folder / "a" / "1"))
    assert again.curves["val/g/loss"] == whole.curves["val/g/loss"]
    assert again.curves["spent/images"] == whole.curves["spent/images"]
    # killed between its end and the record of it: nothing is left to train
    (folder / "finished.json").unlink()
    begun.clear()
    cli.main(words)
    assert trained(begun) == [("a.yaml", "", True)]
    last = read_run(str(folder / "a" / "2"))
    assert last.updates == 5
    assert last.curves["val/g/loss"] == whole.curves["val/g/loss"]


@pytest.mark.usefixtures("undrawn")
def test_a_failure_leaves_the_others(
    begun: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run = trials._run

    def fails(words: Sequence[str], log: BinaryIO) -> int:
        if words[2] == "a.yaml" and "--trainer.fast_dev_run" not in words:
            log.write(b"hello\nerror: g/loss is nan\n")
            return 1
        return run(words, log)

    monkeypatch.setattr(trials, "_run", fails)
    with pytest.raises(SystemExit) as caught:
        cli.main(["compare", "a.yaml", "b.yaml", "--seeds", "1"])
    assert caught.value.code == 1
    captured = capsys.readouterr()
    assert "2/2 b, seed 0: trained, 2 updates" in captured.out
    assert captured.out.splitlines()[-1] == "compare.png"
    line = r"error: a, seed 0: g/loss is nan \(runs/compare/a-\w+/seed_0/fit\.log\)"
    assert re.search(line, captured.err)


def test_means_by_hand() -> None:
    def record(value: float, seconds: float) -> RunRecord:
        curves = {
            "val/fid_x": Curve([2, 4], [9.0, value]),
            "spent/seconds": Curve([2, 4], [1.0, seconds]),
            "spent/images": Curve([2, 4], [8.0, 16.0]),
        }
        return RunRecord("b/0", "GAN", curves, None)

    entries = [Entry("a", [record(6.0, 3.0)]), Entry("b", [record(2.0, 2.0), record(4.0, 3.0)])]
    table = comparison_table(entries, {"val/fid_x": False})
    cells = [*zip(*(column.cells for column in table.columns), strict=True)]
    assert cells == [
        # the root of ((2 - 3)^2 + (4 - 3)^2) / 1
        ("fid_x", "b", "GAN", "2", "3 ± 1.41", "3 ± 1.41", "4", "4", "16", "2.5"),
        ("", "a", "GAN", "1", "6", "6", "4", "4", "16", "3.0"),
    ]
    figure = comparison_picture(entries, {"val/fid_x": False}, "seconds")
    assert figure.axes[0].get_xlabel() == "seconds of training"
    lines = [[*line.get_xdata()] for line in figure.axes[0].lines]
    assert lines == [[1.0, 3.0], [1.0, 2.0], [1.0, 3.0]]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("wgan_g.yaml", "there is no config 'wgan_g.yaml'"),
        ("a.yaml a.yaml", "runs='a.yaml' must be given once"),
        ("a.yaml --budget.seconds 0", "budget.seconds=0.0 must be positive"),
        ("a.yaml --budget.seconds 1 --budget.updates 2", "budget.seconds=1.0 must be alone"),
        ("a.yaml --seeds 0", "seeds"),
        ("runs/x --seeds 2", "--seeds does nothing without a recipe"),
        ("a.yaml -- --config b.yaml", "options of fit='--config' must be left out"),
        ("a.yaml runs/none", "runs/none must be a run folder"),
    ],
)
def test_wrong_words(begun: list[list[str]], words: str, line: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["compare", *words.split()])
    assert caught.value.code in (1, 2)
    assert line in capsys.readouterr().err.splitlines()[-1]
    assert begun == []
    assert not Path("runs").exists()


@pytest.mark.slow
def test_processes(small_text: str) -> None:
    """A recipe that cannot be trained is found out before the first training; Ctrl-C, and on."""
    Path("a.yaml").write_text(small_text)
    Path("c.yaml").write_text(small_text.replace("hidden: [8]", "hidden: [0]"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "gan_modules", "compare", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)

    bad = start("a.yaml", "c.yaml")
    error = bad.communicate()[1]
    assert bad.returncode == 1
    assert error.splitlines()[-1].startswith("error: c.yaml cannot be trained: hidden=[0]")
    assert not Path("runs").exists()
    words = ["a.yaml", "--seeds", "1", "--budget.seconds"]
    stopped = start(*words, "1000")
    while not [*Path("runs").glob("compare/*/seed_0/a/0/metrics.csv")]:
        assert stopped.poll() is None
        time.sleep(0.1)
    stopped.send_signal(signal.SIGINT)
    error = stopped.communicate()[1]
    assert stopped.returncode == 130, error
    assert "0 of 1 trainings are finished; the same command goes on" in error
    assert [*Path("runs").glob("compare/*/seed_0/a/0/checkpoints/step_*.ckpt")]
