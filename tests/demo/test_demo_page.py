"""The page's real images, names, points and checkpoints to choose from, without a browser."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from small_networks import StyledMLP
from torch import Tensor
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image
from variants import small

from gan_modules import CGAN, BiGAN, CycleGAN, GANModule, GenerativeModule, StyleGAN2
from gan_modules.callbacks import RealExamples
from gan_modules.callbacks.examples import real_examples
from gan_modules.callbacks.pictures import picture
from gan_modules.callbacks.sums import sum_page
from gan_modules.checkpoints.reading import read_checkpoint
from gan_modules.command_line.demo import _beside
from gan_modules.demo.pictures import SamplePictures
from gan_modules.demo.points import PointPictures
from gan_modules.demo.translations import TranslationPictures
from gan_modules.networks import (
    CycleGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    PatchGANDiscriminator,
)
from gan_modules.tools.arithmetic import terms_of
from gan_modules.tools.inversion import invert


class PageCGAN(CGAN):
    def build_generator(self) -> Any:
        return MLPGenerator(self.image_shape, self.latent_dim, self.num_classes, hidden=(8,))

    def build_discriminator(self) -> Any:
        return MLPDiscriminator(self.image_shape, self.num_classes, hidden=(8,))


class PageCycleGAN(CycleGAN):
    def build_generator(self) -> Any:
        return CycleGANGenerator(self.image_shape, width=2, n_blocks=0, n_downsampling=1)

    def build_discriminator(self) -> Any:
        return PatchGANDiscriminator(self.image_shape, width=2, n_layers=1)


def pixels(image: Image.Image) -> Tensor:
    return pil_to_tensor(image.convert("RGB"))


def build(*args: Any, **options: Any) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The page's functions by name, its components by theirs, and all that it says."""
    from gan_modules.demo.page import build_page

    async def in_a_loop() -> Any:
        # without one Gradio makes one, and leaves it open
        return build_page(*args, **options)

    page = asyncio.run(in_a_loop())
    blocks = page.blocks.values()
    parts = {getattr(b, "elem_id", None) or str(b): b for b in blocks}
    said = " ".join(str(getattr(b, "value", "")) for b in blocks)
    return {str(f.name): f.fn for f in page.fns.values()}, parts, said


def named(model: Any, **names: tuple[str, ...]) -> Any:
    model._data_names = {"classes": (), "domains": (), **names}
    return model


@pytest.mark.thorough
def test_classes_have_their_names(make_model: Any) -> None:
    model = named(PageCGAN(image_shape=(1, 8, 8), num_classes=2), classes=("horse", "zebra"))
    _, parts, _ = build(model, 1, "a")
    for name in ("samples-label", "directions-label", "interpolation-label"):
        assert parts[name].choices[1:] == [("horse", 0), ("zebra", 1)]
    pictures = SamplePictures(model)
    plain = picture(model.sample(8, [0] * 4 + [1] * 4, 3).unflatten(0, (2, 4)), 640)
    drawn = pictures.samples(3, 8)
    assert drawn.width > plain.width + 30
    margin = drawn.width - plain.width
    assert torch.equal(pixels(drawn)[:, :, margin:], pixels(plain))
    # one class needs no name
    assert pictures.samples(3, 8, 1).width == picture(torch.zeros(3, 3, 1, 8, 8), 640).width


def test_real_images_are_beside(make_model: Any) -> None:
    real = torch.rand(7, 1, 8, 8) * 2 - 1
    _, parts, said = build(make_model(), 1, "a", [real])
    assert "Real images" in said
    assert parts["real-picture"].value
    shown = SamplePictures(make_model(), real).real_images()
    assert shown is not None
    page = torch.cat([real, -torch.ones(2, 1, 8, 8)]).unflatten(0, (3, 3))
    assert torch.equal(pixels(shown), pixels(picture(page, 320)))
    _, parts, said = build(make_model(), 1, "a")
    assert "real-picture" not in parts
    assert "Real images" not in said


def test_the_animation_has_a_caption(make_model: Any) -> None:
    assert "There and back" in build(make_model(), 1, "a")[2]


def test_models_with_styles_can_mix_them(make_model: Any) -> None:
    model = StyleGAN2(
        image_shape=(1, 4, 4), latent_dim=3, generator=StyledMLP,
        discriminator=partial(MLPDiscriminator, hidden=(4,)),
    )  # fmt: skip
    functions, parts, _ = build(model, 1, "a")
    drawn = functions["mix"](3, 1, 0.5)
    expected = picture(model.mix(6, 6, 3, last=1, psi=0.5), 640)
    assert drawn.tobytes() == expected.tobytes()
    assert parts["mixing-crossover"].maximum == 2
    assert "mixing-crossover" not in build(make_model(), 1, "a")[1]


def _files(folder: Path, images: Tensor) -> list[str]:
    """Images, in [-1, 1] and in 256 steps, as files."""
    paths = [str(folder / f"{number}.png") for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        to_pil_image(((image + 1) * 127.5).round().byte()).save(path)
    return paths


def test_an_image_is_found_and_edited(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = PageCGAN(image_shape=(1, 8, 8), num_classes=3, latent_dim=4)
    functions, parts, _ = build(model, 1, "a")
    images = torch.randint(256, (1, 1, 8, 8)) / 127.5 - 1
    (path,) = _files(tmp_path, images)
    found, said, shown_as = functions["search"](path, 2, 20)
    by_hand = invert(model, images, [2], steps=20)
    assert_close(found.image, images)
    assert_close(found.latents, by_hand.latents)
    assert_close(found.error, by_hand.errors.item())
    assert f"{found.error:.4f}" in said
    assert shown_as == 2
    directions = SamplePictures(model).directions.directions
    moved = model(found.latents + 1.5 * directions[1] / 3**0.5, torch.tensor([1]))
    plain = model(found.latents, torch.tensor([1]))
    drawn = functions["edit"](found, 1, 0, 1.5, None, 0)
    assert torch.equal(pixels(drawn), pixels(picture(torch.cat([images, plain, moved])[None], 640)))
    # nothing is found yet
    assert functions["edit"](None, 1, 0, 0, 0, 0) is None
    with pytest.raises(Exception, match="there is no image yet: choose a file, or paste one"):
        functions["search"](None, 0, 20)
    (tmp_path / "0.png").write_text("no image")
    with pytest.raises(Exception, match="this file cannot be read as an image"):
        functions["search"](path, 0, 20)
    assert parts["editing-steps"].visible
    assert [k for _, k in parts["editing-label"].choices] == [0, 1, 2]


def test_encoders_find_images_at_once(tmp_path: Path) -> None:
    model = small(BiGAN, image_shape=(1, 8, 8))
    functions, parts, _ = build(model, 1, "a")
    images = torch.randint(256, (2, 1, 8, 8)) / 127.5 - 1
    paths = _files(tmp_path, images)
    found, _, _ = functions["search"](paths[0], None, 300)
    assert_close(found.latents, model.encode(images[:1]))
    assert not parts["editing-steps"].visible
    assert not parts["editing-label"].visible
    page = functions["add"](paths, paths[:1], paths[1:], 0.5, 300)
    codes = model.encode(images)
    a, b, c = codes.mean(0, keepdim=True), codes[:1], codes[1:]
    shown = {name: model(z) for name, z in zip("ABC", (a, b, c), strict=True)}
    beside = {"A": images, "B": images[:1], "C": images[1:]}
    total = model((a - b) / 2 + c)
    expected = sum_page(terms_of("0.5*A - 0.5*B + C"), shown, total, beside)
    assert torch.equal(pixels(page), pixels(to_pil_image(expected)))
    with pytest.raises(Exception, match="B has no images: choose one file or more"):
        functions["add"](paths, None, paths, 1, 300)


def test_classes_are_added_up() -> None:
    model = named(PageCGAN(image_shape=(1, 8, 8), num_classes=3), classes=("x", "y", "z"))
    functions, parts, _ = build(model, 1, "a")
    z = model.latents(8, 5)
    weights = torch.tensor([[1.5, -0.5, 0]]).expand(8, -1)
    shown = {name: model(z, torch.full((8,), k)) for k, name in ((0, "x"), (1, "y"))}
    expected = sum_page(terms_of("0.5*x - 0.5*y + x"), shown, model.images_of(z, weights), {})
    assert torch.equal(pixels(functions["add"](5, 0.5, 0, 1, 0)), pixels(to_pil_image(expected)))
    assert parts["sum-2"].value == 2
    assert parts["sum-2"].choices[2] == ("z", 2)


def test_translation_begins_with_an_example() -> None:
    names = ("horses", "zebras")
    model = named(PageCycleGAN(image_shape=(3, 8, 8)), domains=names)
    real = torch.rand(2, 5, 3, 8, 8) * 2 - 1
    functions, parts, said = build(model, 1, "a", [*real])
    assert "horses and zebras" in said
    choices = [("horses to zebras", "a_to_b"), ("zebras to horses", "b_to_a")]
    assert parts["direction"].choices == choices
    with Image.open(parts["upload"].value["path"]) as image:
        expected = real[0, 0].add(1).mul(127.5).round().byte()
        assert torch.equal(pixels(image), expected)
    made = functions["translate"](parts["upload"].value["path"], "a_to_b", False)
    # grey values are those of the file, in 256 steps
    translated = model.translate(expected[None] / 127.5 - 1, "a_to_b")
    assert torch.equal(pixels(made[1]), pixels(picture(translated[None], 384)))
    assert parts["another-example"].visible
    other = pixels(functions["example"]("b_to_a"))
    assert other.tolist() in real[1].add(1).mul(127.5).round().byte().tolist()
    # without examples there is an empty field, as before
    _, parts, _ = build(PageCycleGAN(image_shape=(3, 8, 8)), 1, "a")
    assert parts["upload"].value is None
    assert not parts["another-example"].visible
    assert parts["direction"].choices[0] == ("A to B", "a_to_b")
    assert TranslationPictures(model).example("a_to_b", 0) is None


def test_points_are_shown(make_model: Any) -> None:
    model = make_model(image_shape=(2,))
    real = torch.zeros(50, 2)
    functions, parts, said = build(model, 7, "a", [real])
    assert "points in 2 dimensions" in said
    assert "Samples over real points" in said
    assert "samples-truncation" not in parts
    image = functions["draw"](3, 200, -1)
    assert torch.equal(pixels(image), pixels(PointPictures(model, real).samples(3, 200)))
    # real points lie grey in the middle, generated ones are red
    shown = pixels(image).float()
    red = shown[0] - shown[1] > 60
    assert red.sum() > 30
    assert not torch.equal(pixels(functions["draw"](4, 200, -1)), pixels(image))


@pytest.fixture
def run(make_trainer: Any) -> Path:
    """Three checkpoints of a training on random digits."""
    images = torch.rand(20, 1, 8, 8) * 2 - 1
    loader = DataLoader(TensorDataset(images, torch.arange(20) % 2), 10)
    model = PageCGAN(image_shape=(1, 8, 8), num_classes=2, latent_dim=4)
    held_out = DataLoader(TensorDataset(-images, torch.arange(20) % 2), 10)
    folder = Path("runs/cgan/0/checkpoints")
    for steps in (1, 2):
        trainer = make_trainer(
            max_steps=steps, callbacks=[RealExamples()], limit_val_batches=1, num_sanity_val_steps=0
        )
        trainer.fit(model, loader, held_out)
        trainer.save_checkpoint(folder / f"step_{steps:06d}.ckpt")
    (folder / "best_fid.ckpt").write_bytes((folder / "step_000001.ckpt").read_bytes())
    (folder / "last.ckpt").symlink_to("step_000002.ckpt")
    assert_close(real_examples(read_checkpoint(folder / "last.ckpt"))[0], -images[:10], rtol=0, atol=0.5 / 127.5 + 1e-6)  # fmt: skip  # noqa: E501
    return folder


def test_another_checkpoint_of_the_run_can_be_chosen(run: Path) -> None:
    import gradio

    names = ["step_000002.ckpt", "best_fid.ckpt", "step_000001.ckpt"]
    beside = _beside(run / "step_000002.ckpt")
    assert [path.name for path in beside] == names
    assert [path.name for path in _beside(run / "last.ckpt")] == ["last.ckpt", *names[1:]]

    def load(path: Path) -> GenerativeModule:
        return GANModule.load_from_checkpoint(path)

    model = load(beside[0])
    functions, parts, _ = build(model, 2, "a", checkpoints=beside, load=load)
    choices = [("step_000002", str(beside[0])), ("best_fid", str(beside[1])), ("step_000001", str(beside[2]))]  # fmt: skip  # noqa: E501
    assert parts["checkpoint"].choices == choices
    drawn = [functions["draw"](7, 9, 1, 3, str(path)) for path in beside]
    for path, image in zip(beside, drawn, strict=True):
        expected = SamplePictures(load(path)).samples(7, 9, 1)  # type: ignore[arg-type]
        assert torch.equal(pixels(image), pixels(expected))
    assert not torch.equal(pixels(drawn[0]), pixels(drawn[2]))
    assert torch.equal(pixels(drawn[1]), pixels(drawn[2]))
    strip, _ = functions["walk"](1, 2, 0, str(beside[2]))
    assert torch.equal(pixels(strip), pixels(SamplePictures(load(beside[2])).strip(1, 2, 0)))  # type: ignore[arg-type]
    with pytest.raises(gradio.Error, match="must be one of those to choose from"):
        functions["draw"](7, 9, 1, 3, "elsewhere.ckpt")


def test_a_single_checkpoint_is_no_choice(make_model: Any) -> None:
    path = Path("step_000001.ckpt")
    _, parts, _ = build(make_model(), 1, "a", checkpoints=[path], load=lambda _: make_model())
    assert "checkpoint" not in parts


def test_examples_of_two_domains_of_points_and_of_large_images() -> None:
    images = torch.rand(20, 3, 8, 8) * 2 - 1
    callback = RealExamples()
    callback._keep((images, -images))
    kept = real_examples({"callbacks": {"RealExamples": callback.state_dict()}})
    assert_close(kept[0], images[:16], rtol=0, atol=0.5 / 127.5 + 1e-6)
    assert_close(kept[1], -kept[0], rtol=0, atol=1.01 / 127.5)
    callback._keep((images[:, 0, 0, :2], torch.arange(20)))
    assert_close(callback.state_dict()["examples"], [images[:, 0, 0, :2]], rtol=0, atol=0)
    callback._keep(torch.zeros(4, 3, 512, 512))
    assert callback.state_dict()["examples"][0].shape == (1, 3, 512, 512)
    assert callback.state_dict()["examples"][0].dtype == torch.uint8
    assert real_examples({}) == []
