"""The page of a model: its pictures, its functions, its command line."""

import asyncio
import base64
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.testing import assert_close

import cli
from gan_modules import CGAN, CycleGAN, GANModule, GenerativeModule
from gan_modules.callbacks.pictures import grid, picture
from gan_modules.command_line import GANCLI
from gan_modules.command_line.demo import _own_class
from gan_modules.demo.pictures import SamplePictures
from gan_modules.demo.server import find_port
from gan_modules.demo.translations import TranslationPictures
from gan_modules.families.latents import slerp
from gan_modules.networks import (
    CycleGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    PatchGANDiscriminator,
)
from gan_modules.tools.image_files import read_image


class DemoCGAN(CGAN):
    """A conditional model with batch normalisation, which shows in what mode it is."""

    def build_generator(self) -> nn.Module:
        shape, classes = self.image_shape, self.num_classes
        return MLPGenerator(shape, self.latent_dim, classes, hidden=(8,), batch_norm=True)

    def build_discriminator(self) -> nn.Module:
        return MLPDiscriminator(self.image_shape, self.num_classes, hidden=(8,))


class DemoCycleGAN(CycleGAN):
    """Images of any size whose sides are even."""

    def build_generator(self) -> nn.Module:
        return CycleGANGenerator(self.image_shape, width=2, n_blocks=0, n_downsampling=1)

    def build_discriminator(self) -> nn.Module:
        return PatchGANDiscriminator(self.image_shape, width=2, n_layers=1)


@pytest.fixture
def digits() -> DemoCGAN:
    return DemoCGAN(image_shape=(1, 8, 8), num_classes=3, latent_dim=4)


@pytest.fixture
def styles() -> DemoCycleGAN:
    return DemoCycleGAN(image_shape=(3, 8, 12))


def pixels(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def page_of(images: Tensor) -> Tensor:
    """The pixels of a picture of images ``(rows, columns, C, H, W)``."""
    return (grid(images, 640) * 255).round().byte()


# ---- pictures ------------------------------------------------------------------------------------


def test_a_picture_is_the_grid_rounded() -> None:
    # 0 is 127.5 of 255; 4 / 255 above -1 is 2 of 255
    images = torch.tensor([-1.0, -1 + 4 / 255, 0.01, 1.0]).reshape(1, 1, 1, 2, 2)
    image = picture(images, 4)
    assert pixels(image)[0, ::2, ::2].tolist() == [[0, 2], [129, 255]]
    assert image.size == (4, 4)


def test_samples_have_one_class_per_row(digits: DemoCGAN) -> None:
    images = digits.sample(6, [0, 0, 1, 1, 2, 2], seed=5)
    expected = page_of(images.unflatten(0, (3, 2)))
    # seven do not fit: two of each class do
    assert torch.equal(pixels(SamplePictures(digits).samples(5, 7)), expected)


def test_samples_of_one_class_fill_a_square(digits: DemoCGAN) -> None:
    images = digits.sample(5, [1] * 5, seed=5, truncation=0.4)
    expected = page_of(torch.cat([images, -torch.ones(1, 1, 8, 8)]).unflatten(0, (2, 3)))
    assert torch.equal(pixels(SamplePictures(digits).samples(5, 5, 1, 0.4)), expected)


@pytest.mark.parametrize(("distribution", "most"), [("normal", 3.0), ("uniform", 1.0)])
def test_nothing_is_truncated_at_the_right_end(
    make_model: Any, distribution: str, most: float
) -> None:
    model = make_model(latent_distribution=distribution)
    pictures = SamplePictures(model)
    assert pictures.most_truncation == most
    whole = page_of(model.sample(4, seed=2).unflatten(0, (2, 2)))
    assert torch.equal(pixels(pictures.samples(2, 4, None, most)), whole)
    below = page_of(model.sample(4, seed=2, truncation=most / 2).unflatten(0, (2, 2)))
    assert torch.equal(pixels(pictures.samples(2, 4, None, most / 2)), below)
    assert not torch.equal(below, whole)


def test_samples_moved_along_directions(digits: DemoCGAN, make_model: Any) -> None:
    pictures = SamplePictures(digits)
    first, second = pictures.directions.directions[:2]
    # uniform latents have a standard deviation of 1 / sqrt 3
    shift = (2.5 * first - 1.5 * second) / 3**0.5
    offsets = [2.5, -1.5, 0.0, 0.0]
    z, labels = digits.latents(1, seed=3).expand(3, -1), torch.arange(3)
    expected = page_of(torch.stack([digits(z, labels), digits(z + shift, labels)]).detach())
    assert torch.equal(pixels(pictures.moved(3, None, offsets)), expected)
    z, labels = digits.latents(8, seed=3), torch.full((8,), 2)
    expected = page_of(torch.stack([digits(z, labels), digits(z + shift, labels)]).detach())
    assert torch.equal(pixels(pictures.moved(3, 2, offsets)), expected)
    model = make_model()
    pictures = SamplePictures(model)
    z, shift = model.latents(8, seed=3), -1.5 * pictures.directions.directions[1]
    expected = page_of(torch.stack([model(z), model(z + shift)]).detach())
    assert torch.equal(pixels(pictures.moved(3, None, [0.0, -1.5, 0.0, 0.0])), expected)


def test_the_overview_has_the_ends_of_the_sliders(digits: DemoCGAN) -> None:
    pictures = SamplePictures(digits)
    rows = []
    for direction in pictures.directions.directions:
        path = [digits.latents(1, seed=3) + k * direction / 3**0.5 for k in range(-4, 5)]
        rows.append(digits(torch.cat(path), torch.full((9,), 1)).detach())
    assert len(rows) == 4
    assert_close(pixels(pictures.overview(3, 1)).int(), page_of(torch.stack(rows)).int(), rtol=0, atol=1)  # fmt: skip  # noqa: E501


def test_interpolation_between_two_seeds(digits: DemoCGAN, make_model: Any) -> None:
    pictures = SamplePictures(digits)
    ends = digits.latents(1, seed=4), digits.latents(1, seed=9)
    z = torch.lerp(*ends, 0.25)
    expected = page_of(digits(z.expand(3, -1), torch.arange(3)).detach()[None])
    assert torch.equal(pixels(pictures.between(4, 9, None, 0.25)), expected)
    # both ends are the seeds' own samples
    for seed, place in ((4, 0.0), (9, 1.0)):
        expected = page_of(digits.sample(1, [2], seed=seed)[None])
        assert torch.equal(pixels(pictures.between(4, 9, 2, place)), expected)
    walk = digits(torch.lerp(*ends, torch.linspace(0, 1, 9)[:, None]), torch.full((9,), 2))
    assert torch.equal(pixels(pictures.strip(4, 9, 2)), page_of(walk.detach()[None]))
    model = make_model()
    z = slerp(model.latents(1, seed=4), model.latents(1, seed=9), 0.25)
    expected = page_of(model(z).detach()[None])
    assert torch.equal(pixels(SamplePictures(model).between(4, 9, None, 0.25)), expected)


def test_the_animation_goes_there_and_back(digits: DemoCGAN) -> None:
    pictures = SamplePictures(digits)
    head, _, content = pictures.animation(4, 9, 1).partition(",")
    assert head == "data:image/gif;base64"
    with Image.open(BytesIO(base64.b64decode(content))) as moving:
        assert (moving.n_frames, moving.info["loop"]) == (32, 0)  # type: ignore[attr-defined]
        for place, number in ((0.0, 0), (0.25, 4), (1.0, 16), (0.25, 28)):
            moving.seek(number)
            z = torch.lerp(digits.latents(1, seed=4), digits.latents(1, seed=9), place)
            expected = pixels(picture(digits(z, torch.tensor([1])).detach()[None], 320))
            assert_close(pixels(moving.convert("RGB")).int(), expected.int(), rtol=0, atol=2)


def test_requests_at_once_get_what_each_gets_alone(digits: DemoCGAN) -> None:
    digits.train()
    pictures = SamplePictures(digits)
    before = {name: value.clone() for name, value in digits.state_dict().items()}
    assert not any(module.training for module in digits.modules())
    state = torch.get_rng_state()
    seeds = [*range(15)] * 2
    alone = [pixels(pictures.samples(seed, 6)) for seed in seeds]
    with ThreadPoolExecutor(8) as pool:
        together = [pixels(x) for x in pool.map(lambda s: pictures.samples(s, 6), seeds)]
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in digits.state_dict().items():
        assert torch.equal(value, before[name])


def test_translation_and_back(styles: DemoCycleGAN) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (10, 14, 3), np.uint8)
    Image.fromarray(colours).save("a.png")
    pictures = TranslationPictures(styles)
    for size, own in (((8, 12), False), (None, True)):
        image = read_image(Path("a.png"), 3, size)[None]
        there = styles(image, "b_to_a").detach()
        back = styles(there, "a_to_b").detach()
        made = pictures.translate("a.png", "b_to_a", own)
        for found, expected in zip(made, (image, there, back), strict=True):
            assert torch.equal(pixels(found), pixels(picture(expected[None], 384)))
    # cut in the middle, not squeezed
    Image.fromarray(np.repeat([[0] * 6 + [255] * 12 + [0] * 6], 8, 0).astype(np.uint8)).save(
        "b.png"
    )
    assert read_image(Path("b.png"), 1, (8, 12)).min() == 1


def test_files_that_cannot_be_translated(styles: DemoCycleGAN) -> None:
    pictures = TranslationPictures(styles)
    Path("a.png").write_text("no image")
    with pytest.raises(ValueError, match="this file cannot be read as an image"):
        pictures.translate("a.png")
    Image.new("RGB", (8, 7)).save("odd.png")
    assert pictures.translate("odd.png").input.size == (384, 256)
    line = "does not keep the size of an image of 7 by 8: choose 8 by 12"
    with pytest.raises(ValueError, match=line):
        pictures.translate("odd.png", own_size=True)
    Image.new("RGB", (2, 2)).save("tiny.png")
    with pytest.raises(ValueError, match="does not keep the size of an image of 2 by 2"):
        pictures.translate("tiny.png", own_size=True)
    Image.new("L", (1025, 1024)).save("large.png")
    with pytest.raises(ValueError, match="1024 by 1025 is too large to keep its size: choose 8 by"):
        pictures.translate("large.png", own_size=True)


# ---- the page, without a browser -----------------------------------------------------------------


def build(model: GANModule) -> tuple[dict[str, Any], dict[str, Any]]:
    """The page's functions by name, and its components by what they are called."""
    from gan_modules.demo.page import build_page

    async def in_a_loop() -> Any:
        # without one Gradio makes one, and leaves it open
        return build_page(model, 1234, "runs/<b>/last.ckpt")

    page = asyncio.run(in_a_loop())
    functions = {str(f.name): f.fn for f in page.fns.values()}
    parts = {getattr(b, "elem_id", None) or str(b): b for b in page.blocks.values()}
    return functions, parts


@pytest.mark.thorough
def test_functions_of_a_page_of_samples(digits: DemoCGAN) -> None:
    functions, parts = build(digits)
    pictures = SamplePictures(digits)
    same = lambda a, b: torch.equal(pixels(a), pixels(b))  # noqa: E731
    assert same(functions["draw"](7, 9, -1, 0.5), pictures.samples(7, 9, None, 0.5))
    assert same(functions["draw"](7, 9, 2, 1), pictures.samples(7, 9, 2))
    # fields are empty while they are edited
    assert same(functions["draw"](None, None, None, 1), pictures.samples(0, 1))
    assert same(functions["move"](7, 0, 1, None, 0, 0), pictures.moved(7, 0, [1, 0, 0, 0]))
    overview, text = functions["explore"](7, 0)
    assert same(overview, pictures.overview(7, 0))
    assert f"{pictures.directions.shares[0]:.0%}" in text
    assert same(functions["show"](7, 8, 1, 0.3), pictures.between(7, 8, 1, 0.3))
    strip, moving = functions["walk"](7, 8, -1)
    assert same(strip, pictures.strip(7, 8, None))
    assert pictures.animation(7, 8, None) in moving
    assert parts["samples-label"].visible
    assert parts["samples-label"].choices[0] == ("One class per row", -1)
    assert [k for _, k in parts["directions-label"].choices] == [-1, 0, 1, 2]
    assert (parts["direction-4"].minimum, parts["direction-4"].maximum) == (-4, 4)
    assert "direction-5" not in parts
    about = next(b.value for b in parts.values() if "1,234" in str(getattr(b, "value", "")))
    assert "runs/&lt;b&gt;/last.ckpt" in about
    assert "DemoCGAN" in about


def test_the_page_of_a_model_without_classes_asks_for_none(make_model: Any) -> None:
    _, parts = build(make_model())
    assert not parts["samples-label"].visible
    assert parts["samples-truncation"].maximum == 3


def test_functions_of_a_page_of_translations(styles: DemoCycleGAN) -> None:
    import gradio

    functions, parts = build(styles)
    assert functions["translate"](None, "a_to_b", False) == [None] * 3
    Image.new("RGB", (8, 7), "red").save("odd.png")
    made = functions["translate"]("odd.png", "b_to_a", False)
    expected = TranslationPictures(styles).translate("odd.png", "b_to_a")
    for a, b in zip(made, expected, strict=True):
        assert torch.equal(pixels(a), pixels(b))
    with pytest.raises(gradio.Error, match="does not keep the size"):
        functions["translate"]("odd.png", "b_to_a", True)
    assert "samples-seed" not in parts


class Neither(GANModule):
    """Of no family that there is a page for."""

    averaged = ()

    def build_networks(self) -> None:
        pass


def test_models_without_a_page() -> None:
    from gan_modules.demo.page import build_page

    Neither.__abstractmethods__ = frozenset()
    neither = Neither()  # type: ignore[abstract]
    with pytest.raises(ValueError, match="LatentModel or a TranslationModel, not a Neither"):
        build_page(neither, 1, "a")


# ---- the command line ----------------------------------------------------------------------------


WRONG = {
    "": "--ckpt_path is missing",
    "--ckpt_path no.ckpt": "ckpt_path=no.ckpt must be a checkpoint file or a run: no.ckpt has",
    "--ckpt_path empty": "ckpt_path=empty must be a checkpoint file or a run: empty has no r",
    "--ckpt_path text.ckpt": "text.ckpt is not a readable checkpoint",
    "--ckpt_path a.ckpt --port TAKEN": "port=TAKEN on host=127.0.0.1 cannot be listened on (Addr",
    "--ckpt_path a.ckpt --port 0": "port=0 must be in [1, 65535]",
    "--ckpt_path a.ckpt --port web": "port=web must be an integer or null",
    "--ckpt_path a.ckpt --device tpu": "device=tpu must be one that is here, such as cpu",
    "--ckpt_path a.ckpt --model gone.Mine": "model=gone.Mine cannot be imported, as in my_proje",
    "--ckpt_path a.ckpt --model Mine": "model=Mine cannot be imported, as in my_project.MyGAN",
    "--ckpt_path a.ckpt --model pathlib.Path": "model=pathlib.Path must be a subclass of Generat",
    "--ckpt_path a.ckpt --prot 80": "there is no option --prot; nearest: --port",
    "--ckpt_path a.ckpt --trainer.devices 2": "there is no option --trainer.devices",
}


@pytest.mark.parametrize("command", WRONG)
def test_wrong_commands_end_in_one_line(command: str, capsys: Any) -> None:
    Path("empty").mkdir()
    Path("text.ckpt").write_text("no checkpoint")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        with pytest.raises(SystemExit) as caught:
            cli.main(["demo", *command.replace("TAKEN", port).split()])
    assert caught.value.code in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    expected = f"error: {WRONG[command]}".replace("TAKEN", port)
    assert line[: len(expected)] == expected


def test_without_gradio_a_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(SystemExit) as caught:
        cli.main(["demo", "--ckpt_path", "a.ckpt"])
    assert caught.value.code == 1
    line = 'error: demo needs Gradio: pip install "gan_modules[demo]"\n'
    assert capsys.readouterr().err == line


def test_demo_is_listed_and_its_help_is_short(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # LightningCLI warns if the process has arguments of its own
    monkeypatch.setattr("sys.argv", ["cli.py"])
    for words in (["--help"], ["demo", "--help"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(words)
        assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "{fit,validate,test,predict,demo,compare,invert,arithmetic,lab}" in out
    options = out[out.index("usage: cli.py demo") :]
    assert len(options.splitlines()) < 30
    assert "trainer" not in options
    with pytest.raises(ValueError, match="demo must be the first word of the command line"):
        GANCLI(["demo", "--ckpt_path", "a.ckpt"])


def test_the_first_free_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            free = other.getsockname()[1]
        monkeypatch.setattr("gan_modules.demo.server.PORTS", [taken, free])
        assert find_port("127.0.0.1") == free
        monkeypatch.setattr("gan_modules.demo.server.PORTS", [taken])
        with pytest.raises(ValueError, match=f"a port of {taken} to {taken} on host=127.0.0.1"):
            find_port("127.0.0.1")
    with pytest.raises(ValueError, match=r"port=8000 on host=no\.such\.host\.invalid cannot"):
        find_port("no.such.host.invalid", 8000)


def test_classes_of_ones_own() -> None:
    assert _own_class("gan_modules.CGAN") is CGAN
    # a network is only to be imported; the checkpoint says what the model is
    assert _own_class("gan_modules.networks.MLPGenerator") is GenerativeModule
    with pytest.raises(ValueError, match=r"model=os\.system must be a subclass of Generative"):
        _own_class("os.system")
    with pytest.raises(ValueError, match=r"model=nowhere\.Own cannot be imported"):
        _own_class("nowhere.Own")
