"""The words of a command line, before anything is parsed."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "AheadOfItsClass",
    "ahead_of_their_classes",
    "configs_first",
    "files_first",
    "named_classes",
    "typed_value",
    "with_null",
    "with_switches",
    "without",
]

FILES = (".yaml", ".yml", ".json")
SWITCHED_OFF = ("--diagnostics null", "--diagnostics=null ")


def typed_value(arguments: Sequence[str], *options: str) -> str | None:
    """What was typed for an option, the last time it was."""
    value = None
    for position, word in enumerate(arguments):
        option, equals, rest = word.partition("=")
        if option in options:
            value = rest if equals else next(iter(arguments[position + 1 :]), None)
    return value


def without(arguments: Sequence[str], *options: str) -> list[str]:
    """The command line without some options and their values."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        option, equals, _ = word.partition("=")
        if option not in options:
            kept.append(word)
        elif not equals:
            next(words, None)
    return kept


def named_classes(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options that are typed as one name, and the name."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=False):
        option, equals, value = word.partition("=")
        value = value if equals else following
        if option.startswith("--") and value.replace(".", "_").isidentifier():
            yield option[2:], value


class AheadOfItsClass(NamedTuple):
    """An option that is typed ahead of the class that it belongs to.

    Attributes:
        option: as it was typed, ``--model.gp_weight``.
        key: where the class is, ``model``.
        name: the class that is named later.
    """

    option: str
    key: str
    name: str

    @property
    def first_part(self) -> str:
        """Name of the option in the class."""
        return self.option.removeprefix(f"--{self.key}.").partition(".")[0]

    def __str__(self) -> str:
        return f"{self.option} must come after --{self.key} {self.name}, the class that it is for"


def ahead_of_their_classes(arguments: Sequence[str]) -> list[AheadOfItsClass]:
    """Options that may be lost, since a class that is named later takes their class's place."""
    return [
        AheadOfItsClass(option, key, name)
        for position, option in enumerate(word.partition("=")[0] for word in arguments)
        for key, name in named_classes(arguments[position + 1 :])
        if option.startswith(f"--{key}.")
    ]


def with_null(words: Sequence[str]) -> list[str]:
    """A command line with ``--name=None``, as agents of sweeps write it, as ``--name=null``."""
    return [re.sub(r"^(--[\w.]+=)None$", r"\1null", word) for word in words]


def with_switches(words: Sequence[str]) -> list[str]:
    """A command line with ``--diagnostics null`` as what it means: no look at all."""
    pairs = zip(words, [*words, ""][1:], strict=True)
    is_switch = [f"{a} {b}".startswith(SWITCHED_OFF) for a, b in pairs]
    return [
        word.replace("diagnostics", "diagnostics.every_n_steps", 1) if off else word
        for word, off in zip(words, is_switch, strict=True)
    ]


def configs_first(words: Sequence[str]) -> list[str]:
    """A command line with its configs, in their order, ahead of all other options.

    Options are taken one after the other: what is typed ahead of a config would be lost to it.
    """
    configs: list[str] = []
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        option, equals, _ = word.partition("=")
        if option not in ("--config", "-c"):
            others.append(word)
        elif equals:
            configs.append(word)
        else:
            configs += [word, *([value] if (value := next(rest, None)) is not None else [])]
    return [*others[:1], *configs, *others[1:]] if others[:1] and others[0][0] != "-" else [*words]


def files_first(words: Sequence[str]) -> list[str]:
    """A command line with files of a group, as in ``--data F.yaml``, ahead of what else it has.

    As with :func:`configs_first`, what is typed of a group ahead of its file would be lost to it.
    """
    items: list[list[str]] = [[]]
    for word in words:
        if word.startswith("--"):
            items.append([])
        items[-1].append(word)
    for item in [item for item in items if _file_of(item)]:
        key = _file_of(item)
        place = items.index(item)
        typed = (
            n
            for n, other in enumerate(items)
            if _option(other) == key or _option(other).startswith(f"{key}.")
            if _file_of(other) != key
        )
        if (first := next(typed, place)) < place:
            items.insert(first, items.pop(place))
    return [word for item in items for word in item]


def _option(item: Sequence[str]) -> str:
    return item[0].partition("=")[0] if item else ""


def _file_of(item: Sequence[str]) -> str | None:
    """The group that words such as ``--data F.yaml`` give a file of, if they do."""
    option, equals, value = (item[0] if item else "").partition("=")
    values = [value, *item[1:]] if equals else item[1:]
    is_file = len(values) == 1 and values[0].endswith(FILES) and Path(values[0]).is_file()
    return option if is_file and option.startswith("--") and option != "--config" else None
