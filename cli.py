"""Train and judge GANs: ``python cli.py fit --config wgan_gp.yaml``."""

import os
from collections.abc import Sequence

# before torch starts its threads: waiting threads that spin take a busy machine's processors from
# those that work (two trainings on two cores: ten times slower), and gain little on a free one
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import datamodules  # noqa: F401  (importing them makes their short names known)
import gan_modules.networks  # noqa: F401
from gan_modules.command_line import GANCLI, run


def main(args: Sequence[str] | None = None) -> GANCLI:
    """Run one command; ``args`` is the command line, by default the process's own."""
    return run(args)


if __name__ == "__main__":
    main()
