"""A run that fails before it has saved anything leaves no folder; any other keeps all it has."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import wandb
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset

import cli
from gan_modules.callbacks import SampleGrid
from gan_modules.command_line import runs

SMALL = "fit --config small.yaml"
MONITOR = "--best_checkpoint.monitor val/nonsense"


class TooBrightDataModule(LightningDataModule):
    """Images as bytes have them."""

    image_shape = (1, 16, 16)

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        return DataLoader(TensorDataset(torch.full((80, 1, 16, 16), 255.0)), 40)


WRONG = {
    MONITOR: "BestCheckpoint.monitor='val/nonsense' must be one of d/gradient_penalty,",
    "--data test_failed_starts.TooBrightDataModule": "the DataLoader gives images in [255, 255]",
}


@pytest.mark.parametrize("options", WRONG)
def test_what_is_found_in_the_first_batch_leaves_no_folder(
    options: str, fails: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    assert fails(f"{SMALL} {options}").startswith(WRONG[options])


# W&B opens files and connections that live until the process ends
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_weights_and_biases_say_nothing_after_the_error(
    small_config: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_SILENT", "false")
    with pytest.raises(SystemExit):
        cli.main(shlex.split(f"{SMALL} --trainer.logger true {MONITOR}"))
    assert wandb.run is None
    *_, last = capfd.readouterr().err.strip().splitlines()
    assert last.startswith("error: BestCheckpoint.monitor='val/nonsense' must be one of")
    assert not Path("runs").exists()


@pytest.mark.usefixtures("small_config")
def test_a_run_that_has_saved_a_checkpoint_elsewhere_keeps_its_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(SampleGrid, "on_train_end", fail)
    elsewhere = "--checkpoint.dirpath elsewhere --checkpoint.every_n_train_steps 1"
    with pytest.raises(OSError, match="the disk is full"):
        cli.main(shlex.split(f"{SMALL} {elsewhere}"))
    assert Path("runs/small/0/config.yaml").is_file()
    assert Path("elsewhere/step_000001.ckpt").is_file()


@pytest.mark.parametrize(
    ("file", "text", "stays"),
    [
        ("config.yaml", "model: WGANGP", False),
        ("wandb/run/logs/debug.log", "begun", False),
        ("metrics.csv", "step,g/loss\n", False),
        ("metrics.csv", "step,g/loss\n3,0.5\n", True),
        ("checkpoints/step_000001.ckpt", "weights", True),
        ("samples/step_000001.png", "picture", True),
    ],
)
def test_what_a_failed_run_keeps(file: str, text: str, stays: bool) -> None:
    Path("all").mkdir()
    runs.forget_run_folders()
    earlier = Path("all/toy/0")
    earlier.mkdir(parents=True)
    folder = runs.new_run_folder(Path("all"), "toy")
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    runs.end_failed_run()
    assert path.is_file() == folder.exists() == stays
    assert earlier.is_dir()
