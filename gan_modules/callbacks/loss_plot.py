"""The loss curves as a picture."""

from collections.abc import Iterable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from matplotlib.figure import Figure

from gan_modules.callbacks.curves import CurvePlot
from gan_modules.errors import require
from gan_modules.training.reporting import PREFIXES, logging_is_due

__all__ = ["LossPlot"]


class LossPlot(CurvePlot):
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

    file_name = "losses.png"
    option = "loss_plot"

    def __init__(self, every_n_steps: int = 1000, path: str | None = None) -> None:
        require(every_n_steps >= 1, "every_n_steps", every_n_steps, "at least 1")
        super().__init__(path)
        self.every_n_steps = every_n_steps

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

    def _note(self, trainer: Trainer, prefixes: tuple[str, ...]) -> None:
        for name, value in trainer.callback_metrics.items():
            if name.startswith(prefixes):
                self._add(name, trainer.global_step, value.item())

    def figure(self, trainer: Trainer) -> Figure:
        """A panel per player, and one of the metrics."""
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
        return figure


def _prefixes(trainer: Trainer) -> dict[str, str]:
    """What the terms of each player begin with."""
    players: Iterable[str] = getattr(trainer.lightning_module, "players", PREFIXES)
    return {player: PREFIXES.get(player, player) for player in sorted(players)}
