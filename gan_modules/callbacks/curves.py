"""Curves that are kept during training and drawn as one picture."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib.figure import Figure

from gan_modules.callbacks.paths import check_writable, is_trial, unused
from gan_modules.errors import require
from gan_modules.tools.files import whole_file

__all__ = ["CurvePlot"]


class CurvePlot(Callback, ABC):
    """Base of what keeps curves and draws them, at the end of training and now and then before.

    The curves are part of every checkpoint: those of a resumed run begin where the first run did.

    Args:
        path: file; by default one of the class's own name in the trainer's ``default_root_dir``.
            Where it exists, ``-v1`` and so on is appended to the name.

    Raises:
        ValueError: if the file is of a kind that cannot be drawn; when training starts, if it is in
            a folder that cannot be written to.
    """

    file_name: ClassVar[str]
    """Of the picture in the trainer's folder."""
    option: ClassVar[str]
    """Name of this callback among the options of the command line."""

    def __init__(self, path: str | None = None) -> None:
        if path is not None:
            kinds = sorted(Figure().canvas.get_supported_filetypes())
            right = f"a file that ends in .{', .'.join(kinds)}"
            require(Path(path).suffix.lower()[1:] in kinds, "path", path, right)
        self.path = path
        self._curves: dict[str, tuple[list[int], list[float]]] = {}

    @abstractmethod
    def figure(self, trainer: Trainer) -> Figure:
        """The picture of the curves, of which there is at least one."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin anew; what a resumed training goes on from is loaded after this."""
        if stage == "fit":
            self._curves = {}

    def state_dict(self) -> dict[str, Any]:
        """The curves so far, as tensors, which take less room than lists of numbers."""
        return {
            "curves": {
                name: (torch.tensor(steps), torch.tensor(values, dtype=torch.float64))
                for name, (steps, values) in self._curves.items()
            }
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on drawing them."""
        curves = state_dict["curves"].items()
        self._curves = {name: (s.tolist(), v.tolist()) for name, (s, v) in curves}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Settle the file."""
        file = Path(self.path or Path(trainer.default_root_dir, self.file_name))
        check_writable(f"{self.option}.path", file)
        self._file = unused(file)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the whole training."""
        self._draw(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Draw what there is when training is interrupted."""
        if self._curves:
            self._draw(trainer)

    def _add(self, name: str, step: int, value: float) -> None:
        steps, values = self._curves.setdefault(name, ([], []))
        steps.append(step)
        values.append(value)

    def _draw(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero or is_trial(trainer) or not self._curves:
            return
        figure = self.figure(trainer)
        with whole_file(self._file) as file:
            figure.savefig(file, format="png", dpi=120)

    def _plot(self, axis: Any, name: str, label: str, colour: int) -> None:
        if name not in self._curves:
            return
        steps, values = self._curves[name]
        line = "--" if name.startswith("val/") else "-"
        # a line needs two points
        style = {"linestyle": line, "marker": "o" if len(steps) == 1 else None}
        axis.plot(steps, values, color=f"C{colour}", label=label, linewidth=1, **style)
