"""The training loop, written once for every model."""

from functools import partial
from typing import Any, Self

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from gan_modules.checkpoints.data_names import ModuleWithNames
from gan_modules.training.averaging import Forgetting
from gan_modules.training.batches import Batch, check_batches, split_batch
from gan_modules.training.compiling import check_compiler, compile_methods, run_without_effect
from gan_modules.training.evaluation import Evaluation
from gan_modules.training.fitting import tried
from gan_modules.training.monitors import check_monitors
from gan_modules.training.optimizers import look_for_gpus_once
from gan_modules.training.player_terms import Objective
from gan_modules.training.players import PlayerOptions, first_of_two, frozen
from gan_modules.training.range_watch import RangeWatch
from gan_modules.training.ranks import average_over_ranks
from gan_modules.training.recording import Recorder
from gan_modules.training.reporting import logging_is_due, named, together, with_sum
from gan_modules.training.rules import Rules
from gan_modules.training.steppers import choose_stepper
from gan_modules.training.term_watch import TermWatch, require_finite
from gan_modules.training.trained import TrainedNetworks
from gan_modules.training.trainer_checks import check_any_batch
from gan_modules.training.untrained import UntrainedNetworks

__all__ = ["GenerativeModule"]


class GenerativeModule(ModuleWithNames, Evaluation, TrainedNetworks, UntrainedNetworks, Rules):
    """Any number of players, each with an optimizer, that take turns.

    A family builds its networks in :meth:`build_networks`, which is called when the whole
    ``__init__`` has run, and says who plays: :attr:`players` and :meth:`turns`. A player's
    objective is the method ``<player>_losses(batch)``: named, weighted scalar terms, whose sum it
    minimises. Whoever's turn it is not is frozen meanwhile.

    One ``training_step`` is one iteration of the papers' algorithms, all turns of it. The training
    batch holds the images of the whole iteration and is cut into :attr:`parts_per_iteration` equal
    parts. The last turn is the counted one: steps, schedules, intervals and the x-axis of every
    logger count iterations.

    Batches are ``(images, labels)``, or images alone: float in [-1, 1], shape ``(N, C, H, W)``. A
    family may pair its images with something else.

    Logged every ``log_every_n_steps`` iterations: each term as ``d/<term>`` and ``g/<term>``, any
    other player's by its own name, with sums as ``loss``; during validation and test the same on
    held-out images as ``val/...`` and ``test/...``.

    A NaN or an infinity among the terms ends the training at the next such moment, or before a
    checkpoint is written, with a ``FloatingPointError`` that names the update and the term.

    Args:
        ema_decay: decay per update of the averaged networks, which are what is sampled. It rises to
            this value as ``(1 + t) / (10 + t)``. 0 switches averaging off. Averaging never changes
            the training itself.
        ema_half_life: of the average, in images, in place of ``ema_decay``.
        ema_ramp: the half-life is at most this share of the images seen; 0.05 for StyleGAN2.
        ema_start: the average is a copy until then, ``ema_decay`` constant; 20,000 for BigGAN.
        compile: have ``torch.compile`` compile the losses of training, each player's whole. The
            first iterations take minutes; training stays the same up to rounding, and weights and
            checkpoints are those of a model that is not compiled. Sampling, validation and test
            are not compiled. ``fit`` raises ``ValueError`` where there is no working compiler, or
            losses cannot be compiled whole.
        cuda_graphs: have a GPU repeat whole iterations by one call each, for networks whose kernels
            it finishes before the next ones are launched. Each kind of iteration, as with a lazy
            regulariser and without, is recorded after three that are played as they are. With Adam
            and deterministic kernels, training stays the same bit for bit. ``fit`` raises
            ``ValueError`` without CUDA, on several devices, in other precisions than 32-true and
            bf16-mixed, with a callback that is told of single updates, and for what cannot be
            recorded: losses that are more than functions of tensors, optimizers without
            ``capturable``.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        *,
        ema_decay: float = 0.999,
        ema_half_life: float | None = None,
        ema_ramp: float | None = None,
        ema_start: int = 0,
        compile: bool = False,  # noqa: A002
        cuda_graphs: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.save_plain_hyperparameters()
        self.ema_decay = ema_decay
        self.forgetting = Forgetting(ema_decay, ema_half_life, ema_ramp, ema_start)
        self._options: dict[str, PlayerOptions] = {}
        self._parameters_of: dict[str, list[nn.Parameter]] = {}
        self._compiles, self._records = compile, cuda_graphs
        self._recorder: Recorder | None = None
        self._watch = TermWatch()
        self._turn: str | None = None
        # on all ranks, in the iterations before this one
        self._images_seen: int | None = None
        self._shared_now: Any = None

    def bfloat16(self) -> Self:
        """As ``half``; by torch's own, Lightning would not notice."""
        return self.to(torch.bfloat16)

    # ---- the loop ------------------------------------------------------------------------------

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimizer, and where wanted one scheduler, per player, in their order."""
        self.require_given_again()
        return super().configure_optimizers()

    def on_fit_start(self) -> None:
        """Train what was in evaluation mode, as a model is that was loaded."""
        if not self.training:
            self.train()

    def on_train_start(self) -> None:
        """Look up once what every step needs; check the last batch of an epoch."""
        look_for_gpus_once()
        self._stepper = choose_stepper(self)
        self._batch_is_checked = False
        if self._compiles:
            check_compiler(self.device)
            self._compiled = compile_methods(self, self.compilable)
        self._watch, self._ranges = TermWatch(), RangeWatch()
        self._optimizers = self.optimizers_by_player()
        self.go_on_as_typed()
        self._to_average = self.to_average()
        self._averages = self.averages_by_player(self.players)
        self._recorder = Recorder(self) if self._records else None
        trainer = self.trainer
        batches = trainer.num_training_batches
        if -1 < trainer.max_steps < batches:
            batches = trainer.max_steps
        pieces = {
            f"{player}_accumulate_grad_batches": options.accumulate_grad_batches
            for player, options in self._options.items()
        }
        parts = self.parts_per_iteration
        check_batches(trainer.train_dataloader, batches, parts, "n_critic", self, pieces)

    def on_train_end(self) -> None:
        """Look at the iterations since the last time, and let go of what was recorded of them."""
        self._look()
        self._recorder = None

    def on_fit_end(self) -> None:
        """Raise ``ValueError`` if there was nothing to train on, over which Lightning passes."""
        # they refer to this module, and would do so in a copy of it
        self._compiled, self._last = {}, {}
        check_any_batch(self.trainer)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """All turns of one iteration."""
        is_first = not self._batch_is_checked
        whole = self._receive(batch)
        self._ranges.note(self.ranges(whole))
        if is_first:
            part = split_batch(whole, self.parts_per_iteration, "n_critic")[-1]
            with tried(self.checks(whole[0])):
                check_monitors(self.trainer, partial(self._names_of_terms, part))
                if self._compiled:
                    # a compiled call cannot say in one line what is wrong with a network
                    losses = [getattr(self, f"{player}_losses") for player in self.players]
                    run_without_effect(self, losses, part)
        checks = self.checks(whole[0]) if is_first and not self._compiled else {}
        with self._ranges.explaining(), tried(checks):
            terms = self._take_turns(whole, images := len(whole[0]) * self.trainer.world_size)
        # averages and schedules advance where their own player stepped
        for player in terms.keys() & self._averages.keys():
            self._averages[player].update(self.global_step, images)
        self.step_schedulers(terms)
        self._watch.note(self.global_step, named(terms))
        latest = self.with_last(terms)
        due = logging_is_due(self.trainer)
        if due or self._watch.is_full:
            self._look()
        if due:
            self.report({**named(latest), **self.measures()})

    def _look(self) -> None:
        """Wait for the device, and raise if something has gone wrong since the last time."""
        self._ranges.check(self.trainer)
        self._watch.check(self.trainer)

    def _take_turns(self, whole: Batch, images: int) -> dict[str, dict[str, Tensor]]:
        """The terms of each player's last update."""
        self._seed_noise()
        if self._images_seen is None or not self.global_step:
            # a checkpoint of before they were counted
            self._images_seen = self.global_step * images
        self.on_iteration(self.global_step, self._images_seen)
        terms = (self._recorder or self).play_turns(whole)
        self._images_seen += images
        return terms

    def play_turns(self, whole: Batch) -> dict[str, dict[str, Tensor]]:
        """Update each player whose turn it is; return the terms of its last update.

        What an iteration is beside this is done on the host.
        """
        turns = list(self.turns(split_batch(whole, self.parts_per_iteration, "n_critic")))
        sharing = first_of_two(turns, self._options)
        terms: dict[str, dict[str, Tensor]] = {}
        try:
            for number, (player, part) in enumerate(turns):
                if number == sharing:
                    self._shared_now = self.compiled("shared")(part)
                terms[player] = self._update(player, part, number == len(turns) - 1)
        finally:
            # what was made before its player stepped has no right gradient any more
            self._shared_now = None
        return terms

    def _update(self, player: str, batch: Batch, counted: bool) -> dict[str, Tensor]:
        """One player's turn; return its terms, without graph."""
        others = [p for name, own in self._parameters_of.items() if name != player for p in own]
        self._turn = player
        try:
            with frozen(others):
                *earlier, last = self.objectives(player)
                steps = [self._step(player, batch, objective, False) for objective in earlier]
                return together([*steps, self._step(player, batch, last, counted)])
        finally:
            self._turn = None

    def _step(
        self, player: str, batch: Batch, objective: Objective, counted: bool
    ) -> dict[str, Tensor]:
        """Minimise an objective by one step; return its terms, without graph."""
        pieces = self._options[player].accumulate_grad_batches
        total: dict[str, Tensor] = {}
        for piece in split_batch(batch, pieces, f"{player}_accumulate_grad_batches"):
            terms = with_sum(player, objective(piece))
            loss = terms["loss"] / pieces if pieces > 1 else terms["loss"]
            self._stepper.backward(self, loss)
            for name, term in terms.items():
                share = term.detach() if pieces == 1 else term.detach() / pieces
                total[name] = total[name] + share if name in total else share
        further = self._to_average if counted else []
        average_over_ranks(self.trainer, self._parameters_of[player], further)
        optimizer = self._optimizers[player]
        self._stepper.step(self, optimizer, counted)
        optimizer.zero_grad()
        return total

    # ---- checkpoints ---------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save whose the optimizers are and the seed of the noise; refuse what is spoilt."""
        super().on_save_checkpoint(checkpoint)
        if self.is_fitting:
            self._look()
            require_finite(self, self.global_step)
        checkpoint["noise_seed"] = self.noise_seed
        checkpoint["images_seen"] = self._images_seen
        checkpoint["players"] = [*self.players]
        checkpoint["scheduled_players"] = self.scheduled

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the checkpoint's sequence of noise, and each player with its own optimizer."""
        super().on_load_checkpoint(checkpoint)
        if not self.is_fitting:
            return
        self.noise_seed = checkpoint["noise_seed"]
        self._images_seen = checkpoint.get("images_seen")
        self.require_given_again()
        self.find_own_states(checkpoint)
