"""Where a checkpoint may be looked for, and that what is typed wins over a file."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

import cli
from gan_modules import GAN, GANModule
from gan_modules.checkpoints.newest import find_checkpoint
from gan_modules.command_line.results import require_measured
from gan_modules.command_line.words import configs_first, files_first

pytestmark = pytest.mark.usefixtures("undrawn")

CONFIG = """
trainer: {max_steps: 2, limit_val_batches: 1, accelerator: cpu, logger: false,
          enable_progress_bar: false, enable_model_summary: false}
model:
  class_path: GAN
  init_args:
    latent_dim: 4
    generator: {class_path: MLPGenerator, init_args: {hidden: [8]}}
    discriminator: {class_path: MLPDiscriminator, init_args: {hidden: [8]}}
data: {class_path: DigitsDataModule, init_args: {batch_size: 4}}
checkpoint: {every_n_train_steps: 1}
"""


@pytest.fixture(autouse=True)
def _no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    # LightningCLI warns if the process has arguments of its own
    monkeypatch.setattr("sys.argv", ["cli.py"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, of two and of three updates; the second has a best one."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["cli.py"])
        Path("small.yaml").write_text(CONFIG)
        cli.main(["fit", "--config", "small.yaml"])
        cli.main(["fit", "--trainer.max_steps", "3", "--config", "small.yaml"])
    saved = folder / "runs/small/1/checkpoints"
    (saved / "step_000002.ckpt").rename(saved / "best_fid.ckpt")
    return folder


@pytest.fixture
def runs(trained: Path) -> Path:
    """These runs in the test's own folder."""
    shutil.copytree(trained, ".", symlinks=True, dirs_exist_ok=True)
    return Path("runs/small")


def test_what_is_typed_wins_wherever_it_stands(runs: Path) -> None:
    assert torch.load(runs / "1/checkpoints/last.ckpt", weights_only=True)["global_step"] == 3


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("fit --a 1 --config x.yaml", "fit --config x.yaml --a 1"),
        ("fit --a 1 -c x --b=2 --config=y --c 3", "fit -c x --config=y --a 1 --b=2 --c 3"),
        ("validate --ckpt_path F --config C", "validate --config C --ckpt_path F"),
        ("fit --config x --a 1", "fit --config x --a 1"),
        ("fit --config", "fit --config"),
        ("--help", "--help"),
        ("", ""),
    ],
)
def test_configs_come_first(typed: str, expected: str) -> None:
    assert configs_first(typed.split()) == expected.split()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("fit --data.seed 1 --data d.yaml", "fit --data d.yaml --data.seed 1"),
        ("fit --data=d.yaml --data.seed 1", "fit --data=d.yaml --data.seed 1"),
        (
            "fit --config x --data Digits --n 1 --data.seed=1 --data=d.yaml --a 2",
            "fit --config x --data=d.yaml --data Digits --n 1 --data.seed=1 --a 2",
        ),
        # each ahead of its own group, two of one group as they were
        (
            "fit --m.g.w 1 2 --data.seed -1 --m.g d.yaml --data d.yaml --data e.yml",
            "fit --m.g d.yaml --m.g.w 1 2 --data d.yaml --data e.yml --data.seed -1",
        ),
        ("fit --database.seed 1 --data d.yaml", "fit --database.seed 1 --data d.yaml"),
        ("fit --data.seed 1 --data none.yaml", "fit --data.seed 1 --data none.yaml"),
        ("--help", "--help"),
        ("", ""),
    ],
)
def test_files_of_a_group_come_first(typed: str, expected: str) -> None:
    for name in ("d.yaml", "e.yml"):
        Path(name).touch()
    assert files_first(typed.split()) == expected.split()


def test_what_is_typed_wins_over_files_of_groups(capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.yaml").write_text("max_steps: 3")
    Path("d.yaml").write_text("{class_path: DigitsDataModule, init_args: {batch_size: 64}}")
    Path("m.yaml").write_text("{class_path: GAN, init_args: {latent_dim: 9}}")
    typed = "--trainer.max_steps 2 --data.batch_size 16 --model.latent_dim 7"
    files = "--trainer t.yaml --data d.yaml --model m.yaml"
    with pytest.raises(SystemExit, match="0"):
        cli.main(f"fit --config gan.yaml {typed} {files} --print_config".split())
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["trainer"]["max_steps"] == 2
    assert config["data"]["init_args"]["batch_size"] == 16
    assert config["model"]["init_args"]["latent_dim"] == 7


def test_the_paths_of_a_checkpoint(runs: Path) -> None:
    newest, first = runs / "1/checkpoints/step_000003.ckpt", runs / "0/checkpoints/step_000002.ckpt"
    best = runs / "1/checkpoints/best_fid.ckpt"
    for path, expected in (
        (runs, newest),
        (runs / "last", newest),
        (runs / "1", newest),
        (runs / "0", first),
        (runs / "0/checkpoints", first),
        (first, first),
        (runs / "best", best),
        (runs / "1/best", best),
    ):
        assert find_checkpoint(path) == expected
    assert find_checkpoint(runs / "1", 1) == runs / "1/checkpoints/step_000001.ckpt"
    with pytest.raises(ValueError, match="no readable checkpoint for which='best'; it has last"):
        find_checkpoint(runs / "0/best")
    with pytest.raises(ValueError, match=r"nowhere has no readable checkpoint .* it has none"):
        find_checkpoint("nowhere")
    assert GANModule.from_run(str(runs)).latent_dim == 4


def results(run: Path) -> list[str]:
    return sorted(p.name for p in run.glob("*.json"))


@pytest.mark.thorough
def test_every_command_takes_a_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # alone: the run's own config says what it was trained with
    cli.main(["test", "--ckpt_path", str(runs / "0/checkpoints/step_000001.ckpt")])
    assert results(runs / "0") == ["test_step_000001.json"]
    cli.main(["validate", "--ckpt_path", str(runs)])
    cli.main(["validate", "--config", "small.yaml", "--ckpt_path", "best"])
    assert results(runs / "1") == ["validate_step_000002.json", "validate_step_000003.json"]
    assert "d/loss" in json.dumps(json.loads((runs / "1/validate_step_000002.json").read_text()))
    cli.main(["predict", "--ckpt_path", str(runs / "0"), "--n", "3"])
    assert len(list(runs.glob("0/predictions/step_000002/*"))) == 3
    # and going on from a run's folder is going on with that run
    cli.main(["fit", "--ckpt_path", str(runs / "0"), "--trainer.max_steps", "4"])
    config = yaml.safe_load((runs / "2/config.yaml").read_text())
    assert config["trainer"]["max_steps"] == 4
    assert find_checkpoint(runs / "2").name == "step_000004.ckpt"


@pytest.mark.parametrize("command", ["predict --n 1", "validate", "test", "fit"])
@pytest.mark.parametrize(
    ("path", "folder", "which"),
    [
        ("nothing.ckpt", "nothing.ckpt", "last"),
        ("runs/none", "runs/none", "last"),
        ("runs/none/best", "runs/none", "best"),
        ("runs/none/beste", "runs/none/beste", "last"),
        ("nothing.png", "nothing.png", "last"),
    ],
)
def test_no_checkpoint_is_one_line(
    command: str, path: str, folder: str, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([*command.split(), "--ckpt_path", path])
    assert capsys.readouterr().err == (
        f"error: ckpt_path={path} must be a checkpoint file or a run: {folder} has no readable "
        f"checkpoint for which={which!r}; it has none\n"
    )


@pytest.mark.parametrize("command", ["predict", "validate", "test", "fit"])
def test_a_file_that_is_no_checkpoint_is_one_line(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(SystemExit):
        cli.main([command, "--ckpt_path", "picture.png"])
    assert capsys.readouterr().err == (
        "error: picture.png is not a readable checkpoint: it is cut off or damaged, another kind "
        "of file, or holds more than tensors and plain values, which is never loaded\n"
    )


def test_a_folder_in_place_of_a_file_is_one_line() -> None:
    Path("runs/gan/0").mkdir(parents=True)
    line = "runs/gan/0 is a folder, not a checkpoint file: from_run takes the folder of a run"
    for cls in (GANModule, GAN):
        with pytest.raises(ValueError, match=f"^{line}$"):
            cls.load_from_checkpoint("runs/gan/0")


@pytest.mark.parametrize("names", [[], ["--metrics.names", "[kid]"]])
@pytest.mark.parametrize(
    ("command", "option"), [("validate", "limit_val_batches"), ("test", "limit_test_batches")]
)
def test_nothing_measured_is_an_error(
    command: str, option: str, names: list[str], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main([command, "--ckpt_path", str(runs), f"--trainer.{option}", "0", *names])
    assert done.value.code == 1
    line = f"error: {command} has measured nothing: trainer.{option}=0 must leave a batch"
    assert capsys.readouterr().err.splitlines()[-1] == line
    assert not results(runs / "1")


def test_a_model_that_measures_nothing_needs_a_metric() -> None:
    require_measured("validate", {"d/loss": torch.tensor(1.0)}, 1, 1.0)
    line = "^validate has measured nothing: metrics.names must name a metric$"
    with pytest.raises(ValueError, match=line):
        require_measured("validate", {}, 3, 1.0)
