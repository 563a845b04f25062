"""The three ways to the command line."""

import runpy
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import torch

import cli
from gan_modules.command_line import main as command_line_main

ROOT = Path(cli.__file__).parent
MINE = """
from gan_modules import GAN
from gan_modules.networks import MLPDiscriminator, MLPGenerator


class Mine(GAN):
    def build_generator(self):
        return MLPGenerator(self.image_shape, self.latent_dim, hidden=(4,))

    def build_discriminator(self):
        return MLPDiscriminator(self.image_shape, hidden=(4,))
"""
OPTIONS = [
    "fit",
    "--model",
    "own_models.Mine",
    "--data",
    "DigitsDataModule",
    "--trainer.max_steps",
    "1",
    "--trainer.accelerator",
    "cpu",
    "--trainer.limit_val_batches",
    "0",
    "--trainer.logger",
    "false",
    "--trainer.enable_progress_bar",
    "false",
    "--trainer.enable_model_summary",
    "false",
]


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own_models.py").write_text(MINE)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(Path.cwd()))])
    monkeypatch.delitem(sys.modules, "own_models", raising=False)


def test_the_installed_command_finds_the_working_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["gan-modules"].partition(":")
    monkeypatch.setattr(sys, "argv", ["gan-modules", *OPTIONS])
    getattr(import_module(module), function)()
    assert Path("runs/Mine/0/checkpoints").is_dir()


def test_the_package_is_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gan_modules/__main__.py", "--help"])
    with pytest.raises(SystemExit) as done:
        runpy.run_module("gan_modules", run_name="__main__", alter_sys=False)
    assert done.value.code == 0
    assert "usage: python -m gan_modules" in capsys.readouterr().out


@pytest.mark.parametrize("was_there", [False, True])
def test_process_groups_end_with_the_command_that_made_them(
    was_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def together(*_: object) -> None:
        if not was_there:
            store = torch.distributed.HashStore()
            torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=store)

    monkeypatch.setattr(command_line_main, "GANCLI", together)
    if was_there:
        store = torch.distributed.HashStore()
        torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=store)
    try:
        command_line_main.run(["fit"])
        assert torch.distributed.is_initialized() == was_there
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
