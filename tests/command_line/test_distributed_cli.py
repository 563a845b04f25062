"""Several processes from the command line: one run, one folder, however they are started."""

import csv
import sys
from pathlib import Path

import pytest
import torch
import yaml
from processes import ROOT, free_port, run_together, two_nodes
from variants import VARIANTS

CONFIGS = sorted(path.name for path in (ROOT / "configs").glob("*.yaml"))
SHORT = [
    "--trainer.accelerator", "cpu", "--trainer.max_steps", "4", "--trainer.val_check_interval", "2",
    "--trainer.limit_val_batches", "2", "--trainer.log_every_n_steps", "2",
    "--trainer.enable_progress_bar", "false",
]  # fmt: skip
SILENT = ["--trainer.logger", "false", "--metrics.names", "[]"]
MEASURED = ["--metrics.n", "50", "--metrics.features.steps", "20"]


def fit(*options: str) -> list[str]:
    return [sys.executable, str(ROOT / "cli.py"), "fit", "--config", "gan.yaml", *SHORT, *options]


def is_the_only_run(name: str, printed: str, *more: str) -> Path:
    """The run's folder, which is whole and has no other beside it."""
    (run,) = Path("runs", name).iterdir()
    assert printed.count(f"Run folder: {run}\n") == 1
    found = {str(path.relative_to(run)) for path in run.rglob("*") if "wandb" not in path.parts}
    assert found == {
        "checkpoints", "checkpoints/last.ckpt", "checkpoints/step_000004.ckpt", "config.yaml",
        "losses.png", "metrics.csv", "samples", "samples/step_000004.png", *more,
    }  # fmt: skip
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 4
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows if row["d/loss"]] == ["2", "4"]
    assert [row["step"] for row in rows if row["val/d/loss"]] == ["2", "4"]
    return run


@pytest.mark.thorough
def test_two_processes_are_one_run() -> None:
    printed = run_together(fit("--trainer.devices", "2", *MEASURED))
    run = is_the_only_run("gan", printed, "checkpoints/best_fid_digits_classifier_50.ckpt")
    assert len(list(run.glob("wandb/offline-run-*"))) == 1


@pytest.mark.slow
def test_every_config_on_two_processes() -> None:
    classes = [
        yaml.safe_load((ROOT / "configs" / name).read_text())["model"]["class_path"]
        for name in CONFIGS
    ]
    assert {*classes} >= {variant.__name__ for variant in VARIANTS}
    options = [*SHORT, *SILENT, "--trainer.devices", "2"]
    Path("all.py").write_text(
        "import cli\n"
        "if __name__ == '__main__':\n"
        f"    for name in {CONFIGS}:\n"
        f"        cli.main(['fit', '--config', name, *{options}])\n"
    )
    printed = run_together([sys.executable, "all.py"])
    for name in CONFIGS:
        is_the_only_run(Path(name).stem, printed)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_find_unused_parameters_true"])
def test_other_forms_of_ddp(strategy: str) -> None:
    options = ["--trainer.devices", "2", "--trainer.strategy", strategy, *SILENT]
    is_the_only_run("gan", run_together(fit(*options)))


@pytest.mark.slow
def test_torchrun() -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--master_port", str(free_port()), *fit("--trainer.devices", "2", *SILENT)[1:]]
    is_the_only_run("gan", run_together(command))


@pytest.mark.slow
def test_torchrun_on_two_nodes() -> None:
    # each node's launcher is told its number
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "1"]
    launcher += ["--nnodes", "2", "--master_addr", "127.0.0.1", "--master_port", str(free_port())]
    options = fit("--trainer.devices", "1", "--trainer.num_nodes", "2", *SILENT)[1:]
    nodes = [{"PET_NODE_RANK": rank} for rank in "01"]
    is_the_only_run("gan", run_together([*launcher, *options], nodes))


@pytest.mark.slow
def test_two_nodes() -> None:
    options = fit("--trainer.devices", "1", "--trainer.num_nodes", "2", *SILENT)
    is_the_only_run("gan", run_together(options, two_nodes()))


@pytest.mark.slow
def test_slurm() -> None:
    """What srun tells its tasks, as Lightning reads it."""
    # Lightning adds the last four digits of the job to 15,000
    port = free_port(range(15_000, 25_000))
    job = {
        "SLURM_JOB_ID": f"12{port - 15_000:04}", "SLURM_JOB_NAME": "gan", "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "2", "SLURM_NODELIST": "localhost",
        "SLURM_JOB_NODELIST": "localhost", "SLURM_LOCALID": "0",
    }  # fmt: skip
    tasks = [{**job, "SLURM_PROCID": rank, "SLURM_NODEID": rank} for rank in "01"]
    options = fit("--trainer.devices", "1", "--trainer.num_nodes", "2", *SILENT)
    is_the_only_run("gan", run_together(options, tasks))
