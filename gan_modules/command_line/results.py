"""What judging a checkpoint leaves beside it."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table
from torch import Tensor

from gan_modules.callbacks.paths import unused
from gan_modules.tools.files import whole_file

__all__ = ["require_measured", "results_table", "run_folder_of", "write_results"]


def run_folder_of(checkpoint: str | Path) -> Path:
    """The folder of the run that wrote a checkpoint, or the checkpoint's own."""
    folder = Path(checkpoint).parent
    return folder.parent if folder.name.split("-v")[0] == "checkpoints" else folder


def write_results(
    command: str, checkpoint: str | Path, step: int, metrics: Mapping[str, Tensor]
) -> Path:
    """Write ``<command>_step_XXXXXX.json`` into the checkpoint's run folder.

    Args:
        command: what was done.
        checkpoint: what it was done to.
        step: its number of generator updates.
        metrics: scalars by name; those that are no finite numbers are written as null.

    Returns:
        The file: where there is one of this name, ``-v1`` and so on is appended.

    Raises:
        OSError: if it cannot be written.
    """
    path = unused(run_folder_of(checkpoint) / f"{command}_step_{step:06d}.json")
    values = {name: value.item() for name, value in metrics.items()}
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    content = {"checkpoint": str(checkpoint), "step": step, "metrics": finite}
    try:
        with whole_file(path) as file:
            file.write((json.dumps(content, indent=2) + "\n").encode())
    except OSError as error:
        raise OSError(f"{path} cannot be written ({error.strerror})") from error
    return path


def require_measured(
    command: str, metrics: Mapping[str, Tensor], batches: float, limit: float
) -> None:
    """Raise ``ValueError`` if a command has nothing to show.

    Args:
        command: what was done.
        metrics: what it found.
        batches: how many it went through.
        limit: the option of the trainer's that bounds them.
    """
    if metrics:
        return
    option = "limit_test_batches" if command == "test" else "limit_val_batches"
    right = "metrics.names must name a metric"
    if not batches:
        right = f"trainer.{option}={limit} must leave a batch"
    raise ValueError(f"{command} has measured nothing: {right}")


def results_table(command: str, metrics: Mapping[str, Tensor]) -> Table:
    """The same for people: one line per metric, with six digits; the file has all of them."""
    table = Table(title=command)
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        table.add_row(name, f"{value.item():.6g}")
    return table
