"""What a config says of one class, where another one is named in its place."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_info

from gan_modules.checkpoints.class_paths import subclasses
from gan_modules.command_line.words import ahead_of_their_classes, named_classes
from gan_modules.training.module import GenerativeModule

__all__ = ["check_nothing_typed_is_lost", "leave_out_other_model", "say_what_is_left_out"]


def leave_out_other_model(options: Namespace, named: str | None, source: str) -> None:
    """Drop all that is said of a model, if a class that is no kind of it takes its place.

    Networks, optimizers and all other options were chosen for the other one: a comparison with them
    would be of neither paper.

    Args:
        options: as they are so far.
        named: the class that is to be trained.
        source: of the options, for the line that says so.
    """
    model = options.get("model")
    if named is None or not isinstance(model, Namespace):
        return
    before, now = _model(model.class_path), _model(named)
    if before is None or now is None or issubclass(now, before):
        return
    given = [*(model.get("init_args") or Namespace()).__dict__]
    options["model"] = None
    if given:
        rank_zero_info(
            f"model is {now.__name__}, not {before.__name__} as in {source}: what is said there of "
            f"the model is left out ({', '.join(given)}), {now.__name__} has its own defaults"
        )


def check_nothing_typed_is_lost(arguments: Sequence[str], options: Namespace) -> None:
    """Refuse what was typed of a config's class ahead of another one, which does not have it.

    Args:
        arguments: the command line.
        options: all of the command, as they are used.

    Raises:
        ValueError: which says where it belongs.
    """
    for ahead in ahead_of_their_classes(arguments):
        used = _class_at(options.as_dict(), ahead.key)
        if used is not None and ahead.first_part not in (used.get("init_args") or {}):
            raise ValueError(str(ahead))


def say_what_is_left_out(
    arguments: Sequence[str], contents: Mapping[str, Any], options: Namespace
) -> None:
    """One line for each class, typed in place of a config's, that has not all of its options.

    Args:
        arguments: the command line.
        contents: of the configs, by their names.
        options: all of the command, as they are used.
    """
    for key, named in named_classes(arguments):
        used = _class_at(options.as_dict(), key)
        for file, content in contents.items():
            said = _class_at(content, key)
            if said is None or used is None or _bare(said["class_path"]) == _bare(named):
                continue
            given, now = said.get("init_args") or {}, used.get("init_args") or {}
            missing = [name for name in given if name not in now]
            if missing:
                rank_zero_info(
                    f"{key} is {_bare(named)}, not {_bare(said['class_path'])} as in {file}: left "
                    f"out, as it has no such options: {', '.join(missing)}"
                )


def _class_at(content: Any, key: str) -> dict[str, Any] | None:
    """What is said of the class of an option, if it is."""
    for part in key.split("."):
        if isinstance(content, dict) and "class_path" in content:
            content = content.get("init_args")
        content = content.get(part) if isinstance(content, dict) else None
    return content if isinstance(content, dict) and "class_path" in content else None


def _bare(path: str) -> str:
    return path.rpartition(".")[2]


def _model(name: str) -> type[GenerativeModule] | None:
    """A class of models by its path or, if it is imported, by its bare name."""
    module, _, bare = name.rpartition(".")
    if not module:
        return next((c for c in subclasses(GenerativeModule) if c.__name__ == bare), None)
    try:
        found = getattr(import_module(module), bare, None)
    except ImportError:  # for the parser to say
        return None
    return found if isinstance(found, type) and issubclass(found, GenerativeModule) else None
