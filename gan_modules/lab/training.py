"""Training of discriminators and GANs in the laboratory."""

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
from lightning.pytorch import Callback, Trainer
from rich.progress import Progress
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from gan_modules.errors import require
from gan_modules.seeding import derive_seed
from gan_modules.training.module import GenerativeModule

__all__ = ["Lab", "Looks", "Source", "draw", "fresh"]


M = TypeVar("M", bound=GenerativeModule)


class Source(Protocol):
    """Anything that can be drawn from, such as what ``torch.distributions`` has."""

    def sample(self, shape: torch.Size, /) -> Tensor:
        """Numbers of that shape, or points with one more dimension."""
        ...


def draw(source: Source, n: int) -> Tensor:
    """``n`` points of a distribution, shape ``(n, D)``."""
    return source.sample(torch.Size((n,))).reshape(n, -1).float()


class Lab:
    """Trains what an experiment asks for.

    Args:
        seed: of all randomness.
        effort: factor of the updates of every training; less than 1 for a quick look, whose
            numbers are worse.
        progress: shows every training as a bar.

    Raises:
        ValueError: if ``effort`` is not positive.
    """

    def __init__(
        self, seed: int = 0, effort: float = 1.0, progress: Progress | None = None
    ) -> None:
        require(effort > 0, "effort", effort, "positive")
        self.seed, self.effort = seed, effort
        self._progress = Progress(disable=True) if progress is None else progress
        self._trainings = 0
        # of what is drawn ahead of the first training
        torch.manual_seed(derive_seed(seed, "lab"))

    def updates(self, n: int) -> int:
        """That many updates at full effort."""
        return max(1, round(n * self.effort))

    def fit(
        self,
        model: M,
        real: Source,
        updates: int,
        batch_size: int = 256,
        callbacks: Sequence[Callback] = (),
    ) -> M:
        """Train a model on points that are drawn afresh for every batch.

        Args:
            model: to be trained; it is changed.
            real: what it is to learn.
            updates: iterations at full effort.
            batch_size: points in every part of an iteration.
            callbacks: of the trainer.

        Returns:
            The model, in evaluation mode.
        """
        number, self._trainings = self._trainings, self._trainings + 1
        torch.manual_seed(derive_seed(self.seed, "lab", number))
        steps = self.updates(updates)
        data = DataLoader(_Draws(real, batch_size * model.parts_per_iteration), batch_size=None)
        task = self._progress.add_task(f"training {self._trainings}", total=steps)
        with _quietly():
            trainer = Trainer(
                accelerator="cpu",
                devices=1,
                max_steps=steps,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                limit_val_batches=0,
                callbacks=[*callbacks, _Advance(partial(self._progress.advance, task))],
            )
            trainer.fit(model, data)
        self._progress.remove_task(task)
        return model.eval()


def fresh(lab: Lab, build: Callable[[], M]) -> M:
    """A model whose first weights follow from the laboratory's seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(lab.seed, "weights"))
        return build()


class Looks(Callback):
    """Calls a function of the model after some iterations of a training.

    Args:
        at: numbers of iterations.
        look: called with the number and the model, in evaluation mode.
    """

    def __init__(self, at: Iterable[int], look: Callable[[int, Any], None]) -> None:
        self.at, self.look = frozenset(at), look

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Look, if it is time."""
        if trainer.global_step in self.at:
            pl_module.eval()
            self.look(trainer.global_step, pl_module)
            pl_module.train()


class _Draws(IterableDataset[Tensor]):
    """Batches of a distribution without end."""

    def __init__(self, source: Source, n: int) -> None:
        self.source, self.n = source, n

    def __iter__(self) -> Iterator[Tensor]:
        while True:
            yield draw(self.source, self.n)


class _Advance(Callback):
    """Moves the progress bar."""

    def __init__(self, advance: Callable[[], None]) -> None:
        self.advance = advance

    def on_train_batch_end(self, *_: Any) -> None:
        self.advance()


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep Lightning from announcing every one of many small trainings."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            warnings.filterwarnings("ignore", ".*but have no `val_dataloader`.*")
            warnings.filterwarnings("ignore", ".*`isinstance\\(treespec, LeafSpec\\)`.*")
            yield
    finally:
        logger.setLevel(level)
