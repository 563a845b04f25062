"""The adversarial training loop, written once for every variant."""

import hashlib
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = [
    "Batch",
    "DiscriminatorFactory",
    "GANModule",
    "GeneratorFactory",
    "NoiseGAN",
    "OptimizerFactory",
    "SchedulerFactory",
]

Batch = tuple[Tensor, Tensor | None]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler]
Player = Literal["generator", "discriminator"]


class GeneratorFactory(Protocol):
    """A class or function that builds a generator; ``num_classes`` is passed if conditional."""

    def __call__(
        self, *, image_shape: tuple[int, ...], latent_dim: int, num_classes: int = 0
    ) -> nn.Module: ...


class DiscriminatorFactory(Protocol):
    """A class or function that builds a discriminator; ``num_classes`` is passed if conditional."""

    def __call__(self, *, image_shape: tuple[int, ...], num_classes: int = 0) -> nn.Module: ...


class GANModule(LightningModule, ABC):
    """One generator against one discriminator, trained with manual optimization.

    A variant calls :meth:`set_networks` at the end of its ``__init__`` and answers four questions:
    :meth:`build_generator`, :meth:`build_discriminator`, :meth:`discriminator_losses` and
    :meth:`generator_losses`. Everything else is done here.

    One ``training_step`` is one iteration of the papers' algorithms: ``n_critic`` discriminator
    updates, then one generator update. The training batch holds the images of the whole iteration
    and is cut into ``n_critic`` equal parts. Steps, schedules, intervals and the x-axis of every
    logger therefore count generator updates.

    Batches are ``(images, labels)``, or images alone; images are float in [-1, 1], ``(N, C, H, W)``.

    Logged every ``log_every_n_steps`` generator updates: each term of the objective as
    ``d/<term>`` and ``g/<term>``, and the sums ``d/loss`` and ``g/loss``; during validation and
    test the same on held-out images as ``val/...`` and ``test/...`` (a critic that overfits shows
    there first, arXiv:1704.00028, figure 5).

    Args:
        n_critic: discriminator updates per generator update.
        ema_decay: decay per generator update of the averaged generator, which is what is sampled.
            It rises to this value as ``(1 + t) / (10 + t)``. 0 switches averaging off. Averaging
            never changes the training itself.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the discriminator's parameters.
        generator_scheduler: called with the generator's optimizer; stepped once per generator update.
        discriminator_scheduler: called with the discriminator's optimizer; also stepped once per
            generator update.
        generator_gradient_clip_val: largest norm of the generator's gradient.
        discriminator_gradient_clip_val: largest norm of the discriminator's gradient.
        generator_accumulate_grad_batches: compute each generator update in that many equal pieces,
            whose gradients are averaged: less memory, the same update wherever samples are
            independent of each other.
        discriminator_accumulate_grad_batches: the same for each discriminator update.

    Raises:
        ValueError: if an option is out of its range.
    """

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
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self._given_in_python = self._save_plain_hyperparameters()
        _require(n_critic >= 1, "n_critic", n_critic, "at least 1")
        _require(0 <= ema_decay < 1, "ema_decay", ema_decay, "in [0, 1)")
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
            _require(clip is None or clip > 0, name, clip, "positive, or null for no clipping")
        for player, pieces in self._pieces.items():
            _require(pieces >= 1, f"{player}_accumulate_grad_batches", pieces, "at least 1")
        self._noise_seed: int | None = None
        self._parameters_of: dict[Player, list[nn.Parameter]] = {}
        self._held_out: list[tuple[int, dict[str, Tensor]]] = []

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

    # ---- the loop ------------------------------------------------------------------------------

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimizer, and where wanted one scheduler, per network: the generator's first."""
        configured: list[dict[str, Any]] = []
        players: dict[Player, nn.Module] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
        }
        for player, network in players.items():
            optimizer = self._optimizer_factory[player](
                [parameter for parameter in network.parameters() if parameter.requires_grad]
            )
            configured.append({"optimizer": optimizer})
            factory = self._scheduler_factory[player]
            if factory is not None:
                scheduler = factory(optimizer)
                plateau = isinstance(scheduler, ReduceLROnPlateau)
                _require(
                    not plateau,
                    f"{player}_scheduler",
                    "ReduceLROnPlateau",
                    "a scheduler without a metric: adversarial losses have no plateau to wait for",
                )
                configured[-1]["lr_scheduler"] = scheduler
        return configured

    def on_fit_start(self) -> None:
        """Look up once what every step needs."""
        if self._noise_seed is None:
            self._noise_seed = self.trainer.strategy.broadcast(torch.initial_seed())
        generator, discriminator = self._lightning_optimizers()
        self._parameters_of = {
            "generator": _parameters(generator),
            "discriminator": _parameters(discriminator),
        }
        self._batch_is_checked = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Run ``n_critic`` discriminator updates and one generator update."""
        self._seed_noise()
        parts = _split(self._as_batch(batch), self.n_critic, "n_critic")
        with self._frozen("generator"):
            for part in parts:
                discriminator_terms = self._update("discriminator", part)
        with self._frozen("discriminator"):
            generator_terms = self._update("generator", parts[-1])
        self._update_average()
        self._step_schedulers()
        if self.global_step % self.trainer.log_every_n_steps == 0:
            self._report("", discriminator_terms, generator_terms)

    def _update(self, player: Player, batch: Batch) -> dict[str, Tensor]:
        """Minimise one player's losses by one step; return their terms, without graph."""
        losses = self.generator_losses if player == "generator" else self.discriminator_losses
        pieces = self._pieces[player]
        total: dict[str, Tensor] = {}
        for piece in _split(batch, pieces, f"{player}_accumulate_grad_batches"):
            terms = _with_sum(losses(piece))
            with self._without_ddp_hooks():
                self.manual_backward(terms["loss"] / pieces if pieces > 1 else terms["loss"])
            for name, term in terms.items():
                share = term.detach() / pieces
                total[name] = total[name] + share if name in total else share
        self._average_gradients_over_ranks(player)
        generator, discriminator = self._lightning_optimizers()
        if player == "generator":
            # the only step that goes through Lightning's counter: global_step counts it
            generator.step()
            generator.zero_grad()
        else:
            # through the strategy, so that precision, loss scaling and hooks stay in place
            self.trainer.strategy.optimizer_step(discriminator.optimizer, _no_closure)
            discriminator.zero_grad()
        return total

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradient of the network about to be stepped, after any unscaling."""
        stepped = optimizer.param_groups[0]["params"][0]
        player: Player = (
            "generator" if stepped is self._parameters_of["generator"][0] else "discriminator"
        )
        self.clip_gradients(optimizer, self._clip[player], "norm")

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
        """All-reduce the stepped network's gradients, flattened into one tensor."""
        if self.trainer.world_size == 1:
            return
        gradients = [p.grad for p in self._parameters_of[player] if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        flat = self.trainer.strategy.reduce(flat, reduce_op="mean")
        pieces = flat.split([gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))

    @torch.no_grad()
    def _update_average(self) -> None:
        if self.averaged_generator is None:
            return
        step = self.global_step
        decay = min(self.ema_decay, (1 + step) / (10 + step))
        averaged, live = _floats(self.averaged_generator), _floats(self.generator)
        get_ema_multi_avg_fn(decay)(averaged, live, step)
        counters = zip(self.averaged_generator.buffers(), self.generator.buffers(), strict=True)
        for ours, theirs in counters:
            if not ours.is_floating_point():
                ours.copy_(theirs)

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
        key = f"{self._noise_seed}/{self.global_rank}/{self.global_step}".encode()
        digest = hashlib.blake2b(key, digest_size=8).digest()
        seed = int.from_bytes(digest, "big", signed=True)
        # torch.manual_seed would also queue the seed for every backend this process never starts
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    # ---- batches -------------------------------------------------------------------------------

    def _as_batch(self, batch: Any) -> Batch:
        """Accept ``(images, labels)`` or bare images; check the first training batch."""
        images, labels = batch if isinstance(batch, (tuple, list)) else (batch, None)
        if self.trainer.training and not self._batch_is_checked:
            self.check_batch((images, labels))
            self._batch_is_checked = True
        return images, labels

    def check_batch(self, batch: Batch) -> None:
        """Raise ``ValueError`` if the first training batch is not what the networks expect."""
        images, _ = batch
        if not images.is_floating_point():
            raise ValueError(
                f"the DataLoader gives {images.dtype} images: "
                "they must be float in [-1, 1], for example (image / 127.5) - 1"
            )
        low, high = images.min().item(), images.max().item()
        if low < -1.01 or high > 1.01:
            raise ValueError(
                f"the DataLoader gives images in [{low:g}, {high:g}]: they must be in [-1, 1], "
                "for example by torchvision.transforms.v2.Normalize([0.5], [0.5])"
            )

    # ---- reporting -----------------------------------------------------------------------------

    def _report(
        self, prefix: str, discriminator: dict[str, Tensor], generator: dict[str, Tensor]
    ) -> None:
        """Send terms to the loggers, at the number of generator updates, and to callbacks.

        Loggers are called directly: ``self.log`` would count from zero, and cost more.
        """
        terms = {f"{prefix}d/{name}": term for name, term in discriminator.items()}
        terms |= {f"{prefix}g/{name}": term for name, term in generator.items()}
        stacked = torch.stack([term.float() for term in terms.values()])
        stacked = self.trainer.strategy.reduce(stacked, reduce_op="mean")
        values = dict(zip(terms, stacked.tolist(), strict=True))
        for name, value in values.items():
            self.log(name, value, logger=False, prog_bar=name in ("d/loss", "g/loss"))
        for logger in self.loggers:
            logger.log_metrics({**values, "epoch": self.current_epoch}, step=self.global_step)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Evaluate the objective on held-out images."""
        self._collect_held_out(batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Evaluate the objective on test images."""
        self._collect_held_out(batch)

    def on_validation_epoch_end(self) -> None:
        """Report the held-out objective as ``val/d/...`` and ``val/g/...``."""
        self._report_held_out("val/")

    def on_test_epoch_end(self) -> None:
        """Report the test objective as ``test/d/...`` and ``test/g/...``."""
        self._report_held_out("test/")

    def _collect_held_out(self, batch: Any) -> None:
        pair = self._as_batch(batch)
        terms = {f"d/{k}": v for k, v in _with_sum(self.discriminator_losses(pair)).items()}
        terms |= {f"g/{k}": v for k, v in _with_sum(self.generator_losses(pair)).items()}
        self._held_out.append((len(pair[0]), terms))

    def _report_held_out(self, prefix: str) -> None:
        held_out, self._held_out = self._held_out, []
        if self.trainer.sanity_checking or not held_out:
            return
        images = sum(n for n, _ in held_out)
        mean = {
            name: torch.stack([terms[name].float() * n / images for n, terms in held_out]).sum()
            for name in held_out[0][1]
        }
        players = [
            {name[2:]: value for name, value in mean.items() if name.startswith(start)}
            for start in ("d/", "g/")
        ]
        self._report(prefix, *players)

    # ---- checkpoints ---------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what reloading and exact resuming need; plain values only."""
        checkpoint["gan_modules"] = {
            "class": f"{type(self).__module__}.{type(self).__qualname__}",
            "given_in_python": self._given_in_python,
            "noise_seed": self._noise_seed,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the checkpoint's sequence of noise."""
        self._noise_seed = checkpoint["gan_modules"]["noise_seed"]

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        map_location: Any = None,
        hparams_file: str | Path | None = None,
        strict: bool | None = None,
        weights_only: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Rebuild a model from its checkpoint; ``GANModule.load_from_checkpoint`` finds its class.

        The class is looked for among those already imported: loading never imports or runs code
        that the checkpoint names.

        Args:
            checkpoint_path: a ``.ckpt`` file.
            map_location: device to load onto.
            hparams_file: YAML file that replaces the saved hyper-parameters.
            strict: whether every weight must match.
            weights_only: refuse files that hold anything but tensors and plain values.
            **kwargs: hyper-parameters to replace, and networks that were passed in Python.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the class is not imported, or a network must be passed again.
        """
        checkpoint = torch.load(checkpoint_path, "cpu", weights_only=weights_only, mmap=True)
        ours = checkpoint.get("gan_modules")
        if ours is None:
            raise ValueError(f"{checkpoint_path} was not saved by a GANModule")
        for network in ("generator", "discriminator"):
            if network in ours["given_in_python"] and network not in kwargs:
                raise ValueError(
                    f"{checkpoint_path} was trained with a {network} passed in Python: "
                    f"pass it again, load_from_checkpoint(path, {network}=...)"
                )
        target = cls._imported_class(ours["class"]) if inspect.isabstract(cls) else cls
        load = super(GANModule, target).load_from_checkpoint
        model: Self = load(
            checkpoint_path, map_location, hparams_file, strict, weights_only, **kwargs
        )
        return model

    @classmethod
    def _imported_class(cls, path: str) -> type[Self]:
        """Find a concrete subclass by its path, or by its name where a script has moved."""
        known = list(_concrete_subclasses(cls))
        exact = [c for c in known if f"{c.__module__}.{c.__qualname__}" == path]
        named = [c for c in known if c.__qualname__ == path.rsplit(".", 1)[-1]]
        found = exact or named
        if len(found) != 1:
            raise ValueError(
                f"the checkpoint holds a {path}, which is not imported: import it first, "
                "or call load_from_checkpoint on that class"
            )
        return found[0]

    def _save_plain_hyperparameters(self) -> list[str]:
        """Keep every argument of every ``__init__`` that a checkpoint can hold; name the rest.

        From the command line networks and optimizers arrive as plain descriptions and are kept.
        From Python they are objects, which would make the checkpoint unreadable.
        """
        frame = inspect.currentframe()
        assert frame is not None and frame.f_back is not None
        self.save_hyperparameters(frame=frame.f_back)
        objects = [name for name, value in self.hparams.items() if callable(value)]
        if objects:
            for name in objects:
                del self.hparams[name]
            self.save_hyperparameters(ignore=objects, frame=frame.f_back)
        return objects


class NoiseGAN(GANModule):
    """A GAN whose generator maps a random latent vector to an image.

    Args:
        image_shape: ``(C, H, W)`` of the images; from the command line it comes with the data.
        latent_dim: size of the latent vector.
        num_classes: number of classes in the data; from the command line it comes with the data.
            The attribute of this name is 0 unless the model is conditional.
        conditional: give both networks the labels of the images.
        generator: a generator, or a class or function that builds one, in place of the paper's.
        discriminator: a discriminator, or a class or function that builds one, likewise.
        **kwargs: options of :class:`GANModule`.

    Raises:
        ValueError: if an option is out of its range or a network does not fit ``image_shape``.
    """

    def __init__(
        self,
        *,
        image_shape: Sequence[int],
        latent_dim: int,
        num_classes: int = 0,
        conditional: bool = False,
        generator: GeneratorFactory | None = None,
        discriminator: DiscriminatorFactory | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        positive = all(side >= 1 for side in image_shape)
        _require(
            len(image_shape) == 3 and positive, "image_shape", tuple(image_shape), "(C, H, W)"
        )
        _require(latent_dim >= 1, "latent_dim", latent_dim, "at least 1")
        _require(
            num_classes >= 2 or not conditional, "num_classes", num_classes, "at least 2 if conditional"
        )
        self.image_shape = tuple(image_shape)
        self.latent_dim = latent_dim
        self.num_classes = num_classes if conditional else 0
        classes = {"num_classes": num_classes} if conditional else {}
        self.set_networks(
            _build(
                generator,
                self.build_generator,
                image_shape=self.image_shape,
                latent_dim=latent_dim,
                **classes,
            ),
            _build(
                discriminator, self.build_discriminator, image_shape=self.image_shape, **classes
            ),
        )

    def sample_noise(self, n: int) -> Tensor:
        """Draw ``n`` latents from N(0, 1), shape ``(n, latent_dim)``."""
        return torch.randn(n, self.latent_dim, device=self.device)

    def generate(self, batch: Batch) -> Tensor:
        """As many fakes as the batch has images, with its labels if the model is conditional."""
        images, labels = batch
        fakes: Tensor = self.generator(self.sample_noise(len(images)), *self.condition(labels))
        return fakes

    def discriminate(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Logits ``(N,)`` of the images, given their labels if the model is conditional."""
        logits: Tensor = self.discriminator(images, *self.condition(labels))
        return logits

    def discriminate_together(
        self, real: Tensor, fake: Tensor, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Logits of both in one forward pass, for discriminators without batch statistics."""
        both = [condition.repeat(2) for condition in self.condition(labels)]
        real_logits, fake_logits = self.discriminator(torch.cat([real, fake]), *both).chunk(2)
        return real_logits, fake_logits

    def condition(self, labels: Tensor | None) -> tuple[Tensor, ...]:
        """What follows the input of both networks: the labels if the model is conditional.

        Raises:
            ValueError: if the model is conditional and the batch has no labels.
        """
        if not self.num_classes:
            return ()
        if labels is None:
            raise ValueError(
                f"{type(self).__name__} is conditional: its DataLoader must give (images, labels)"
            )
        return (labels,)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images in [-1, 1] with the averaged generator."""
        images: Tensor = self.sampler(z, *self.condition(labels))
        return images

    @torch.no_grad()
    def sample(
        self, n: int, labels: Tensor | Sequence[int] | None = None, seed: int | None = None
    ) -> Tensor:
        """Draw ``n`` images from the averaged generator, in evaluation mode.

        Args:
            n: number of images.
            labels: ``n`` classes, for a conditional model; by default 0, 1, 2, ... in turn.
            seed: makes the images repeatable on this device and leaves the global random state
                alone; by default the global random state is used.

        Returns:
            Float images in [-1, 1], shape ``(n, C, H, W)``, on the model's device.

        Raises:
            ValueError: if ``n`` is not positive, or labels are given to an unconditional model,
                or are not ``n`` integers in ``[0, num_classes)``.
        """
        _require(n >= 1, "n", n, "at least 1")
        if labels is not None and not self.num_classes:
            raise ValueError(f"{type(self).__name__} is not conditional: it takes no labels")
        if labels is None:
            labels = torch.arange(n) % max(self.num_classes, 1)
        labels = torch.as_tensor(labels, dtype=torch.long)
        in_range = bool(((labels >= 0) & (labels < max(self.num_classes, 1))).all())
        if labels.shape != (n,) or not in_range:
            raise ValueError(
                f"labels={labels.tolist()} must be {n} integers in [0, {self.num_classes - 1}]"
            )
        cuda = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda, enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            z = self.sample_noise(n)
        modes = [(module, module.training) for module in self.sampler.modules()]
        self.sampler.eval()
        images = self(z, labels.to(self.device))
        for module, training in modes:
            module.training = training
        return images

    def check_batch(self, batch: Batch) -> None:
        """Check the range of the images, their shape, and the range of the labels."""
        super().check_batch(batch)
        images, labels = batch
        if tuple(images.shape[1:]) != self.image_shape:
            raise ValueError(
                f"the DataLoader gives images of shape {tuple(images.shape[1:])}, "
                f"but the model was built with image_shape={self.image_shape}"
            )
        for chosen in self.condition(labels):
            low, high = int(chosen.min()), int(chosen.max())
            if low < 0 or high >= self.num_classes:
                raise ValueError(
                    f"the DataLoader gives labels from {low} to {high}, "
                    f"but num_classes={self.num_classes} allows 0 to {self.num_classes - 1}"
                )


def _require(condition: bool, name: str, value: object, right: str) -> None:
    if not condition:
        raise ValueError(f"{name}={value!r} must be {right}")


def _build(given: Any, default: Callable[[], nn.Module], **arguments: Any) -> nn.Module:
    """A network passed as a module, built by what was passed, or the paper's."""
    if given is None:
        return default()
    network: nn.Module = given if isinstance(given, nn.Module) else given(**arguments)
    return network


def _with_sum(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"loss": torch.stack(list(terms.values())).sum(), **terms}


def _split(batch: Batch, parts: int, name: str) -> list[Batch]:
    """Cut a batch into equal parts."""
    if parts == 1:
        return [batch]
    images, labels = batch
    size, rest = divmod(len(images), parts)
    if rest or not size:
        raise ValueError(
            f"a batch of {len(images)} images cannot be cut into {name}={parts} equal parts: "
            f"give the DataLoader a batch_size that is a multiple of {parts}, and drop_last=True"
        )
    no_labels: list[None] = [None] * parts
    return list(
        zip(images.split(size), no_labels if labels is None else labels.split(size), strict=True)
    )


def _parameters(optimizer: Any) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _floats(network: nn.Module) -> list[Tensor]:
    tensors = [*network.parameters(), *network.buffers()]
    return [tensor.detach() for tensor in tensors if tensor.is_floating_point()]


def _no_closure() -> None:
    """Gradients are computed before the optimizer is called."""


def _concrete_subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    for subclass in cls.__subclasses__():
        if not inspect.isabstract(subclass):
            yield subclass
        yield from _concrete_subclasses(subclass)
