"""The command line as a user types it, in this process."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.testing import assert_close
from wandb_files import read_offline_run

import cli
from gan_modules import GANModule
from gan_modules.callbacks import Diagnostics
from gan_modules.command_line.runs import MetricsFile, new_run_folder, run_loggers
from gan_modules.command_line.wandb_run import RunWandbLogger

CONFIG = """
trainer: {max_steps: 20, log_every_n_steps: 5, accelerator: cpu, num_sanity_val_steps: 0,
          check_val_every_n_epoch: null, val_check_interval: 10, enable_progress_bar: false,
          enable_model_summary: false}
model:
  class_path: WGANGP
  init_args:
    latent_dim: 4
    n_critic: 5
    generator: {class_path: MLPGenerator, init_args: {hidden: [8]}}
    discriminator: {class_path: MLPDiscriminator, init_args: {hidden: [8]}}
data: {class_path: DigitsDataModule, init_args: {batch_size: 8}}
checkpoint: {every_n_train_steps: 8}
samples: {every_n_steps: 8, n: 9, width: 96}
"""

pytestmark = [
    # W&B opens files and connections that live until the process ends
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _config(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("small.yaml").write_text(CONFIG)
    # LightningCLI warns if the process has arguments of its own
    monkeypatch.setattr("sys.argv", ["cli.py"])


def fit(*options: str, config: str = "small.yaml") -> Any:
    return cli.main(["fit", "--config", config, *options])


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_is_one_folder_that_no_other_run_touches() -> None:
    done = fit("--trainer.logger", "false")
    run = Path("runs/small/0")
    assert done.trainer.global_step == 20
    assert names(run) == ["checkpoints", "config.yaml", "losses.png", "metrics.csv", "samples"]
    assert names(run / "checkpoints") == [
        "last.ckpt", "step_000008.ckpt", "step_000016.ckpt", "step_000020.ckpt",
    ]  # fmt: skip
    assert names(run / "samples") == [f"step_{n:06d}.png" for n in (8, 16, 20)]
    # three columns and rows of 16 pixels, enlarged twice, with a frame of two pixels
    with Image.open(run / "samples" / "step_000020.png") as grid:
        assert grid.size == (3 * 34 + 2, 3 * 34 + 2)
    trained = [row for row in rows(run) if row["d/loss"]]
    held_out = [row for row in rows(run) if row["val/d/loss"]]
    assert [row["step"] for row in trained] == ["5", "10", "15", "20"]
    assert [row["step"] for row in held_out] == ["10", "20"]

    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    fit("--trainer.logger", "false", config=str(run / "config.yaml"))
    again = Path("runs/small/1")
    assert names(again) == names(run)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    # the resolved config repeats the run exactly
    assert rows(again) == rows(run)


@pytest.mark.thorough
def test_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {"generator": 0, "discriminator": 0}
    original = GANModule.on_before_optimizer_step

    def count(self: Any, optimizer: Any) -> None:
        first = optimizer.param_groups[0]["params"][0]
        ours = any(first is parameter for parameter in self.generator.parameters())
        steps["generator" if ours else "discriminator"] += 1
        original(self, optimizer)

    monkeypatch.setattr(GANModule, "on_before_optimizer_step", count)
    done = fit(
        "--trainer.max_steps", "40", "--trainer.logger", "false", "--data.batch_size", "4",
        "--trainer.val_check_interval", "20", "--trainer.log_every_n_steps", "10",
    )  # fmt: skip
    assert steps == {"generator": 40, "discriminator": 200}
    assert done.trainer.global_step == 40
    assert "step_000040.ckpt" in names(Path("runs/small/0/checkpoints"))
    assert rows(Path("runs/small/0"))[-1]["step"] == "40"


def test_wandb_offline_run_holds_losses_images_config_and_versions() -> None:
    fit()
    wandb.finish()
    run = Path("runs/small/0")
    logged = read_offline_run(run)
    assert logged.is_complete
    losses = [row for row in rows(run) if row["d/loss"]]
    for name in ("d/loss", "g/loss"):
        expected = {int(row["step"]): float(row[name]) for row in losses}
        assert logged.values(name) == pytest.approx(expected)
        assert [*expected] == [5, 10, 15, 20]
    assert [*logged.values("samples")] == [8, 16, 20]
    assert logged.config["config"]["model"]["init_args"]["latent_dim"] == 4
    assert logged.config["versions"]["torch"] == torch.__version__
    assert logged.config["versions"]["gan_modules"]


@pytest.mark.parametrize(
    ("login", "mode", "line"),
    [
        (True, "online", None),
        (False, "offline", "W&B: you are not logged in, so this run is logged offline"),
        (wandb.errors.AuthenticationError("no answer"), "offline", "W&B: no answer, so this run"),
    ],
)
def test_wandb_is_online_only_for_who_is_logged_in(
    login: Any, mode: str, line: str | None, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def answer(prompt: bool) -> bool:
        assert not prompt
        if isinstance(login, Exception):
            raise login
        return bool(login)

    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setattr(wandb, "login", answer)
    logger, metrics = run_loggers(None, Path("runs/a/0"), "a")
    assert isinstance(logger, RunWandbLogger)
    assert isinstance(metrics, MetricsFile)
    assert logger._wandb_init["mode"] == mode
    assert (line is None and not caplog.text) or (line or "") in caplog.text


@pytest.mark.thorough
def test_any_other_logger_works() -> None:
    fit("--trainer.logger", "TensorBoardLogger", "--trainer.logger.save_dir", "board")
    (events,) = Path("board").rglob("events.out.tfevents.*")
    board = EventAccumulator(str(events)).Reload()
    losses = {event.step: event.value for event in board.Scalars("d/loss")}
    logged = [row for row in rows(Path("runs/small/0")) if row["d/loss"]]
    written = {int(row["step"]): float(row["d/loss"]) for row in logged}
    assert losses == pytest.approx(written)
    assert [event.step for event in board.Images("samples")] == [8, 16, 20]
    assert (Path("runs/small/0/metrics.csv")).is_file()
    assert not Path("runs/small/0/wandb").exists()


@pytest.mark.thorough
def test_checkpoint_reloads_validates_tests_and_resumes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = fit("--trainer.logger", "false").model
    checkpoint = "runs/small/0/checkpoints/step_000008.ckpt"
    model = GANModule.load_from_checkpoint(checkpoint)
    assert model.generator.layers[0].out_features == 8  # type: ignore[index,union-attr]
    assert model.sample(3).shape == (3, 1, 16, 16)  # type: ignore[operator]
    # reloaded in Python and saved again, it is still a description
    assert model.hparams["generator"]["class_path"] == "gan_modules.networks.MLPGenerator"

    for command in ("validate", "test"):
        before = names(Path("runs/small"))
        done = cli.main([command, "--config", "small.yaml", "--ckpt_path", checkpoint])
        out = capsys.readouterr().out
        for term in ("d/wasserstein", "d/gradient_penalty", "g/adversarial"):
            assert f"{'val' if command == 'validate' else command}/{term}" in out
        prefix = "val/" if command == "validate" else "test/"
        written = json.loads(Path(f"runs/small/0/{command}_step_000008.json").read_text())
        assert (written["checkpoint"], written["step"]) == (checkpoint, 8)
        found = {name: value.item() for name, value in done.trainer.callback_metrics.items()}
        assert {f"{prefix}d/loss", f"{prefix}g/loss"} <= set(found)
        assert written["metrics"] == found
        assert names(Path("runs/small")) == before

    fit("--trainer.logger", "false", "--data.seed", "3")
    resumed = fit("--trainer.logger", "false", "--ckpt_path", checkpoint).model
    assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)
    assert names(Path("runs/small/2/checkpoints"))[1:] == ["step_000016.ckpt", "step_000020.ckpt"]


def test_metrics_are_on_disk_while_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: Any, *args: Any) -> None:
        if self.global_step == 12:
            raise KeyboardInterrupt

    monkeypatch.setattr(GANModule, "on_train_batch_end", killed)
    with pytest.raises(SystemExit):
        fit("--trainer.logger", "false")
    assert [row["step"] for row in rows(Path("runs/small/0"))] == ["5", "10", "10"]


@pytest.mark.thorough
def test_what_can_be_switched_off() -> None:
    fit("--trainer.logger", "false", "--trainer.fast_dev_run", "true")
    assert names(Path()) == ["small.yaml"]
    short = ("--trainer.logger", "false", "--trainer.max_steps", "1")
    fit(*short, "--trainer.enable_checkpointing", "false")
    assert "checkpoints" not in names(Path("runs/small/0"))
    try:
        assert fit(*short, "--torch_threads", "2").trainer.global_step == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_how_float32_is_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", chosen.append)
    short = ("--trainer.logger", "false", "--trainer.max_steps", "1")
    fit(*short)
    assert chosen == []
    fit(*short, "--float32_matmul_precision", "high")
    assert chosen == ["high"]


def test_callbacks_of_ones_own() -> None:
    done = fit(
        "--trainer.logger", "TensorBoardLogger", "--trainer.logger.save_dir", "board",
        "--trainer.callbacks", "LearningRateMonitor",
    )  # fmt: skip
    kinds = [type(callback).__name__ for callback in done.trainer.callbacks]
    assert {"LearningRateMonitor", "StepCheckpoint", "SampleGrid", "LossPlot"} <= set(kinds)


def test_run_names() -> None:
    Path("configs/deep").mkdir(parents=True)
    options = ["--trainer.logger", "false", "--trainer.max_steps", "1"]
    for name in ("config.yaml", "configs/deep/own.yaml"):
        Path(name).write_text(CONFIG)
    fit(*options, config="config.yaml")
    fit(*options, config="deep/own.yaml")
    fit(*options, config="runs/config/0/config.yaml")
    found = sorted(str(path.parent) for path in Path("runs").rglob("metrics.csv"))
    assert found == []  # one update is logged nowhere
    found = sorted(str(path.parent) for path in Path("runs").rglob("config.yaml"))
    assert found == ["runs/config/0", "runs/config/1", "runs/deep/own/0"]


def test_shape_and_classes_come_from_the_data() -> None:
    model = fit(
        "--trainer.logger", "false", "--trainer.max_steps", "1", "--data.image_size", "32",
        "--model.conditional", "true",
    ).model  # fmt: skip
    assert (model.image_shape, model.num_classes) == ((1, 32, 32), 10)
    assert model.sample(10).shape == (10, 1, 32, 32)


def test_bare_names_are_looked_up_here_and_in_configs() -> None:
    Path("configs").mkdir()
    text = yaml.safe_load(CONFIG)
    text["trainer"]["max_steps"] = 2
    Path("configs/other.yaml").write_text(yaml.safe_dump(text))
    assert fit("--trainer.logger", "false", config="other.yaml").trainer.global_step == 2
    assert Path("runs/other/0/metrics.csv").parent.is_dir()
    # the recipes that ship with the package are found from anywhere
    assert "WGANGP" in shown_config("wgan_gp.yaml")


def shown_config(name: str) -> str:
    import contextlib
    import io

    out = io.StringIO()
    with pytest.raises(SystemExit), contextlib.redirect_stdout(out):
        cli.main(["fit", "--config", name, "--print_config"])
    return out.getvalue()


@pytest.mark.parametrize("command", [[], ["fit"], ["validate"], ["test"], ["predict"]])
def test_help_is_short_enough_to_read(command: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([*command, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.index("options:") < 1000
    if command:
        assert out.index("--model") < out.index("--data") < out.index("--trainer")


def test_run_folders_are_numbered_and_never_reused() -> None:
    root = Path("runs")
    assert new_run_folder(root, "a") == root / "a" / "0"
    assert new_run_folder(root, "a") == root / "a" / "1"
    (root / "a" / "7").mkdir()
    (root / "a" / "notes").mkdir()
    assert new_run_folder(root, "a") == root / "a" / "8"


@pytest.mark.thorough
def test_diagnostics_on_and_off() -> None:
    quiet = ("--trainer.logger", "false", "--trainer.max_steps", "6")
    fit(*quiet, "--diagnostics.every_n_steps", "3")
    on = Path("runs/small/0")
    assert (on / "diagnostics.png").is_file()
    looks = [row["step"] for row in rows(on) if row.get("diagnostics/diversity")]
    assert looks == ["3", "6"]
    for words in (("--diagnostics", "null"), ("--diagnostics=None",)):
        done = fit(*quiet, "--diagnostics.patience", "2", *words)
        assert not any(isinstance(c, Diagnostics) for c in done.trainer.callbacks)


def test_null_is_null_at_any_depth(capsys: pytest.CaptureFixture[str]) -> None:
    ada = ["--model.augmentation", "AdaptiveAugment", "--model.augmentation.target", "null"]
    with pytest.raises(SystemExit) as end:
        cli.main(["fit", "--config", "dcgan.yaml", *ada, "--print_config"])
    assert end.value.code == 0
    augmentation = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]["augmentation"]
    assert augmentation["init_args"]["target"] is None
