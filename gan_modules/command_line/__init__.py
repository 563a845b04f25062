"""The command line: ``GANCLI`` is ``LightningCLI`` with run folders and one-line errors."""

from gan_modules.command_line.app import GANCLI, run

__all__ = ["GANCLI", "run"]
