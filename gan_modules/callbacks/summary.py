"""What a model is made of, before it is trained."""

from typing import Any

from lightning.pytorch.callbacks import RichModelSummary
from lightning.pytorch.utilities.model_summary.model_summary import get_human_readable_count
from rich import get_console
from rich.table import Table

__all__ = ["NetworkSummary"]


class NetworkSummary(RichModelSummary):
    """A table of the networks and their parameters.

    Lightning's also counts operations, which are those of a single forward pass of an example: a
    model of several networks has none.
    """

    @staticmethod
    def summarize(  # type: ignore[override]
        summary_data: list[tuple[str, list[str]]],
        total_parameters: int,
        trainable_parameters: int,
        model_size: float,
        total_training_modes: dict[str, int],
        **kwargs: Any,
    ) -> None:
        """Print it."""
        columns = {name.strip(): cells for name, cells in summary_data}
        table = Table()
        table.add_column("network")
        table.add_column("class")
        table.add_column("parameters", justify="right")
        shown = ("Name", "Type", "Params")
        for name, kind, count in zip(*(columns[key] for key in shown), strict=True):
            if count.strip() != "0":
                table.add_row(name, kind, count.strip())
        table.add_section()
        trained = get_human_readable_count(trainable_parameters).strip()
        table.add_row(
            "all", f"{trained} trained", get_human_readable_count(total_parameters).strip()
        )
        get_console().print(table)
