"""What Weights & Biases gets, read back from the file that an offline run leaves."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import wandb
import yaml
from lightning.pytorch.loggers import WandbLogger
from PIL import Image
from torch.testing import assert_close
from torchvision.transforms.v2.functional import pil_to_tensor
from wandb_files import OfflineRun, read_offline_run

import cli
import gan_modules
from datamodules import UnpairedDigitsDataModule
from gan_modules import GANModule

# W&B opens files and connections that live until the process ends
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TRAINER = """
trainer:
  max_steps: 4
  log_every_n_steps: 1
  accelerator: cpu
  num_sanity_val_steps: 0
  check_val_every_n_epoch: null
  val_check_interval: 2
  limit_val_batches: 2
  enable_progress_bar: false
  enable_model_summary: false
  callbacks:
"""
CGAN = f"""{TRAINER}
  - {{class_path: LatentInterpolation, init_args: {{every_n_steps: 2, n: 2, steps: 3}}}}
  - {{class_path: TruncationGrid, init_args: {{every_n_steps: 2, n: 3}}}}
  - {{class_path: NearestNeighbours, init_args: {{every_n_steps: 2, n: 3}}}}
  - {{class_path: RealAgainstFake, init_args: {{every_n_steps: 2, n: 4}}}}
  - {{class_path: SampleTable, init_args: {{n: 3, seed: 5}}}}
model:
  class_path: CGAN
  init_args:
    latent_dim: 4
    generator: {{class_path: MLPGenerator, init_args: {{hidden: [8]}}}}
    discriminator: {{class_path: MLPDiscriminator, init_args: {{hidden: [8]}}}}
data: {{class_path: DigitsDataModule, init_args: {{batch_size: 8}}}}
checkpoint: {{every_n_train_steps: 2}}
samples: {{every_n_steps: 2}}
metrics:
  names: [fid, kid, precision]
  n: 50
  features: {{class_path: ClassifierFeatures, init_args: {{steps: 20}}}}
watch: {{what: all, every_n_steps: 2}}
"""
CYCLEGAN = f"""{TRAINER}
  - {{class_path: RealAgainstFake, init_args: {{every_n_steps: 2, n: 4}}}}
  - {{class_path: SampleTable, init_args: {{n: 2}}}}
model:
  class_path: CycleGAN
  init_args:
    generator:
      class_path: CycleGANGenerator
      init_args: {{width: 2, n_blocks: 1, n_downsampling: 1}}
    discriminator: {{class_path: PatchGANDiscriminator, init_args: {{width: 2, n_layers: 1}}}}
data: {{class_path: UnpairedDigitsDataModule, init_args: {{batch_size: 4}}}}
checkpoint: {{every_n_train_steps: 2}}
samples: {{every_n_steps: 2, n: 12}}
"""


class Logged:
    """A run's folder, what W&B has of it, and how often something was sent there."""

    def __init__(self, name: str, text: str, sent: list[Any]) -> None:
        Path(f"{name}.yaml").write_text(text)
        cli.main(["fit", "--config", f"{name}.yaml"])
        wandb.finish()
        self.folder = Path("runs", name, "0").resolve()
        self.run: OfflineRun = read_offline_run(self.folder)
        self.sent = len(sent)


@pytest.fixture(scope="module", params=["cgan", "cyclegan"])
def logged(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp(request.param)
    sent: list[Any] = []
    original = WandbLogger.log_metrics

    def count(self: Any, metrics: Any, step: Any = None) -> None:
        sent.append(step)
        original(self, metrics, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("WANDB_DATA_DIR", raising=False)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        patch.setattr("sys.argv", ["cli.py"])
        patch.setattr(WandbLogger, "log_metrics", count)
        yield Logged(request.param, {"cgan": CGAN, "cyclegan": CYCLEGAN}[request.param], sent)


def checkpoint(logged: Logged, step: int) -> GANModule:
    return GANModule.load_from_checkpoint(logged.folder / f"checkpoints/step_{step:06d}.ckpt")


def test_nothing_that_was_sent_is_missing(logged: Logged) -> None:
    assert logged.run.is_complete
    assert [row["_step"] for row in logged.run.history] == [*range(logged.sent)]


def test_every_metric_is_there_with_its_step(logged: Logged) -> None:
    with (logged.folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = {*rows[0]} - {"step", "epoch"}
    assert {"d/loss", "g/loss", "val/d/loss", "val/g/loss"} <= names
    if "cgan" in logged.folder.parts:
        measured = {f"val/{m}_digits_classifier_50" for m in ("fid", "kid", "precision")}
        assert measured | {"nearest/samples", "nearest/held_out"} <= names
    for name in names:
        written = {int(row["step"]): float(row[name]) for row in rows if row[name]}
        assert logged.run.values(name) == written
        assert [*written] == ([1, 2, 3, 4] if name[:2] in ("d/", "g/") else [2, 4])


def test_every_picture_is_there_with_its_step(logged: Logged) -> None:
    kinds = {"samples", "real_and_fake"}
    if "cgan" in logged.folder.parts:
        kinds |= {"interpolation", "truncation", "nearest"}
    assert kinds == {path.name for path in logged.folder.iterdir()} - {
        "checkpoints", "wandb", "config.yaml", "losses.png", "metrics.csv",
    }  # fmt: skip
    drawn = {kind: (kind, ".png") for kind in kinds}
    if "interpolation" in kinds:
        drawn["interpolation_animated"] = ("interpolation", ".gif")
    for key, (kind, suffix) in drawn.items():
        found = logged.run.files(key)
        assert [*found] == [2, 4]
        for step, path in found.items():
            own = logged.folder / kind / f"step_{step:06d}{suffix}"
            assert path.read_bytes() == own.read_bytes()


def test_samples_of_every_evaluation_are_rows_of_a_table(logged: Logged) -> None:
    tables = logged.run.tables("sample_table")
    assert [*tables] == [2, 4]
    staged = [path for files in logged.run.artifacts.values() for path in files.values()]
    assert all(path.is_relative_to(logged.folder / "wandb") for path in staged)
    for step, rows in tables.items():
        model: Any = checkpoint(logged, step)
        assert [(row.pop("step"), row.pop("index")) for row in rows] == [
            (step, index) for index in range(len(rows))
        ]
        if "cgan" in logged.folder.parts:
            assert [row.pop("label") for row in rows] == ["0", "1", "2"]
            columns = {"image": model.sample(3, seed=5).expand(-1, 3, -1, -1)}
        else:
            data = UnpairedDigitsDataModule(batch_size=4)
            data.setup("fit")
            batch = data.on_after_batch_transfer(next(iter(data.val_dataloader())), 0)
            columns = {"a": batch[0][:2], "b": batch[1][:2]}
            columns["a_to_b"] = model.translate(columns["a"], "a_to_b")
            columns["b_to_a"] = model.translate(columns["b"], "b_to_a")
            columns["a_to_b_to_a"] = model.translate(columns["a_to_b"], "b_to_a")
            columns["b_to_a_to_b"] = model.translate(columns["b_to_a"], "a_to_b")
        assert {*columns} == {*rows[0]}
        for name, expected in columns.items():
            # files have 256 levels in [-1, 1]
            assert_close(pixels(rows, name), expected, rtol=0, atol=1.01 / 127.5)


def pixels(rows: list[dict[str, Any]], column: str) -> torch.Tensor:
    """Images of a column, from their files, in [-1, 1]."""
    found = []
    for row in rows:
        with Image.open(row[column]) as image:
            found.append(pil_to_tensor(image).float() / 127.5 - 1)
    return torch.stack(found)


def test_config_name_group_and_versions(logged: Logged) -> None:
    name = logged.folder.parent.name
    assert (logged.run.name, logged.run.group, logged.run.project) == (
        f"{name}/0", name, "gan_modules",
    )  # fmt: skip
    written = yaml.safe_load((logged.folder / "config.yaml").read_text())
    assert logged.run.config["config"] == written
    assert logged.run.config["versions"]["torch"] == torch.__version__
    assert logged.run.config["versions"]["gan_modules"] == gan_modules.__version__


def test_parameters_are_those_of_the_checkpoint(logged: Logged) -> None:
    watched = {key for row in logged.run.history for key in row if "/generator." in key}
    if "cyclegan" in logged.folder.parts:
        assert not watched  # it is off unless asked for
        return
    names = {name for name, _ in checkpoint(logged, 4).generator.named_parameters()}
    kinds = ("gradients", "parameters")
    assert watched == {f"{kind}/generator.{name}" for kind in kinds for name in names}
    for step in (2, 4):
        parameters = dict(checkpoint(logged, step).named_parameters())
        for name in (name for name in parameters if not name.startswith("averaged_")):
            assert [*logged.run.values(f"gradients/{name}")] == [2, 4]
            found = logged.run.values(f"parameters/{name}")[step]
            counts, edges = np.histogram(parameters[name].detach().double().numpy(), bins=64)
            assert found["values"] == counts.tolist()
            assert_close(found["bins"], edges.tolist())


def test_a_resumed_run_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    Path("small.yaml").write_text(CYCLEGAN)
    less = ["--trainer.logger", "false", "--trainer.max_steps", "2", "--trainer.callbacks", "null"]
    cli.main(["fit", "--config", "small.yaml", *less])
    more = ["--trainer.logger", "true", "--trainer.max_steps", "3"]
    cli.main(["fit", "--config", "small.yaml", "--ckpt_path", "last", *more])
    wandb.finish()
    resumed = read_offline_run("runs/small/1")
    assert (resumed.name, resumed.group) == ("small/1", "small")
    assert resumed.config["config"]["ckpt_path"] == "runs/small/0/checkpoints/step_000002.ckpt"
    assert [*resumed.values("d/loss")] == [3]
