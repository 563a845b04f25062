"""What ``--help`` says first."""

from collections.abc import Mapping
from typing import Any

__all__ = ["descriptions"]

USAGE = "--config NAME [--model CLASS] [--data CLASS]"
USAGES = {"predict": "--ckpt_path FILE"}
HINTS = {
    "predict": """
The checkpoint is enough. What a --config says of the model must agree with it; that of a run can
be given as it is, and its data need not be there.
"""
}
HINT = """
What a class takes: --model.help WGANGP, --data.help DigitsDataModule,
--model.generator.help MLPGenerator, --model.generator_optimizer.help Adam.
The options as a file: --print_config.
"""


def descriptions(of_commands: Mapping[str, str]) -> dict[str, Any]:
    """What ``--help`` says first, of the program and of each command."""
    commands = {
        name: {
            "description": description + HINTS.get(name, HINT),
            "usage": f"%(prog)s {USAGES.get(name, USAGE)} [options]",
        }
        for name, description in of_commands.items()
    }
    return {"description": "Train and judge GANs.", **commands}
