"""A parser that reports wrong input in one line."""

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from gan_modules.command_line.parser_errors import explain_parser_error
from gan_modules.command_line.words import with_null

__all__ = ["GANArgumentParser", "with_subparsers"]


class GANArgumentParser(LightningArgumentParser):
    """Reports any wrong input in one line and exits with status 2."""

    arguments: Sequence[str] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.contents: dict[str, Any] = {}

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *more: Any, **options: Any
    ) -> Any:
        """Parse; what jsonargparse 4.53 hands on to a nested class as None is its null again."""
        words = None if args is None else with_null(args)
        return super().parse_args(words, *more, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one line; raise instead where a caller asked for that."""
        if not self.exit_on_error:
            super().error(message, ex)
        parser = _of_command(self)
        configs = [content for p in with_subparsers(self) for content in p.contents.values()]
        line = explain_parser_error(message, _options(parser), self.arguments, configs)
        print(f"error: {line}", file=sys.stderr)
        raise SystemExit(2)


def with_subparsers(parser: Any) -> list[Any]:
    """The parser itself and those of its commands."""
    found = [parser]
    for action in parser._actions:
        if isinstance(action.choices, dict):
            found += [sub for sub in action.choices.values() if hasattr(sub, "_actions")]
    return found


def _of_command(parser: GANArgumentParser) -> Any:
    """The parser of the command that was typed."""
    for action in parser._actions:
        if isinstance(action.choices, dict) and parser.arguments:
            return action.choices.get(parser.arguments[0], parser)
    return parser


def _options(parser: Any) -> list[str]:
    return [option for action in parser._actions for option in action.option_strings]
