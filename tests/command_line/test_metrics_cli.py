"""Metrics as a user of the command line asks for them."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.utils.data import DataLoader, IterableDataset
from torch_fidelity import feature_extractor_inceptionv3

import cli
from datamodules import DigitsDataModule

pytestmark = [pytest.mark.usefixtures("undrawn"), pytest.mark.thorough]

CONFIG = """
trainer: {max_steps: 4, accelerator: cpu, num_sanity_val_steps: 0, logger: false,
          check_val_every_n_epoch: null, val_check_interval: 2, enable_progress_bar: false,
          enable_model_summary: false}
model:
  class_path: CGAN
  init_args:
    latent_dim: 4
    generator: {class_path: MLPGenerator, init_args: {hidden: [8]}}
    discriminator: {class_path: MLPDiscriminator, init_args: {hidden: [8]}}
data: {class_path: DigitsDataModule, init_args: {batch_size: 8}}
checkpoint: {every_n_train_steps: 2}
metrics: {n: 50, features: {class_path: ClassifierFeatures, init_args: {steps: 20}}}
"""


@pytest.fixture(autouse=True)
def _config(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("small.yaml").write_text(CONFIG)
    monkeypatch.setattr("sys.argv", ["cli.py"])


def test_fit_keeps_best_and_last_and_validate_prints_the_same_figure(capsys: Any) -> None:
    done = cli.main(["fit", "--config", "small.yaml", "--metrics.names", "[kid,fid,is]"])
    out = capsys.readouterr().out
    assert {"GenerativeMetrics", "BestCheckpoint"} <= {type(c).__name__ for c in done.trainer.callbacks}  # fmt: skip  # noqa: E501
    run = Path("runs/small/0")
    name = "fid_digits_classifier_50"
    best = run / "checkpoints" / f"best_{name}.ckpt"
    assert best.is_file()
    assert re.search(
        rf"val/{name}: best [\d.]+ after \d generator updates \({best}\), last [\d.]+ after 4 "
        rf"\({run}/checkpoints/last.ckpt\)",
        out,
    )
    with (run / "metrics.csv").open() as file:
        logged = [row for row in csv.DictReader(file) if row[f"val/{name}"]]
    assert [row["step"] for row in logged] == ["2", "4"]
    assert set(logged[0]) >= {f"val/{m}_digits_classifier_50" for m in ("fid", "kid", "is")}
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["metrics"]["names"] == ["kid", "fid", "is"]
    last = ["--config", str(run / "config.yaml"), "--ckpt_path", f"{run}/checkpoints/last.ckpt"]
    cli.main(["validate", *last])
    found = re.search(rf"val/{name}\D+([\d.]+)", capsys.readouterr().out)
    assert found is not None
    value = float(logged[-1][f"val/{name}"])
    assert float(found[1]) == pytest.approx(value, rel=1e-5)
    written = json.loads((run / "validate_step_000004.json").read_text())
    assert written["metrics"][f"val/{name}"] == pytest.approx(value, rel=1e-6)
    cli.main(["test", *last])
    assert f"test/{name}" in capsys.readouterr().out


def test_a_last_checkpoint_that_was_not_measured_is_not_said_to_be(capsys: Any) -> None:
    cli.main(["fit", "--config", "small.yaml", "--metrics.names", "[fid]", "--trainer.max_steps=5"])
    assert re.search(r"last [\d.]+ after 4\n", capsys.readouterr().out)


def test_the_best_by_a_term_of_the_objective() -> None:
    cli.main(["fit", "--config", "small.yaml", "--best_checkpoint.monitor", "val/g/loss"])
    assert Path("runs/small/0/checkpoints/best_g_loss.ckpt").is_file()


def test_nothing_is_measured_unless_asked_for() -> None:
    done = cli.main(["fit", "--config", "small.yaml"])
    kinds = {type(callback).__name__ for callback in done.trainer.callbacks}
    assert not {"GenerativeMetrics", "BestCheckpoint"} & kinds
    assert not any("fid" in name for name in done.trainer.callback_metrics)


def test_what_can_be_switched_off_and_on() -> None:
    options = ["--metrics.names+", "precision", "--trainer.enable_checkpointing", "false"]
    done = cli.main(["fit", "--config", "small.yaml", *options])
    kinds = {type(callback).__name__ for callback in done.trainer.callbacks}
    assert "GenerativeMetrics" in kinds
    assert not {"BestCheckpoint", "StepCheckpoint"} & kinds
    assert "val/precision_digits_classifier_50" in done.trainer.callback_metrics


def test_a_module_of_ones_own_by_its_class_path() -> None:
    text = yaml.safe_load(CONFIG)
    module = {"class_path": "torch.nn.Flatten"}
    text["metrics"] |= {
        "names": ["fid"],
        "features": {"class_path": "ModuleFeatures", "init_args": {"module": module}},
    }
    Path("own.yaml").write_text(yaml.safe_dump(text))
    done = cli.main(["fit", "--config", "own.yaml"])
    assert "val/fid_flatten_50" in done.trainer.callback_metrics


WRONG = {
    "--metrics.names [fod]": "metrics.names=fod must be fid, kid, is, precision",
    "--metrics.names [fid] --metrics.features Inception": (
        "metrics.features has no class 'Inception'; nearest: InceptionFeatures"
    ),
    "--metrics.names [fid] --metrics.n 1": "metrics.n=1 must be at least 2",
    "--metrics.names [fid] --metrics.features ModuleFeatures --metrics.features.module no.pt": (
        "metrics.features.module='no.pt' must be a TorchScript file"
    ),
    "--metrics.names [fid] --metrics.features InceptionFeatures": (
        "the weights of Inception-v3 cannot be downloaded"
    ),
}


@pytest.mark.parametrize("options", WRONG)
def test_wrong_input_ends_in_one_line(
    options: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_extractor_inceptionv3, "URL_INCEPTION_V3", "file:///nowhere/a.pth")
    monkeypatch.setenv("TORCH_HOME", "hub")
    with pytest.raises(SystemExit):
        cli.main(["fit", "--config", "small.yaml", *options.split()])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert lines[0].removeprefix("error: ").startswith(WRONG[options])
    assert not list(Path("runs").rglob("0"))


class Unsized(DigitsDataModule):
    """Validation images of which nobody knows how many there are."""

    def val_dataloader(self) -> Any:
        class Images(IterableDataset[Any]):
            def __iter__(self) -> Iterator[Any]:
                return iter([(torch.zeros(1, 16, 16), 0)] * 8)

        return DataLoader(Images(), 4)


def test_validation_images_without_a_number() -> None:
    cli.main(["fit", "--config", "small.yaml", "--metrics.names", "[]"])
    run = Path("runs/small/0")
    data = ["--data", f"{__name__}.Unsized", "--data.batch_size", "8"]
    cli.main(["validate", "--ckpt_path", str(run), "--metrics.names", "[]", *data])
    assert (run / "validate_step_000004.json").is_file()
