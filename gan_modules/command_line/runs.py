"""A run is one folder."""

import csv
import os
import shutil
import sys
import warnings
from contextlib import nullcontext, redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only

import gan_modules
from gan_modules.checkpoints.reading import read_checkpoint
from gan_modules.command_line.results import run_folder_of
from gan_modules.command_line.run_records import rows_until
from gan_modules.command_line.wandb_run import RunWandbLogger
from gan_modules.tools.files import whole_file

__all__ = [
    "MetricsFile",
    "RunConfig",
    "end_failed_run",
    "forget_run_folders",
    "new_run_folder",
    "plain_values",
    "run_loggers",
]


_created: list[Path] = []
_run_folder: list[Path] = []
_open_before: list[Any] = []
_staged: list[str] = []


def _rank() -> int:
    """Rank of this process as the launcher's environment gives it, before any process group."""
    rank = cast(int, rank_zero_only.rank)  # type: ignore[attr-defined]
    # Lightning's own launcher gives the first process of every node rank 0 and the node's number
    return rank or int(os.environ.get("NODE_RANK") or 0)


def new_run_folder(root: Path, name: str) -> Path:
    """Create ``root/name/<version>``, the first number above all that exist, and return it.

    Two runs started at the same moment get two folders. Only the first process of a run creates
    one; the others are told where it is by what writes into it.
    """
    parent = root / name
    if _rank() != 0:
        return parent / "unused"
    _created.extend(folder for folder in (parent, *parent.parents) if not folder.exists())
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"no run folder can be made in {parent} ({error.strerror})") from error
    version = 1 + max((int(p.name) for p in parent.iterdir() if p.name.isdecimal()), default=-1)
    while True:
        folder = parent / str(version)
        try:
            folder.mkdir()
        except FileExistsError:
            version += 1
        else:
            _run_folder.append(folder)
            return folder


def forget_run_folders() -> None:
    """Leave what earlier runs of this process made alone from now on."""
    _created.clear()
    _run_folder.clear()
    _open_before[:] = _open_wandb_runs()


def end_failed_run() -> None:
    """Close what a failed run has open; take back its folder if it has saved nothing.

    With it go the folders around it that were made for it, unless something else is there by now.
    """
    folder = next(filter(_has_saved_nothing, _run_folder), None)
    for opened in _open_wandb_runs():
        if opened not in _open_before:
            # what would be said is how to upload a folder that is removed right below
            with redirect_stderr(StringIO()) if folder else nullcontext():
                opened.finish(exit_code=1)
    if folder is not None:
        shutil.rmtree(folder)
    for parent in _created:
        # nothing that holds anything is removed
        with suppress(OSError):
            parent.rmdir()


def _open_wandb_runs() -> list[Any]:
    """The run that Weights & Biases is logging, if it is imported and there is one."""
    run = getattr(sys.modules.get("wandb"), "run", None)
    return [] if run is None else [run]


def _has_saved_nothing(folder: Path) -> bool:
    """Whether a run's folder has its options and the start of its logs, and nothing besides."""
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    beside = [p for p in files if p.relative_to(folder).parts[0] not in ("config.yaml", "wandb")]
    return all(p == folder / "metrics.csv" and not rows_until(p) for p in beside)


class _MetricsWriter(ExperimentWriter):
    """Never holds a file that a crash could leave with less than was in it."""

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        with path.open(newline="") as old:
            rows = list(csv.DictReader(old))
        text = StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames)
        writer.writeheader()
        writer.writerows(rows)
        with whole_file(path) as new:
            new.write(text.getvalue().encode())


def _history(checkpoint: str) -> list[Any]:
    """What the run that wrote a checkpoint had logged by then."""
    file, found = run_folder_of(checkpoint) / "metrics.csv", read_checkpoint(checkpoint)
    step = found["global_step"]
    rows = rows_until(file, step) if file.is_file() else []
    if found.get("validation_is_due"):
        # it was saved before the validation of its own step, which is made again
        return [r for r in rows if int(r["step"]) < step or not any("val/" in name for name in r)]
    return rows


class MetricsFile(CSVLogger):
    """``metrics.csv`` in the run's folder; the hyper-parameters are in ``config.yaml``.

    Args:
        folder: of the run.
        resumed: checkpoint that the run goes on from: the rows up to there of the run that wrote it
            come first.
    """

    def __init__(self, folder: Path, resumed: str | None = None) -> None:
        super().__init__(folder.parent, name="", version=folder.name)
        self._resumed = resumed

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer; its folder is new, but the run's config may be in it already."""
        if self._experiment is None:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Experiment logs directory .* exists")
                self._experiment = _MetricsWriter(self.log_dir)
            if self._resumed is not None:
                self._experiment.metrics = _history(self._resumed)
        return self._experiment

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Keep the run's folder from now on, wherever checkpoints lie."""
        _run_folder.clear()

    def log_hyperparams(self, params: Any = None) -> None:
        """Leave them to ``config.yaml``."""


def run_loggers(
    chosen: Logger | list[Logger] | bool | None,
    folder: Path,
    name: str,
    resumed: str | None = None,
) -> list[Logger]:
    """The loggers of a run: Weights & Biases, what the user chose, or none; always metrics.csv."""
    if chosen is None or chosen is True:
        loggers: list[Logger] = [_wandb_logger(folder, name)]
    elif chosen is False:
        loggers = []
    else:
        loggers = chosen if isinstance(chosen, list) else [chosen]
    return [*loggers, MetricsFile(folder, resumed)]


def _wandb_logger(folder: Path, name: str) -> RunWandbLogger:
    """Online if the user is logged in, otherwise offline, with a line that says how to sync."""
    mode = os.environ.get("WANDB_MODE", "online")
    _stage_in(folder / "wandb")
    if mode == "online" and _rank() == 0:
        import wandb

        try:
            reason = None if wandb.login(prompt=False) else "you are not logged in"
        except wandb.Error as error:
            reason = str(error).splitlines()[0]
        if reason is not None:
            mode = "offline"
            rank_zero_info(
                f"W&B: {reason}, so this run is logged offline; to upload it: "
                f"wandb login && wandb sync {folder}/wandb/offline-run-*"
            )
    return RunWandbLogger(
        name=f"{name}/{folder.name}",
        project=os.environ.get("WANDB_PROJECT", "gan_modules"),
        group=name,
        # absolute: W&B's own process, which writes there too, may have been started elsewhere
        save_dir=folder.absolute(),
        mode=mode,
    )


def _stage_in(folder: Path) -> None:
    """Let images in tables wait for their upload in the run's folder, not in the user's home."""
    chosen = os.environ.get("WANDB_DATA_DIR")
    if chosen is None or chosen in _staged:
        _staged.append(str(folder.absolute()))
        os.environ["WANDB_DATA_DIR"] = _staged[-1]


def plain_values(parser: LightningArgumentParser, config: Any, **options: Any) -> dict[str, Any]:
    """Parsed options as they would be read from a file.

    Parsing has checked them: to do so again and again took a third of a start.
    """
    text = parser.dump(config, skip_none=False, skip_validation=True, **options)
    # libyaml is ten times as fast, where it is there
    found: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return found


class RunConfig(SaveConfigCallback):
    """Write the resolved ``config.yaml`` into the run's folder and send it to the loggers.

    With it go the versions of this package, torch and Lightning; W&B adds the git commit.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Save when fitting; other commands leave no run."""
        if stage == "fit":
            super().setup(trainer, pl_module, stage)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file and log its contents."""
        import lightning

        path = Path(trainer.default_root_dir, "config.yaml")
        self.parser.save(self.config, path, skip_none=False, skip_validation=True)
        versions = {
            "gan_modules": gan_modules.__version__,
            "lightning": lightning.__version__,
            "torch": torch.__version__,
        }
        config = plain_values(self.parser, self.config)
        for logger in trainer.loggers:
            logger.log_hyperparams({"config": config, "versions": versions})
