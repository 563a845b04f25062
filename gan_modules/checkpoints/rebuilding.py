"""Modules rebuilt from checkpoints that hold plain values only."""

import inspect
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from lightning.pytorch import LightningModule
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gan_modules.checkpoints.class_paths import exported_path, imported_subclass
from gan_modules.checkpoints.described import Described, NotPlainError, plain, rebuilt
from gan_modules.checkpoints.named_classes import check_named_classes
from gan_modules.checkpoints.reading import read_checkpoint

__all__ = ["ReloadableModule", "require_passed_again"]


class ReloadableModule(LightningModule):
    """A ``LightningModule`` that takes networks and optimizers and stays reloadable.

    From the command line, networks and optimizers arrive as plain descriptions, which a checkpoint
    can hold. From Python they are objects, which would make it unreadable with
    ``weights_only=True``: classes of them and partial calls of classes are told by their paths,
    what is :class:`Described` by its description; of anything else the name is kept.
    """

    _called_with: set[str]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Note the names of the arguments that the class itself takes or was called with."""
        module: Self = super().__new__(cls)
        names = {*kwargs, *_own_parameters(cls)}
        if args:
            # a subclass with *args passes them on to the nearest one that names them
            named = (_own_parameters(c) for c in cls.__mro__)
            names |= {*next((n for n in named if len(n) >= len(args)), [])[: len(args)]}
        object.__setattr__(module, "_called_with", names)
        return module

    def save_plain_hyperparameters(self) -> None:
        """Keep every argument of every ``__init__`` above the caller that a checkpoint can hold.

        A checkpoint has those that the class was called with: a subclass that passes its parent
        something will do so again. Paths are kept as texts, and what is :class:`Described` as its
        description.

        Raises:
            ValueError: if the class was called with something that is neither plain nor callable.
        """
        frame = inspect.currentframe()
        assert frame is not None
        with warnings.catch_warnings():
            # Lightning warns of networks among them, which are taken out right below
            warnings.simplefilter("ignore")
            try:
                self.save_hyperparameters(frame=frame.f_back)
            except RuntimeError as error:  # of copying: weights that are no leaves of a graph
                raise ValueError(
                    "a network was passed that cannot be copied: give it weight_norm or "
                    "spectral_norm of torch.nn.utils.parametrizations, not of torch.nn.utils"
                ) from error
        defaults = _defaults(type(self))
        kept: dict[str, Any] = {}
        self._given_in_python: list[str] = []
        for name, value in self.hparams.items():
            # the command line offers num_classes to every model, also to one that does not take it
            if name not in defaults and not name.startswith("_"):
                continue
            if callable(value) and value is defaults.get(name):
                continue
            try:
                kept[name] = plain(value)
            except NotPlainError as found:
                if name in self._called_with:
                    self._require_object(name, found.value)
                    self._given_in_python.append(name)
        self.hparams.clear()
        self.save_hyperparameters(kept, frame=frame.f_back)
        self._to_be_given_again: set[str] = set()
        self.recorded_instead: dict[str, Any] = {}

    def record_instead(self, **values: Any) -> None:
        """Have checkpoints hold these arguments; what is not plain has to be passed again."""
        kept = _plain_among(values)
        self._called_with = {*self._called_with, *values}
        given = {*self._given_in_python} - kept.keys()
        self._given_in_python = sorted(given | (values.keys() - kept.keys()))
        self.save_hyperparameters(kept)
        self.recorded_instead = kept

    def _require_object(self, name: str, value: object) -> None:
        """Raise ``ValueError`` for what neither a checkpoint can hold nor a user is asked for."""
        # an optimizer in place of what builds one is told by whoever calls it
        if not callable(value) and not isinstance(value, (Described, Optimizer, LRScheduler)):
            raise ValueError(
                f"{type(self).__name__}.{name}={type(value).__name__} is not a plain value, which "
                "a checkpoint can hold: pass numbers, texts, lists or dicts of them, or set it as "
                "an attribute"
            )

    def require_given_again(self) -> None:
        """Raise ``ValueError`` if training on needs an optimizer or scheduler to be given again."""
        if self._to_be_given_again:
            names = sorted(self._to_be_given_again)
            again = ", ".join(f"{name}=..." for name in names)
            raise ValueError(
                f"the checkpoint was trained with {' and '.join(names)} passed in Python: "
                f"to train on, pass it again, load_from_checkpoint(path, {again})"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the name of the class, what it was called with, and the names of what is missing."""
        super().on_save_checkpoint(checkpoint)
        key = self.CHECKPOINT_HYPER_PARAMS_KEY
        checkpoint[key] = {
            name: value
            for name, value in checkpoint[key].items()
            if (name in self._called_with or name.startswith("_")) and not callable(value)
        }
        checkpoint["class"] = exported_path(type(self))
        checkpoint["given_in_python"] = self._given_in_python

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
        """Rebuild a model from its checkpoint; on an abstract class, find the right one first.

        It is in evaluation mode; a trainer's ``fit`` puts it back into training mode. The class,
        and the networks and optimizers that it was described with, are looked for among those
        already imported: the checkpoint decides neither what is imported nor what is run.

        Args:
            checkpoint_path: a ``.ckpt`` file.
            map_location: device to load onto.
            hparams_file: YAML file that replaces the saved hyper-parameters.
            strict: whether every weight must match.
            weights_only: refuse files that hold anything but tensors and plain values.
            **kwargs: hyper-parameters to replace, and what was passed in Python: optimizers and
                schedulers only to train on, anything else always.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file is not such a checkpoint, a class is not imported, or something
                must be passed again.
        """
        checkpoint = read_checkpoint(checkpoint_path, weights_only)
        missing = require_passed_again(
            checkpoint, kwargs, checkpoint_path, "load_from_checkpoint(path, "
        )
        if inspect.isabstract(cls):
            found: type[Self] = imported_subclass(cls, checkpoint["class"])
            return found.load_from_checkpoint(
                checkpoint_path, map_location, hparams_file, strict, weights_only, **kwargs
            )
        hparams = checkpoint[cls.CHECKPOINT_HYPER_PARAMS_KEY]
        saved = {name: value for name, value in hparams.items() if name not in kwargs}
        check_named_classes(checkpoint_path, cls, saved)
        # what the command line describes, its parser builds
        objects = {} if "_instantiator" in hparams else _objects(saved)
        defaults = _defaults(cls)
        unneeded = {n: _not_given for n in missing if defaults[n] is inspect.Parameter.empty}
        model: Self = super().load_from_checkpoint(
            checkpoint_path,
            map_location,
            hparams_file,
            strict,
            weights_only,
            **{**objects, **kwargs, **unneeded},
        )
        # what was described by plain values before is so described again, not an object
        again = _plain_among(kwargs)
        described = {**hparams, **again}
        given = {*checkpoint["given_in_python"], *kwargs} - again.keys()
        model.save_hyperparameters({k: v for k, v in described.items() if k not in given})
        model._given_in_python = sorted(given)
        model._to_be_given_again = missing
        return model.eval()


def require_passed_again(
    checkpoint: dict[str, Any], given: Iterable[str], source: object, call: str
) -> set[str]:
    """Names of what was passed in Python and is not passed again.

    Args:
        checkpoint: with the names of all that was passed in Python.
        given: names of what is passed now.
        source: where the checkpoint comes from, for the message.
        call: how to pass something again, likewise.

    Raises:
        ValueError: if more than optimizers and schedulers is missing, which only training needs.
    """
    missing = {*checkpoint["given_in_python"]} - {*given}
    needed = [n for n in sorted(missing) if not n.endswith(("optimizer", "scheduler"))]
    if needed:
        again = ", ".join(f"{name}=..." for name in needed)
        raise ValueError(
            f"{source} was trained with {' and '.join(needed)} passed in Python: "
            f"pass it again, {call}{again})"
        )
    return missing


def _objects(hparams: dict[str, Any]) -> dict[str, Any]:
    """Those that describe objects, as objects."""
    built = {name: rebuilt(value) for name, value in hparams.items()}
    return {name: value for name, value in built.items() if value is not hparams[name]}


def _plain_among(values: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in values.items():
        with suppress(NotPlainError):
            found[name] = plain(value)
    return found


def _not_given(*_: Any) -> Any:
    """Stand in for an optimizer that only training needs; training asks for it first."""
    raise AssertionError


def _own_parameters(cls: type[Any]) -> list[str]:
    """Names of the arguments in the class's own ``__init__``, in their order."""
    if "__init__" not in vars(cls):
        return _own_parameters(cls.__mro__[1]) if len(cls.__mro__) > 1 else []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return [parameter.name for parameter in parameters if parameter.kind not in variadic]


def _defaults(cls: type[Any]) -> dict[str, Any]:
    """Default of every argument of the class and its ancestors; the nearest definition counts."""
    found: dict[str, Any] = {}
    for ancestor in reversed(cls.__mro__[:-1]):
        parameters = inspect.signature(ancestor).parameters
        found |= {name: parameter.default for name, parameter in parameters.items()}
    return found
