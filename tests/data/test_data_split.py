"""Which files are held out, and what a resumed run is told when they are others."""

from pathlib import Path
from typing import Any

import pytest
import torch
from image_folders import classes, folder, paint

from datamodules import UnpairedFolderDataModule
from datamodules.files import hold_out
from gan_modules.seeding import derive_seed

RISK = "images held out now may have been trained on"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def split_names(data: Any) -> dict[str, set[str]]:
    data.setup()
    names = data._store.names
    return {split: {names[row] for row in part.rows} for split, part in data.splits.items()}


def test_files_are_held_out_by_a_hash_of_their_paths() -> None:
    names = [f"{i}.png" for i in range(20_000)]
    rows = torch.arange(1, 20_000)
    train, out = hold_out(rows, names, 0.05, 3, "val")
    expected = [i for i in rows.tolist() if derive_seed(3, "val", names[i]) < 0.05 * 2**32]
    assert out.tolist() == expected
    assert sorted([*train.tolist(), *expected]) == rows.tolist()
    assert 900 < len(out) < 1_100
    assert set(hold_out(rows, names, 0.05, 3, "test")[1].tolist()) != set(expected)


@pytest.mark.parametrize("n", range(3, 12))
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("fraction", [0.01, 0.6, 0.99])
def test_every_split_has_an_image(n: int, seed: int, fraction: float) -> None:
    names = [f"{i}.png" for i in range(n)]
    rest, val = hold_out(torch.arange(n), names, fraction, seed, "val", 2)
    train, test = hold_out(rest, names, fraction, seed, "test", 1)
    assert all(map(len, (train, val, test)))


@pytest.mark.parametrize("new", ["root/a/0000.png", "root/b/zz.png", "root/c/new.png"])
def test_a_new_image_does_not_move_the_others(new: str) -> None:
    classes("root", 60)
    before = split_names(folder("root"))
    paint(new, 3)
    after = split_names(folder("root"))
    name = new.removeprefix("root/")
    assert sum(name in part for part in after.values()) == 1
    assert {split: part - {name} for split, part in after.items()} == before


def test_a_new_image_does_not_move_those_of_a_domain() -> None:
    for domain in "AB":
        for i in range(40):
            paint(f"root/train{domain}/{i}.png", i)
    options: dict[str, Any] = {"root": "root", "image_size": 4, "load_size": 4}

    def held_out() -> set[str]:
        data = UnpairedFolderDataModule(**options)
        data.setup()
        test = data.splits["test"]
        return {data._store.names[row] for part in (test.a, test.b) for row in part.rows}

    before = held_out()
    paint("root/trainA/00.png", 9)
    assert held_out() - {"trainA/00.png"} == before


@pytest.mark.parametrize("change", ["none", "new", "gone", "other", "content", "fraction", "time"])
def test_a_resumed_run_is_told(change: str, make_model: Any, make_trainer: Any) -> None:
    classes("root", 20)
    options: dict[str, Any] = {"image_size": 8}
    trainer = make_trainer(max_steps=1)
    trainer.fit(make_model(image_shape=(3, 8, 8), n_critic=1), folder("root", **options))
    trainer.save_checkpoint("now.ckpt")
    line = ""
    if change == "new":
        paint("root/b/new.png", 9)
        line = f"has 21 images now, then 20 images; {RISK}"
    elif change == "gone":
        Path("root/b/01.png").unlink()
        line = f"has 19 images now, then 20 images; {RISK}"
    elif change == "other":
        Path("root/b/01.png").rename("root/b/02.png")
        line = f"has 20 images now, then others, or divided otherwise; {RISK}"
    elif change == "content":
        paint("root/b/01.png", 9, size=(60, 60))
        line = f"has 20 images now, then others, or divided otherwise; {RISK}"
    elif change == "fraction":
        options["val_fraction"] = 0.5
        line = f"has 20 images now, then others, or divided otherwise; {RISK}"
    elif change == "time":
        Path("root/b/01.png").touch()  # a copy
    model = make_model(image_shape=(3, 8, 8), n_critic=1)
    trainer = make_trainer(max_steps=2)
    if line:
        with pytest.warns(UserWarning, match="root='root' is not what .* on: it " + line):
            trainer.fit(model, folder("root", **options), ckpt_path="now.ckpt")
    else:
        trainer.fit(model, folder("root", **options), ckpt_path="now.ckpt")
    # a validation of other images is no mistake
    classes("elsewhere", 10)
    make_trainer().validate(model, folder("elsewhere", **options), ckpt_path="now.ckpt")


def test_a_checkpoint_of_before() -> None:
    classes("root", 20)
    classes("own/train", 20)
    for split in ("val", "test"):
        classes(f"own/{split}", 4)
    with pytest.warns(UserWarning, match=f"which images of root='root' it was .* and {RISK}"):
        folder("root").load_state_dict({"seed": 3})
    # nothing was divided
    folder("own").load_state_dict({"seed": 3})
