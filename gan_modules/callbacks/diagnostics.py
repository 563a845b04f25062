"""Instruments of a training that can stay on, and what they say."""

from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from matplotlib.figure import Figure
from torch import Tensor
from torch.optim import Optimizer

from gan_modules.callbacks.conditions import Thresholds, symptoms
from gan_modules.callbacks.curves import CurvePlot
from gan_modules.callbacks.paths import is_trial
from gan_modules.callbacks.pictures import held_out_batches
from gan_modules.callbacks.steps import StepHooks, parameters_of, unscaled_gradients
from gan_modules.callbacks.training_figures import figures_of, usable_size, without_effect
from gan_modules.errors import require
from gan_modules.training.batches import Batch, as_batch, join_batches, split_batch
from gan_modules.training.module import GenerativeModule

__all__ = ["Diagnostics"]

PREFIX = "diagnostics/"
PANELS = {
    "gradient norm": ("/gradient_norm",),
    "update / weights": ("/update_ratio",),
    "discriminator": ("accuracy_real", "accuracy_fake", "r_t"),
    "slope between": ("slope_mean", "slope_max"),
    "held out": ("held_out_gap", "wasserstein"),
    "diversity": ("diversity",),
}
LOGARITHMIC = ("gradient norm", "update / weights", "slope between")


class Diagnostics(CurvePlot):
    """Look at the training itself now and then, and say in a line where it goes wrong.

    Every ``every_n_steps`` iterations, by what the model has: each player's gradient norm, before
    clipping, and ``||update|| / ||weights||``; how far fakes are apart, as a share of the data's
    distance; the discriminator's accuracy, its slope between real images and fakes, and how it
    scores held-out images; a critic's Wasserstein estimate on these. Networks work as in training,
    on a few images of the batch at hand; fakes are those of the generator in training, and nothing
    is said of them where it rested, as in a phase of others. Processes look at images of their own,
    and figures are averaged. In between it costs nothing, and training is the same with it, bit for
    bit.

    Figures are logged as ``diagnostics/...`` and drawn as ``diagnostics.png``. What is beyond its
    threshold in ``patience`` looks, one after the other, is named in a warning with the usual
    remedy, once in a run. Thresholds are for what no healthy training does for long; a figure
    within them may still be a bad one.

    Args:
        every_n_steps: iterations from one look to the next; None for none.
        n: images that are looked at, of a process; at most an update's.
        patience: looks, one after the other, that a condition must last: the first hundreds of
            updates are often beyond a threshold.
        draw_every_n_looks: looks between two drawings, each of which takes as long as many looks;
            the end is always drawn.
        least_diversity: of samples' pairwise distance, as a share of the data's; 0.2 is far below
            what a single class of images has, so that it speaks of samples that are nearly one.
        most_accuracy: on real images and fakes both: of a discriminator that errs once in a hundred
            the generator learns little.
        least_slope: mean gradient norm of a critic that is too flat: a thousandth of the slope of 1
            that is meant, and so of the distance that it estimates. Under small ``clip_value`` a
            hundredth is usual.
        most_slope: likewise of one that is too steep.
        most_gap: mean score of training images less that of held-out ones, in their standard
            deviations; from 1 on, two of three images could be told by it.
        least_gradient: root mean square of a player's gradient; Adam's and RMSprop's ``eps``, below
            which their steps shrink with it.
        most_update: ``||update|| / ||weights||``, where 0.001 is usual: at 0.1, ten updates replace
            what was learnt.
        path: of the picture; by default ``diagnostics.png`` in the trainer's ``default_root_dir``.
            Where it exists, ``-v1`` and so on is appended to the name.

    Raises:
        ValueError: if an option is out of its range; when training starts, if the model is not a
            :class:`GenerativeModule`, or nothing can be written to ``path``.
    """

    file_name = "diagnostics.png"
    option = "diagnostics"

    def __init__(
        self,
        every_n_steps: int | None = 100,
        n: int = 64,
        patience: int = 5,
        draw_every_n_looks: int = 100,
        least_diversity: float = 0.2,
        most_accuracy: float = 0.99,
        least_slope: float = 1e-3,
        most_slope: float = 10.0,
        most_gap: float = 1.0,
        least_gradient: float = 1e-8,
        most_update: float = 0.1,
        path: str | None = None,
    ) -> None:
        least = {
            "patience": (patience, 1),
            "n": (n, 2),
            "draw_every_n_looks": (draw_every_n_looks, 1),
        }
        right = "at least 1, or null for none"
        require(every_n_steps is None or every_n_steps >= 1, "every_n_steps", every_n_steps, right)
        for name, (value, bound) in least.items():
            require(value >= bound, name, value, f"at least {bound}")
        super().__init__(path)
        self.every_n_steps = every_n_steps
        self.n = n
        self.patience = patience
        self.draw_every_n_looks = draw_every_n_looks
        self.thresholds = Thresholds(
            least_diversity,
            most_accuracy,
            least_slope,
            most_slope,
            most_gap,
            least_gradient,
            most_update,
        )
        for name, threshold in vars(self.thresholds).items():
            require(threshold >= 0, name, threshold, "at least 0")
        self._lasted: dict[str, int] = {}
        self.named: list[str] = []
        """Conditions that were named in this run."""
        self._hooks = StepHooks(self._before_step, self._after_step)
        self._seen: dict[str, Tensor] = {}
        self._weights: list[Tensor] = []
        self._held_out: Batch | None = None

    # ---- the run -------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin anew; what a resumed training goes on from is loaded after this."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._lasted, self.named = {}, []
            if not isinstance(pl_module, GenerativeModule):
                name = type(pl_module).__name__
                raise ValueError(f"Diagnostics looks at a GenerativeModule, not a {name}")

    def state_dict(self) -> dict[str, Any]:
        """The curves, how long each condition has lasted, and which ones were named."""
        return {**super().state_dict(), "lasted": dict(self._lasted), "named": [*self.named]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with them."""
        super().load_state_dict(state_dict)
        self._lasted, self.named = dict(state_dict["lasted"]), [*state_dict["named"]]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Settle the file and the held-out images."""
        super().on_train_start(trainer, pl_module)
        self._held_out, self._seen = None, {}
        self._players: dict[int, str] = {}
        if self.every_n_steps is None or is_trial(trainer):
            return
        model = cast(GenerativeModule, pl_module)
        optimizers = model.optimizers_by_player().items()
        self._players = {id(own.optimizer): player for player, own in optimizers}
        self._sizes = {
            player: sum(p.numel() for p in parameters_of(own.optimizer))
            for player, own in optimizers
        }
        batches: list[Batch] = []
        with without_effect(pl_module):
            for batch in held_out_batches(trainer):
                batches.append(as_batch(trainer.strategy.batch_to_device(batch)))
                if sum(len(images) for images, _ in batches) >= self.n:
                    break
        found = self._some(model, join_batches(batches)) if batches else None
        # every process has some, or none does: they average figures of one kind
        if trainer.strategy.reduce_boolean_decision(found is not None):
            self._held_out = found

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Look at the steps of this iteration, if it is time at its end."""
        if self._is_due(trainer.global_step + 1):
            self._hooks.attach(trainer.optimizers)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look, when it is time."""
        if not self._is_due(trainer.global_step):
            return
        self._hooks.remove()
        self._look(trainer, cast(GenerativeModule, pl_module), as_batch(batch))

    def _is_due(self, step: int) -> bool:
        every = self.every_n_steps
        return every is not None and step % every == 0 and bool(self._players)

    # ---- one look ------------------------------------------------------------------------------

    @torch.no_grad()
    def _before_step(self, optimizer: Optimizer) -> None:
        norms = [gradient.norm() for _, gradient in unscaled_gradients(optimizer)]
        player = self._players[id(optimizer)]
        if norms:
            self._seen[f"{player}/gradient_norm"] = torch.stack(norms).norm()
        self._weights = [parameter.detach().clone() for parameter in parameters_of(optimizer)]

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer) -> None:
        before, after = self._weights, parameters_of(optimizer)
        update = torch.stack([(a - b).norm() for a, b in zip(after, before, strict=True)]).norm()
        size = torch.stack([weight.norm() for weight in before]).norm()
        self._seen[f"{self._players[id(optimizer)]}/update_ratio"] = update / size
        self._weights = []

    def _look(self, trainer: Trainer, model: GenerativeModule, batch: Batch) -> None:
        seen, self._seen = self._seen, {}
        part = split_batch(batch, model.parts_per_iteration, "n_critic")[-1]
        context = trainer.precision_plugin.train_step_context()
        # in a phase of others samples say nothing
        stepped = [name for name in model.players if f"{name}/update_ratio" in seen]
        trained = {network for name in stepped for network in model.players[name]}
        with without_effect(model), context:
            some = self._some(model, part) if "generator" in trained else None
            if some is not None:
                seen |= figures_of(model, some, self._held_out)
        if not seen:
            return
        figures = model.report({f"{PREFIX}{name}": value for name, value in seen.items()})
        for name, value in figures.items():
            self._add(name, trainer.global_step, value)
        self._judge(trainer, model, {n.removeprefix(PREFIX): v for n, v in figures.items()})
        if trainer.global_step // cast(int, self.every_n_steps) % self.draw_every_n_looks == 0:
            self._draw(trainer)

    def _some(self, model: GenerativeModule, batch: Batch) -> Batch | None:
        """The first images of a batch, as many as networks can be shown together."""
        images, second = batch
        size = usable_size(model, min(self.n, len(images)))
        if not size:
            return None
        return images[:size].to(model.dtype), None if second is None else second[:size]

    def _judge(self, trainer: Trainer, model: GenerativeModule, figures: dict[str, float]) -> None:
        found = symptoms(figures, self._sizes, model, self.thresholds)
        # what is not seen this time begins anew
        self._lasted = {name: self._lasted.get(name, 0) + 1 for name in found}
        for name, (seen, remedy) in found.items():
            if self._lasted[name] >= self.patience and name not in self.named:
                self.named.append(name)
                updates = self._lasted[name] * cast(int, self.every_n_steps)
                rank_zero_warn(
                    f"iteration {trainer.global_step}: {seen} for {updates} updates: {remedy}"
                )

    # ---- the picture ---------------------------------------------------------------------------

    def figure(self, trainer: Trainer) -> Figure:
        """A panel for each kind of figure that there is."""
        panels = {
            title: [n for n in sorted(self._curves) if n.removeprefix(PREFIX).endswith(ends)]
            for title, ends in PANELS.items()
        }
        panels = {title: names for title, names in panels.items() if names}
        figure = Figure(figsize=(9, 2.2 * len(panels)), layout="constrained")
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (title, names) in zip(axes, panels.items(), strict=True):
            for colour, name in enumerate(names):
                label = name.removeprefix(PREFIX).split("/")[0]
                self._plot(axis, name, label, colour)
            positive = all(value > 0 for name in names for value in self._curves[name][1])
            if title in LOGARITHMIC and positive:
                axis.set_yscale("log")
            axis.set_ylabel(title)
            axis.grid(alpha=0.3)
            axis.legend(fontsize="small")
        axes[-1].set_xlabel("iterations")
        return figure
