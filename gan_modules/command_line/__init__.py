"""The command line: ``GANCLI`` is ``LightningCLI`` with run folders and one-line errors."""

from gan_modules.command_line.app import GANCLI
from gan_modules.command_line.main import run

__all__ = ["GANCLI", "run"]
