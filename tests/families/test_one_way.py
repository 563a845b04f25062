"""Whatever is done with a model that translates asks what it can do: here, one direction."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from PIL import Image
from torch import nn
from torch.testing import assert_close
from torchvision.transforms.v2.functional import pil_to_tensor

import cli
from datamodules import PairedDigitsDataModule, UnpairedDigitsDataModule
from gan_modules import CUT, GenerativeModule, Pix2Pix
from gan_modules.callbacks import GenerativeMetrics, RealAgainstFake, SampleGrid
from gan_modules.callbacks.pictures import picture
from gan_modules.demo.translations import TranslationPictures
from gan_modules.metrics import ModuleFeatures
from gan_modules.networks import CycleGANGenerator, PatchGANDiscriminator, UNetGenerator
from gan_modules.networks.layers.noise import without_noise
from gan_modules.tools.export import to_exported_program
from gan_modules.tools.image_files import read_image

GENERATORS: dict[Any, Any] = {
    Pix2Pix: partial(UNetGenerator, width=2, n_layers=2),
    CUT: partial(CycleGANGenerator, width=2, n_blocks=1, n_downsampling=1),
}
ONE_WAY = [Pix2Pix, CUT]


def small(variant: Any, channels: int = 1) -> Any:
    torch.manual_seed(0)
    return variant(
        image_shape=(channels, 16, 16),
        generator=GENERATORS[variant],
        discriminator=partial(PatchGANDiscriminator, width=2, n_layers=1),
    )


def trained(variant: Any, **options: Any) -> Any:
    """A little, on the data that it is for."""
    data: Any = PairedDigitsDataModule if variant.paired else UnpairedDigitsDataModule
    model = small(variant, data.channels)
    trainer = Trainer(
        accelerator="cpu", max_steps=2, limit_val_batches=2, logger=False,
        enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    trainer.fit(model, data(batch_size=4))
    return trainer, model


def files(folder: str, n: int, channels: int) -> None:
    Path(folder).mkdir()
    for number in range(n):
        values = torch.randint(256, (16, 16, 3), dtype=torch.uint8).numpy()
        Image.fromarray(values).convert("L" if channels == 1 else "RGB").save(
            f"{folder}/{number}.png"
        )


@pytest.mark.parametrize("variant", ONE_WAY)
def test_predict(variant: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    trainer, model = trained(variant)
    trainer.save_checkpoint("a.ckpt")
    files("in", 3, model.image_shape[0])
    options = ["predict", "--ckpt_path", "a.ckpt", "--trainer.accelerator", "cpu", "--input", "in"]
    cli.main([*options, "--out", "out"])
    images = torch.stack([read_image(Path(f"in/{n}.png"), model.image_shape[0]) for n in range(3)])
    # the noise of the first batch is that of the seed 0
    expected = ((model.translate(images) + 1) * 127.5).round().byte()
    for number, image in enumerate(expected):
        with Image.open(f"out/{number}.png") as found:
            assert_close(pil_to_tensor(found), image, rtol=0, atol=0)
    with pytest.raises(SystemExit):
        cli.main([*options, "--direction", "b_to_a"])
    lines = capsys.readouterr().err.splitlines()
    assert "error: direction=b_to_a must be a_to_b" in [x.replace("'", "") for x in lines]


@pytest.mark.parametrize("variant", ONE_WAY)
def test_demo(variant: Any) -> None:
    model = small(variant)
    files("in", 1, 1)
    pictures = TranslationPictures(model, [torch.rand(2, 1, 16, 16)] * 2)
    assert not pictures.has_a_way_back
    assert pictures.example("a_to_b", 0) is not None
    made = pictures.translate("in/0.png")
    image = read_image(Path("in/0.png"), 1)[None]
    assert made.reconstruction is None
    expected = picture(model.translate(image)[None], 384)
    assert_close(pil_to_tensor(made.translation), pil_to_tensor(expected), rtol=0, atol=0)


@pytest.mark.parametrize("variant", ONE_WAY)
def test_the_page_has_no_way_back(variant: Any) -> None:
    pytest.importorskip("gradio")
    from gan_modules.demo.page import build_page

    async def in_a_loop() -> Any:
        # without one Gradio makes one, and leaves it open
        return build_page(small(variant), 10, "a run")

    page = asyncio.run(in_a_loop())
    found = {c.elem_id: c for c in page.blocks.values() if getattr(c, "elem_id", None)}
    assert not found["direction"].visible
    assert [value for _, value in found["direction"].choices] == ["a_to_b"]
    assert {"input-picture", "translation-picture"} <= found.keys()


@pytest.mark.parametrize("variant", ONE_WAY)
def test_export_needs_no_direction_and_has_no_noise(variant: Any) -> None:
    model = small(variant)
    path = to_exported_program(model, "a.pt2")
    images = torch.rand(3, 1, 16, 16) * 2 - 1
    run = torch.export.load(path).module()
    assert_close(run(images), run(images), rtol=0, atol=0)
    # the model itself keeps its noise
    noisy = variant is Pix2Pix
    assert torch.equal(model.translate(images), model.translate(images, seed=1)) != noisy
    assert_close(run(images), without_noise(model.sampler).eval()(images), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="direction='b_to_a' must be a_to_b"):
        to_exported_program(model, "b.pt2", "b_to_a")


class Pixels(nn.Module):
    num_features = 4

    def forward(self, images: Any) -> Any:
        return images.flatten(1)[:, :4], None


@pytest.mark.parametrize("variant", ONE_WAY)
def test_pictures_and_metrics(variant: Any) -> None:
    metrics = GenerativeMetrics(["kid"], 20, ModuleFeatures(Pixels()))
    callbacks = [SampleGrid(1, 12), RealAgainstFake(n=4), metrics]
    trainer, model = trained(variant, callbacks=callbacks, val_check_interval=2)
    with Image.open("samples/step_000002.png") as image:
        # as many columns, each with a gap, and enlarged by a whole factor
        rows, columns = (2, 6)
        factor = round(512 / (6 * 16))
        assert image.size == (columns * (16 * factor + 2) + 2, rows * (16 * factor + 2) + 2)
    assert Path("real_and_fake/step_000002.png").is_file()
    # one direction: no other name than that of samples
    found = [name for name in trainer.callback_metrics if "kid" in name]
    assert found
    assert not any("_to_" in name for name in found)
    assert isinstance(model, GenerativeModule)
