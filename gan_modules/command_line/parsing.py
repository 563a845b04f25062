"""Config files by bare name, and wrong input in one line."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ActionConfigFile
from lightning.pytorch.cli import LightningArgumentParser

from gan_modules.command_line.messages import explain_parser_error, suggestion

__all__ = ["ConfigFile", "GANArgumentParser", "config_folders", "with_subparsers"]


def config_folders() -> list[Path]:
    """Where a bare config name is looked up, in this order: here, the checkout, the wheel."""
    package = Path(__file__).parents[1]
    return [Path(), Path("configs"), package.parent / "configs", package / "configs"]


class ConfigFile(ActionConfigFile):
    """``--config`` that also finds the shipped recipes by their bare name."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: Any = None) -> None:
        """Apply the file."""
        path = self.find(parser, values)
        super().__call__(parser, cfg, path, option_string)  # type: ignore[no-untyped-call]

    @staticmethod
    def find(parser: LightningArgumentParser, name: str) -> str:
        """Path of a config, or one line that names the nearest ones there are."""
        looks_like_a_name = re.fullmatch(r"[^\n:{}]+", name) is not None
        for folder in config_folders():
            if looks_like_a_name and (folder / name).is_file():
                return str(folder / name)
        if looks_like_a_name:
            known = [
                str(path.relative_to(folder))
                for folder in config_folders()
                for path in folder.glob("*.y*ml" if folder == Path() else "**/*.y*ml")
            ]
            parser.error(f"there is no config {name!r}{suggestion(name, known)}")
        return name


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
