"""Whole iterations as CUDA graphs: recorded once, and then replayed by one call each."""

import random
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.optim import Optimizer

from gan_modules.networks import Growing
from gan_modules.training.batches import Batch, split_batch
from gan_modules.training.listeners import STEP, listeners, overrides

if TYPE_CHECKING:
    from gan_modules.training.module import GenerativeModule

__all__ = ["Recorder", "check_recordable"]

WITHOUT = "--model.cuda_graphs false goes on without it"

Terms = dict[str, dict[str, Tensor]]


class Recorder:
    """Plays a module's iterations, each kind a few times as it is, and from then on by a graph.

    A graph repeats the kernels of one iteration on the same memory, without Python and without
    launching each. What differs between iterations is written there before: the batch, learning
    rates, the seed of the noise. Everything that is decided on the host makes iterations of
    different kinds, each with a graph of its own: shapes, who plays, which regularisers are due,
    stages of growth, and options of the optimizers other than rates. An iteration at whose steps
    somebody looks, by a hook of an optimizer, is played as it is.

    Args:
        module: trained, on a GPU.

    Raises:
        ValueError: here or at an iteration, if one cannot be recorded.
    """

    WARMUP = 3
    """Iterations of a kind before it is recorded: states are made, and kernels chosen, in them."""
    LIMIT = 16
    """Kinds of iterations; more come of something that changes again and again."""

    def __init__(self, module: "GenerativeModule") -> None:
        check_recordable(module)
        self._module = module
        self._growing = [m for m in module.modules() if isinstance(m, Growing)]
        self._hooks = _hooks(module)
        self._met: Counter[Hashable] = Counter()
        self._graphs: dict[Hashable, _Recorded] = {}

    def play_turns(self, whole: Batch) -> Terms:
        """Do what the module's ``play_turns`` does, and return what it returns."""
        module = self._module
        if _hooks(module) != self._hooks:
            return module.play_turns(whole)
        kind = self._kind(whole)
        if kind not in self._met and len(self._met) == self.LIMIT:
            raise ValueError(
                f"cuda_graphs=True: there are more than {self.LIMIT} kinds of iterations, in "
                "shapes of batches or options of optimizers other than lr, such as betas that a "
                f"schedule changes, and each would be a graph ({WITHOUT})"
            )
        self._met[kind] += 1
        if self._met[kind] <= self.WARMUP:
            return module.play_turns(whole)
        if kind not in self._graphs:
            self._graphs[kind] = _Recorded(module, whole)
        return self._graphs[kind].replay(whole)

    def _kind(self, whole: Batch) -> Hashable:
        module = self._module
        regularizers: Any = getattr(module, "regularizers", ())
        due = tuple(one.is_due(module.global_step) for one in regularizers)
        parts = split_batch(whole, module.parts_per_iteration, "n_critic")
        players = tuple(player for player, _ in module.turns(parts))
        stages = tuple(one.stage for one in self._growing)
        return due, players, stages, _shapes(whole), _options(module)


class _RecordedStepper:
    """What a graph records: nothing on the host; ``counted`` is whom Lightning counts."""

    counted: LightningOptimizer

    def backward(self, module: LightningModule, loss: Tensor) -> None:
        with torch.autocast(module.device.type, enabled=False):
            loss.backward()

    def step(self, module: LightningModule, optimizer: LightningOptimizer, counted: bool) -> None:
        optimizer.optimizer.step()
        if counted:
            self.counted = optimizer


@contextmanager
def _stepped_by(module: "GenerativeModule", stepper: _RecordedStepper) -> Iterator[None]:
    before, module._stepper = module._stepper, stepper
    try:
        yield
    finally:
        module._stepper = before


class _Recorded:
    """One kind of iteration."""

    def __init__(self, module: "GenerativeModule", whole: Batch) -> None:
        images, second = whole
        self._whole = images.clone(), None if second is None else second.clone()
        self._names: list[tuple[str, str]] = []
        stepper = _RecordedStepper()
        groups = [group for one in _optimizers(module) for group in one.param_groups]
        self._rates = [(group, torch.tensor(group["lr"]).to(module.device)) for group in groups]
        self._filled = [group["lr"] for group in groups]
        self._graph = torch.cuda.CUDAGraph()
        with ExitStack() as stack:
            stack.enter_context(_explained(module))
            stack.enter_context(_unchanged(module))
            stack.enter_context(self._rates_on_device(module))
            stack.enter_context(_stepped_by(module, stepper))
            # only this thread's: another one may be loading data
            stack.enter_context(torch.cuda.graph(self._graph, capture_error_mode="thread_local"))
            self._values = self._iterate(module)
        self._counted = stepper.counted

    def _iterate(self, module: "GenerativeModule") -> Tensor:
        terms = module.play_turns(self._whole)
        self._names = [(player, name) for player, its in terms.items() for name in its]
        return torch.stack([term.float() for its in terms.values() for term in its.values()])

    @contextmanager
    def _rates_on_device(self, module: "GenerativeModule") -> Iterator[None]:
        """Have optimizers read rates, and count steps, on the device."""
        for optimizer in _optimizers(module):
            for state in optimizer.state.values():
                for name, value in state.items():
                    # what is no moment of a weight: steps, and NAdam's product
                    if isinstance(value, Tensor) and value.ndim == 0:
                        state[name] = value.to(module.device, torch.float32)
        before = [group["capturable"] for group, _ in self._rates]
        for group, rate in self._rates:
            group["lr"], group["capturable"] = rate, True
        try:
            yield
        finally:
            for (group, _), rate, capturable in zip(self._rates, self._filled, before, strict=True):
                group["lr"], group["capturable"] = rate, capturable

    def replay(self, whole: Batch) -> Terms:
        """The iteration with another batch, at the rates that the optimizers have now."""
        for static, given in zip(self._whole, whole, strict=True):
            if static is not None and given is not None:
                static.copy_(given)
        for number, (group, rate) in enumerate(self._rates):
            if group["lr"] != self._filled[number]:
                self._filled[number] = group["lr"]
                rate.fill_(group["lr"])
        # as Lightning counts a step
        self._counted._on_before_step()
        self._graph.replay()
        self._counted._on_after_step()
        terms: Terms = {}
        # the next replay overwrites what the graph holds
        for (player, name), value in zip(self._names, self._values.clone(), strict=True):
            terms.setdefault(player, {})[name] = value
        return terms


def check_recordable(module: "GenerativeModule") -> None:
    """Raise ``ValueError`` in one line if a module's iterations cannot be recorded."""
    trainer = module.trainer
    plugin = trainer.precision_plugin
    plain = type(plugin) is Precision or (type(plugin) is MixedPrecision and plugin.scaler is None)
    losses = {f"{player}_losses" for player in module.players}
    unable = {type(o).__name__ for o in _optimizers(module) if "capturable" not in o.defaults}
    rates = [group["lr"] for one in _optimizers(module) for group in one.param_groups]
    heard = listeners(trainer, module)
    if overrides(module, LightningModule, STEP):
        heard.append(f"{type(module).__name__}.{STEP}")
    for wrong, right in (
        (module.device.type != "cuda", f"a GPU with CUDA, not {module.device.type}"),
        (type(trainer.strategy) is not SingleDeviceStrategy, "one device and no strategy"),
        (not plain, f"precision 32-true or bf16-mixed, not {trainer.precision}"),
        (losses - {*module.compilable}, "losses that are functions of tensors alone"),
        (unable, f"optimizers that can be recorded, such as Adam, not {', '.join(unable)}"),
        (any(isinstance(rate, Tensor) for rate in rates), "learning rates that are no tensors"),
        (heard, f"nobody who is told of single updates, as {', '.join(heard)} is"),
    ):
        if wrong:
            raise ValueError(
                f"cuda_graphs=True of {type(module).__name__} needs {right} ({WITHOUT})"
            )


@contextmanager
def _explained(module: "GenerativeModule") -> Iterator[None]:
    """Have what goes wrong said in one line."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError) as error:
        # what ends a recording comes after what went wrong in it
        cause = error.__context__ or error
        reason = next(
            (line.strip() for line in str(cause).splitlines() if line.strip()), "no reason"
        )
        raise ValueError(
            f"cuda_graphs=True cannot be used with {type(module).__name__}, of which no iteration "
            f"can be recorded ({WITHOUT}): {reason}"
        ) from error


@contextmanager
def _unchanged(module: "GenerativeModule") -> Iterator[None]:
    """Refuse what a replay would not repeat: random numbers of the host, and tensors that move."""
    before, places = _host_randomness(), _places(module)
    yield
    if _host_randomness() != before:
        raise RuntimeError("the losses draw random numbers on the host, which would stay the same")
    moved = [name for name, place in _places(module).items() if place != places.get(name)]
    if moved:
        raise RuntimeError(f"{moved[0]} is replaced by another tensor: it must be written in place")


def _host_randomness() -> tuple[Any, ...]:
    torchs, numpys = torch.default_generator.get_state(), np.random.get_state()  # noqa: NPY002
    return torchs.numpy().tobytes(), str(numpys), random.getstate()


def _places(module: "GenerativeModule") -> dict[str, int]:
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: tensor.data_ptr() for name, tensor in tensors}


def _shapes(whole: Batch) -> Hashable:
    return tuple(None if x is None else (x.shape, x.dtype) for x in whole)


def _optimizers(module: "GenerativeModule") -> list[Optimizer]:
    return [one.optimizer for one in module.optimizers_by_player().values()]


def _options(module: "GenerativeModule") -> Hashable:
    return tuple(
        str(value)
        for optimizer in _optimizers(module)
        for group in optimizer.param_groups
        for name, value in group.items()
        if name not in ("params", "lr")
    )


def _hooks(module: "GenerativeModule") -> list[int]:
    """How many look at each optimizer's steps, whoever clips gradients among them."""
    found: list[Any] = _optimizers(module)
    return [
        len(one._optimizer_step_pre_hooks) + len(one._optimizer_step_post_hooks) for one in found
    ]
