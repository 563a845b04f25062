"""Images of every mode: what their values mean, and what is said where nothing tells."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin
from torch.testing import assert_close

import cli
from datamodules import ImageFolderDataModule, UnpairedFolderDataModule
from datamodules.store import decode
from gan_modules import CycleGAN
from gan_modules.command_line.predict import ImageWriter
from gan_modules.command_line.prediction import Prediction
from gan_modules.tools.image_files import read_image, upright
from gan_modules.tools.image_values import ValueRangeError

RAMP = np.arange(16).reshape(4, 4)  # 0 to 15 in a picture of 4x4


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def save(path: str, values: NDArray[Any], **tags: int) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        info[{"photometric": 262}[name]] = value
    Image.fromarray(values).save(path, **({"tiffinfo": info} if tags else {}))


def folder(root: str = "root", **kwargs: Any) -> ImageFolderDataModule:
    options = {"root": root, "image_size": 4, "channels": 1, "batch_size": 2}
    return ImageFolderDataModule(**options | kwargs)


def values(data: Any, splits: Iterable[str] = ("train", "val", "test")) -> set[int]:
    data.setup()
    return {int(x) for split in splits for x in data.splits[split].images.unique()}


# ---- every mode of Pillow ----------------------------------------------------------------------

RED, GREY = (255, 0, 0), (100, 100, 100)
MODES = {
    "1": (255, (255, 255, 255)),
    "L": (100, GREY),
    "P": (1, RED),
    "PA": ((1, 255), RED),
    "LA": ((100, 255), GREY),
    "La": ((100, 255), GREY),
    "RGB": (RED, RED),
    "RGBA": ((*RED, 255), RED),
    "RGBa": ((*RED, 255), RED),
    "RGBX": ((*RED, 0), RED),
    "CMYK": ((0, 255, 255, 0), RED),
    "YCbCr": ((76, 85, 255), RED),
    # of sRGB's red by the matrices of the standard, adapted to D50: L 54.3, a 80.8, b 69.9
    "LAB": ((138, 128 + 81, 128 + 70), RED),
    "HSV": ((0, 255, 255), RED),
    "I": (1_000 * 40, tuple([156] * 3)),
    "I;16": (257 * 200, (200, 200, 200)),
    "I;16B": (257 * 200, (200, 200, 200)),
    "I;16L": (257 * 200, (200, 200, 200)),
    "F": (0.8, (204, 204, 204)),
}


@pytest.mark.filterwarnings("ignore:taken as black 0 and white 65535")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", list(MODES))
def test_every_mode(mode: str, channels: int) -> None:
    value, expected = MODES[mode]
    palette = mode in ("P", "PA")
    image = Image.new(mode, (3, 2), 0 if palette else value)
    if palette:
        image.putpalette([0, 0, 255, *RED])
        image.paste(value, (0, 0, 3, 2))
    pixels = torch.from_numpy(np.array(upright(image, channels))).reshape(2, 3, channels).float()
    if channels == 1:
        expected = (float(np.dot(expected, (0.299, 0.587, 0.114))),)
    assert_close(pixels, torch.tensor(expected).float().expand(2, 3, channels), rtol=0, atol=6)


def test_lab_in_a_file() -> None:
    Image.new("LAB", (4, 4), MODES["LAB"][0]).save("a.tif")
    assert np.abs(decode("a.tif", 4, 3)[:, 0, 0].astype(int) - RED).max() <= 6


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
def test_what_is_transparent_is_white(mode: str) -> None:
    image = Image.new(mode, (1, 1), 0)
    if mode == "PA":
        image.putpalette([255, 0, 0])
    assert np.array(upright(image, 3)).tolist() == [[[255, 255, 255]]]


# ---- values that format or data explain --------------------------------------------------------

KNOWN: dict[str, tuple[Any, int, dict[str, int]]] = {
    "16 bits": (np.uint16(RAMP * 4369), 17, {}),
    "16 bits, white is 0": (np.uint16(65_535 - RAMP * 4369), 17, {"photometric": 0}),
    "floats to 1": (np.float32(RAMP / 15), 17, {}),
    "32 bits to 255": (np.int32(RAMP * 17), 17, {}),
    "32 bits to 65535": (np.int32(RAMP * 4369), 17, {}),
    "floats to 255": (np.float32(RAMP * 17), 17, {}),
    "floats to 65535": (np.float32(RAMP * 4369), 17, {}),
    "nothing but black": (np.uint16(RAMP * 0), 0, {}),
}


@pytest.mark.parametrize("case", list(KNOWN))
def test_values_that_are_explained(case: str) -> None:
    image, step, tags = KNOWN[case]
    save("root/a.tif", image, **tags)
    said = " to 255" in case or " to 65535" in case
    expected = torch.from_numpy(RAMP * step)
    if said:
        with pytest.warns(UserWarning, match="taken as black 0 and white (255|65535), unless valu"):
            read = read_image(Path("root/a.tif"), 1)
        with pytest.warns(UserWarning, match="taken as black 0"):
            pixels = decode("root/a.tif", 4, 1)
    else:
        read, pixels = read_image(Path("root/a.tif"), 1), decode("root/a.tif", 4, 1)
    # training and predict are one
    assert_close(torch.from_numpy(pixels[0].astype(int)), expected)
    assert_close(read[0], expected / 127.5 - 1, rtol=0, atol=1e-6)


def test_twelve_bits_that_the_format_tells_of() -> None:
    Path("a.pgm").write_bytes(b"P5 4 4 4095\n" + (RAMP * 273).astype(">u2").tobytes())
    assert decode("a.pgm", 4, 1)[0].tolist() == (RAMP * 17).tolist()
    # dark, and known to be
    Path("b.pgm").write_bytes(b"P5 4 4 4095\n" + (RAMP * 16).astype(">u2").tobytes())
    assert decode("b.pgm", 4, 1).max() == 15
    pairs = (RAMP * 273).reshape(-1, 2).tolist()
    # two samples share three bytes
    write_tiff("a.tif", 12, b"".join((a << 12 | b).to_bytes(3, "big") for a, b in pairs))
    assert decode("a.tif", 4, 1)[0].tolist() == (RAMP * 17).tolist()


def test_32_bits_without_a_sign() -> None:
    write_tiff("a.tif", 32, (RAMP * 286_331_153).astype("<u4").tobytes())
    assert decode("a.tif", 4, 1)[0].tolist() == (RAMP * 17).tolist()


def write_tiff(path: str, bits: int, samples: bytes) -> None:
    """A grey image of 4x4, of a kind that Pillow reads and does not write."""
    entries = [(256, 4), (257, 4), (258, bits), (259, 1), (262, 1), (273, 122), (277, 1), (278, 4)]
    entries += [(279, len(samples))]
    fields = b"".join(
        tag.to_bytes(2, "little") + b"\3\0\1\0\0\0" + value.to_bytes(4, "little")
        for tag, value in entries
    )
    head = b"II*\0\x08\0\0\0" + len(entries).to_bytes(2, "little") + fields + bytes(4)
    assert len(head) == 122
    Path(path).write_bytes(head + samples)


def test_a_transparent_value_of_16_bits_is_white() -> None:
    image = Image.fromarray(np.array([[40_000, 65_535, 40_001]], np.uint16))
    image.save("a.png", transparency=40_000)
    assert decode_row("a.png") == [255, 255, 156]


def decode_row(path: str) -> list[int]:
    with Image.open(path) as file:
        return np.array(upright(file, 1))[0].tolist()  # type: ignore[no-any-return]


# ---- values that nothing explains --------------------------------------------------------------

UNKNOWN: dict[str, tuple[Any, str, str]] = {
    "12 bits in 16": (
        np.uint16(RAMP * 273),
        "I;16",
        "0 to 4095: for example [0, 4095], which is 12",
    ),
    "14 bits in 16": (
        np.uint16(RAMP * 1092),
        "I;16",
        "0 to 16380: for example [0, 16383], which is",
    ),
    "32 bits": (np.int32(RAMP * 1_000_000), "I", "0 to 1.5e+07: for example [0, 16777215]"),
    "negative integers": (np.int32(RAMP - 8), "I", "-8 to 7: for example [-8, 7]"),
    "negative floats": (np.float32(RAMP / 7.5 - 1), "F", "-1 to 1: for example [-1, 1]"),
    "small floats": (np.float32(RAMP / 256), "F", "0 to 0.0585938: for example"),
    "large floats": (np.float32(RAMP * 1e6), "F", "0 to 1.5e+07: for example [0, 1.5e+07]"),
}


@pytest.mark.parametrize("case", list(UNKNOWN))
def test_values_that_nothing_explains(case: str) -> None:
    image, mode, rest = UNKNOWN[case]
    for name in "abc":
        save(f"root/{name}.tif", image)
    line = (
        "value_range=None must be the values of black and white, which nothing tells of 3 images "
        f"of mode {mode} in root='root', such as a.tif, with values from {rest}"
    )
    data = folder()
    with pytest.raises(ValueError, match=f"^{re.escape(line)}") as caught:
        data.prepare_data()
    assert "\n" not in str(caught.value)
    assert list(Path().rglob("*.u8")) == []
    # neither by itself
    with pytest.raises(ValueRangeError, match=r"1 image of mode .* in root, such as a\.tif"):
        read_image(Path("root/a.tif"), 1)
    given = folder(value_range=(float(image.min()), float(image.max())))
    assert values(given) == {17 * n for n in range(16)}


def test_one_range_for_the_whole_folder() -> None:
    # dark images among those that use all bits
    for i, top in enumerate((4_369, 65_535, 13_107)):
        save(f"root/{i}.png", np.full((4, 4), top, np.uint16))
    assert values(folder()) == {17, 255, 51}


def test_a_range_that_cuts_off_is_said() -> None:
    for i in range(3):
        save(f"root/{i}.png", np.uint16(RAMP * 4369))
    with pytest.warns(UserWarning, match=r"value_range=\(0, 4095\) cuts off values of 3 images"):
        assert values(folder(value_range=(0, 4095))) == {0, 255}
    # another range is another cache
    assert values(folder()) == {17 * n for n in range(16)}


@pytest.mark.parametrize("given", [(1, 1), (2, 0), (0, float("nan")), (float("-inf"), 0)])
def test_ranges_that_are_none(given: tuple[float, float]) -> None:
    line = re.escape(f"value_range={given!r} must be two numbers, the smaller one first")
    with pytest.raises(ValueError, match=line):
        folder(".", value_range=given)
    with pytest.raises(ValueError, match=line):
        UnpairedFolderDataModule(root=".", value_range=given)
    with pytest.raises(ValueError, match=line):
        Prediction(value_range=given)


def test_a_range_for_images_that_have_no_need() -> None:
    for i in range(3):
        save(f"root/{i}.png", np.uint8(RAMP))
    with pytest.raises(
        ValueError, match=r"value_range=\(0, 15\) must be left out: no image in roo"
    ):
        folder(value_range=(0, 15)).prepare_data()


def test_two_domains_take_a_range() -> None:
    for part in ("trainA", "trainB", "testA", "testB"):
        save(f"root/{part}/0.png", np.uint16(RAMP * 273))
    data = UnpairedFolderDataModule(
        root="root", image_size=4, load_size=None, channels=1, value_range=(0, 4095)
    )
    data.setup()
    assert data.splits["train"].b.images[0, 0].tolist() == (RAMP * 17).tolist()


def test_values_that_are_none() -> None:
    for i in range(3):
        save(f"root/{i}.tif", np.float32(RAMP / 15))
    save("root/bad.tif", np.float32(RAMP / np.where(RAMP == 3, np.nan, 15)))
    with pytest.raises(ValueError, match=r"1 with NaN or infinity among the values \(bad.tif\)"):
        folder().prepare_data()


# ---- 16 bits of colour, of which Pillow reads the upper 8 --------------------------------------


def colour_ppm(path: str, values: NDArray[Any]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    deep = np.repeat(values[..., None], 3, 2).astype(">u2")
    Path(path).write_bytes(b"P6 4 4 65535\n" + deep.tobytes())


def test_colour_that_uses_all_bits() -> None:
    colour_ppm("root/a.ppm", RAMP * 4369)
    assert decode("root/a.ppm", 4, 3)[1].tolist() == (RAMP * 17).tolist()


def test_colour_that_uses_12_bits() -> None:
    for name in "abc":
        colour_ppm(f"root/{name}.ppm", RAMP * 273)
    with pytest.raises(
        ValueError, match=r"nothing tells of 3 images of mode RGB .*\[0, 65535\] wh"
    ):
        folder().prepare_data()
    with pytest.raises(ValueError, match=r"value_range=\(0, 4095\) must span 16384 at least"):
        folder(value_range=(0, 4095)).prepare_data()
    assert values(folder(value_range=(0, 65_535))) == {round(n * 273 / 257) for n in range(16)}


# ---- on the command line -------------------------------------------------------------------------


class Kept(torch.nn.Module):
    """A generator that gives back what it gets."""

    def __init__(self, image_shape: Any) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + self.weight


def test_predict_reads_what_training_reads(make_trainer: Any) -> None:
    save("in/a.png", np.uint16(RAMP * 273))
    model = CycleGAN(image_shape=(1, 4, 4), generator=Kept, discriminator=Kept)

    def predict(**options: Any) -> None:
        prediction = Prediction(input="in", out="out", **options)
        writer = ImageWriter(prediction, Path("unused"))
        trainer = make_trainer(callbacks=[writer])
        trainer.predict(model, prediction.loader(model), return_predictions=False)

    with pytest.raises(ValueError, match=r"nothing tells of 1 image of mode I;16 in input='in', s"):
        predict()
    predict(value_range=(0, 4095))
    with Image.open("out/a.png") as file:
        assert np.asarray(file).tolist() == (RAMP * 17).tolist()


def test_one_line_on_the_command_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(16):
        save(f"root/{i}.png", np.uint16(np.arange(256).reshape(16, 16) * 16))
    monkeypatch.setattr("sys.argv", ["cli.py"])
    command = (
        "fit --config folder/dcgan.yaml --data.root root --data.image_size 16 --trainer.logger"
    )
    given = "false --trainer.accelerator cpu --trainer.max_steps 1 --data.batch_size 4"
    little = "--trainer.limit_val_batches 0 --trainer.enable_model_summary false"
    options = f"{command} {given} {little} --trainer.enable_progress_bar false".split()
    with pytest.raises(SystemExit):
        cli.main(options)
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: value_range=None must be the values of black and white")
    assert line.endswith("for example [0, 4095], which is 12 bits")
    cli.main([*options, "--data.value_range", "[0, 4095]"])
