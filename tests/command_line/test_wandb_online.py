"""Runs that are uploaded, to a server on this machine in W&B's place."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from fake_wandb import ENTITY, FakeWandb
from wandb_files import read_offline_run

import cli
from gan_modules.checkpoints.reading import read_checkpoint

REPOSITORY = Path(__file__).parents[2]
CONFIG = """
trainer:
  max_steps: 4
  log_every_n_steps: 1
  accelerator: cpu
  num_sanity_val_steps: 0
  check_val_every_n_epoch: null
  val_check_interval: 2
  limit_val_batches: 1
  enable_progress_bar: false
  enable_model_summary: false
  callbacks: [{class_path: SampleTable, init_args: {n: 2}}]
model:
  class_path: CGAN
  init_args:
    latent_dim: 4
    generator: {class_path: MLPGenerator, init_args: {hidden: [8]}}
    discriminator: {class_path: MLPDiscriminator, init_args: {hidden: [8]}}
data: {class_path: DigitsDataModule, init_args: {batch_size: 8}}
checkpoint: {every_n_train_steps: 2}
samples: {every_n_steps: 2, n: 10}
metrics: {n: 50, features: {class_path: ClassifierFeatures, init_args: {steps: 20}}}
"""

# W&B opens files and connections that live until the process ends
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeWandb]:
    """A server, at which this process and those that it starts are logged in."""
    fake = FakeWandb()
    fake.start()
    monkeypatch.setattr("sys.argv", ["cli.py"])
    monkeypatch.delenv("WANDB_MODE")
    settings = {
        "WANDB_BASE_URL": fake.url,
        "WANDB_API_KEY": "0" * 40,
        "WANDB_CONFIG_DIR": str(tmp_path / "wandb_config"),
        "WANDB_CACHE_DIR": str(tmp_path / "wandb_cache"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    # no netrc of whoever runs the tests
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    Path("small.yaml").write_text(CONFIG)
    wandb.teardown()  # W&B reads the environment once per process
    yield fake
    wandb.finish()
    wandb.teardown()
    fake.stop()


def in_the_shell(*words: str) -> str:
    """Output of a command; this checkout's modules are found."""
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    folder = str(Path(sys.executable).parent)
    environment = {
        **os.environ, "PYTHONPATH": path, "PATH": os.pathsep.join([folder, os.environ["PATH"]]),
    }  # fmt: skip
    environment.pop("WANDB_SILENT", None)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def values(rows: list[dict[str, Any]], name: str) -> dict[int, float]:
    return {row["trainer/global_step"]: row[name] for row in rows if name in row}


def check_metrics(rows: list[dict[str, Any]], folder: Path) -> None:
    """All of metrics.csv is in the rows, at its steps."""
    with (folder / "metrics.csv").open() as file:
        written = list(csv.DictReader(file))
    for name in {*written[0]} - {"step", "epoch"}:
        expected = {int(row["step"]): float(row[name]) for row in written if row[name]}
        assert values(rows, name) == expected


def check_pictures(server: FakeWandb, run: str, folder: Path) -> None:
    for step, image in values(server.history(run), "samples").items():
        (name,) = image["filenames"]  # type: ignore[index]
        own = folder / "samples" / f"step_{step:06d}.png"
        assert server.files[name] == own.read_bytes()


def models(server: FakeWandb) -> list[dict[str, Any]]:
    return [made for made in server.artifacts if made["artifactTypeName"] == "model"]


@pytest.mark.thorough
@pytest.mark.parametrize("measured", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_online_run_arrives_with_its_checkpoint(server: FakeWandb, measured: bool) -> None:
    cli.main(["fit", "--config", "small.yaml", f"--metrics.names={'[fid]' if measured else '[]'}"])
    wandb.finish()
    folder = Path("runs/small/0")
    ((run, sent),) = server.runs.items()
    assert (sent["displayName"], sent["groupName"], sent["project"]) == (
        "small/0", "small", "gan_modules",
    )  # fmt: skip
    config = json.loads(sent["config"])
    assert config["config"]["value"]["model"]["init_args"]["latent_dim"] == 4
    rows = server.history(run)
    assert [row["_step"] for row in rows] == [*range(len(rows))]
    check_metrics(rows, folder)
    check_pictures(server, run, folder)

    (model,) = models(server)
    assert model["artifactCollectionName"] == f"model-{run}"
    best = folder / "checkpoints" / "best_fid_digits_classifier_50.ckpt"
    uploaded = best if measured else folder / "checkpoints" / "step_000004.ckpt"
    assert {alias["alias"] for alias in model["aliases"]} == {
        "best" if measured else "last", "latest",
    }  # fmt: skip
    assert model["files"] == {"model.ckpt": uploaded.read_bytes()}
    metadata = json.loads(model["metadata"])
    step = read_checkpoint(uploaded)["global_step"]
    assert metadata["class"] == "gan_modules.CGAN"
    assert (metadata["step"], metadata["file"]) == (step, uploaded.name)
    if measured:
        name = "val/fid_digits_classifier_50"
        assert metadata[name] == values(rows, name)[step]


@pytest.mark.slow
def test_an_offline_run_is_synced(server: FakeWandb, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        cli.main(["fit", "--config", "small.yaml", "--metrics.names=[fid]"])
        wandb.finish()
    assert not server.runs
    folder = Path("runs/small/0")
    logged = read_offline_run(folder)
    in_the_shell("wandb", "sync", str(logged.folder))
    ((run, sent),) = server.runs.items()
    assert (sent["displayName"], sent["groupName"]) == ("small/0", "small")
    rows = server.history(run)
    assert len(rows) == len(logged.history)
    check_metrics(rows, folder)
    check_pictures(server, run, folder)
    tables = [made for made in server.artifacts if made["artifactTypeName"] == "run_table"]
    assert len(tables) == 2
    assert [len(table["files"]) for table in tables] == [3, 3]


@pytest.mark.slow
def test_a_sweep_and_its_agent(server: FakeWandb) -> None:
    sweep = REPOSITORY / "configs" / "sweeps" / "wgan_gp.yaml"
    assert "wandb agent" in in_the_shell("wandb", "sweep", str(sweep))
    chosen = {"model.gp_weight": 2.5, "model.n_critic": 2, "model.latent_dim": 16}
    tiny = {
        "trainer.max_steps": 2, "trainer.val_check_interval": 2, "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": False, "metrics.features.steps": 20,
        "metrics.every_n_validations": 1,
    }  # fmt: skip
    arguments = {name: {"value": value} for name, value in (chosen | tiny).items()}
    server.commands = [{"type": "run", "run_id": "first", "program": "cli.py", "args": arguments}]
    in_the_shell("wandb", "agent", "--count", "1", f"{ENTITY}/gan_modules/abcd1234")
    sent = server.runs["first"]
    assert (sent["sweep"], sent["displayName"], sent["groupName"]) == (
        "abcd1234", "wgan_gp/0", "wgan_gp",
    )  # fmt: skip
    config = {name: entry["value"] for name, entry in json.loads(sent["config"]).items()}
    assert {name: config[name] for name in chosen} == chosen
    assert config["config"]["model"]["init_args"]["gp_weight"] == 2.5
    assert [*values(server.history("first"), "val/fid_digits_classifier_2k")] == [2]
    assert Path("runs/wgan_gp/0/metrics.csv").is_file()
