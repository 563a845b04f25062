import json
import sys
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

import cli
import gan_modules.command_line.lab as command
from gan_modules.lab import EXPERIMENTS, Findings, Lab, at_least, at_most, near


def tiny(lab: Lab, updates: int = 3) -> Findings:
    """Two and two is four.

    And more.
    """
    figures = [Figure(figsize=(2, 1)) for _ in range(3)]
    for number, figure in enumerate(figures):
        figure.subplots().plot([0, number])
    checks = [near("two and two", 4, 4.0, 0.1), at_least("least", 1, 0.5), at_most("most", 1, 0.5)]
    return Findings(checks, figures[0], {"updates": lab.updates(updates)}, figures)


@pytest.fixture(autouse=True)
def _with_a_tiny_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXPERIMENTS, "tiny", tiny)
    monkeypatch.setattr(sys, "argv", ["cli.py"])


def constants(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def error_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit):
        cli.main(["lab", *words])
    err = capsys.readouterr().err
    assert "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    return line


def test_all_experiments_are_listed_with_their_claims(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["lab"])
    out = capsys.readouterr().out
    for name, experiment in EXPERIMENTS.items():
        assert name[:12] in out
        assert command.claim(experiment)
        assert len(command.claim(experiment)) <= 100
    assert "Two and two is four." in out
    assert "And more" not in out


def test_a_picture_numbers_and_an_animation_are_written_and_never_overwritten(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["lab", "tiny", "--effort", "2", "--seed", "5", "--out", "found", "--updates", "4"]
    cli.main(words)
    names = {"tiny.png", "tiny.json", "tiny.gif"}
    before = {path.name: path.read_bytes() for path in Path("found").iterdir()}
    assert set(before) == names
    content = constants(before["tiny.json"].decode())
    assert content["options"] == {"seed": 5, "effort": 2.0, "updates": 4}
    assert content["updates"] == 8
    rows = [(c["low"], c["high"], c["seen"], c["holds"]) for c in content["checks"]]
    assert rows[0] == (pytest.approx(3.9), pytest.approx(4.1), 4.0, True)
    assert rows[1:] == [(1, None, 0.5, False), (None, 1, 0.5, True)]
    with Image.open("found/tiny.gif") as image:
        assert image.n_frames == 3
    with Image.open("found/tiny.png") as image:
        image.verify()
    out = capsys.readouterr().out
    assert "NO" in out
    assert all(f"found/{name}" in out for name in names)
    cli.main(words)
    after = {path.name: path.read_bytes() for path in Path("found").iterdir()}
    assert set(after) == names | {"tiny-v1.png", "tiny-v1.json", "tiny-v1.gif"}
    assert {name: after[name] for name in names} == before


def test_an_unknown_experiment_ends_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    line = error_of(capsys, "vanish")
    assert "vanish" in line
    assert "vanishing" in line


@pytest.mark.parametrize("effort", ["-1", "0"])
def test_an_effort_that_is_not_positive_ends_in_one_line(
    capsys: pytest.CaptureFixture[str], effort: str
) -> None:
    assert "effort" in error_of(capsys, "tiny", "--effort", effort)
    assert not Path("lab").exists()


def test_help_on_an_experiment_has_its_claim_and_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["lab", "tiny", "--help"])
    out = capsys.readouterr().out
    assert "Two and two is four." in out
    assert "--updates" in out
    assert "--effort" in out
