"""``lab``: claims about GANs, each as an experiment whose answer is known."""

import json
from collections.abc import Sequence
from inspect import getdoc
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gan_modules.callbacks.paths import check_writable, unused
from gan_modules.command_line.parsing import GANArgumentParser
from gan_modules.errors import require
from gan_modules.tools.files import whole_file

if TYPE_CHECKING:
    from gan_modules.lab import Experiment, Findings

__all__ = ["LAB", "lab_parser", "run_lab", "write_findings"]

LAB = "Run an experiment whose answer is known: why GANs fail, why Wasserstein helps."
FRAME_MS = 200


def lab_parser(name: str | None = None) -> GANArgumentParser:
    """The parser of the command's options, and of those of an experiment."""
    experiment = None if name is None else _experiments()[name]
    parser = GANArgumentParser(
        prog="cli.py lab",
        description=LAB if experiment is None else f"{LAB}\n\n{getdoc(experiment)}",
        usage="%(prog)s [NAME] [options]; without a name, all experiments are listed",
    )
    parser.add_argument("name", type=str, nargs="?", help="Of an experiment.")
    parser.add_argument("--seed", type=int, default=0, help="Of all randomness.")
    parser.add_argument(
        "--effort",
        type=float,
        default=1.0,
        help="Factor of the updates; less than 1 for a quick look with worse numbers.",
    )
    parser.add_argument(
        "--out",
        type=str,
        default="lab",
        help="Folder of pictures and numbers; where they exist, -v1 and so on is appended.",
    )
    if experiment is not None:
        parser.add_function_arguments(experiment, as_group=False, skip={"lab"})
    return parser


def run_lab(arguments: Sequence[str]) -> None:
    """List the experiments, or run one and say what it found and where.

    Args:
        arguments: the command line after ``lab``.

    Raises:
        ValueError: if there is no such experiment, or an option cannot work.
    """
    from gan_modules.lab import Lab

    experiments = _experiments()
    named = next((word for word in arguments if word in experiments), None)
    parser = lab_parser(named)
    parser.arguments = arguments
    chosen = parser.parse_args([*arguments]).as_dict()
    name, seed, effort, out = (chosen.pop(key) for key in ("name", "seed", "effort", "out"))
    if name is None:
        Console().print(_list(experiments))
        return
    require(name in experiments, "lab", name, f"one of {', '.join(experiments)}")
    path = Path(out, f"{name}.png")
    check_writable("out", path)
    console = Console()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        findings = experiments[name](Lab(seed, effort, progress), **chosen)
    console.print(claim(experiments[name]), _table(findings))
    for file in write_findings(findings, unused(path), {"seed": seed, "effort": effort, **chosen}):
        console.print(str(file), highlight=False, soft_wrap=True)


def _experiments() -> dict[str, "Experiment"]:
    """All of them by name; they need packages that no other command does."""
    from gan_modules.lab import EXPERIMENTS

    return EXPERIMENTS


def claim(experiment: "Experiment") -> str:
    """The first line of an experiment's docstring."""
    return (getdoc(experiment) or "").split("\n", 1)[0]


def write_findings(findings: "Findings", path: Path, options: dict[str, object]) -> list[Path]:
    """Write a picture, the numbers beside it and, where there are frames, an animation.

    Args:
        findings: of an experiment.
        path: of the picture, which ends in .png.
        options: that it was run with; they become part of the numbers.

    Returns:
        The files.
    """
    checks = [check.plain() for check in findings.checks]
    content = {"options": options, "checks": checks, **findings.numbers}
    with whole_file(path) as file:
        findings.figure.savefig(file, format="png", dpi=110)
    with whole_file(path.with_suffix(".json")) as file:
        file.write(json.dumps(content, indent=1).encode() + b"\n")
    written = [path, path.with_suffix(".json")]
    if findings.frames:
        first, *others = map(_image, findings.frames)
        with whole_file(path.with_suffix(".gif")) as file:
            first.save(file, "gif", save_all=True, append_images=others, duration=FRAME_MS, loop=0)
        written.append(path.with_suffix(".gif"))
    return written


def _image(figure: Figure) -> Image.Image:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=70)
    with Image.open(buffer) as image:
        return image.convert("RGB")


def _list(experiments: dict[str, "Experiment"]) -> Table:
    table = Table("experiment", "claim", title="python cli.py lab NAME")
    for name, experiment in experiments.items():
        table.add_row(name, claim(experiment))
    return table


def _table(findings: "Findings") -> Table:
    table = Table("what", "theory", "seen", "holds")
    for check in findings.checks:
        table.add_row(check.what, check.theory, f"{check.seen:.4g}", "yes" if check.holds else "NO")
    return table
