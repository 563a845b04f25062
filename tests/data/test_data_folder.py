"""Folders of images: what is found, how it is decoded, and the cache."""

import os
import pickle
import re
import shutil
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_folders import broken, classes, folder, paint, values
from PIL import Image
from torch.testing import assert_close

from datamodules import store
from datamodules.store import ImageStore, decode


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_folders_are_classes_and_a_part_is_held_out() -> None:
    classes("root", 40)
    data = folder("root", val_fraction=0.1, test_fraction=0.2)
    # known before anything is decoded
    assert (data.image_shape, data.num_classes, data.classes) == ((3, 4, 4), 2, ["a", "b"])
    data.prepare_data()
    data.setup()
    sizes = {split: len(part) for split, part in data.splits.items()}
    assert sizes == {"train": 32, "val": 3, "test": 5}
    found = {}
    for split, part in data.splits.items():
        found |= dict(zip(values(data, split), part.labels.tolist(), strict=True))
    # every image once, each with its class
    assert found == {5 * i: i % 2 for i in range(40)}


def test_the_choice_is_the_seeds() -> None:
    classes("root", 25)
    chosen = []
    # no run's seed decides
    torch.manual_seed(9)
    for seed in (0, None, 1):
        data = folder("root", seed=seed, val_fraction=0.2)
        data.setup()
        chosen.append(values(data, "val"))
        splits = [set(values(data, split)) for split in ("train", "val", "test")]
        assert sum(map(len, splits)) == len(set.union(*splits)) == 25
        assert all(splits)
    assert chosen[0] == chosen[1] != chosen[2]


def test_splits_of_ones_own() -> None:
    classes("root/train", 12)
    classes("root/val", 4)
    data = folder("root")
    data.setup()
    sizes = {split: len(part) for split, part in data.splits.items()}
    # the missing one is taken from the training images, one at least
    assert sizes == {"train": 11, "val": 4, "test": 1}
    assert values(data, "val") == [0, 10, 5, 15]
    assert data.splits["val"].labels.tolist() == [0, 0, 1, 1]


def test_images_without_classes() -> None:
    for i in range(5):
        paint(f"root/{i}.png", i)
    Path("root/.hidden.png").write_text("no image")
    Path("root/notes.txt").write_text("no image")
    line = "left out of root='root': 1 hidden (.hidden.png), 1 not of a format that Pillow decodes"
    with pytest.warns(UserWarning, match=f"^{re.escape(line)} \\(notes.txt\\)$"):
        data = folder("root", channels=1)
    data.setup()
    assert (data.num_classes, data.classes, data.image_shape) == (0, [], (1, 4, 4))
    assert data.splits["train"].labels.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("RGB", (10, 20, 30), (10, 20, 30)),
        # 40 % of the colour, 60 % white
        ("RGBA", (0, 100, 200, 102), (153, 193, 233)),
        ("LA", (50, 0), (255, 255, 255)),
        ("I;16", 0x9234, (0x92, 0x92, 0x92)),
        ("I;16", 0xFFFF, (255, 255, 255)),
    ],
)
def test_any_mode_becomes_colour(mode: str, colour: Any, expected: tuple[int, ...]) -> None:
    paint("image.png", colour, mode=mode)
    pixels = decode("image.png", 3, 3)
    assert pixels.shape == (3, 3, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - np.array(expected)[:, None, None]).max() <= 1
    grey = decode("image.png", 3, 1)
    # the luma weights of ITU-R 601
    luma = np.dot(expected, (0.299, 0.587, 0.114))
    assert grey.shape == (1, 3, 3)
    assert np.abs(grey - luma).max() <= 1.5


def test_palettes_with_a_transparent_colour() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.paste(1, (0, 0, 2, 4))
    image.save("image.png", transparency=1)
    pixels = decode("image.png", 4, 3)
    assert pixels[:, 0, 0].tolist() == [255, 255, 255]
    assert pixels[:, 0, 3].tolist() == [200, 0, 0]


def test_the_square_in_the_middle() -> None:
    pixels = np.zeros((4, 10), np.uint8)
    pixels[:, 3:7] = np.arange(16).reshape(4, 4)
    Image.fromarray(pixels).save("wide.png")
    Image.fromarray(pixels.T.copy()).save("tall.png")
    assert decode("wide.png", 4, 1)[0].tolist() == np.arange(16).reshape(4, 4).tolist()
    assert decode("tall.png", 4, 1)[0].tolist() == np.arange(16).reshape(4, 4).T.tolist()


def test_resizing_is_antialiased() -> None:
    # a chessboard of single pixels: without antialiasing black or white, with it grey
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save("board.png")
    small = decode("board.png", 8, 1)
    assert small.min() >= 120
    assert small.max() <= 135


def test_images_are_turned_upright() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(pixels).save("turned.jpg", exif=exif, quality=95)
    upright = decode("turned.jpg", 32, 1)[0]
    assert upright[:, 20:].min() > 240
    assert upright[:, :12].max() < 15


@pytest.mark.parametrize("shape", [(512, 512), (301, 407), (407, 301)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_decoded_at_a_fraction(shape: tuple[int, int], orientation: int) -> None:
    rows, columns = np.indices(shape)
    ramp = Image.fromarray(((rows / 2 + columns) / 612 * 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    ramp.save("ramp.jpg", quality=95, exif=exif)
    ramp.save("ramp.png", exif=exif)
    difference = decode("ramp.jpg", 16, 1).astype(int) - decode("ramp.png", 16, 1)
    assert np.abs(difference).max() <= 2


def test_the_second_start_decodes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    classes("root")
    first = folder("root")
    first.prepare_data()

    def fail(*args: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(ImageStore, "_decode_into", fail)
    second = folder("root")
    second.prepare_data()
    second.setup()
    first.setup()
    assert_close(second.splits["train"].images, first.splits["train"].images)
    # another size is another cache
    with pytest.raises(AssertionError, match="decoded again"):
        folder("root", image_size=5).prepare_data()
    with pytest.raises(AssertionError, match="decoded again"):
        folder("root", channels=1).prepare_data()
    # a cache that was cut off is no cache
    (path,) = Path("cache/gan_modules").iterdir()
    os.truncate(path, 100)
    with pytest.raises(AssertionError, match="decoded again"):
        folder("root").prepare_data()


@pytest.mark.parametrize("change", ["content", "time", "new", "gone"])
def test_a_change_is_noticed(change: str) -> None:
    classes("root")
    path = Path("root/a/00.png")
    # a format whose files are of one size, whatever they show
    Image.new("L", (6, 6), 0).save(path, format="bmp")
    folder("root").prepare_data()
    if change == "content":
        paint(str(path), 99, size=(50, 50))
    if change == "time":
        status = path.stat()
        Image.new("L", (6, 6), 99).save(path, format="bmp")
        assert path.stat().st_size == status.st_size
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    if change == "new":
        paint("root/b/new.png", 99)
    if change == "gone":
        path.unlink()
    data = folder("root")
    data.setup()
    everything = [value for split in data.splits for value in values(data, split)]
    assert len(everything) == {"new": 11, "gone": 9}.get(change, 10)
    assert (99 in everything) == (change != "gone")
    assert (0 in everything) == (change == "new")


def test_a_cache_folder_of_ones_own() -> None:
    classes("root")
    folder("root", cache_dir="elsewhere").prepare_data()
    (path,) = Path("elsewhere").iterdir()
    assert path.name.startswith("root-")
    # 10 images of 3x4x4 bytes and a byte each
    assert path.stat().st_size == 10 * 49
    assert not Path("cache").exists()
    Path("file").write_text("")
    with pytest.raises(ValueError, match=r"cache_dir='file/x' cannot be written to \(Not a dir"):
        folder("root", cache_dir="file/x").prepare_data()


def test_a_failure_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    classes("root")

    def full(self: ImageStore, file: Any) -> None:
        file.write(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ImageStore, "_decode_into", full)
    with pytest.raises(OSError, match="No space left"):
        folder("root").prepare_data()
    assert list(Path("cache/gan_modules").iterdir()) == []


def test_many_blocks_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PIECE", 1)
    for i in range(70):
        paint(f"root/{i:02}.png", i)
    whole = ImageStore(Path("root"), [f"{i:02}.png" for i in range(70)], 2, 1)
    whole.open()
    images = whole.dataset(torch.arange(70), torch.zeros(70)).images
    assert images[:, 0, 0, 0].tolist() == list(range(70))


def test_corrupt_files_are_named() -> None:
    broken("root")
    for _ in range(2):  # the second time, from the cache
        with pytest.raises(ValueError, match="skip_corrupt=True") as caught:
            folder("root").prepare_data()
        line = str(caught.value)
        assert "\n" not in line
        assert "3 of 13 images in root='root' cannot be decoded: " in line
        assert "a/broken.png, b/cut.png, b/empty.jpg; remove them" in line
    for i in range(9):
        Path(f"root/a/x{i}.png").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"12 of 22 .*a/x0.png, a/x1.png, a/x2.png, a/x3.png, \.\.\.;"
    ):
        folder("root").prepare_data()


def test_corrupt_files_are_left_out() -> None:
    broken("root")
    data = folder("root", skip_corrupt=True)
    with pytest.warns(UserWarning, match=r"3 of 13 .* left out: a/broken.png, b/cut") as caught:
        data.prepare_data()
    assert len(caught) == 1
    data.setup()  # another warning would be an error
    everything = [value for split in data.splits for value in values(data, split)]
    assert sorted(everything) == list(range(0, 50, 5))


def test_nothing_but_corrupt_files() -> None:
    for name in "ab":
        Path(f"{name}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"2 of 2 .* nothing is left"):
        folder(".", skip_corrupt=True).prepare_data()
    classes("root/train")
    Path("root/val/a").mkdir(parents=True)
    Path("root/val/b").mkdir(parents=True)
    for name in "ab":
        Path(f"root/val/{name}/x.png").write_bytes(b"")
    data = folder("root", skip_corrupt=True)
    with (
        pytest.warns(UserWarning, match="2 of 12"),
        pytest.raises(ValueError, match="a split without images that can be read"),
    ):
        data.setup()


def test_a_plain_trainer_fits_it(make_model: Any, make_trainer: Any) -> None:
    classes("root", 18)
    data = folder("root", image_size=8, load_size=9, flip=True, num_workers=2)
    trainer = make_trainer(max_steps=5, limit_val_batches=None)
    trainer.fit(make_model(image_shape=(3, 8, 8), n_critic=2), data)
    assert trainer.global_step == 5


def test_a_checkpoint_holds_no_path(make_model: Any, make_trainer: Any) -> None:
    classes("root")
    trainer = make_trainer(max_steps=1)
    data = folder(Path("root"), image_size=8)  # type: ignore[arg-type]
    trainer.fit(make_model(image_shape=(3, 8, 8), n_critic=1), data)
    trainer.save_checkpoint("now.ckpt")
    checkpoint = torch.load("now.ckpt", weights_only=True)
    assert checkpoint["datamodule_hyper_parameters"]["root"] == "root"


def test_workers_map_the_file_themselves() -> None:
    classes("root", 50)
    data = folder("root", image_size=64)
    data.setup()
    sent = pickle.dumps(data.splits["train"])
    assert len(sent) < 20_000  # the images are 45 times 12 kB
    assert_close(pickle.loads(sent).images, data.splits["train"].images)


def open_store(root: str) -> int:
    opened = ImageStore(Path(root), [f"a/{i:02}.png" for i in range(0, 10, 2)], 8, 1)
    opened.open()
    data = opened.dataset(torch.arange(5), torch.zeros(5))
    return int(data.images.sum())


def test_processes_at_once_are_safe() -> None:
    classes("root")
    with get_context("fork").Pool(4) as pool:
        sums = pool.map(open_store, ["root"] * 4)
    assert sums == [(0 + 10 + 20 + 30 + 40) * 64] * 4
    (path,) = Path("cache/gan_modules").iterdir()
    assert path.suffix == ".u8"


def test_folders_that_do_not_work() -> None:
    Path("empty/a").mkdir(parents=True)
    classes("mixed")
    paint("mixed/loose.png")
    classes("split/train")
    paint("split/val/a/0.png")
    classes("tests/test")
    classes("stray/train")
    classes("stray/other")
    for root, kind, line in (
        ("none", FileNotFoundError, "root='none' must be a folder of images; there is none"),
        ("empty", FileNotFoundError, "empty holds no images"),
        ("mixed", ValueError, r"mixed holds images \(loose.png, ...\) beside folders of images"),
        ("split", ValueError, "split/val has classes a, but split/train has classes a, b"),
        ("tests", ValueError, "tests has test/ but no train/"),
        ("stray", ValueError, "stray has train/ and, beside it, images in other"),
    ):
        with pytest.raises(kind, match=line) as caught:
            folder(root)
        assert "\n" not in str(caught.value)
    shutil.rmtree("split/val")
    assert folder("split").num_classes == 2


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"channels": 4}, r"channels=4 must be 1 \(grey\) or 3"),
        ({"val_fraction": 0.0}, "val_fraction=0.0 must be between 0 and 1"),
        ({"test_fraction": 1.0}, "test_fraction=1.0 must be between 0 and 1"),
        ({"load_size": 3}, "load_size=3 must be at least image_size=4"),
    ],
)
def test_wrong_options(options: dict[str, Any], line: str) -> None:
    classes("root")
    with pytest.raises(ValueError, match=line):
        folder("root", **options)


def test_too_few_to_hold_out() -> None:
    for i in range(2):
        paint(f"root/{i}.png", i)
    with pytest.raises(ValueError, match="1 training images are too few to hold out 1"):
        folder("root").setup()
