"""The demo as its user sees it: a server in a process of its own, and a real browser."""

import base64
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from processes import ROOT, free_port
from torch.utils.data import DataLoader, TensorDataset

from gan_modules import GANModule
from gan_modules.demo.editing import EditingPictures
from gan_modules.demo.translations import TranslationPictures

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-sync", "--disable-background-networking", "--disable-component-update",
]  # fmt: skip

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"none of {BROWSERS} is installed")

MODELS = """
from gan_modules import CGAN, CycleGAN
from gan_modules.networks import (
    CycleGANGenerator, MLPDiscriminator, MLPGenerator, PatchGANDiscriminator
)


class TinyCGAN(CGAN):
    def build_generator(self):
        return MLPGenerator(self.image_shape, self.latent_dim, self.num_classes, hidden=(16,))

    def build_discriminator(self):
        return MLPDiscriminator(self.image_shape, self.num_classes, hidden=(16,))


class TinyCycleGAN(CycleGAN):
    def build_generator(self):
        return CycleGANGenerator(self.image_shape, width=2, n_blocks=0, n_downsampling=1)

    def build_discriminator(self):
        return PatchGANDiscriminator(self.image_shape, width=2, n_layers=1)
"""


# imported by the server's Python before all else: it may speak to itself alone
WATCH = """
import os
import sys


def watch(event, values):
    if event == "socket.connect" and isinstance(values[1], tuple):
        if values[1][:2] != ("127.0.0.1", int(os.environ["DEMO_PORT"])):
            print("connects to", values[1], flush=True)
    elif event == "socket.getaddrinfo" and values[0] not in (None, "127.0.0.1", "localhost"):
        print("looks up", values[0], flush=True)


sys.addaudithook(watch)
"""


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A user's own module, which the command line is told to import."""
    Path("own_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(Path.cwd())
    yield import_module("own_models")
    del sys.modules["own_models"]


def files() -> set[Path]:
    """All files here but those in the user's cache: matplotlib's list of fonts, the browser's."""
    return {path for path in Path().rglob("*") if path.parts[0] != "cache"}


@contextmanager
def served(*options: str) -> Iterator[str]:
    """The command in a process, and its address; it must end well, and leave nothing behind."""
    port = str(free_port())
    Path("tmp").mkdir()
    Path("sitecustomize.py").write_text(WATCH)
    before = files()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "cli.py"), "demo", "--port", port, "--device", "cpu", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path.cwd())]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(Path("tmp").resolve()),
            "DEMO_PORT": port,
            # which nothing here may go by
            "http_proxy": "http://127.0.0.1:9",
            "https_proxy": "http://127.0.0.1:9",
        },
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert f"http://127.0.0.1:{port}/ (Ctrl-C ends it)" in line
        yield f"http://127.0.0.1:{port}/"
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert (rest, process.returncode) == ("", 0)
    assert files() == before


@contextmanager
def opened(address: str) -> Iterator[Page]:
    """The page in a browser; it must find nothing wrong, and ask no other server."""
    complaints: list[str] = []
    places: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        # of warnings there are some by Gradio's own scripts
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("request", lambda request: places.append(request.url))
        page.on(
            "response",
            lambda answer: complaints.append(answer.url) if answer.status >= 400 else None,
        )
        page.goto(address)
        yield page
        browser.close()
    assert complaints == []
    assert places
    assert [url for url in places if not url.startswith((address, "data:", "blob:"))] == []


def displayed(page: Page, name: str) -> Image.Image | None:
    """The picture that the page shows there, as it got it."""
    image = page.locator(f"#{name} img")
    if image.count() == 0:
        return None
    content = image.evaluate(
        """async (image) => {
            const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
            return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
        }"""
    )
    return Image.open(BytesIO(base64.b64decode(content))).convert("RGB")


def check(page: Page, name: str, expected: Image.Image) -> None:
    """Wait for a picture."""
    end = time.monotonic() + 30
    while (found := displayed(page, name)) is None or found.tobytes() != expected.tobytes():
        assert time.monotonic() < end, f"{name} does not show what it should"
        page.wait_for_timeout(50)


def fill(page: Page, name: str, value: str) -> None:
    field = page.locator(f"#{name} input[type=number]")
    field.fill(value)
    field.press("Enter")


def choose(page: Page, name: str, option: str) -> None:
    page.locator(f"#{name} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def drag(page: Page, name: str, share: float) -> float:
    """Drag a slider by the mouse, and read where it then is."""
    slider = page.locator(f"#{name} input[type=range]")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, height)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * share, height, steps=5)
    page.mouse.up()
    return float(page.locator(f"#{name} input[type=number]").input_value())


def train(model: GANModule, make_trainer: Callable[..., Any], batch: Any, path: str) -> None:
    trainer = make_trainer(max_steps=5)
    trainer.fit(model, DataLoader(TensorDataset(*batch), 8, drop_last=True))
    trainer.save_checkpoint(path)


@pytest.mark.slow
def test_samples_directions_and_interpolation(models: Any, make_trainer: Any) -> None:
    images, labels = torch.rand(40, 1, 8, 8) * 2 - 1, torch.arange(40) % 3
    model = models.TinyCGAN(image_shape=(1, 8, 8), num_classes=3, latent_dim=4)
    train(model, make_trainer, (images, labels), "run/checkpoints/step_000005.ckpt")
    path = "run/checkpoints/step_000005.ckpt"
    pictures = EditingPictures(models.TinyCGAN.load_from_checkpoint(path))
    digit = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(digit).save("digit.png")
    with (
        served("--ckpt_path", "run", "--model", "own_models.TinyCGAN") as address,
        opened(address) as page,
    ):
        expect(page).to_have_title("TinyCGAN · gan_modules")
        for fact in ("5 generator updates", "8 x 8, grey", "4 uniform latents", "3 classes", path):
            expect(page.get_by_text(fact)).to_be_visible()
        check(page, "samples-picture", pictures.samples(0, 100))
        fill(page, "samples-seed", "7")
        check(page, "samples-picture", pictures.samples(7, 100))
        choose(page, "samples-label", "2")
        check(page, "samples-picture", pictures.samples(7, 100, 2))
        fill(page, "samples-n", "20")
        check(page, "samples-picture", pictures.samples(7, 20, 2))
        truncation = drag(page, "samples-truncation", 0.3)
        assert 0.1 < truncation < 0.6
        check(page, "samples-picture", pictures.samples(7, 20, 2, truncation))

        page.get_by_role("tab", name="Latent directions").click()
        check(page, "overview-picture", pictures.overview(0, None))
        check(page, "moved-picture", pictures.moved(0, None, [0, 0, 0, 0]))
        first = drag(page, "direction-1", 0.8)
        assert 1 < first < 4
        check(page, "moved-picture", pictures.moved(0, None, [first, 0, 0, 0]))
        fill(page, "direction-3", "-2.5")
        check(page, "moved-picture", pictures.moved(0, None, [first, 0, -2.5, 0]))
        choose(page, "directions-label", "1")
        check(page, "moved-picture", pictures.moved(0, 1, [first, 0, -2.5, 0]))
        check(page, "overview-picture", pictures.overview(0, 1))
        page.locator("#directions-reset").click()
        check(page, "moved-picture", pictures.moved(0, 1, [0, 0, 0, 0]))

        page.get_by_role("tab", name="Interpolation").click()
        check(page, "strip-picture", pictures.strip(0, 1, None))
        check(page, "between-picture", pictures.between(0, 1, None, 0.5))
        position = drag(page, "position", 0.9)
        assert 0.7 < position < 1
        check(page, "between-picture", pictures.between(0, 1, None, position))
        fill(page, "second-seed", "5")
        check(page, "strip-picture", pictures.strip(0, 5, None))
        check(page, "between-picture", pictures.between(0, 5, None, position))
        moving = page.locator("#animation img")
        expect(moving).to_have_attribute("src", pictures.animation(0, 5, None))
        page.locator("#first-seed-another").click()
        expect(page.locator("#first-seed input")).not_to_have_value("0")
        seed = int(page.locator("#first-seed input").input_value())
        check(page, "strip-picture", pictures.strip(seed, 5, None))

        page.get_by_role("tab", name="Your image").click()
        page.set_input_files("#editing-upload input[type=file]", "digit.png")
        choose(page, "editing-label", "1")
        fill(page, "editing-steps", "50")
        page.locator("#editing-find").click()
        found = pictures.find("digit.png", 1, 50)
        check(page, "editing-picture", pictures.edited(found, 1, [0, 0, 0, 0]))
        fill(page, "editing-direction-2", "3")
        check(page, "editing-picture", pictures.edited(found, 1, [0, 3, 0, 0]))
        choose(page, "editing-shown-as", "2")
        check(page, "editing-picture", pictures.edited(found, 2, [0, 3, 0, 0]))
        page.locator("#editing-reset").click()
        check(page, "editing-picture", pictures.edited(found, 2, [0, 0, 0, 0]))

        page.get_by_role("tab", name="Arithmetic").click()
        check(page, "sum-picture", pictures.sum_of_classes([0, 1, 2], 0))
        choose(page, "sum-1", "2")
        check(page, "sum-picture", pictures.sum_of_classes([0, 2, 2], 0))


@pytest.mark.slow
def test_an_image_is_uploaded_and_translated(models: Any, make_trainer: Any) -> None:
    batch = torch.rand(2, 40, 3, 8, 8) * 2 - 1
    model = models.TinyCycleGAN(image_shape=(3, 8, 8), identity_weight=0.0)
    train(model, make_trainer, batch, "style.ckpt")
    pictures = TranslationPictures(models.TinyCycleGAN.load_from_checkpoint("style.ckpt"))
    colours = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(colours).save("photo.png")
    Image.fromarray(colours[:7]).save("odd.png")
    with (
        served("--ckpt_path", "style.ckpt", "--model", "own_models.TinyCycleGAN") as address,
        opened(address) as page,
    ):

        def check_all(*chosen: Any) -> None:
            names = ("input", "translation", "back")
            for name, image in zip(names, pictures.translate(*chosen), strict=True):
                check(page, f"{name}-picture", image)

        page.set_input_files("#upload input[type=file]", "photo.png")
        check_all("photo.png", "a_to_b", False)
        page.get_by_label("B to A").check()
        check_all("photo.png", "b_to_a", False)
        page.get_by_label("As it is").check()
        check_all("photo.png", "b_to_a", True)
        page.get_by_label("Remove").or_(page.get_by_label("Clear")).first.click()
        expect(page.locator("#input-picture img")).to_have_count(0)
        page.set_input_files("#upload input[type=file]", "odd.png")
        line = "the generator does not keep the size of an image of 7 by 16: choose 8 by 8"
        expect(page.get_by_text(line)).to_be_visible()
