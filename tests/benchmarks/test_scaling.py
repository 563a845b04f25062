"""The scaling benchmark counts images and memory, and draws what it found."""

import json
from pathlib import Path
from typing import Any

import pytest
import scaling
from PIL import Image
from scaling import Point


@pytest.mark.thorough
def test_images_are_counted_by_window() -> None:
    point = Point("wgan_gp", batch=4, image_size=8, n_critic=3, dataset=64)
    found = scaling.measure(point, windows=2, seconds=0.01)
    assert found["n_critic"] == 3
    # whole iterations
    assert found["images_per_window"] > 0
    assert found["images_per_window"] % (4 * 3) == 0
    for clock in ("cpu", "wall"):
        assert len(found["images_per_s_windows"][clock]) == 2
        assert min(found["images_per_s_windows"][clock]) > 0


@pytest.mark.slow
def test_memory_holds_the_data() -> None:
    # in a process of its own: this one may have memory left that was freed
    found = scaling.apart(Point("dcgan", batch=2, image_size=8, dataset=1_000_000))
    data = 1_000_000 * 8 * 8 / 2**20  # MiB
    # twice the data or more would be a copy
    assert data < found["mib"] < 2 * data


def test_every_point_is_measured_and_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def apart(point: Point) -> dict[str, Any]:
        measured.append(point)
        windows = {"cpu": [90.0, 110.0], "wall": [40.0, 60.0]}
        return {
            "images_per_s": {"cpu": 100.0, "wall": 50.0},
            "images_per_s_windows": windows,
            "mib": 7.0,
        }

    monkeypatch.setattr(scaling, "apart", apart)
    drawn = {}
    draw = scaling.draw

    def noted(label: str, curves: Any, path: Path, *more: Any) -> None:
        drawn[path.name] = curves
        draw(label, curves, path, *more)

    monkeypatch.setattr(scaling, "draw", noted)
    scaling.main(["--axes", "n_critic", "processes", "--output", "found.json", "--plots", "."])
    # the default n_critic is 5 for WGAN-GP and 1 for DCGAN
    assert len(measured) == 2 * 4 + 2 * 2
    assert {point.n_critic for point in measured[-4:]} == {5, 1}
    once = dict.fromkeys((1, 2, 5, 10), (100.0, 7.0))
    assert drawn["scaling_n_critic.png"] == dict.fromkeys(scaling.NAMES.values(), once)
    # processes wait for each other: wall time
    side_by_side = dict.fromkeys((1, 2), (50.0, 7.0))
    assert drawn["scaling_processes.png"] == dict.fromkeys(scaling.NAMES.values(), side_by_side)
    rows = json.loads(Path("found.json").read_text())["axes"]
    assert [row["n_critic"] for row in rows["processes"]] == [5, 5, 1, 1]
    for name in drawn:
        assert Path(name).stat().st_size < 100_000
        with Image.open(name) as image:
            assert image.size == (720, 306)
