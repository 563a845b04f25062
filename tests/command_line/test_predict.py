"""predict writes images, test and validate write what they found."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Trainer
from PIL import Image
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms.v2.functional import pil_to_tensor

import cli
from gan_modules import CGAN, WGANGP, CycleGAN, GANModule
from gan_modules.callbacks.pictures import grid
from gan_modules.command_line.predict import ImageWriter
from gan_modules.command_line.prediction import Prediction
from gan_modules.command_line.results import run_folder_of, write_results
from gan_modules.networks import (
    CycleGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    PatchGANDiscriminator,
)
from gan_modules.tools.image_files import image_size, read_image, write_image
from gan_modules.tools.image_folders import find_images

pytestmark = pytest.mark.usefixtures("undrawn")

REPOSITORY = Path(__file__).parents[2]


class TinyCGAN(CGAN):
    """A conditional model that its checkpoint describes."""

    def build_generator(self) -> nn.Module:
        return MLPGenerator(self.image_shape, self.latent_dim, self.num_classes, hidden=(8,))


class TinyPoints(WGANGP):
    """Points in the plane."""

    def build_generator(self) -> nn.Module:
        return MLPGenerator(self.image_shape, self.latent_dim, hidden=(8,))

    def build_discriminator(self) -> nn.Module:
        return MLPDiscriminator(self.image_shape, hidden=(8,))


class TinyCycleGAN(CycleGAN):
    """Images of any size whose sides are even and at least 4."""

    def build_generator(self) -> nn.Module:
        return CycleGANGenerator(self.image_shape, width=2, n_blocks=0, n_downsampling=1)

    def build_discriminator(self) -> nn.Module:
        return PatchGANDiscriminator(self.image_shape, width=2, n_layers=1)


def save(model: GANModule, path: str) -> str:
    """Write a checkpoint without training."""
    trainer = Trainer(accelerator="cpu", logger=False, enable_model_summary=False)
    trainer.strategy.connect(model)
    model.trainer = trainer
    trainer.save_checkpoint(path)
    return path


@pytest.fixture(autouse=True)
def _no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["cli.py"])


@pytest.fixture
def digits() -> str:
    return save(tiny_cgan(), "run/checkpoints/a.ckpt")


@pytest.fixture
def styles() -> str:
    return save(TinyCycleGAN(image_shape=(3, 8, 8)), "a.ckpt")


def predict(path: str, *options: str) -> Any:
    return cli.main(["predict", *options, "--ckpt_path", path, "--trainer.accelerator", "cpu"])


def names(folder: str | Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


def pixels(path: str | Path) -> Tensor:
    with Image.open(path) as image:
        return pil_to_tensor(image)


def as_pixels(images: Tensor) -> Tensor:
    return ((images + 1) * 127.5).round().byte()


def test_samples_are_those_of_the_model(digits: str, capsys: Any) -> None:
    predict(digits, "--labels", "[2, 0, 2]", "--seed", "5", "--batch_size", "2")
    folder = Path("run/predictions/step_000000")
    assert capsys.readouterr().out.splitlines()[-1] == f"{folder}: 3 files"
    assert names(folder) == ["000000_class_2.png", "000001_class_0.png", "000002_class_2.png"]
    expected = GANModule.load_from_checkpoint(digits).sample(3, [2, 0, 2], seed=5)  # type: ignore[operator]
    for name, image in zip(names(folder), expected, strict=True):
        assert_close(pixels(folder / name), as_pixels(image))


@pytest.mark.thorough
def test_config_and_options_may_be_given_as_well() -> None:
    fit = ["fit", "--config", "wgan_gp.yaml", "--trainer.max_steps", "1", "--trainer.logger"]
    cli.main([*fit, "false", "--model.latent_dim", "3"])
    run = Path("runs/wgan_gp/0")
    config = str(run / "config.yaml")
    # a run's config as it is, although its data are gone
    content = yaml.safe_load(Path(config).read_text())
    content["data"] = {
        "class_path": "ImageFolderDataModule",
        "init_args": {"root": "gone", "image_size": 16},
    }
    Path("moved.yaml").write_text(yaml.safe_dump(content))
    path = str(run / "checkpoints" / "last.ckpt")
    predict(path, "--config", "moved.yaml", "--n", "2", "--truncation", "0.5", "--out", "mine")
    model = GANModule.load_from_checkpoint(path)
    expected = as_pixels(model.sample(2, seed=0, truncation=0.5))  # type: ignore[operator]
    made = torch.stack([pixels("mine/000000.png"), pixels("mine/000001.png")])
    assert_close(made, expected)


def test_nothing_is_overwritten(make_trainer: Any) -> None:
    Path("empty").mkdir()
    for _ in range(2):
        make(tiny_cgan(), make_trainer, "empty", n=1)
    assert (names("empty"), names("empty-v1")) == (["000000_class_0.png"],) * 2


def test_a_trial_writes_nothing(digits: str) -> None:
    predict(digits, "--n", "1", "--out", "trial", "--trainer.fast_dev_run", "true")
    assert not Path("trial").exists()


def make(model: Any, make_trainer: Any, out: str, **options: Any) -> None:
    """What the command does, without the command line."""
    prediction = Prediction(out=out, **options)
    writer = ImageWriter(prediction, Path("unused"))
    trainer = make_trainer(callbacks=[writer])
    trainer.predict(model, prediction.loader(model), return_predictions=False)


def tiny_cgan() -> TinyCGAN:
    return TinyCGAN(image_shape=(1, 8, 8), num_classes=3, latent_dim=4)


@pytest.mark.parametrize("ending", ["npy", "pt"])
def test_arrays(ending: str, make_trainer: Any) -> None:
    model = tiny_cgan()
    make(model, make_trainer, "single", n=3, format=ending)
    make(model, make_trainer, "one", n=3, format=ending, grid=True, batch_size=2)
    read = (lambda p: torch.from_numpy(np.load(p))) if ending == "npy" else torch.load
    made = torch.stack([read(Path("single", name)) for name in names("single")])
    assert_close(made, model.sample(3, seed=0))
    assert names("one") == [f"samples.{ending}"]
    assert_close(read(f"one/samples.{ending}"), model.sample(3, seed=0))


def test_one_label_for_all(make_trainer: Any) -> None:
    make(tiny_cgan(), make_trainer, "out", n=3, labels=0)
    assert names("out") == [f"00000{n}_class_0.png" for n in range(3)]


def test_a_grid_has_one_class_per_row(make_trainer: Any) -> None:
    model = tiny_cgan()
    make(model, make_trainer, "out", n=8, grid=True)
    assert names("out") == ["samples.png"]
    images = model.sample(8, [0, 0, 0, 1, 1, 1, 2, 2], seed=0)
    page = grid(torch.cat([images, -torch.ones(1, 1, 8, 8)]).unflatten(0, (3, 3)), 512)
    assert_close(pixels("out/samples.png"), as_pixels(page * 2 - 1))


def test_points_are_written_as_arrays(make_trainer: Any) -> None:
    model = TinyPoints(image_shape=(2,), latent_dim=3)
    make(model, make_trainer, "out", n=70, format="npy", grid=True, seed=4)
    assert_close(torch.from_numpy(np.load("out/samples.npy")), model.sample(70, seed=4))


def photographs() -> None:
    """Two sizes, five kinds of files, and two names that differ in their endings."""
    Path("in/deep/er").mkdir(parents=True)
    colours = np.random.default_rng(0).integers(0, 256, (12, 8, 3), np.uint8)
    Image.fromarray(colours).save("in/a.png")
    Image.fromarray(colours[:8]).save("in/a.bmp")
    Image.fromarray(colours[:8, :, 0]).save("in/deep/grey.png")
    Image.fromarray(colours[:8]).save("in/deep/er/B.TIFF")
    Image.fromarray(colours[:8]).convert("P").save("in/palette.gif")
    Path("in/notes.txt").write_text("no image")
    Path("in/.hidden.png").write_text("no image")


def test_a_folder_is_translated(styles: str, make_trainer: Any) -> None:
    photographs()
    with pytest.warns(UserWarning, match=r"left out of input='in': 1 hidden .*\(notes.txt\)"):
        predict(styles, "--input", "in", "--out", "out", "--batch_size", "2")
    assert names("out") == ["a.bmp.png", "a.png.png", "deep/er/B.png", "deep/grey.png", "palette.png"]  # fmt: skip  # noqa: E501
    model: Any = GANModule.load_from_checkpoint(styles)
    model.eval()
    sources = {"a.bmp.png": "a.bmp", "a.png.png": "a.png", "deep/er/B.png": "deep/er/B.TIFF"}
    for made, source in sources.items():
        with Image.open(Path("in", source)) as file:
            image = pil_to_tensor(file.convert("RGB")).float() / 127.5 - 1
        expected = as_pixels(model(image[None], "a_to_b")[0].detach())
        # sums in batches of another size round differently
        assert_close(pixels(Path("out", made)).float(), expected.float(), rtol=0, atol=1)
    assert pixels("out/a.png.png").shape == (3, 12, 8)
    Path("in/.hidden.png").unlink()
    Path("in/notes.txt").unlink()
    make(model, make_trainer, "back", input="in", direction="b_to_a", size=8, format="npy")
    with Image.open("in/a.bmp") as file:
        image = pil_to_tensor(file.convert("RGB")).float() / 127.5 - 1
    made = torch.from_numpy(np.load("back/a.bmp.npy"))
    assert_close(made, model.translate(image[None], "b_to_a")[0], rtol=1e-4, atol=1e-5)
    assert np.load("back/a.png.npy").shape == (3, 8, 8)
    make(model, make_trainer, "wide", input="in", direction="b_to_a", size=(8, 12), format="npy")
    assert np.load("wide/a.png.npy").shape == (3, 8, 12)


def test_images_are_read_upright_on_white_and_whole() -> None:
    # two pixels, red over blue
    image = Image.new("RGB", (1, 2), "red")
    image.putpixel((0, 1), (0, 0, 255))
    image.save("plain.png")
    red, blue = [1.0, -1.0, -1.0], [-1.0, -1.0, 1.0]
    assert read_image(Path("plain.png"), 3).permute(1, 2, 0).tolist() == [[red], [blue]]
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    image.save("turned.png", exif=exif)
    assert image_size(Path("turned.png")) == (1, 2)
    assert read_image(Path("turned.png"), 3).permute(1, 2, 0).tolist() == [[blue, red]]
    Image.new("RGBA", (1, 1), (255, 0, 0, 0)).save("clear.png")
    assert read_image(Path("clear.png"), 1).flatten().tolist() == [1.0]
    Image.fromarray(np.array([[0, 65_535]], np.uint16)).save("deep.png")
    assert read_image(Path("deep.png"), 1).flatten().tolist() == [-1.0, 1.0]
    # the middle of a wide image that is black at its ends
    wide = np.zeros((4, 16), np.uint8)
    wide[:, 3:13] = 255
    Image.fromarray(wide).save("wide.png")
    assert_close(read_image(Path("wide.png"), 1, 2), torch.ones(1, 2, 2))


@pytest.mark.parametrize("ending", ["png", "jpg", "npy", "pt"])
def test_images_survive_being_written(ending: str) -> None:
    image = torch.linspace(-1, 1, 192).reshape(3, 8, 8)
    path = Path("deep", f"image.{ending}")
    write_image(image, path)
    if ending in ("npy", "pt"):
        read = torch.from_numpy(np.load(path)) if ending == "npy" else torch.load(path)
        assert_close(read, image, rtol=0, atol=0)
    else:
        worst = 1 if ending == "png" else 20
        assert (read_image(path, 3) - image).abs().max() * 127.5 <= worst
    assert find_images(Path()).names == ([] if ending in ("npy", "pt") else [str(path)])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"n": 0}, "n=0 must be at least 1"),
        ({"labels": [1, 3]}, r"labels=\[1, 3\] must be 2 integers in \[0, 2\]"),
        ({"labels": [1], "n": 2}, r"labels=\[1\] must be 2 integers in \[0, 2\]"),
        ({"labels": []}, r"labels=\[\] must be one class at least"),
        ({"truncation": 1.5}, r"truncation=1.5 must be in \(0, 1\] for uniform latents"),
        ({"input": "in"}, "input='in' must be left out: a TinyCGAN draws samples"),
        ({"direction": "up"}, "direction='up' must be a_to_b or b_to_a"),
        ({"size": 0}, "size=0 must be at least 1"),
        ({"size": (8, 0)}, r"size=\(8, 0\) must be at least 1, or height and width of at least 1"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
    ],
)
def test_wrong_options_for_samples(options: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        Prediction(**options).loader(tiny_cgan())


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "input is missing: the folder of images to translate"),
        ({"n": 3, "input": "in"}, "n=3 must be left out: a TinyCycleGAN translates"),
        ({"seed": 3, "input": "in"}, "seed=3 must be left out: a TinyCycleGAN translates"),
        ({"input": "nowhere"}, "input='nowhere' must be a folder of images; there is none"),
        ({"input": "empty"}, r"input='empty' holds no images \(.png, .jpg, ...\)"),
        ({"input": "in", "grid": True}, "grid=True must be false for translations"),
        (
            {"input": "odd"},
            "2 of 3 images in input='odd' are of sizes that the generator does not keep, such as "
            "b.png, 7 by 8: resize them, for example by size=8",
        ),
        ({"input": "bad"}, "1 of 1 images in input='bad' cannot be read: a.png"),
        ({"input": "cut"}, "cut/a.jpg cannot be decoded"),
    ],
)
def test_wrong_options_for_translations(options: Any, line: str) -> None:
    for folder in ("empty", "bad", "cut"):
        Path(folder).mkdir()
    for folder, sizes in (("in", [8]), ("odd", [8, 7, 2])):
        Path(folder).mkdir()
        for name, height in zip("abc", sizes, strict=False):
            Image.new("RGB", (8, height)).save(f"{folder}/{name}.png")
    Path("bad/a.png").write_text("no image")
    Image.effect_noise((64, 64), 50).save("cut/a.jpg")
    Path("cut/a.jpg").write_bytes(Path("cut/a.jpg").read_bytes()[:-900])
    with pytest.raises(ValueError, match=line):
        list(Prediction(**options).loader(TinyCycleGAN(image_shape=(3, 8, 8))))


WRONG: dict[str, str] = {
    "": "predict needs --ckpt_path, the weights to use",
    "--ckpt_path no.ckpt": "ckpt_path=no.ckpt must be a checkpoint file",
    "CHECKPOINT --n 0": "n=0 must be at least 1",
    "CHECKPOINT --labels 3": "labels=3 must be an integer in [0, 2]",
    "CHECKPOINT --labels [3]": "labels=3 must be an integer in [0, 2]",
    "CHECKPOINT --labels [horse]": "labels='horse' must be an integer in [0, 2]: the data that",
    "CHECKPOINT --seed -3": "seed=-3 must be in [0, 4294967295]",
    "CHECKPOINT --labels seven": "labels='seven' must be an integer in [0, 2]: the data that",
    "CHECKPOINT --format gif": "format=gif must be png, jpg, npy or pt",
    "CHECKPOINT --out CHECKPOINT/out": "run/checkpoints/a.ckpt/out cannot be made (Not a direc",
    "CHECKPOINT --config cgan.yaml": "run/checkpoints/a.ckpt was trained with class=",
}


@pytest.mark.parametrize("command", WRONG)
def test_wrong_commands_end_in_one_line(command: str, digits: str, capsys: Any) -> None:
    words = command.replace("/out", "out").replace("CHECKPOINT ", f"--ckpt_path {digits} ")
    with pytest.raises(SystemExit):
        cli.main(["predict", *words.replace("CHECKPOINTout", f"{digits}/out").split()])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert [line.removeprefix("error: ")[: len(WRONG[command])] for line in lines] == [
        WRONG[command]
    ]


class Neither(GANModule):
    """Of no family that predict knows."""

    image_shape = (1, 8, 8)
    averaged = ()

    def build_networks(self) -> None:
        pass


def test_other_models_and_other_images_are_refused() -> None:
    model = TinyCGAN(image_shape=(2, 8, 8), num_classes=3, latent_dim=4)
    with pytest.raises(ValueError, match=r"format=png must be npy or pt: the model was built with"):
        Prediction().loader(model)
    Neither.__abstractmethods__ = frozenset()
    line = "predict takes a LatentModel or a TranslationModel, not a Neither"
    with pytest.raises(ValueError, match=line):
        Prediction().loader(Neither())  # type: ignore[abstract]


def test_every_process_gets_a_batch_or_a_line_says_why() -> None:
    model = tiny_cgan()
    loader = Prediction(n=5).loader(model, 2)
    assert [names for *_, names in loader] == [[f"00000{i}_class_{i % 3}.png"] for i in range(5)]
    with pytest.raises(ValueError, match=r"8 processes cannot share 5 images: lower trainer"):
        Prediction(n=5).loader(model, 8)
    with pytest.raises(ValueError, match="grid=True must be false with several processes"):
        Prediction(n=5, grid=True).loader(model, 2)


def test_predict_with_a_plain_trainer(make_trainer: Any) -> None:
    model = tiny_cgan()
    z, labels = torch.randn(4, 4), torch.tensor([0, 1, 2, 0])
    outputs = make_trainer().predict(model, DataLoader(TensorDataset(z, labels), batch_size=2))
    assert_close(torch.cat(outputs), model(z, labels).detach())
    style = TinyCycleGAN(image_shape=(3, 8, 8))
    a, b = torch.rand(2, 2, 3, 8, 8)
    (output,) = make_trainer().predict(style, DataLoader(TensorDataset(a, b), batch_size=2))
    assert_close(output, style.translate(a, "a_to_b"))


def test_results(tmp_path: Path) -> None:
    assert run_folder_of("runs/a/3/checkpoints/last.ckpt") == Path("runs/a/3")
    assert run_folder_of("x/checkpoints-v1/step_000001.ckpt") == Path("x")
    assert run_folder_of("models/best.ckpt") == Path("models")
    metrics = {"a": torch.tensor(0.5), "b": torch.tensor(float("nan"))}
    for end in ("", "-v1"):
        path = write_results("test", tmp_path / "last.ckpt", 20, metrics)
        assert path == tmp_path / f"test_step_000020{end}.json"
    assert json.loads(path.read_text())["metrics"] == {"a": 0.5, "b": None}
    Path("file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        write_results("test", Path("file/last.ckpt"), 20, metrics)


@pytest.mark.slow
def test_two_processes_write_what_one_does() -> None:
    run = [sys.executable, str(REPOSITORY / "cli.py")]
    fit = [*run, "fit", "--config", "wgan_gp.yaml", "--trainer.max_steps", "1"]
    subprocess.run([*fit, "--trainer.logger", "false"], check=True)
    options = ["predict", "--ckpt_path", "runs/wgan_gp/0/checkpoints/last.ckpt", "--n", "7"]
    for devices in ("1", "2"):
        place = ["--out", devices, "--trainer.devices", devices, "--trainer.accelerator", "cpu"]
        done = subprocess.run(
            [*run, *options, *place], check=True, capture_output=True, text=True
        )  # fmt: skip
        assert f"{devices}: 7 files" in done.stdout
    assert names("1") == names("2")
    for name in names("1"):
        assert Path("1", name).read_bytes() == Path("2", name).read_bytes()
