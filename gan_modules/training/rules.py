"""What a family or a paper answers: who plays, in which turns, for what."""

import inspect
from abc import ABC, ABCMeta, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from gan_modules.networks.layers.blocks import running_statistics
from gan_modules.training.batches import Batch, check_images
from gan_modules.training.fitting import Check
from gan_modules.training.range_watch import Range

__all__ = ["Rules"]


class _Built(ABCMeta):
    """Builds networks once the whole ``__init__`` has run, a subclass's own lines among it."""

    @property
    def __signature__(cls) -> inspect.Signature:
        # what a class is called with is not what this metaclass's __call__ says
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        return signature.replace(parameters=[*signature.parameters.values()][1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        cls._check_names(kwargs)
        # not super(): Lightning looks for it in the frames from which it takes hyper-parameters
        module = ABCMeta.__call__(cls, *args, **kwargs)
        module.build_networks()
        module.to(memory_format=module.memory_format)
        module.start_averages()
        return module

    def _check_names(cls, options: Iterable[str]) -> None:
        """Raise ``TypeError`` for an option that no ``__init__`` of the class takes."""
        known = {
            parameter.name
            for ancestor in cls.__mro__
            if "__init__" in vars(ancestor)
            for parameter in [*inspect.signature(vars(ancestor)["__init__"]).parameters.values()][
                1:
            ]
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        }
        for name in options:
            if name in known:
                continue
            alike = sorted(option for option in known if name in option.split("_"))
            alike = alike or get_close_matches(name, known)
            if name in ("lr", "learning_rate", "betas", "weight_decay"):
                alike = sorted(option for option in known if option.endswith("_optimizer"))
            hint = f": did you mean {' or '.join(alike)}?" if alike else ""
            raise TypeError(f"{cls.__name__} has no option {name}{hint}")


class Rules(LightningModule, ABC, metaclass=_Built):
    """The questions that :class:`GenerativeModule` asks."""

    players: ClassVar[Mapping[str, tuple[str, ...]]]
    """Each player's name, and those of the networks that its optimizer trains."""

    memory_format: ClassVar[torch.memory_format] = torch.channels_last
    """Of convolutions' weights. Channels last is the order that convolutions work in."""

    @abstractmethod
    def start_averages(self) -> None:
        """Make what follows the networks; called once they are built."""

    @abstractmethod
    def build_networks(self) -> None:
        """Set the networks as attributes; called once, when the whole ``__init__`` has run."""

    @abstractmethod
    def turns(self, parts: Sequence[Batch]) -> Sequence[tuple[str, Batch]]:
        """Who updates, one after the other, and with which part of the batch.

        It is asked before the first update of an iteration, must not be empty, and must be the same
        on all ranks. The last turn is counted.
        """

    @abstractmethod
    def sample_grid(self, n: int, seed: int, batch: Batch) -> Tensor:
        """About ``n`` images that show what was learnt; answered by the family.

        Args:
            n: number of images wanted.
            seed: of whatever is drawn at random.
            batch: a held-out batch, or a training batch where there is none.

        Returns:
            Float images in [-1, 1], shape ``(rows, columns, C, H, W)``.
        """

    @property
    def parts_per_iteration(self) -> int:
        """Equal parts into which a training batch is cut."""
        return 1

    @property
    def compilable(self) -> tuple[str, ...]:
        """Methods that ``compile`` compiles, each whole.

        A model whose losses are more than functions of tensors and random numbers names those parts
        of them that are.
        """
        return tuple(f"{player}_losses" for player in self.players)

    def on_iteration(self, step: int, images: int) -> None:
        """Set what changes with time, from the number of iterations and of images before this one.

        A resumed training calls it first, too: it must depend on nothing else but what a checkpoint
        holds.
        """

    def to_average(self) -> list[Tensor]:
        """What ranks average, in place, at the end of every iteration, so that all have one model.

        Each has its own images: by default the running statistics of batch normalisation.
        """
        return [
            statistic
            for names in self.players.values()
            for name in names
            for statistic in running_statistics(getattr(self, name))
        ]

    def names_in_training(self) -> Sequence[str]:
        """Whole names of terms that are there in training alone."""
        return ()

    def measures(self) -> Mapping[str, Tensor]:
        """Scalars that are logged in training beside the terms, by their whole names."""
        return {}

    def shared(self, batch: Batch) -> Any:
        """What two players use of a part, computed once by the loop; by default nothing.

        It is called with nobody frozen, and only for a part that two players receive, the last
        turn's, where neither computes its update in pieces.
        """
        return None

    def check_batch(self, batch: Batch) -> None:
        """Raise ``ValueError`` if the first batch of a stage is not what the networks expect."""
        check_images(batch[0])

    def ranges(self, batch: Batch) -> list[Range]:
        """What every batch is watched for, without waiting for the device; the images by default.

        Values are rounded, and so may be a little more than 1.
        """
        return [Range("images", batch[0], -1.01, 1.01)]

    def checks(self, images: Tensor) -> dict[str, tuple[nn.Module, Check]]:
        """Networks whose misfit is to be said in one line, and what their outputs must be.

        Args:
            images: of the first batch.
        """
        return {}
