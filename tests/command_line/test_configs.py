"""Every shipped recipe runs through the command line, on little of its data."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import cli
from gan_modules import GenerativeModule

FOLDER = Path(__file__).parents[2] / "configs"
CONFIGS = sorted(
    path.relative_to(FOLDER).as_posix()
    for path in FOLDER.rglob("*.yaml")
    if path.parent.name != "sweeps"  # see test_sweeps
)


def test_there_are_configs() -> None:
    embedded = {name for name in CONFIGS if "/" not in name}
    known = (
        "gan dcgan cgan wgan wgan_gp cyclegan sngan d2gan vae acgan sagan biggan bigan vae_gan "
        "ae_gan pix2pix cut edm dmd2"
    )
    assert embedded >= {f"{name}.yaml" for name in known.split()}
    folders = {name.split("/")[0] for name in CONFIGS} - embedded
    assert folders == {"mnist", "cifar10", "celeba", "folder", "toy"}
    assert {*FIRST} <= {*CONFIGS}


# networks of hundreds of channels, an eighth as wide or less
NARROW = ["--model.generator.width=8", "--model.discriminator.width=8"]


def tiny(name: str, request: pytest.FixtureRequest) -> list[str]:
    """Options that put little data in the place of those that a recipe is for."""
    if name.startswith("mnist/"):
        return ["--data.root", str(request.getfixturevalue("mnist_root"))]
    if name.startswith("cifar10/"):
        root = str(request.getfixturevalue("cifar_folder").parent)
        return [
            "--data.root",
            root,
            *(NARROW if name.endswith(("sagan.yaml", "biggan.yaml")) else []),
        ]
    if name.startswith("celeba/"):
        root = str(request.getfixturevalue("celeba_folder").parent)
        return ["--data.root", root, "--data.image_size", "32"]
    if name == "folder/pix2pix.yaml":
        photos = str(request.getfixturevalue("photo_folder") / "photos")
        return ["--data.root", photos, "--data.image_size", "32", "--data.load_size", "36"]
    if name in ("folder/cyclegan.yaml", "folder/cut.yaml"):
        pairs = request.getfixturevalue("photo_folder") / "pairs"
        return ["--data.root", str(pairs), "--data.image_size", "32", "--data.load_size", "36"]
    if name == "folder/biggan.yaml":
        # subfolders are classes, and pieces of a batch of two are of one image
        pairs = request.getfixturevalue("photo_folder") / "pairs"
        pieces = [f"--model.{p}_accumulate_grad_batches=1" for p in ("generator", "discriminator")]
        return ["--data.root", str(pairs), "--data.image_size", "128", *pieces, *NARROW]
    if name.startswith("folder/"):
        photos = str(request.getfixturevalue("photo_folder") / "photos")
        return ["--data.root", photos, "--data.image_size", "32"]
    return []


def fit(name: str, options: list[str], steps: int = 1) -> Any:
    return cli.main(
        ["fit", "--config", name, "--trainer.max_steps", f"{steps}", "--trainer.logger", "false",
         "--trainer.accelerator", "cpu", "--trainer.limit_val_batches", "1", "--trainer.precision",
         "32-true", "--trainer.enable_progress_bar", "false",
         "--samples.n", "2", *options]
    )  # fmt: skip


FIRST = ("wgan_gp.yaml", "pix2pix.yaml", "mnist/dcgan.yaml", "folder/wgan_gp.yaml")


@pytest.mark.parametrize(
    "name",
    [pytest.param(c, marks=[] if c in FIRST else pytest.mark.thorough) for c in CONFIGS],
)
def test_config_trains(
    name: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    options = tiny(name, request)
    # a hundred updates of the critic, see test_clock
    recipe = yaml.safe_load((FOLDER / name).read_text())["model"]["init_args"]
    unwarmed = ["--model.critic_warmup", "false"] if recipe.get("critic_warmup") else []
    # 512 channels are minutes
    options += [
        f"--model.{network}.init_args.channel_base=64"
        for network in ("generator", "discriminator")
        if "channel_base" in recipe.get(network, {}).get("init_args", {})
    ]
    if "teacher" in recipe:
        fit(name.replace("dmd2", "edm"), [*options, "--data.batch_size", "2"])
    # six of the ten faces are for training, five of which make one iteration of WGAN-GP
    size = "1" if name.startswith("celeba/") else "2"
    done = fit(name, [*options, "--data.batch_size", size, *unwarmed])
    assert done.trainer.global_step == 1
    run = Path("runs", name).with_suffix("") / "0"
    assert (run / "samples" / "step_000001.png").is_file()
    last = run / "checkpoints" / "last.ckpt"
    if "teacher" in recipe:
        # a student's checkpoint needs the teacher no more
        shutil.rmtree(Path("runs", name.replace("dmd2", "edm")).with_suffix(""))
        assert GenerativeModule.load_from_checkpoint(last).sample(2, seed=0).isfinite().all()
    assert last.is_file()


@pytest.mark.thorough
def test_a_student_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    size = ["--data.batch_size", "2"]
    fit("toy/edm_grid.yaml", size)
    fit("toy/dmd2_grid.yaml", size)
    last = "runs/toy/dmd2_grid/0/checkpoints/last.ckpt"
    done = fit("toy/dmd2_grid.yaml", [*size, "--ckpt_path", last], steps=2)
    assert done.trainer.global_step == 2
