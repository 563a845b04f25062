"""``--ckpt_path last``: go on with the newest run."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from lightning.pytorch.utilities import rank_zero_info

from gan_modules.checkpoints.named_classes import resolve
from gan_modules.checkpoints.newest import newest_checkpoint
from gan_modules.command_line.config_files import config_folders

__all__ = [
    "LastRun",
    "continued",
    "difference",
    "find_last_run",
    "root_of",
    "run_name",
    "typed_value",
    "with_newest_run",
]


class LastRun(NamedTuple):
    """The newest run that has a checkpoint."""

    config: Path
    checkpoint: Path


def run_name(config: str | Path) -> str:
    """Name of the runs of a config file.

    A recipe in a folder of ``configs/`` keeps the folder, and the resolved config of an earlier
    run, ``runs/<name>/<version>/config.yaml``, goes by that run's name.
    """
    path = Path(config).resolve()
    if path.name == "config.yaml" and path.parent.name.isdecimal():
        return path.parent.parent.name
    for folder in config_folders()[1:]:
        if path.is_relative_to(folder.resolve()):
            return path.relative_to(folder.resolve()).with_suffix("").as_posix()
    return path.stem


def typed_value(arguments: Sequence[str], *options: str) -> str | None:
    """What was typed for an option, the last time it was."""
    value = None
    for position, word in enumerate(arguments):
        option, equals, rest = word.partition("=")
        if option in options:
            value = rest if equals else next(iter(arguments[position + 1 :]), None)
    return value


def find_last_run(root: Path, name: str | None) -> LastRun:
    """The run of the highest number with a checkpoint; without a name, the last one written to.

    Raises:
        ValueError: if there is none.
    """
    parent = root if name is None else root / name
    pattern = "**/checkpoints" if name is None else "*/checkpoints"
    folders = [path for path in parent.glob(pattern) if path.parent.name.isdecimal()]
    if name is None:
        folders.sort(key=lambda folder: folder.stat().st_mtime)
    else:
        folders.sort(key=lambda folder: int(folder.parent.name))
    for folder in reversed(folders):
        config, checkpoint = folder.parent / "config.yaml", newest_checkpoint(folder)
        if checkpoint is not None and config.is_file():
            return LastRun(config, checkpoint)
    raise ValueError(f"ckpt_path=last must have a run with a checkpoint in {parent}: there is none")


def root_of(arguments: Sequence[str], config: str | None) -> Path:
    """Folder of all runs, as typed or as the config file has it."""
    root = typed_value(arguments, "--trainer.default_root_dir")
    if root is None and config is not None:
        content = yaml.safe_load(Path(config).read_text())
        trainer = content.get("trainer") if isinstance(content, dict) else None
        root = trainer.get("default_root_dir") if isinstance(trainer, dict) else None
    return Path(root or "runs")


def continued(arguments: Sequence[str], run: LastRun) -> list[str]:
    """The command line with the run's own config in the place of all others."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        option, equals, _ = word.partition("=")
        if option not in ("--config", "-c", "--ckpt_path"):
            kept.append(word)
        elif not equals:
            next(words, None)
    return [kept[0], "--config", str(run.config), *kept[1:], "--ckpt_path", str(run.checkpoint)]


def with_newest_run(typed: Sequence[str], find: Callable[[str], str]) -> list[str]:
    """The command line that goes on with the newest run, of the config named if there is one.

    The run's own ``config.yaml`` has all the options it was started with; what is typed besides
    comes on top.

    Args:
        typed: the command line.
        find: the path of a config that may be named in short.

    Raises:
        ValueError: if there is no run to go on with.
    """
    config = typed_value(typed, "--config", "-c")
    if config is not None:
        config = find(config)
    name = run_name(config) if config else typed_value(typed, "--model")
    run = find_last_run(root_of(typed, config), name)
    rank_zero_info(f"Going on from {run.checkpoint}, with the options in {run.config}")
    return continued(typed, run)


def difference(name: str, then: Any, now: Any) -> str | None:
    """Where two values of an option first differ, if they do."""
    if isinstance(then, dict) and isinstance(now, dict) and then.keys() == now.keys():
        parts = (difference(f"{name}.{key}", then[key], now[key]) for key in then)
        return next(filter(None, parts), None)
    if isinstance(then, str) and isinstance(now, str) and "." in then and "." in now:
        found = resolve(then)
        if found is not None and found is resolve(now):
            return None
    before, after = (json.dumps(value, default=str) for value in (then, now))
    # a checkpoint holds tuples where the command line has lists
    return None if before == after else f"{name.replace('.init_args', '')}={before}, not {after}"
