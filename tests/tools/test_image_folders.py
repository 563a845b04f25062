"""What is found in folders: links, damaged and foreign files, and what is said of them."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_folders import broken, classes, folder, paint, values
from PIL import Image, PngImagePlugin
from torch.testing import assert_close

from datamodules.store import decode
from gan_modules.tools.image_files import UnreadableImageError, image_size, read_image
from gan_modules.tools.image_folders import find_images

LINK = "links to a folder that is read already or holds this one"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def link(place: str, target: str) -> None:
    Path(place).symlink_to(Path(target).resolve(), target_is_directory=True)


# ---- links -------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["root", ".", "root/a", "root/b"])
@pytest.mark.parametrize("place", ["root/a/again", "root/0", "root/a/c/again"])
def test_a_link_to_what_is_read_already(place: str, target: str) -> None:
    classes("root", 10)
    Path("root/a/c").mkdir()
    link(place, target)
    with pytest.warns(UserWarning, match=rf"left out of root='root': 1 {LINK} \({place[5:]}\)$"):
        data = folder("root")
    assert data.classes == ["a", "b"]
    assert data._labels.tolist() == [0] * 5 + [1] * 5
    # predict walks the same way
    assert find_images(Path("root")).names == data._store.names


def test_links_to_files_are_followed_once() -> None:
    classes("root", 10)
    paint("elsewhere/x.png")
    names = find_images(Path("root")).names
    for name in names[:3]:
        link(f"root/a/link_{Path(name).name}", f"root/{name}")
    link("root/a/x.png", "elsewhere/x.png")
    link("root/b/y.png", "elsewhere/x.png")
    found = find_images(Path("root"))
    assert found.names == sorted([*names, "a/x.png"])
    (left_out,) = found.left_out.values()
    assert left_out == [*(f"a/link_{Path(name).name}" for name in names[:3]), "b/y.png"]


def test_a_split_does_not_take_in_another() -> None:
    classes("root/train", 10)
    classes("root/val", 4)
    link("root/train/a/up", "root")
    with pytest.warns(UserWarning, match=rf"1 {LINK} \(train/a/up\)"):
        data = folder("root")
    assert [len(rows) for rows in data._rows.values()] == [10, 4]


def test_folders_elsewhere_are_followed_once() -> None:
    classes("elsewhere", 6)
    paint("elsewhere/.git/x.png")
    Path("root").mkdir()
    link("root/data", "elsewhere")
    link("root/more", "elsewhere/a")
    link("other", "root")
    for root in ("root", "other"):
        found = find_images(Path(root))
        assert found.names == [f"data/{'ab'[i % 2]}/{i:02}.png" for i in (0, 2, 4, 1, 3, 5)]
        assert found.left_out == {LINK: ["more"]}


def test_a_split_may_be_a_link_to_another() -> None:
    classes("root/train", 10)
    classes("root/test", 4)
    link("root/val", "root/test")
    data = folder("root")
    data.setup()
    assert values(data, "val") == values(data, "test") == [0, 10, 5, 15]


# ---- what is left out --------------------------------------------------------------------------


def test_every_file_left_out_is_said() -> None:
    for i in range(5):
        paint(f"root/{i}.png", i)
    for name in ("a.heic", "b.heic", "c.h5", "d.mpg", "e.csv", "f", ".DS_Store", "._0.png"):
        Path("root", name).write_bytes(b"something")
    Path("root/g.png").symlink_to("nowhere.png")
    Path("root/h.png").symlink_to("h.png")
    line = (
        "left out of root='root': 1 hidden (._0.png), "
        "6 not of a format that Pillow decodes (a.heic, b.heic, c.h5, ...), "
        "2 links to nothing (g.png, h.png)"
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(line)}$") as caught:
        data = folder("root")
    assert len(caught) == 1
    assert data._store.names == [f"{i}.png" for i in range(5)]


def test_a_folder_of_nothing_but_foreign_files() -> None:
    Path("root").mkdir()
    Path("root/a.heic").write_bytes(b"")
    line = (
        r"^root holds no images \(.png, .jpg, ...\): left out are 1 not of a format .*\(a.heic\)$"
    )
    with pytest.raises(FileNotFoundError, match=line):
        folder("root")


# ---- what is damaged, or not quite ---------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's, as it opens a JPEG
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0nonsense",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"",
    ],
)
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_damaged_exif_in_a_good_picture(exif: bytes, ending: str) -> None:
    Image.new("L", (6, 4), 200).save(f"a.{ending}", exif=exif, lossless=True)
    assert np.abs(decode(f"a.{ending}", 4, 1).astype(int) - 200).max() <= 1
    assert image_size(Path(f"a.{ending}")) == (4, 6)


def test_an_orientation_that_is_no_number() -> None:
    six = b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\2\0\4\0\0\0six\0\0\0\0\0"
    Image.new("L", (6, 4), 200).save("a.png", exif=six)
    with Image.open("a.png") as file:
        assert file.getexif()[0x0112] == "six"
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n 9\nno hex")
    Image.new("L", (6, 4), 200).save("b.png", pnginfo=text)
    for name in ("a.png", "b.png"):
        assert read_image(Path(name), 1).shape == (1, 4, 6)
        assert image_size(Path(name)) == (4, 6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"ending": "png"}])
def test_every_orientation(options: dict[str, Any], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = torch.arange(24, dtype=torch.uint8).reshape(4, 6)
    # where the stored picture's first row and first column are to be seen, as the standard has it
    expected = {
        1: stored,
        2: stored.fliplr(),
        3: stored.flipud().fliplr(),
        4: stored.flipud(),
        5: stored.T,
        6: stored.flipud().T,
        7: stored.flipud().fliplr().T,
        8: stored.T.flipud(),
    }[orientation]
    path = Path(f"a.{options.get('ending', 'tif')}")
    Image.fromarray(stored.numpy()).save(path, exif=exif, **options)
    assert_close(read_image(path, 1)[0], expected / 127.5 - 1)
    assert image_size(path) == expected.shape


def test_images_above_pillows_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    classes("root", 10)
    paint("root/a/large.png", 7, size=(50, 50))
    broken("root")
    with monkeypatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
        with pytest.raises(
            ValueError, match=r"4 of 14 images .* cannot be decoded: 3 dam"
        ) as caught:
            folder("root").prepare_data()
        limit = (
            "1 above Pillow's limit of 2,000 pixels: shrink them, or raise "
            "PIL.Image.MAX_IMAGE_PIXELS, half of it, in Python (a/large.png)"
        )
        assert limit in str(caught.value)
        assert "\n" not in str(caught.value)
        with pytest.raises(UnreadableImageError, match="limit of 2,000"):
            read_image(Path("root/a/large.png"), 1)
    # what was refused is decoded once the limit is raised
    data = folder("root", skip_corrupt=True)
    with pytest.warns(UserWarning, match="3 of 14 images"):
        data.setup()
    assert 7 in [value for split in data.splits for value in values(data, split)]


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read() -> None:
    classes("root", 10)
    Path("root/a/00.png").chmod(0)
    with pytest.raises(ValueError, match=r"1 cannot be opened \(a/00.png\)"):
        folder("root").prepare_data()


def test_a_file_that_went_away() -> None:
    classes("root", 10)
    data: Any = folder("root")
    Path("root/a/00.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 10 .* 1 cannot be opened \(a/00.png\)"):
        data.prepare_data()
