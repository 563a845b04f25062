"""Commands that need neither trainer nor data module, and have parsers of their own."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gan_modules.command_line.arithmetic import (
    ARITHMETIC,
    arithmetic_parser,
    run_arithmetic,
)
from gan_modules.command_line.compare import COMPARE, compare_parser, run_compare
from gan_modules.command_line.demo import DESCRIPTION, demo_parser, run_demo
from gan_modules.command_line.invert import INVERT, invert_parser, run_invert
from gan_modules.command_line.lab import LAB, lab_parser, run_lab
from gan_modules.command_line.parsing import GANArgumentParser

__all__ = ["WITHOUT_TRAINER", "Command"]


class Command(NamedTuple):
    """What runs a command, its parser and one line about it."""

    run: Callable[[Sequence[str]], None]
    parser: Callable[[], GANArgumentParser]
    help: str


WITHOUT_TRAINER = {
    "demo": Command(run_demo, demo_parser, DESCRIPTION),
    "compare": Command(run_compare, compare_parser, COMPARE),
    "invert": Command(run_invert, invert_parser, INVERT),
    "arithmetic": Command(run_arithmetic, arithmetic_parser, ARITHMETIC),
    "lab": Command(run_lab, lab_parser, LAB),
}
