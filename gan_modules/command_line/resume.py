"""``--ckpt_path``: a file, a run, or the last or best checkpoint of the newest run."""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from lightning.pytorch.utilities import rank_zero_info

from gan_modules.checkpoints.class_paths import exported_path, resolve
from gan_modules.checkpoints.newest import checkpoint_in, find_checkpoint
from gan_modules.checkpoints.reading import read_checkpoint
from gan_modules.command_line.config_files import config_folders
from gan_modules.command_line.words import typed_value, without

__all__ = [
    "LastRun",
    "checkpoint_of",
    "continued",
    "difference",
    "find_last_run",
    "root_of",
    "run_name",
    "typed_anew",
    "with_checkpoint",
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


def find_last_run(root: Path, name: str | None, which: str = "last") -> LastRun:
    """The run of the highest number with a checkpoint; without a name, the last one written to.

    Args:
        root: folder of all runs.
        name: of the run's config.
        which: ``"last"`` or ``"best"``, of the run's checkpoints.

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
        config, checkpoint = folder.parent / "config.yaml", checkpoint_in(folder, which)
        if checkpoint is not None and config.is_file():
            return LastRun(config, checkpoint)
    raise ValueError(
        f"ckpt_path={which} must have a run with such a checkpoint in {parent}: there is none"
    )


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
    command, *others = without(arguments, "--config", "-c", "--ckpt_path")
    return [command, "--config", str(run.config), *others, "--ckpt_path", str(run.checkpoint)]


def with_checkpoint(typed: Sequence[str], find: Callable[[str], str]) -> list[str]:
    """The command line with the file that its ``--ckpt_path`` means, and the options it needs.

    ``last`` and ``best`` are those of the newest run, of the config named if there is one, and come
    with all the options that this run was started with. A run's folder is its newest checkpoint. A
    checkpoint without a config, and without a model, has its own run's. What is typed besides comes
    on top.

    Args:
        typed: the command line.
        find: the path of a config that may be named in short.

    Raises:
        ValueError: if there is no such checkpoint, or it is none.
    """
    given, config = typed_value(typed, "--ckpt_path"), typed_value(typed, "--config", "-c")
    if given is None or given == "null":
        return [*typed]
    if given in ("last", "best"):
        config = find(config) if config is not None else None
        name = run_name(config) if config else typed_value(typed, "--model")
        run = find_last_run(root_of(typed, config), name, given)
    else:
        # what is none is said here: the parser would ask for a model and data first
        path = checkpoint_of(given)
        run = LastRun(path.parent.parent / "config.yaml", path)
        is_alone = config is None and typed_value(typed, "--model") is None
        if is_alone and not run.config.is_file():
            read_checkpoint(path)
        if typed[0] == "predict" or not is_alone or not run.config.is_file():
            return [*without(typed, "--ckpt_path"), "--ckpt_path", str(path)]
    rank_zero_info(f"Going on from {run.checkpoint}, with the options in {run.config}")
    return continued(typed, run)


def checkpoint_of(given: str) -> Path:
    """The checkpoint that a value of ``--ckpt_path`` means.

    Raises:
        ValueError: in the words of that option, if there is none.
    """
    try:
        return find_checkpoint(given)
    except ValueError as error:
        raise ValueError(
            f"ckpt_path={given} must be a checkpoint file or a run: {error}"
        ) from error


def typed_anew(players: Iterable[str], typed: Sequence[str]) -> dict[str, str]:
    """Players whose optimizers are typed beside a checkpoint, and the options.

    Args:
        players: of the model.
        typed: the command line.
    """
    options = {player: f"{player}_optimizer" for player in players}
    return {
        player: name
        for player, name in options.items()
        if any(re.match(rf"--model\.{name}\b", word) for word in typed)
    }


def difference(name: str, then: Any, now: Any) -> str | None:
    """Where two values of an option first differ, if they do.

    A checkpoint may be of another version: lists may be tuples, classes may have moved, and what it
    does not say of a class is that class's default.
    """
    if isinstance(then, dict) and isinstance(now, dict):
        if "class_path" in then and "class_path" in now:
            return _difference_of_objects(name, then, now)
        for key in then | now:
            if key not in then or key not in now:
                said = [_text(v[key]) if key in v else "left out" for v in (then, now)]
                return f"{name}.{key}={said[0]}, not {said[1]}"
        parts = (difference(f"{name}.{key}", then[key], now[key]) for key in then)
        return next(filter(None, parts), None)
    if isinstance(then, list | tuple) and isinstance(now, list | tuple) and len(then) == len(now):
        pairs = enumerate(zip(then, now, strict=True))
        found = next(filter(None, (difference(f"{name}.{i}", *pair) for i, pair in pairs)), None)
        # a number is best seen among the others
        if found is None or any(isinstance(value, dict) for value in then):
            return found
    before, after = _text(then), _text(now)
    same = before == after or _same_number(then, now) or _same_class(then, now)
    return None if same else f"{name}={before}, not {after}"


def _difference_of_objects(name: str, then: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Where two descriptions by class and arguments first differ."""
    paths = then["class_path"], now["class_path"]
    found = difference(f"{name}.class_path", *paths)
    if found is not None:
        return found
    given = [{**(v.get("init_args") or {}), **(v.get("dict_kwargs") or {})} for v in (then, now)]
    # a bare name leads nowhere
    kind = next(filter(callable, map(resolve, paths)), None)
    defaults = {k: v for k, v in _defaults(kind).items() if k in given[0] | given[1]}
    return difference(name, {**defaults, **given[0]}, {**defaults, **given[1]})


def _text(value: Any) -> str:
    return json.dumps(value, default=str)


def _same_number(then: Any, now: Any) -> bool:
    numbers = (isinstance(v, int | float) and not isinstance(v, bool) for v in (then, now))
    return all(numbers) and bool(then == now)


def _same_class(then: Any, now: Any) -> bool:
    """Whether two texts lead to one thing, or one is the bare name of a class that the other is."""
    if not isinstance(then, str) or not isinstance(now, str):
        return False
    if "." in then and "." in now:
        found = resolve(then)
        return found is not None and found is resolve(now)
    dotted, bare = (then, now) if "." in then else (now, then)
    return dotted.endswith(f".{bare}") and isinstance(resolve(dotted), type)


def _defaults(kind: Callable[..., Any] | None) -> dict[str, Any]:
    """Defaults of a class's or a function's arguments, those that a class passes on among them."""
    found: dict[str, Any] = {}
    for step in kind.__mro__[:-1] if isinstance(kind, type) else filter(None, [kind]):
        parameters = inspect.signature(step).parameters.values()
        found = {**{p.name: p.default for p in parameters}, **found}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return {
        # options name classes
        name: exported_path(value) if inspect.isclass(value) or inspect.isfunction(value) else value
        for name, value in found.items()
        if value is not inspect.Parameter.empty
    }
