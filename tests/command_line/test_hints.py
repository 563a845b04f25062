"""Where an option lies that was typed under another name."""

import re
import shlex
from pathlib import Path

import pytest

import cli
from gan_modules.command_line.option_places import chosen_classes

pytestmark = pytest.mark.usefixtures("project_classes")


RATES = "--model.generator_optimizer.lr or --model.discriminator_optimizer.lr"
WIDTHS = (
    "--model.generator.width is an option of ACGANGenerator, BigGANGenerator, CGANGenerator, ..., "
    "not of MLPGenerator; --model.discriminator.width is an option of ACGANDiscriminator, "
    "BigGANDiscriminator, CGANDiscriminator, ..., not of MLPDiscriminator"
)
# what is typed, and all that is said
HINTS = {
    # ---- wherever it is nested, in the classes that are chosen
    "GAN --lr 1e-3": f"there is no option --lr; it is {RATES}",
    "GAN --model.lr 1e-3": f"GAN has no option --model.lr; it is {RATES}",
    "GAN --model.generator.lr 1e-3": (
        "MLPGenerator has no option --model.generator.lr; it is --model.generator_optimizer.lr"
    ),
    "GAN --batch_size 32": "there is no option --batch_size; it is --data.batch_size",
    "GAN --latent_dim 8": "there is no option --latent_dim; it is --model.latent_dim",
    "GAN --model.generator.latent_dim 8": (
        "MLPGenerator has no option --model.generator.latent_dim; it is --model.latent_dim"
    ),
    "GAN --model.generator DCGANGenerator --width 8": (
        "there is no option --width; it is --model.generator.width"
    ),
    "GAN --model.generator '{class_path: DCGANGenerator}' --width 8": (
        "there is no option --width; it is --model.generator.width"
    ),
    "GAN --model.generator.class_path DCGANGenerator --width 8": (
        "there is no option --width; it is --model.generator.width"
    ),
    "GAN --every_n_train_steps 8": (
        "there is no option --every_n_train_steps; it is --checkpoint.every_n_train_steps"
    ),
    # ---- of classes that are not chosen
    "GAN --model.width 64": f"GAN has no option --model.width; {WIDTHS}",
    "GAN --model.generator.width 64": (
        "MLPGenerator has no option --model.generator.width; it is an option of ACGANGenerator, "
        "BigGANGenerator, CGANGenerator, ..."
    ),
    "GAN --model.generator.frob.width 64": (
        f"there is no option --model.generator.frob.width; {WIDTHS}"
    ),
    "fit --config cut.yaml --latent_dim 8": (
        "there is no option --latent_dim; --model.latent_dim is an option of ACGAN, AEGAN, BiGAN, "
        "..., not of CUT"
    ),
    "fit --config edm.yaml --lr 1e-3": (
        "there is no option --lr; it is --model.denoiser_optimizer.lr, after its class, as in "
        "--model.denoiser_optimizer Adam"
    ),
    "GAN --data.n 5": ("DigitsDataModule has no option --data.n; it is an option of ToyDataModule"),
    "fit --model DCGAN --data DigitsDataModule --lr 1e-3": (
        f"there is no option --lr; it is {RATES}, each after its class, as in "
        "--model.generator_optimizer Adam"
    ),
    # ---- what others call it
    "GAN --learning_rate 1e-3": f"there is no option --learning_rate; it is {RATES}",
    "GAN --model.discriminator_optimizer.learning_rate 1": (
        "Adam has no option --model.discriminator_optimizer.learning_rate; it is "
        "--model.discriminator_optimizer.lr"
    ),
    "GAN --epochs 3": "there is no option --epochs; it is --trainer.max_epochs",
    "GAN --steps 3": "there is no option --steps; it is --trainer.max_steps",
    "GAN --trainer.iterations 3": (
        "there is no option --trainer.iterations; it is --trainer.max_steps"
    ),
    "GAN --gpus 1": "there is no option --gpus; it is --trainer.devices",
    "GAN --batchsize 8": "there is no option --batchsize; it is --data.batch_size",
    "GAN --model.seed 8": "GAN has no option --model.seed; it is --seed_everything or --data.seed",
    "fit --config wgan_gp.yaml --lambda_gp 10": (
        "there is no option --lambda_gp; it is --model.gp_weight"
    ),
    "GAN --lambda_gp 10": (
        "there is no option --lambda_gp; --model.gp_weight is an option of AEGAN, ProGAN, WGANGP, "
        "not of GAN"
    ),
    # ---- misspelt
    "GAN --data.size 16": (
        "DigitsDataModule has no option --data.size; nearest: --data.resize, --data.batch_size, "
        "--data.image_size"
    ),
    "GAN --trainer.max_stepz 3": (
        "there is no option --trainer.max_stepz; nearest: --trainer.max_steps"
    ),
    "GAN --metrics.name fid": "there is no option --metrics.name; nearest: --metrics.names",
    "GAN --model.latent_dimm 3": (
        "GAN has no option --model.latent_dimm; nearest: --model.latent_dim"
    ),
    # ---- nothing is near
    "GAN --frobnicate 3": "there is no option --frobnicate",
    "GAN --data.frobnicate 3": (
        "DigitsDataModule has no option --data.frobnicate; choose from: batch_size, flip, "
        "image_size, load_size, num_workers, on_device, resize, seed"
    ),
    "GAN --model.generator.frobnicate 3": (
        "MLPGenerator has no option --model.generator.frobnicate; choose from: batch_norm, hidden, "
        "spectral_norm"
    ),
    "demo --batch_size 5": "there is no option --batch_size",
    "demo --prot 5": "there is no option --prot; nearest: --port",
    # ---- no option at all
    "fit gan.yaml": "there is no option gan.yaml; a config is given as --config gan.yaml",
    "GAN runs/0": (
        "there is no option runs/0; a checkpoint or a run is given as --ckpt_path runs/0"
    ),
    "GAN extra words": "there is no option extra",
}


@pytest.mark.parametrize("command", HINTS)
def test_an_option_that_there_is_not(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # LightningCLI warns if the process has arguments of its own
    monkeypatch.setattr("sys.argv", ["cli.py"])
    with pytest.raises(SystemExit):
        cli.main(shlex.split(re.sub("^GAN", "fit --config gan.yaml", command)))
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {HINTS[command]}"


def test_a_config_with_a_wrong_name_is_read_for_its_classes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    generator = "{class_path: MLPGenerator, init_args: {width: 8}}"
    Path("wrong.yaml").write_text(
        f"model: {{class_path: GAN, init_args: {{generator: {generator}}}}}\ndata: DigitsDataModule"
    )
    with pytest.raises(SystemExit):
        cli.main(["fit", "--config", "wrong.yaml"])
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: MLPGenerator has no option 'width'; it is an option of ACGANGenerator, "
        "BigGANGenerator, CGANGenerator, ..."
    )


def test_the_classes_chosen() -> None:
    config = {
        "model": {"class_path": "GAN", "init_args": {"generator": {"class_path": "MLPGenerator"}}},
        "data": "DigitsDataModule",
        "trainer": {"max_steps": 3, "logger": False},
    }
    chosen = {"model": "GAN", "model.generator": "MLPGenerator", "data": "DigitsDataModule"}
    assert chosen_classes([], [config]) == chosen
    typed = ["fit", "--data", "MNISTDataModule", "--trainer.precision", "bf16"]
    assert chosen_classes(typed, [config]) == {**chosen, "data": "MNISTDataModule"}
    # networks that were chosen for another model are not this one's
    assert chosen_classes(["fit", "--model=WGAN"], [config]) == {
        "model": "WGAN",
        "data": "DigitsDataModule",
    }
