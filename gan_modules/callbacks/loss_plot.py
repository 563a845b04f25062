"""The loss curves as a picture."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib.figure import Figure

from gan_modules.callbacks.paths import check_writable, is_trial, unused
from gan_modules.errors import require
from gan_modules.tools.files import whole_file
from gan_modules.training.reporting import logging_is_due

__all__ = ["LossPlot"]


class LossPlot(Callback):
    """Draw ``losses.png`` from what was logged: discriminator above, generator below.

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

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Settle the file."""
        self._curves = {}
        file = Path(self.path or Path(trainer.default_root_dir, "losses.png"))
        check_writable("loss_plot.path", file)
        self._file = unused(file)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the losses where they were logged."""
        if logging_is_due(trainer):
            self._note(trainer, ("d/", "g/"))
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
        figure = Figure(figsize=(9, 7), layout="constrained")
        axes = figure.subplots(2, 1, sharex=True)
        for axis, player, title in zip(
            axes, ("d/", "g/"), ("discriminator", "generator"), strict=True
        ):
            for name, (steps, values) in sorted(self._curves.items()):
                held_out = name.startswith("val/")
                if name.removeprefix("val/").startswith(player):
                    label = name.removeprefix("val/")[2:] + (" (validation)" if held_out else "")
                    axis.plot(steps, values, "--" if held_out else "-", label=label, linewidth=1)
            axis.set_ylabel(f"{title} loss")
            axis.grid(alpha=0.3)
            axis.legend(fontsize="small")
        axes[-1].set_xlabel("generator updates")
        with whole_file(self._file) as file:
            figure.savefig(file, format="png", dpi=120)
