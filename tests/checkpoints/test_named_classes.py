"""What a checkpoint may have built: nothing but networks, optimizers and schedulers known here."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import cli
from gan_modules import GANModule

OPTIONS = [
    "fit", "--config", "wgan_gp.yaml", "--trainer.max_steps", "1", "--trainer.logger", "false",
    "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false",
    "--metrics.names", "[]", "--trainer.limit_val_batches", "1",
]  # fmt: skip
PATH = "runs/wgan_gp/0/checkpoints/last.ckpt"
SHELL = {"class_path": "os.system", "init_args": {"command": "touch harm"}}
INNER = {"class_path": "gan_modules.networks.MLPGenerator", "init_args": {"hidden": [SHELL]}}
HOSTILE: dict[str, tuple[str, Any]] = {
    "a function of the system's": ("generator", SHELL),
    "by its path alone": ("generator", "os.system"),
    "as text": ("generator", json.dumps(SHELL)),
    "as text for anything": ("latent_dim", json.dumps(SHELL)),
    "a function of torch's": ("discriminator", {"class_path": "torch.hub.load"}),
    "a class of another kind": ("generator", {"class_path": "subprocess.Popen"}),
    "a module that nobody imported": ("generator_optimizer", {"class_path": "harmful.Optimizer"}),
    "the same by its path": ("discriminator_optimizer", "harmful.optimizer"),
    "within a network": ("generator", INNER),
    "within a list": ("generator_scheduler", [SHELL]),
}


@pytest.fixture
def checkpoint(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("harmful.py").write_text("open('harm', 'w').close()\nOptimizer = optimizer = None\n")
    cli.main(OPTIONS)
    found: dict[str, Any] = torch.load(PATH, weights_only=True)
    return found


@pytest.mark.thorough
def test_nothing_else_is_built(checkpoint: dict[str, Any], capsys: Any) -> None:
    model = GANModule.load_from_checkpoint(PATH)
    model.save_pretrained("folder")
    weights = load_file("folder/model.safetensors")
    config = json.loads(Path("folder/config.json").read_text())
    for name, value in HOSTILE.values():
        hparams = {**checkpoint["hyper_parameters"], name: value}
        torch.save({**checkpoint, "hyper_parameters": hparams}, "hostile.ckpt")
        with pytest.raises(ValueError, match=r"hostile.ckpt names \w+=.*which is no network"):
            GANModule.load_from_checkpoint("hostile.ckpt")
        # as it would come from the Hub
        Path("bad").mkdir(exist_ok=True)
        save_file(weights, "bad/model.safetensors")
        inner = {**config["hyper_parameters"], name: value}
        Path("bad/config.json").write_text(json.dumps({**config, "hyper_parameters": inner}))
        with pytest.raises(ValueError, match="which is no network"):
            GANModule.from_pretrained("bad")
    # a long path makes the line a long one, of which the advice at the end is to be kept
    path = Path("runs/a_name_of_a_run_that_says_what_it_is/0/checkpoints/hostile.ckpt")
    path.parent.mkdir(parents=True)
    Path("hostile.ckpt").rename(path)
    with pytest.raises(SystemExit):
        cli.main(["predict", "--ckpt_path", str(path), "--n", "1"])
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert "which is no network, optimizer or scheduler that is imported" in line
    assert line.endswith("with the run's --config, and demo with --model my_project.MyClass")
    assert not Path("harm").exists()
    assert "harmful" not in sys.modules


@pytest.mark.thorough
def test_they_would_have_done_harm(
    checkpoint: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_modules.checkpoints.rebuilding.check_named_classes", lambda *_: None)
    for name in ("a function of the system's", "a module that nobody imported"):
        option, value = HOSTILE[name]
        hparams = {**checkpoint["hyper_parameters"], option: value}
        torch.save({**checkpoint, "hyper_parameters": hparams}, "hostile.ckpt")
        try:
            GANModule.load_from_checkpoint("hostile.ckpt")
        except Exception as error:  # too late
            print(error)
        assert Path("harm").exists()
        Path("harm").unlink()
    sys.modules.pop("harmful", None)


@pytest.mark.thorough
def test_what_is_given_again_is_not_looked_at(checkpoint: dict[str, Any]) -> None:
    hparams = {**checkpoint["hyper_parameters"], "generator_optimizer": {"class_path": "a.B"}}
    torch.save({**checkpoint, "hyper_parameters": hparams}, "other.ckpt")
    model = GANModule.load_from_checkpoint("other.ckpt", generator_optimizer=torch.optim.SGD)
    assert model.sample(1).shape == (1, 1, 16, 16)
