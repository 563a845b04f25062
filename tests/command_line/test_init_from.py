"""Another training's networks as a start, and new rates for a training that goes on."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from torch.testing import assert_close

import cli
from gan_modules import WGANGP, GANModule

SMALL = "fit --config small.yaml"
RATE = "--model.generator_optimizer Adam --model.generator_optimizer.lr"


def fit(options: str, command: str = SMALL) -> GANModule:
    done = cli.main(shlex.split(f"{command} {options}"))
    model = done.model
    assert isinstance(model, GANModule)
    return model


def rates(model: GANModule) -> list[float]:
    return [float(optimizer.param_groups[0]["lr"]) for optimizer in model.trainer.optimizers]


def weights(path: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return found


pytestmark = [pytest.mark.usefixtures("small_config", "undrawn"), pytest.mark.thorough]


@pytest.mark.parametrize("source", ["runs/small/0", "first/last.ckpt", "pretrained"])
def test_networks_are_taken_from_another_training(source: str) -> None:
    fit("--checkpoint.dirpath first --seed_everything 1 --model.ema_decay 0.5")
    if source == "runs/small/0":
        Path("first").rename("runs/small/0/checkpoints")
    elif source == "pretrained":
        pytest.importorskip("safetensors")
        WGANGP.load_from_checkpoint("first/last.ckpt").save_pretrained("pretrained")
    folder = "runs/small/0/checkpoints" if source == "runs/small/0" else "first"
    before = weights(f"{folder}/last.ckpt")
    # a rate at which nothing moves shows where the training began
    still = "--model.{0}_optimizer SGD --model.{0}_optimizer.lr 1e-30"
    both = " ".join(still.format(player) for player in ("generator", "discriminator"))
    model = fit(f"--init_from {source} --seed_everything 2 {both}")
    after = model.state_dict()
    for name in ("generator", "discriminator"):
        keys = [key for key in after if key.startswith(f"{name}.")]
        assert keys
        for key in keys:
            assert_close(after[key], before[key], rtol=0, atol=0)
    assert yaml.safe_load(Path("runs/small/1/config.yaml").read_text())["init_from"] == source


def test_a_run_that_started_so_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fit("")
    first = fit("--init_from runs/small/0 --model.freeze_discriminator 1 --trainer.max_steps 3")
    fit("--init_from runs/small/0 --model.freeze_discriminator 1 --trainer.max_steps 1")
    again = fit("--trainer.max_steps 3", "fit --ckpt_path runs/small/2")
    assert_close(again.state_dict(), first.state_dict(), rtol=0, atol=0)


def test_the_frozen_part_stays_and_the_rest_moves() -> None:
    fit("")
    before = weights("runs/small/0/checkpoints/last.ckpt")
    model = fit("--init_from runs/small/0 --model.freeze_discriminator 1")
    names = [name for name, _ in model.discriminator.named_parameters()]
    after = model.discriminator.state_dict()
    same = [torch.equal(after[name], before[f"discriminator.{name}"]) for name in names]
    # the critic's last bias has no gradient
    assert same[:3] == [True, True, False]


def test_starts_that_cannot_be(fails: Callable[[str], str], capsys: object) -> None:
    fit("")
    Path("runs").rename("kept")
    line = fails(f"{SMALL} --init_from kept/small/0 --model.latent_dim 5")
    assert line == (
        "init_from=kept/small/0 does not fit the model: averaged_generator.layers.0.weight is of "
        "shape (8, 4) in it, of shape (8, 5) in the model"
    )
    line = fails(f"{SMALL} --init_from nowhere")
    assert line.startswith("init_from=nowhere must be a checkpoint file, a run or a pretrained")
    line = fails(f"{SMALL} --init_from kept/small/0 --ckpt_path kept/small/0")
    assert line.startswith("init_from='kept/small/0' must be left out: ckpt_path goes on with a")
    line = fails("predict --ckpt_path kept/small/0 --init_from kept/small/0")
    assert line == "init_from='kept/small/0' must be left out: only fit starts a training"
    line = fails(f"{SMALL} --model.freeze_discriminator 2")
    assert line.startswith("model.freeze_discriminator=2 must be in [0, 1]: MLPDiscriminator has 2")
    line = fails(f"{SMALL} --model.freeze_discriminator -1")
    assert line.startswith("model.freeze_discriminator=-1 must be in [0, 1]")


def test_a_rate_typed_on_resume_is_what_trains(caplog: pytest.LogCaptureFixture) -> None:
    fit(f"{RATE} 1e-3")
    caplog.set_level("INFO")
    model = fit("--trainer.max_steps 3", "fit --ckpt_path runs/small/0")
    assert rates(model)[0] == 1e-3
    assert "in place of" not in caplog.text
    name = "--model.generator_optimizer.init_args.lr"
    model = fit(f"--trainer.max_steps 3 {name} 1e-30", "fit --ckpt_path runs/small/0")
    assert rates(model)[0] == 1e-30
    line = "generator_optimizer: lr 1e-30 in place of 0.001, after generator update 2"
    assert line in caplog.text
    then = weights("runs/small/0/checkpoints/last.ckpt")
    for key in [key for key in then if key.startswith("generator.") and "running" not in key]:
        assert_close(model.state_dict()[key], then[key], rtol=0, atol=0)
    # so it stays, without being typed again
    assert rates(fit("--trainer.max_steps 4", "fit --ckpt_path runs/small/2"))[0] == 1e-30


def test_other_differences_are_refused_on_resume(fails: Callable[[str], str]) -> None:
    fit(f"{RATE} 1e-3")
    Path("runs").rename("kept")
    resume = "fit --ckpt_path kept/small/0 --trainer.max_steps 3"
    line = fails(f"{resume} --model.generator_optimizer SGD")
    assert line.startswith("generator_optimizer='SGD' must be of the kind that the checkpoint was")
    assert "was trained with ema_decay=" in fails(f"{resume} --model.ema_decay 0.5")
    assert "was trained with generator_optimizer" in fails(
        f"{SMALL} --ckpt_path kept/small/0 --trainer.max_steps 3"
    )
