"""Every shipped recipe runs through the command line, on little of its data."""

from pathlib import Path

import pytest

import cli

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.yaml"))


def test_there_are_configs() -> None:
    assert "wgan_gp.yaml" in CONFIGS


@pytest.mark.parametrize("name", CONFIGS)
def test_config_trains(name: str, monkeypatch: pytest.MonkeyPatch, mnist_root: Path) -> None:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    root = ["--data.root", str(mnist_root)] if name.startswith("mnist/") else []
    done = cli.main(
        ["fit", "--config", name, *root, "--trainer.max_steps", "2", "--trainer.logger", "false",
         "--trainer.accelerator", "cpu", "--trainer.limit_val_batches", "1", "--trainer.precision",
         "32-true", "--data.batch_size", "4", "--trainer.enable_progress_bar", "false"]
    )  # fmt: skip
    assert done.trainer.global_step == 2
    run = Path("runs", name).with_suffix("") / "0"
    assert (run / "samples" / "step_000002.png").is_file()
    assert (run / "checkpoints" / "last.ckpt").is_file()
