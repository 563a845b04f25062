"""Train and judge GANs: ``python cli.py fit --config wgan_gp.yaml``."""

import sys
from collections.abc import Sequence
from pathlib import Path

if sys.stderr.isatty():
    # seconds of silence otherwise
    print("Importing torch and Lightning", end="\r", file=sys.stderr, flush=True)

import datamodules  # noqa: F401  (importing them makes their short names known)
import gan_modules.networks  # noqa: F401
from gan_modules.command_line import GANCLI, run

if sys.stderr.isatty():
    # the line's end, as of any other that is written over it
    print("\033[K", end="", file=sys.stderr, flush=True)


def main(args: Sequence[str] | None = None) -> GANCLI | None:
    """Run one command; ``args`` is the command line, by default the process's own."""
    return run(args)


def command() -> None:
    """The installed command ``gan-modules``; it finds modules in the working folder, too."""
    sys.path.insert(0, str(Path.cwd()))
    main()


if __name__ == "__main__":
    main()
