"""Sweeps, as the agent of Weights & Biases runs them."""

from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml
from wandb import wandb_agent
from wandb.sdk.launch.sweeps.utils import load_sweep_config
from wandb_files import read_offline_run

import cli

# W&B opens files and connections that live until the process ends
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FOLDER = Path(__file__).parents[2] / "configs" / "sweeps"
SWEEPS = sorted(FOLDER.glob("*.yaml"))
METHODS = {"bayes", "random", "grid"}
LIMITS = ("min", "max", "values", "value")


@pytest.fixture(autouse=True)
def _no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    # LightningCLI warns if the process has arguments of its own
    monkeypatch.setattr("sys.argv", ["cli.py"])


@pytest.fixture(params=SWEEPS, ids=lambda path: path.stem)
def sweep(request: Any) -> dict[str, Any]:
    read = load_sweep_config(str(request.param))
    assert read is not None
    return read


def started(
    sweep: dict[str, Any], values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], dict[str, str]]:
    """The command and the environment that the agent starts a run with."""
    found: list[Any] = []

    class Process:
        def __init__(self, command: list[str], env: dict[str, str], **_: Any) -> None:
            found.append((command, env))

    monkeypatch.setattr(wandb_agent, "AgentProcess", Process)
    monkeypatch.setenv("WANDB_SWEEP_ID", "abcd1234")
    monkeypatch.setenv("WANDB_DIR", str(Path.cwd()))
    # the agent changes its own environment, which is that of the tests
    for name in ("WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):
        monkeypatch.setenv(name, "")
    agent = wandb_agent.Agent(api=None, queue=None, sweep_id="abcd1234")
    agent._sweep_command = sweep["command"]
    arguments = {name: {"value": value} for name, value in values.items()}
    agent._command_run({"run_id": "first", "program": sweep["program"], "args": arguments})
    ((command, environment),) = found
    return command, environment


def ends(parameter: dict[str, Any]) -> list[Any]:
    """The smallest and the greatest value of a parameter, or all there are."""
    return [v for limit in LIMITS if limit in parameter for v in _as_list(parameter[limit])]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def parsed(words: list[str], capsys: Any) -> Any:
    with pytest.raises(SystemExit) as caught:
        cli.main([*words, "--print_config"])
    out, err = capsys.readouterr()
    assert not caught.value.code, err
    return yaml.safe_load(out)


def option(config: Any, name: str) -> Any:
    """An option by its short name, ``init_args`` left out."""
    for key in name.split("."):
        config = config[key] if key in config else config["init_args"][key]
    return config


def test_there_are_sweeps() -> None:
    assert [path.stem for path in SWEEPS] == ["wgan_gp"]


def test_what_a_sweep_must_have(sweep: dict[str, Any]) -> None:
    assert sweep["method"] in METHODS
    assert sweep["metric"]["goal"] in ("minimize", "maximize")
    for parameter in sweep["parameters"].values():
        assert {*parameter} in ({"values"}, {"distribution", "min", "max"})
        assert ends(parameter) == sorted(ends(parameter))


def test_every_value_reaches_its_option(
    sweep: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for pick in (0, -1):
        values = {name: ends(parameter)[pick] for name, parameter in sweep["parameters"].items()}
        command, _ = started(sweep, values, monkeypatch)
        assert command[:4] == ["/usr/bin/env", "python", "-m", "cli"]
        config = parsed(command[4:], capsys)
        assert {name: option(config, name) for name in values} == values


# as W&B's agent writes them, --name=value, in Python's spelling
VALUES = {
    "model.generator_optimizer.lr": 1e-05,
    "model.discriminator_optimizer.betas": [0.0, 0.9],
    "model.gp_weight": 10,
    "model.n_critic": 2,
    "model.conditional": True,
    "model.ema_decay": 0,
    "model.generator_gradient_clip_val": 0.30000000000000004,
    "model.discriminator_gradient_clip_val": None,
    "model.latent_distribution": "uniform",
    "model.generator.hidden": [64, 32],
    "data.flip": False,
    "trainer.precision": "bf16-mixed",
    "seed_everything": 7,
}


def test_values_of_every_type(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (path,) = SWEEPS
    sweep = load_sweep_config(str(path)) or {}
    command, _ = started(sweep, VALUES, monkeypatch)
    config = parsed(command[4:], capsys)
    assert {name: option(config, name) for name in VALUES} == VALUES


@pytest.mark.thorough
def test_a_run_of_a_sweep_logs_its_metric(
    sweep: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {name: ends(parameter)[0] for name, parameter in sweep["parameters"].items()}
    command, environment = started(sweep, values, monkeypatch)
    for name in ("WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):
        monkeypatch.setenv(name, environment[name])
    tiny = {
        "trainer.max_steps": 2, "trainer.val_check_interval": 2, "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": "false", "trainer.limit_val_batches": 1,
        "metrics.features.steps": 20, "metrics.every_n_validations": 1,
    }  # fmt: skip
    # W&B reads the environment once per process
    wandb.teardown()
    try:
        cli.main([*command[4:], *(f"--{name}={value}" for name, value in tiny.items())])
    finally:
        wandb.finish()
        wandb.teardown()
    logged = read_offline_run("runs/wgan_gp/0")
    assert (logged.sweep, logged.name, logged.group) == ("abcd1234", "wgan_gp/0", "wgan_gp")
    assert logged.folder.name.endswith("-first")
    assert [*logged.values(sweep["metric"]["name"])] == [2]
    # W&B's own, by which it learns, and ours
    assert {name: logged.config[name] for name in values} == values
    assert {name: option(logged.config["config"], name) for name in values} == values


def test_a_sweep_is_no_config(fails: Any) -> None:
    (path,) = SWEEPS
    line = f"{path} is a sweep of Weights & Biases, not a config: wandb sweep {path}"
    assert fails("fit --config sweeps/wgan_gp.yaml") == line


def test_a_sweep_is_not_suggested_as_a_config(fails: Any) -> None:
    assert "sweeps/" not in fails("fit --config wgan_gpx.yaml")
