"""A parser that reports wrong input in one line."""

import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from gan_modules.command_line.parser_errors import explain_parser_error

__all__ = ["GANArgumentParser", "configs_first", "with_null", "with_subparsers", "with_switches"]

SWITCHED_OFF = ("--diagnostics null", "--diagnostics=null ")


class GANArgumentParser(LightningArgumentParser):
    """Reports any wrong input in one line and exits with status 2."""

    arguments: Sequence[str] = ()

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one line; raise instead where a caller asked for that."""
        if not self.exit_on_error:
            super().error(message, ex)
        options = {option for parser in with_subparsers(self) for option in _options(parser)}
        print(f"error: {explain_parser_error(message, options, self.arguments)}", file=sys.stderr)
        raise SystemExit(2)


def with_subparsers(parser: Any) -> list[Any]:
    """The parser itself and those of its commands."""
    found = [parser]
    for action in parser._actions:
        if isinstance(action.choices, dict):
            found += [sub for sub in action.choices.values() if hasattr(sub, "_actions")]
    return found


def _options(parser: Any) -> list[str]:
    return [option for action in parser._actions for option in action.option_strings]


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
