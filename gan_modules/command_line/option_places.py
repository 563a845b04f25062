"""Options that take a class, and what the classes chosen or possible there can be told."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from inspect import Parameter, isabstract, signature
from typing import Any, NamedTuple, get_args

import yaml
from torch import nn
from torch.optim import Optimizer

from gan_modules.checkpoints.class_paths import resolve, subclasses
from gan_modules.command_line.option_classes import base_of, classes_of
from gan_modules.command_line.words import named_classes, typed_value
from gan_modules.training.module import GenerativeModule

__all__ = ["Place", "chosen_classes", "model_with", "parameters_of", "places_of"]

# the data sets them
LINKED = frozenset({"image_shape", "num_classes"})
# arguments of a class that are no options of it
HIDDEN = frozenset({"self", "args", "kwargs", "params", "defaults", "optimizer"})


class Place(NamedTuple):
    """An option that takes a class, which brings options of its own.

    Attributes:
        key: full name of the option.
        chosen: the class, None if none is named.
        classes: all that may be.
        linked: their arguments that are no options: the model or the data sets them.
    """

    key: str
    chosen: type[Any] | None
    classes: Sequence[type[Any]]
    linked: frozenset[str]

    def options_of(self, cls: type[Any]) -> set[str]:
        """Last parts of a class's options."""
        return parameters_of(cls) - self.linked

    def with_option(self, leaf: str) -> list[str]:
        """Names of the classes that have an option, this project's if any of them has.

        Of optimizers torch's are those that people mean.
        """
        having = [c for c in self.classes if leaf in self.options_of(c)]
        ours = [c for c in having if _is_ours(c) and not issubclass(c, Optimizer)]
        theirs = [c for c in having if not _is_ours(c)]
        return [*dict.fromkeys(c.__name__ for c in ours or theirs)]


def chosen_classes(arguments: Sequence[str], configs: Iterable[Any]) -> dict[str, str]:
    """Names of the classes that a command line and its configs choose, by their options.

    Args:
        arguments: the command line.
        configs: contents of the configs, in their order.
    """
    found: dict[str, str] = {}
    for config in configs:
        for key, name in _named_in(config, ""):
            _choose(found, key, name)
    for key, name in named_classes(arguments):
        key = key.removesuffix(".class_path").replace(".init_args.", ".")
        if base_of(key):
            _choose(found, key, name)
    for word in arguments:
        # a class and its options in one word
        option = word.partition("=")[0]
        value = typed_value(arguments, option) or ""
        if option.startswith("--") and value.startswith("{"):
            with suppress(yaml.YAMLError):
                for key, name in _named_in(yaml.safe_load(value), option[2:]):
                    _choose(found, key, name)
    return found


def model_with(option: str) -> str | None:
    """Name of a model that has an option, if any has."""
    found = (c.__name__ for c in _concrete(GenerativeModule) if option in parameters_of(c))
    return next(found, None)


def parameters_of(cls: type[Any]) -> set[str]:
    """Every argument that a class can be given."""
    return {*_parameters(cls)} - HIDDEN


def _choose(found: dict[str, str], key: str, name: str) -> None:
    """Note a class, which leaves nothing of what was chosen for another one in its place."""
    if found.get(key, name).rpartition(".")[2] != name.rpartition(".")[2]:
        for below in [other for other in found if other.startswith(f"{key}.")]:
            del found[below]
    found[key] = name


def _named_in(content: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(content, str) and base_of(key):
        yield key, content
    if not isinstance(content, dict):
        return
    if isinstance(content.get("class_path"), str):
        yield key, content["class_path"]
        content = content.get("init_args")
    for name, value in content.items() if isinstance(content, dict) else ():
        yield from _named_in(value, f"{key}.{name}" if key else str(name))


def places_of(options: Collection[str], chosen: Mapping[str, str]) -> Iterator[Place]:
    """The options that take a class: those of the command, and those of the classes chosen."""
    for key in ("data", "model", "metrics.features"):
        if f"--{key}.help" in options:
            yield from _at(key, base_of(key), LINKED, chosen)


def _at(
    key: str, base: type[Any] | None, linked: frozenset[str], chosen: Mapping[str, str]
) -> Iterator[Place]:
    known = classes_of(key, base)
    cls = _class(chosen.get(key), base)
    yield Place(key, cls, known, linked)
    if cls is None and key == "model":
        # what most models have
        cls = next(c for c in known if {"generator", "discriminator"} <= parameters_of(c))
    for name, parameter in _parameters(cls).items() if cls else ():
        built_with = _built_with(parameter)
        if built_with is not None:
            linked = LINKED | built_with | {"latent_dim"}
            yield from _at(f"{key}.{name}", nn.Module, linked, chosen)
        elif name.endswith(("optimizer", "scheduler")) and name not in HIDDEN:
            yield from _at(f"{key}.{name}", base_of(name), LINKED, chosen)


def _built_with(parameter: Parameter) -> frozenset[str] | None:
    """What a network gets that an argument builds; None if it builds none."""
    for kind in (parameter.annotation, *get_args(parameter.annotation)):
        if getattr(kind, "_is_protocol", False):
            return frozenset(signature(kind.__call__).parameters)
    return None


def _class(name: str | None, base: type[Any] | None) -> type[Any] | None:
    if name is None or base is None:
        return None
    found = resolve(name) if "." in name else None
    if isinstance(found, type):
        return found
    return next((c for c in subclasses(base) if c.__name__ == name.rpartition(".")[2]), None)


def _concrete(base: type[Any]) -> Iterator[type[Any]]:
    """Subclasses of this project that can be made."""
    for cls in subclasses(base):
        if _is_ours(cls) and not isabstract(cls):
            yield cls


def _is_ours(cls: type[Any]) -> bool:
    # the laboratory's are for its experiments
    own = cls.__module__.startswith(("gan_modules", "datamodules"))
    return own and not cls.__module__.startswith("gan_modules.lab")


def _parameters(cls: type[Any]) -> dict[str, Parameter]:
    """Every argument of a class, and of the ancestors to which it passes on what it is given.

    The nearest definition counts.
    """
    found: dict[str, Parameter] = {}
    for ancestor in cls.__mro__[:-1]:
        own = signature(ancestor).parameters
        found = {**own, **found}
        passes_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in own.values())
        if "__init__" in vars(ancestor) and not passes_on:
            break
    return found
