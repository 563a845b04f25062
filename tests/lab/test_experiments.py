import json

import pytest
from matplotlib.figure import Figure

from gan_modules.lab import EXPERIMENTS, Lab


@pytest.mark.thorough
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_quick_look_finds_numbers_and_a_picture_with_labels(name: str) -> None:
    findings = EXPERIMENTS[name](Lab(effort=0.02))
    assert findings.checks
    json.dumps([check.plain() for check in findings.checks], allow_nan=False)
    json.dumps(findings.numbers)
    for figure in (findings.figure, *findings.frames):
        assert isinstance(figure, Figure)
        for axis in figure.axes:
            assert axis.get_xlabel() or axis.get_ylabel()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_check_holds(name: str, seed: int) -> None:
    findings = EXPERIMENTS[name](Lab(seed))
    failed = [check for check in findings.checks if not check.holds]
    assert not failed
