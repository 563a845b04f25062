"""Inversion finds images of a generator again, by the paper's schedule."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.testing import assert_close

import cli
from gan_modules import AEGAN, GAN, StyleGAN2
from gan_modules.families.latents import (
    CodedLatents,
    NormalLatents,
    SphereLatents,
    UniformLatents,
)
from gan_modules.networks import (
    AEGANGenerator,
    MLPGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from gan_modules.seeding import derive_seed
from gan_modules.tools.image_files import read_image, write_image
from gan_modules.tools.inversion import invert, noise_at, rate_at

SMALL = partial(MLPGenerator, hidden=(32,))


def small(seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    return GAN(
        image_shape=(1, 8, 8), latent_dim=4, generator=SMALL, **{"num_classes": 3, **options}
    )


def test_the_schedule_by_hand() -> None:
    # up to 5 %, then level, down from 75 %
    rates = [rate_at(t, 0.1) for t in (0.0, 0.025, 0.05, 0.5, 0.75, 0.875)]
    assert rates == pytest.approx([0.0, 0.05, 0.1, 0.1, 0.1, 0.05])
    assert rate_at(0.9) == pytest.approx(0.1 * (1 - math.cos(0.4 * math.pi)) / 2)
    noises = [noise_at(t, 0.05) for t in (0.0, 0.375, 0.75, 0.9)]
    assert noises == pytest.approx([0.05, 0.05 / 4, 0.0, 0.0])


@pytest.mark.parametrize("distribution", ["normal", "uniform", "sphere"])
def test_images_of_the_generator_are_found_again(distribution: Any) -> None:
    model = small(latent_distribution=distribution)
    images, latents = model.sample(5, seed=1), model.latents(5, seed=1)
    state, random = model.state_dict(), torch.get_rng_state()
    found = invert(model, images, steps=200)
    assert found.latents.shape == (5, 4)
    # images differ by 0.2 from each other, root mean square
    assert found.errors.max() < 1e-7
    assert (found.latents - latents).abs().max() < 0.01
    assert_close(found.images, images, rtol=0, atol=0.01)
    assert_close(model(found.latents), found.images)
    expected = (found.images - images).square().flatten(1).mean(1)
    assert_close(found.errors, expected, rtol=1e-3, atol=1e-12)
    # nothing is left behind
    assert_close(torch.get_rng_state(), random)
    assert_close(model.state_dict(), state)
    assert all(p.grad is None for p in model.parameters())
    assert model.training


def test_classes_are_kept() -> None:
    model = small(conditional=True)
    labels = torch.tensor([2, 0, 1])
    images = model.sample(3, labels, seed=1)
    assert invert(model, images, labels, steps=100).errors.max() < 1e-6
    assert invert(model, images, labels.roll(1), steps=60).errors.max() > 1e-5
    with pytest.raises(ValueError, match="labels=None must be the classes of the images"):
        invert(model, images)


def test_latents_are_the_generators_own_where_there_are_codes() -> None:
    networks = {"generator": partial(AEGANGenerator, hidden=(16,)), "decoder": SMALL}
    torch.manual_seed(0)
    model = AEGAN(image_shape=(1, 8, 8), latent_dim=3, code_dim=6, **networks)  # type: ignore[arg-type]
    found = invert(model, model.sample(2, seed=4), steps=150)
    assert found.latents.shape == (2, 3)
    # from the mean to 3 away takes more steps for one of them
    assert found.errors.max() < 1e-3
    assert found.errors.min() < 1e-7


def styled(**options: Any) -> Any:
    torch.manual_seed(0)
    model = StyleGAN2(
        image_shape=(1, 8, 8), latent_dim=4,
        generator=partial(StyleGAN2Generator, style_dim=4, mapping_layers=2, channel_base=64),
        discriminator=partial(StyleGAN2Discriminator, channel_base=16), **options,
    )  # fmt: skip
    # within [-1, 1], where images are not cut off
    for layer in model.averaged_generator.synthesis.to_image:  # type: ignore[union-attr]
        layer.conv.weight.data.mul_(0.1)
    return model


@pytest.mark.thorough
@pytest.mark.parametrize(("space", "shape"), [("z", (4,)), ("w", (4,)), ("w+", (4, 4))])
def test_images_are_found_again_in_every_space(space: Any, shape: tuple[int, ...]) -> None:
    model = styled()
    images = model.sample(3, seed=1)
    # the first step's rate is 0: this is where the search begins
    before = invert(model, images, space=space, steps=1, noise=0.0)
    if space != "z":
        mean = model.styles(model.latents(10_000, derive_seed(0, "mean"))).mean(0, keepdim=True)
        assert_close(before.images, model.images_of_styles(mean).expand(3, -1, -1, -1))
    found = invert(model, images, space=space, steps=200)
    assert found.latents.shape == (3, *shape)
    assert before.errors.min() > 3e-4
    assert (found.errors < before.errors / 4).all()
    # latents reach these images only by way of the mapping network
    assert found.errors.max() < (1e-3 if space == "z" else 1e-6)
    if space == "z":
        assert_close(model(found.latents), found.images)
    else:
        assert_close(model.images_of_styles(found.latents), found.images)


def test_only_a_style_for_each_layer_meets_a_mixture() -> None:
    model = styled()
    images = model.mix(2, 2, seed=3)[1:, 1:].flatten(0, 1)
    errors = {name: invert(model, images, space=name, steps=200).errors for name in ("w", "w+")}
    assert errors["w+"].max() < 1e-6
    assert errors["w"].max() > 100 * errors["w+"].max()


def test_the_search_begins_at_the_mean_style_of_the_class() -> None:
    model = styled(num_classes=3, conditional=True)
    labels = torch.tensor([2, 0, 2])
    images = model.sample(3, labels, seed=1)
    still = invert(model, images, labels, space="w", steps=1, noise=0.0)
    z = model.latents(10_000, derive_seed(0, "mean"))
    for number, label in enumerate(labels):
        expected = model.styles(z, label.expand(len(z))).mean(0)
        assert_close(still.latents[number], expected)


class Bump(nn.Module):
    """Two places are good, one of them better: where the latent is -1, and where it is 1.5."""

    def forward(self, z: Tensor) -> Tensor:
        low = 0.5 * torch.exp(-2 * (z + 1).square()) + torch.exp(-4 * (z - 1.5).square())
        return low.reshape(-1, 1, 1, 1)


def test_the_best_attempt_counts_for_each_image() -> None:
    networks: Any = {"generator": Bump(), "discriminator": nn.Identity()}
    model = GAN(image_shape=(1, 1, 1), latent_dim=1, latent_distribution="normal", **networks)
    wanted = torch.tensor([1.0, 0.5]).reshape(2, 1, 1, 1)
    options = {"steps": 60, "noise": 0.0}
    once, often = (invert(model, wanted, restarts=n, **options) for n in (1, 6))  # type: ignore[arg-type]
    # from the middle only the lower hill is found
    assert once.errors[0].item() == pytest.approx(0.25, abs=0.02)
    assert often.errors[0] < 1e-4
    assert often.latents[0].item() == pytest.approx(1.5, abs=0.05)
    assert (often.errors <= once.errors).all()


def test_a_start_and_features() -> None:
    model = small()
    images, latents = model.sample(3, seed=1), model.latents(3, seed=1)
    # the first step's rate is 0: nothing moves
    still = invert(model, images, steps=1, start=latents)
    assert_close(still.latents, latents)
    assert still.errors.max() < 1e-12

    class Upper(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, :4]

    half = torch.cat([images[:, :, :4], -images[:, :, 4:]], dim=2)
    found = invert(model, half, steps=200, features=Upper().train())
    assert found.errors.max() < 1e-7
    assert_close(found.images[:, :, :4], half[:, :, :4], rtol=0, atol=0.01)


def test_a_seed_fixes_it_and_batches_hold_their_own() -> None:
    model = small()
    images = model.sample(3, seed=1)
    first, second, other = (invert(model, images, steps=20, seed=s) for s in (1, 1, 2))
    assert_close(first, second, rtol=0, atol=0)
    assert not torch.equal(first.latents, other.latents)
    # without noise an image does not depend on its company
    whole = invert(model, images, steps=20, noise=0.0)
    parts = invert(model, images, steps=20, noise=0.0, batch_size=2)
    assert_close(whole, parts)


def test_latents_stay_where_they_may_be_drawn() -> None:
    z = torch.tensor([[3.0, -0.5, 4.0]])
    assert_close(NormalLatents(3).within(z), z)
    assert_close(UniformLatents(3).within(z), torch.tensor([[1.0, -0.5, 1.0]]))
    assert_close(SphereLatents(3).within(z).norm(), torch.tensor(3.0).sqrt())
    coded = CodedLatents(NormalLatents(1), (1,), 1).within(z)
    assert_close(coded, torch.tensor([[3.0, 0.0, 1.0]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps=0 must be at least 1"),
        ({"restarts": 0}, "restarts=0 must be at least 1"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"learning_rate": 0.0}, r"learning_rate=0\.0 must be positive and finite"),
        ({"noise": -1.0}, r"noise=-1\.0 must be at least 0 and finite"),
        ({"start": torch.zeros(1, 4)}, r"start=\(1, 4\) must be of shape \(2, 4\)"),
        ({"space": "w"}, "space='w' must be z for GAN"),
        ({"labels": [0, 0]}, "GAN is not conditional: it takes no labels"),
    ],
)
def test_what_cannot_be_inverted_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        invert(small(), torch.zeros(2, 1, 8, 8), **options)
    with pytest.raises(ValueError, match=r"images=\(2, 1, 4, 4\) must be \(N, \*\(1, 8, 8\)\)"):
        invert(small(), torch.zeros(2, 1, 4, 4))


# ---- the command ---------------------------------------------------------------------------------


@pytest.fixture
def saved(make_trainer: Any, make_loader: Any) -> Any:
    """A checkpoint, and a folder of three of its own images."""
    model = small()
    trainer = make_trainer(max_steps=1)
    trainer.fit(model, make_loader(4))
    trainer.save_checkpoint("run/checkpoints/a.ckpt")
    for number, image in enumerate(model.sample(3, seed=1)):
        write_image(image, Path("photos") / f"{number}.png")
    return model


def test_the_command_writes_what_it_finds(saved: Any, capsys: Any) -> None:
    command = ["invert", "--ckpt_path", "run/checkpoints/a.ckpt", "--images", "photos"]
    cli.main([*command, "--steps", "200", "--out", "found"])
    assert capsys.readouterr().out.startswith("found: 3 images, mean squared error ")
    latents = torch.from_numpy(np.load("found/latents.npy"))
    # of images rounded to 8 bits
    assert (latents - saved.latents(3, seed=1)).abs().max() < 0.1
    for number in range(3):
        ours = read_image(Path(f"found/images/{number}.png.png"), 1)
        theirs = read_image(Path(f"photos/{number}.png"), 1)
        assert (ours - theirs).abs().max() < 3 / 127.5
    lines = Path("found/errors.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["image", "0.png", "1.png", "2.png"]
    assert all(float(line.split(",")[1]) < 1e-4 for line in lines[1:])
    with Image.open("found/beside.png") as page:
        assert page.width > 3 * page.height
    cli.main([*command, "--steps", "1", "--features", "Flatten"])
    assert Path("run/inversions/step_000001/beside.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--images nowhere", "images='nowhere' must be a folder of images; there is none"),
        ("--images photos --labels 1", "GAN is not conditional: it takes no labels"),
        ("--images photos --space w+", "space='w+' must be z for GAN"),
        (
            "--images photos --out run/checkpoints/a.ckpt/x",
            "out='run/checkpoints/a.ckpt/x' cannot be",
        ),
        ("--images photos --steps 0", "steps=0 must be at least 1"),
        ("", "--images is missing"),
    ],
)
def test_wrong_commands_end_in_one_line(saved: Any, words: str, message: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["invert", "--ckpt_path", "run/checkpoints/a.ckpt", *words.split()])
    assert caught.value.code in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")
    assert not Path("run/inversions").exists()


def test_the_command_finds_styles(make_trainer: Any, make_loader: Any) -> None:
    model = styled()
    trainer = make_trainer(max_steps=1)
    trainer.fit(model, make_loader(4))
    trainer.save_checkpoint("run/checkpoints/a.ckpt")
    for number, image in enumerate(model.sample(2, seed=1)):
        write_image(image, Path("photos") / f"{number}.png")
    command = ["invert", "--ckpt_path", "run/checkpoints/a.ckpt", "--images", "photos"]
    cli.main([*command, "--space", "w+", "--steps", "20"])
    styles = torch.from_numpy(np.load("run/inversions/step_000001/latents.npy"))
    assert styles.shape == (2, 4, 4)
    for number, image in enumerate(model.images_of_styles(styles)):
        written = read_image(Path(f"run/inversions/step_000001/images/{number}.png.png"), 1)
        assert_close(written, image, rtol=0, atol=1.01 / 127.5)


def test_models_without_latents_are_refused(
    make_trainer: Any, make_loader: Any, capsys: Any
) -> None:
    points = GAN(image_shape=(2,), latent_dim=2, generator=SMALL)
    trainer = make_trainer(max_steps=1)
    trainer.fit(points, torch.utils.data.DataLoader(torch.zeros(4, 2), 4))  # type: ignore[arg-type]
    trainer.save_checkpoint("points.ckpt")
    with pytest.raises(SystemExit):
        cli.main(["invert", "--ckpt_path", "points.ckpt", "--images", "photos"])
    assert "invert takes a model that samples images, not a GAN" in capsys.readouterr().err
