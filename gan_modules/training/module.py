"""The adversarial training loop, written once for every variant."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from functools import reduce
from itertools import cycle, islice
from operator import add
from typing import Any, ClassVar, Literal, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gan_modules.checkpoints.pretrained import PretrainedModule
from gan_modules.networks.layers.blocks import running_statistics
from gan_modules.training.batches import (
    Batch,
    as_batch,
    check_images,
    check_last_batch,
    split_batch,
)
from gan_modules.training.compiling import check_compiler, compile_methods, run_without_effect
from gan_modules.training.listeners import updates_are_plain
from gan_modules.training.optimizers import (
    check_optimizer,
    lay_out_like_weights,
    look_for_gpus_once,
)
from gan_modules.training.strategies import check_strategy
from gan_modules.training.term_watch import TermWatch, require_finite

__all__ = ["GANModule", "OptimizerFactory", "SchedulerFactory", "raised_by", "require"]

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler]
Player = Literal["generator", "discriminator"]
PLAYERS: tuple[Player, ...] = ("generator", "discriminator")


class GANModule(PretrainedModule, ABC):
    """One generator against one discriminator, trained with manual optimization.

    A variant calls :meth:`set_networks` at the end of its ``__init__`` and answers four questions:
    :meth:`build_generator`, :meth:`build_discriminator`, :meth:`discriminator_losses` and
    :meth:`generator_losses`. Everything else is done here.

    One ``training_step`` is one iteration of the papers' algorithms: ``n_critic`` discriminator
    updates, then one generator update. The training batch holds the images of the whole iteration
    and is cut into ``n_critic`` equal parts. Steps, schedules, intervals and the x-axis of every
    logger therefore count generator updates.

    Batches are ``(images, labels)``, or images alone: float in [-1, 1], shape ``(N, C, H, W)``. A
    family may pair its images with something else, as translation does with a second domain's.

    Logged every ``log_every_n_steps`` generator updates: each term of the objective as
    ``d/<term>`` and ``g/<term>``, and the sums ``d/loss`` and ``g/loss``; during validation and
    test the same on held-out images as ``val/...`` and ``test/...``, where a critic that overfits
    shows.

    A NaN or an infinity among the terms ends the training at the next such moment, or before a
    checkpoint is written, with a ``FloatingPointError`` that names the update and the term.

    Args:
        n_critic: discriminator updates per generator update.
        ema_decay: decay per generator update of the averaged generator, which is what is sampled.
            It rises to this value as ``(1 + t) / (10 + t)``. 0 switches averaging off. Averaging
            never changes the training itself.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the discriminator's parameters.
        generator_scheduler: called with the generator's optimizer; stepped once per generator
            update.
        discriminator_scheduler: called with the discriminator's optimizer; stepped once per
            generator update, too.
        generator_gradient_clip_val: largest norm of the generator's gradient.
        discriminator_gradient_clip_val: largest norm of the discriminator's gradient.
        generator_accumulate_grad_batches: compute each generator update in that many equal pieces,
            whose gradients are averaged: less memory, the same update wherever samples are
            independent of each other.
        discriminator_accumulate_grad_batches: the same for each discriminator update.
        compile: have ``torch.compile`` compile the losses of training, each player's whole. The
            first iterations take minutes; training stays the same up to rounding, and weights and
            checkpoints are those of a model that is not compiled. Sampling, validation and test
            are not compiled. ``fit`` raises ``ValueError`` where there is no working compiler, or
            losses cannot be compiled whole.

    Raises:
        ValueError: if an option is out of its range.
    """

    compilable: ClassVar[tuple[str, ...]] = ("discriminator_losses", "generator_losses")
    """Methods that ``compile`` compiles, each whole. A variant whose losses are more than functions
    of tensors and random numbers names those parts of them that are."""

    generator: nn.Module
    discriminator: nn.Module
    averaged_generator: nn.Module | None

    def __init__(
        self,
        *,
        generator_optimizer: OptimizerFactory,
        discriminator_optimizer: OptimizerFactory,
        generator_scheduler: SchedulerFactory | None = None,
        discriminator_scheduler: SchedulerFactory | None = None,
        n_critic: int = 1,
        ema_decay: float = 0.999,
        generator_gradient_clip_val: float | None = None,
        discriminator_gradient_clip_val: float | None = None,
        generator_accumulate_grad_batches: int = 1,
        discriminator_accumulate_grad_batches: int = 1,
        compile: bool = False,  # noqa: A002
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.save_plain_hyperparameters()
        require(n_critic >= 1, "n_critic", n_critic, "at least 1")
        require(0 <= ema_decay < 1, "ema_decay", ema_decay, "in [0, 1)")
        self.n_critic = n_critic
        self.ema_decay = ema_decay
        self._optimizer_factory: dict[Player, OptimizerFactory] = {
            "generator": generator_optimizer,
            "discriminator": discriminator_optimizer,
        }
        self._scheduler_factory: dict[Player, SchedulerFactory | None] = {
            "generator": generator_scheduler,
            "discriminator": discriminator_scheduler,
        }
        self._clip: dict[Player, float | None] = {
            "generator": generator_gradient_clip_val,
            "discriminator": discriminator_gradient_clip_val,
        }
        self._pieces: dict[Player, int] = {
            "generator": generator_accumulate_grad_batches,
            "discriminator": discriminator_accumulate_grad_batches,
        }
        for player, clip in self._clip.items():
            name = f"{player}_gradient_clip_val"
            require(clip is None or clip > 0, name, clip, "positive, or null for no clipping")
        for player, pieces in self._pieces.items():
            require(pieces >= 1, f"{player}_accumulate_grad_batches", pieces, "at least 1")
        # of all randomness in training; torch's own seed unless it is set before
        self.noise_seed: int | None = None
        self._batch_is_checked = False
        self._updates_are_plain = False
        self._compiles = compile
        self._compiled: dict[str, Callable[..., Any]] = {}
        self._watch = TermWatch()
        self._parameters_of: dict[Player, list[nn.Parameter]] = {}

    # ---- what a variant answers ----------------------------------------------------------------

    @abstractmethod
    def build_generator(self) -> nn.Module:
        """The paper's generator, used unless another one is passed as ``generator``."""

    @abstractmethod
    def build_discriminator(self) -> nn.Module:
        """The paper's discriminator, used unless another one is passed as ``discriminator``."""

    @abstractmethod
    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Named, weighted scalar terms whose sum the discriminator minimises.

        ``batch`` is the part of the training batch that belongs to this update. The generator is
        frozen meanwhile, so that fakes carry no graph.
        """

    @abstractmethod
    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Named, weighted scalar terms whose sum the generator minimises.

        ``batch`` is the last part of the training batch. The discriminator is frozen meanwhile.
        """

    @abstractmethod
    def sample_grid(self, n: int, seed: int, batch: Batch) -> Tensor:
        """About ``n`` images that show what was learnt; answered by the family of the variant.

        Args:
            n: number of images wanted.
            seed: of whatever is drawn at random.
            batch: a held-out batch, or a training batch where there is none.

        Returns:
            Float images in [-1, 1], shape ``(rows, columns, C, H, W)``.
        """

    def prepared(self, batch: Batch) -> AbstractContextManager[None]:
        """Hold for one iteration what both players would compute; by default nothing.

        It is entered with nothing frozen, so that the generator's losses can use what it holds with
        its graph. ``batch`` is the last part of the training batch, the one both players get. It is
        not entered where updates are computed in pieces.
        """
        return nullcontext()

    def discriminator_updates(self) -> int:
        """Discriminator updates before the generator update at hand; ``n_critic`` unless scheduled.

        Where there are more of them than parts of the batch, the parts come round again. 0 skips
        the discriminator.
        """
        return self.n_critic

    def compiled(self, name: str) -> Callable[..., Any]:
        """A method of :attr:`compilable`, compiled if ``compile`` is set and this is training."""
        found = self._compiled.get(name) if self.training else None
        return found or cast(Callable[..., Any], getattr(self, name))

    def set_networks(self, generator: nn.Module, discriminator: nn.Module) -> None:
        """Register both networks and the averaged copy of the generator."""
        self.generator = generator
        self.discriminator = discriminator
        self.averaged_generator = None
        if self.ema_decay > 0:
            self.averaged_generator = deepcopy(generator).requires_grad_(False)

    @property
    def sampler(self) -> nn.Module:
        """The generator to sample from: the averaged one, or the live one without averaging."""
        return self.generator if self.averaged_generator is None else self.averaged_generator

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put the generator to sample from in evaluation mode, and every part back afterwards."""
        modes = [(module, module.training) for module in self.sampler.modules()]
        self.sampler.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training

    # ---- the loop ------------------------------------------------------------------------------

    @property
    def trainer(self) -> Trainer:
        """The trainer that this module is attached to."""
        return super().trainer

    @trainer.setter
    def trainer(self, trainer: Trainer | None) -> None:
        # before any hook of Lightning's, none of which a subclass must pass on
        if trainer is not None:
            check_strategy(trainer.strategy)
        LightningModule.trainer.fset(self, trainer)  # type: ignore[attr-defined]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimizer, and where wanted one scheduler, per network: the generator's first."""
        configured: list[dict[str, Any]] = []
        self.require_given_again()
        for player in PLAYERS:
            parameters = getattr(self, player).parameters()
            with raised_by(f"{player}_optimizer"):
                trained = [p for p in parameters if p.requires_grad]
                optimizer = self._optimizer_factory[player](trained)
            check_optimizer(f"{player}_optimizer", optimizer)
            optimizer.register_load_state_dict_post_hook(lay_out_like_weights)
            configured.append({"optimizer": optimizer})
            factory = self._scheduler_factory[player]
            if factory is not None:
                with raised_by(f"{player}_scheduler"):
                    scheduler = factory(optimizer)
                require(
                    not isinstance(scheduler, ReduceLROnPlateau),
                    f"{player}_scheduler",
                    "ReduceLROnPlateau",
                    "a scheduler without a metric: adversarial losses have no plateau to wait for",
                )
                configured[-1]["lr_scheduler"] = scheduler
        return cast(OptimizerLRScheduler, configured)

    def on_fit_start(self) -> None:
        """Look up once what every step needs."""
        look_for_gpus_once()
        self._updates_are_plain = updates_are_plain(self.trainer, self)
        self._batch_is_checked = False
        if self._compiles:
            check_compiler(self.device)
            self._compiled = compile_methods(self, self.compilable)
            self._is_rehearsed = False
        self._watch = TermWatch()
        for player, optimizer in zip(PLAYERS, self._lightning_optimizers(), strict=True):
            self._parameters_of[player] = _parameters(optimizer)
            fused = optimizer.optimizer.defaults.get("fused")
            if self.trainer.precision == "16-mixed" and fused and self._clip[player] is not None:
                raise ValueError(
                    f"{player}_gradient_clip_val cannot be used with precision=16-mixed and a "
                    f"fused optimizer, which unscales after clipping: set its fused to false"
                )
        self._running_statistics = [
            statistic
            for network in (self.generator, self.discriminator)
            for statistic in running_statistics(network)
        ]
        # weights and running statistics are averaged, counters of batches are copied
        pairs = list(zip(_tensors(self.sampler), _tensors(self.generator), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._averaged_and_live = ([a for a, _ in floats], [live for _, live in floats])
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    def on_train_start(self) -> None:
        """Check that the last batch of an epoch can be cut like the others, if it will be met."""
        trainer = self.trainer
        if trainer.max_steps == -1 or trainer.max_steps >= trainer.num_training_batches:
            whole_epoch = trainer.num_training_batches
            check_last_batch(trainer.train_dataloader, whole_epoch, self.n_critic, "n_critic")

    def on_fit_end(self) -> None:
        """Raise ``ValueError`` if there was nothing to train on, over which Lightning passes."""
        # they refer to this module, and would do so in a copy of it
        self._compiled = {}
        if self.trainer.num_training_batches == 0 and self.trainer.limit_train_batches != 0:
            raise ValueError(
                "the DataLoader gives no batches: its data set is empty, or smaller than "
                "batch_size with drop_last=True"
            )

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Run the discriminator updates of one iteration, then one generator update."""
        parts = split_batch(self._receive(batch), self.n_critic, "n_critic")
        if self._compiled and not self._is_rehearsed:
            players = self.discriminator_losses, self.generator_losses
            run_without_effect(self, players, parts[-1])
            self._is_rehearsed = True
        self._seed_noise()
        discriminator_terms: dict[str, Tensor] = {}
        whole = all(pieces == 1 for pieces in self._pieces.values())
        with self.prepared(parts[-1]) if whole else nullcontext():
            with self._frozen("generator"):
                for part in islice(cycle(parts), self.discriminator_updates()):
                    discriminator_terms = self._update("discriminator", part)
            with self._frozen("discriminator"):
                generator_terms = self._update("generator", parts[-1])
        self._update_average()
        self._step_schedulers()
        terms = _named(discriminator_terms, generator_terms)
        self._watch.note(self.global_step, terms)
        if logging_is_due(self.trainer):
            self._watch.check(self.trainer)
            self._report(terms)
        elif self._watch.is_full:
            self._watch.check(self.trainer)

    def _update(self, player: Player, batch: Batch) -> dict[str, Tensor]:
        """Minimise one player's losses by one step; return their terms, without graph."""
        losses = self.compiled(f"{player}_losses")
        pieces = self._pieces[player]
        total: dict[str, Tensor] = {}
        for piece in split_batch(batch, pieces, f"{player}_accumulate_grad_batches"):
            terms = _with_sum(losses(piece))
            loss = terms["loss"] / pieces if pieces > 1 else terms["loss"]
            if self._updates_are_plain:
                loss.backward()
            else:
                # under autocast a gradient of a gradient would be computed in half precision
                with self._without_ddp_hooks(), torch.autocast(self.device.type, enabled=False):
                    self.manual_backward(loss)
            for name, term in terms.items():
                share = term.detach() if pieces == 1 else term.detach() / pieces
                total[name] = total[name] + share if name in total else share
        self._average_gradients_over_ranks(player)
        generator, discriminator = self._lightning_optimizers()
        if player == "generator":
            # the only step that goes through Lightning's counter: global_step counts it
            generator.step()
            generator.zero_grad()
        elif self._updates_are_plain:
            self.on_before_optimizer_step(discriminator.optimizer)
            discriminator.optimizer.step()
            discriminator.zero_grad()
        else:
            # through the strategy, so that precision, loss scaling and hooks stay in place
            self.trainer.strategy.optimizer_step(discriminator.optimizer, _no_closure)
            discriminator.zero_grad()
        return total

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradient of the network about to be stepped, after any unscaling.

        An override must call this one.
        """
        for player, configured in zip(PLAYERS, self._lightning_optimizers(), strict=True):
            clip = self._clip[player]
            if clip is not None and configured.optimizer is optimizer:
                nn.utils.clip_grad_norm_(self._parameters_of[player], clip)

    def _lightning_optimizers(self) -> Any:
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        return optimizers

    @contextmanager
    def _frozen(self, player: Player) -> Iterator[None]:
        """Exclude one network from every graph, which skips all gradients it does not need."""
        for parameter in self._parameters_of[player]:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in self._parameters_of[player]:
                parameter.requires_grad_(True)

    def _without_ddp_hooks(self) -> AbstractContextManager[None]:
        # DDP expects every parameter in every backward pass, which no GAN gives it
        if isinstance(self.trainer.strategy, DDPStrategy):
            return self.trainer.strategy.block_backward_sync()
        return nullcontext()

    def _average_gradients_over_ranks(self, player: Player) -> None:
        """All-reduce the stepped network's gradients, flattened into one tensor.

        With the generator's, at the end of an iteration, go the running statistics of both
        networks: each rank has its own images, and all must end with one model.
        """
        if self.trainer.world_size == 1:
            return
        tensors = [p.grad for p in self._parameters_of[player] if p.grad is not None]
        if player == "generator":
            tensors += self._running_statistics
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        flat = self.trainer.strategy.reduce(flat, reduce_op="mean")
        pieces = flat.split([tensor.numel() for tensor in tensors])
        for tensor, piece in zip(tensors, pieces, strict=True):
            tensor.copy_(piece.view_as(tensor))

    @torch.no_grad()
    def _update_average(self) -> None:
        if self.averaged_generator is None:
            return
        step = self.global_step
        decay = min(self.ema_decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(*self._averaged_and_live, step)
        for averaged, live in self._counters:
            averaged.copy_(live)

    def _step_schedulers(self) -> None:
        schedulers = self.lr_schedulers()
        if schedulers is None:
            return
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            assert isinstance(scheduler, LRScheduler)
            scheduler.step()

    def _seed_noise(self) -> None:
        """Make the iteration's randomness a function of (seed, rank, iteration).

        Lightning seeds all ranks alike, and they would all draw the same noise. Knowing the
        iteration makes a resumed run draw what an uninterrupted one would have drawn.
        """
        if self.noise_seed is None:
            self.noise_seed = self.trainer.strategy.broadcast(torch.initial_seed())
        key = f"{self.noise_seed}/{self.global_rank}/{self.global_step}".encode()
        digest = hashlib.blake2b(key, digest_size=8).digest()
        seed = int.from_bytes(digest, "big", signed=True)
        # torch.manual_seed also prepares backends that this process never starts, at 0.2 ms a step
        torch.default_generator.manual_seed(seed)
        if self.device.type != "cpu":
            torch.get_device_module(self.device).manual_seed(seed)

    # ---- batches -------------------------------------------------------------------------------

    def _receive(self, batch: Any) -> Batch:
        """A batch in the module's precision; the first one of a stage is checked."""
        images, second = as_batch(batch)
        if not self._batch_is_checked:
            self.check_batch((images, second))
            self._batch_is_checked = True
        if second is not None and second.is_floating_point():
            second = second.to(self.dtype)
        return images.to(self.dtype), second

    def check_batch(self, batch: Batch) -> None:
        """Raise ``ValueError`` if the first batch of a stage is not what the networks expect."""
        check_images(batch[0])

    # ---- reporting -----------------------------------------------------------------------------

    def _report(self, terms: dict[str, Tensor]) -> None:
        """Send training terms to the loggers, at the number of generator updates, and to callbacks.

        Loggers are called directly: ``self.log`` would count from zero, and cost more.
        """
        stacked = torch.stack([term.float() for term in terms.values()])
        stacked = self.trainer.strategy.reduce(stacked, reduce_op="mean")
        values = dict(zip(terms, stacked.tolist(), strict=True))
        for name, value in values.items():
            self.log(name, value, logger=False, prog_bar=name in ("d/loss", "g/loss"))
        self._send_to_loggers(values)

    def _send_to_loggers(self, values: dict[str, float]) -> None:
        for logger in self.loggers:
            logger.log_metrics({**values, "epoch": self.current_epoch}, step=self.global_step)
            # a killed run keeps what it has logged
            logger.save()

    def on_validation_epoch_start(self) -> None:
        """Draw noise of its own on every rank; check the first batch."""
        self._seed_noise()
        self._batch_is_checked = False

    def on_test_epoch_start(self) -> None:
        """Draw noise of its own on every rank; check the first batch."""
        self._seed_noise()
        self._batch_is_checked = False

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Evaluate the objective on held-out images, as ``val/d/...`` and ``val/g/...``."""
        self._evaluate("val/", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Evaluate the objective on test images, as ``test/d/...`` and ``test/g/...``."""
        self._evaluate("test/", batch)

    def _evaluate(self, prefix: str, batch: Any) -> None:
        """Have Lightning average the terms over all images of all ranks."""
        pair = self._receive(batch)
        # as an integer it would be rounded down where ranks have unequal numbers (lightning#21859)
        weight = torch.tensor(len(pair[0]), dtype=torch.float32)
        terms = _named(
            _with_sum(self.discriminator_losses(pair)), _with_sum(self.generator_losses(pair))
        )
        self.log_dict(
            {f"{prefix}{name}": term for name, term in terms.items()},
            logger=False if self._is_fitting else None,
            on_epoch=True,
            batch_size=cast(int, weight),
            sync_dist=True,
        )

    def on_validation_end(self) -> None:
        """While fitting, send the held-out terms to the loggers, at the same step as the others."""
        if self._is_fitting and not self.trainer.sanity_checking:
            metrics = self.trainer.callback_metrics.items()
            self._send_to_loggers({k: v.item() for k, v in metrics if k.startswith("val/")})

    @property
    def _is_fitting(self) -> bool:
        # trainer.validate and trainer.test return what self.log sends to loggers, fit does not
        return self._trainer is not None and self._trainer.state.fn == TrainerFn.FITTING

    # ---- checkpoints ---------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the seed of the noise, for exact resuming; refuse to save what is spoilt."""
        super().on_save_checkpoint(checkpoint)
        if self._is_fitting:
            self._watch.check(self.trainer)
            require_finite(self, self.global_step)
        checkpoint["noise_seed"] = self.noise_seed

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the checkpoint's sequence of noise, in training."""
        super().on_load_checkpoint(checkpoint)
        if self._is_fitting:
            self.noise_seed = checkpoint["noise_seed"]


def require(condition: bool, name: str, value: object, right: str) -> None:
    """Raise one line naming an argument, its value and what would be right."""
    if not condition:
        raise ValueError(f"{name}={value!r} must be {right}")


@contextmanager
def raised_by(option: str, *arguments: str) -> Iterator[None]:
    """Note on an error which option it comes from, and on a wrong call what the arguments were."""
    try:
        yield
    except ValueError as error:
        error.add_note(f"in {option}")
        raise
    except TypeError as error:
        with_what = f", which is built with {' and '.join(arguments)}" if arguments else ""
        error.add_note(f"in {option}{with_what}")
        raise


def _with_sum(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    for name, term in terms.items():
        if term.ndim or name == "loss":
            raise ValueError(
                f"term {name!r} of shape {tuple(term.shape)} must be a scalar, under any name but "
                "'loss', which is that of the sum"
            )
    return {**terms, "loss": reduce(add, terms.values())}


def _named(discriminator: dict[str, Tensor], generator: dict[str, Tensor]) -> dict[str, Tensor]:
    players = (("d", discriminator), ("g", generator))
    return {f"{p}/{name}": term for p, terms in players for name, term in terms.items()}


def logging_is_due(trainer: Trainer) -> bool:
    """Whether the generator update just made is one to log; an interval of 0 is never."""
    interval = cast(int, trainer.log_every_n_steps)  # type: ignore[attr-defined]
    return interval > 0 and trainer.global_step % interval == 0


def _parameters(optimizer: Any) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _tensors(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]


def _no_closure() -> None:
    """Gradients are computed before the optimizer is called."""
