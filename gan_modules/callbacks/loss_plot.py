"""The loss curves as a picture."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib.figure import Figure

from gan_modules.callbacks.paths import check_writable, is_trial, unused
from gan_modules.errors import require
from gan_modules.tools.files import whole_file
from gan_modules.training.reporting import PREFIXES, logging_is_due

__all__ = ["LossPlot"]


class LossPlot(Callback):
    """Draw ``losses.png`` from what was logged: a panel per player, and one of the metrics.

    The curves are part of every checkpoint: those of a resumed run begin where the first run did.

    Args:
        every_n_steps: generator updates between two drawings; the end is always drawn.
        path: file; by default ``losses.png`` in the trainer's ``default_root_dir``. Where it
            exists, ``-v1`` and so on is appended to the name.

    Raises:
        ValueError: if an option is out of its range, or the file is of a kind that cannot be drawn,
            or in a folder that cannot be written to.
    """

    def __init__(self, every_n_steps: int = 1000, path: str | None = None) -> None:
        require(every_n_steps >= 1, "every_n_steps", every_n_steps, "at least 1")
        if path is not None:
            kinds = sorted(Figure().canvas.get_supported_filetypes())
            right = f"a file that ends in .{', .'.join(kinds)}"
            require(Path(path).suffix.lower()[1:] in kinds, "path", path, right)
        self.every_n_steps = every_n_steps
        self.path = path
        self._curves: dict[str, tuple[list[int], list[float]]] = {}

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
        file = Path(self.path or Path(trainer.default_root_dir, "losses.png"))
        check_writable("loss_plot.path", file)
        self._file = unused(file)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the losses where they were logged."""
        if logging_is_due(trainer):
            self._note(trainer, tuple(f"{prefix}/" for prefix in _prefixes(trainer).values()))
        if trainer.global_step % self.every_n_steps == 0:
            self._draw(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the losses on held-out images."""
        if not trainer.sanity_checking:
            self._note(trainer, ("val/",))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the whole training."""
        self._draw(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Draw what there is when training is interrupted."""
        if self._curves:
            self._draw(trainer)

    def _note(self, trainer: Trainer, prefixes: tuple[str, ...]) -> None:
        for name, value in trainer.callback_metrics.items():
            if name.startswith(prefixes):
                steps, values = self._curves.setdefault(name, ([], []))
                steps.append(trainer.global_step)
                values.append(value.item())

    def _draw(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero or is_trial(trainer) or not self._curves:
            return
        panels = {f"{player} loss": f"{prefix}/" for player, prefix in _prefixes(trainer).items()}
        known = tuple(panels.values())
        measured = [n for n in self._curves if not n.removeprefix("val/").startswith(known)]
        rows = len(panels) + bool(measured)
        figure = Figure(figsize=(9, 3.5 * rows), layout="constrained")
        axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
        for axis, (title, prefix) in zip(axes, panels.items(), strict=False):
            terms = {n.removeprefix("val/") for n in self._curves}
            its = sorted(t for t in terms if t.startswith(prefix))
            # the sum of a single term is that term
            its = [t for t in its if len(its) != 2 or t != f"{prefix}loss"]
            for colour, term in enumerate(its):
                label = term.removeprefix(prefix)
                self._plot(axis, term, label, colour)
                self._plot(axis, f"val/{term}", f"{label} (validation)", colour)
            axis.set_ylabel(title)
        for colour, name in enumerate(sorted(measured)):
            self._plot(axes[-1], name, name.removeprefix("val/"), colour)
            axes[-1].set_ylabel("metrics")
            # a logarithm has no room for zeros, such as a precision can be
            if all(value > 0 for name in measured for value in self._curves[name][1]):
                axes[-1].set_yscale("log")
        for axis in axes:
            axis.grid(alpha=0.3)
            axis.legend(fontsize="small")
        axes[-1].set_xlabel("iterations")
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


def _prefixes(trainer: Trainer) -> dict[str, str]:
    """What the terms of each player begin with."""
    players: Iterable[str] = getattr(trainer.lightning_module, "players", PREFIXES)
    return {player: PREFIXES.get(player, player) for player in sorted(players)}
