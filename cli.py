"""Train and judge GANs: ``python cli.py fit --config wgan_gp.yaml``."""

import sys
from collections.abc import Sequence
from pathlib import Path

import datamodules  # noqa: F401  (importing them makes their short names known)
import gan_modules.networks  # noqa: F401
from gan_modules.command_line import GANCLI, run


def main(args: Sequence[str] | None = None) -> GANCLI | None:
    """Run one command; ``args`` is the command line, by default the process's own."""
    return run(args)


def command() -> None:
    """The installed command ``gan-modules``; it finds modules in the working folder, too."""
    sys.path.insert(0, str(Path.cwd()))
    main()


if __name__ == "__main__":
    main()
