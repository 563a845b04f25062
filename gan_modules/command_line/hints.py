"""Where an option lies that was typed under another name."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import SequenceMatcher, get_close_matches
from inspect import Parameter, isabstract, signature
from typing import Any, NamedTuple, get_args

import yaml
from torch import nn

from gan_modules.checkpoints.class_paths import resolve, subclasses
from gan_modules.command_line.option_classes import base_of, classes_of
from gan_modules.command_line.words import named_classes, typed_value
from gan_modules.training.module import GenerativeModule

__all__ = ["chosen_classes", "hint", "model_with", "parameters_of", "suggestion"]

# what other projects call it; a dot stands in names that are full
ALIASES = {
    "learning_rate": "lr",
    "epochs": "trainer.max_epochs",
    "num_epochs": "trainer.max_epochs",
    "n_epochs": "trainer.max_epochs",
    "steps": "trainer.max_steps",
    "num_steps": "trainer.max_steps",
    "n_steps": "trainer.max_steps",
    "iterations": "trainer.max_steps",
    "n_iter": "trainer.max_steps",
    "gpus": "trainer.devices",
    "num_gpus": "trainer.devices",
    "fp16": "trainer.precision",
    "lambda_gp": "gp_weight",
    "gp_lambda": "gp_weight",
    "batchsize": "batch_size",
    "bs": "batch_size",
    "img_size": "image_size",
    "z_dim": "latent_dim",
    "nz": "latent_dim",
    "seed": ".seed_everything",
    "resume": ".ckpt_path",
    "checkpoint_path": ".ckpt_path",
}
# the data sets them
LINKED = frozenset({"image_shape", "num_classes"})
# arguments of a class that are no options of it
HIDDEN = frozenset({"self", "args", "kwargs", "params", "defaults", "optimizer"})
# from here on, names are taken for misspellings of each other: --prot of --port
CUTOFF = 0.75
MOST = 3


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
        """Names of the classes that have an option, this project's if any of them has."""
        having = [c for c in self.classes if leaf in self.options_of(c)]
        return [*dict.fromkeys(c.__name__ for c in [*filter(_is_ours, having)] or having)]


def suggestion(word: str, choices: Iterable[str]) -> str:
    """``"; nearest: ..."`` where something is near, else all of a short list, else nothing."""
    names = sorted(set(choices))
    lowered = {name.lower(): name for name in names}
    near = [lowered[match] for match in get_close_matches(word.lower(), lowered, MOST, 0.52)]
    if near:
        return f"; nearest: {', '.join(near)}"
    return f"; choose from: {', '.join(names)}" if 0 < len(names) <= 12 else ""


def hint(word: str, options: Collection[str], chosen: Mapping[str, str]) -> str:
    """Where an option is, by its full name, that was typed as a word that is none.

    It is looked for among what this command line has: options of classes that it has not chosen are
    said to be those of others.

    Args:
        word: as it was typed, ``--lr`` or ``--model.width``.
        options: every option of the command.
        chosen: names of classes by the options that take them, see :func:`chosen_classes`.

    Returns:
        What is to follow ``there is no option ...``: ``"; it is ..."``, ``"; nearest: ..."`` or
        nothing, if nothing is near.
    """
    if word.endswith((".yaml", ".yml")):
        return f"; a config is given as --config {word}" if "--config" in options else ""
    if not word.startswith("-"):
        is_path = "/" in word or word.endswith(".ckpt")
        return f"; a checkpoint or a run is given as --ckpt_path {word}" if is_path else ""
    typed = word.lstrip("-").replace("-", "_").replace("init_args.", "")
    parent, _, leaf = typed.rpartition(".")
    places = [*_places(options, chosen)]
    flat = sorted(o[2:] for o in options if o.startswith("--") and not o.endswith((".help", "+")))
    nested = [f"{p.key}.{o}" for p in places if p.chosen for o in sorted(p.options_of(p.chosen))]
    real = [name for name in dict.fromkeys([*flat, *nested]) if name not in (typed, "help")]
    here = next((place for place in places if place.key == parent), None)
    if here is not None and here.chosen and (others := here.with_option(leaf)):
        return f"; it is an option of {_some(others)}"
    wanted = [leaf, ALIASES[leaf]] if leaf in ALIASES else [leaf]
    found = [n for n in real if any(n == w.lstrip(".") or _leaf(n) == w for w in wanted)]
    if main := _preferred(found, parent):
        return f"; it is {_either(main)}"
    inside = [name for name in real if parent and name.startswith(f"{parent}.")]
    if here is None and (near := _near(leaf, inside)):
        return f"; nearest: {_listed(near)}"
    first = parent.partition(".")[0]
    if elsewhere := _of_other_classes(
        wanted, [p for p in places if p.key.startswith(first)], typed
    ):
        return elsewhere
    if found:
        return f"; it is {_either(found)}"
    if near := _near(leaf, inside or _preferred(real, "")) or _near(leaf, real):
        return f"; nearest: {_listed(near)}"
    if here is not None and here.chosen and 0 < len(here.options_of(here.chosen)) <= 12:
        return f"; choose from: {', '.join(sorted(here.options_of(here.chosen)))}"
    return ""


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
    """Every argument of a class and its ancestors."""
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


def _places(options: Collection[str], chosen: Mapping[str, str]) -> Iterator[Place]:
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


def _of_other_classes(wanted: Sequence[str], places: Iterable[Place], typed: str) -> str:
    """What to say of an option that no chosen class has, but others in their places have."""
    refused, unnamed = [], []
    for place in places:
        for leaf in wanted:
            name, having = f"{place.key}.{leaf}", place.with_option(leaf)
            if not having or name == typed:
                continue
            if place.chosen is None:
                unnamed.append((name, place.key, "Adam" if "Adam" in having else having[0]))
            else:
                not_of = place.chosen.__name__
                refused.append(f"--{name} is an option of {_some(having)}, not of {not_of}")
    if unnamed:
        names = _either([name for name, _, _ in unnamed])
        _, key, cls = unnamed[0]
        each = "each after its" if len(unnamed) > 1 else "after its"
        return f"; it is {names}, {each} class, as in --{key} {cls}"
    return "".join(f"; {line}" for line in refused[:2])


def _preferred(names: Sequence[str], parent: str) -> list[str]:
    """Those below what was typed; else all that are not a callback's, which nobody means first."""
    inside = [name for name in names if parent and name.startswith(parent)]
    first = ("trainer", "data", "model")
    return inside or [n for n in names if "." not in n or n.partition(".")[0] in first]


def _near(leaf: str, names: Iterable[str]) -> list[str]:
    """The options whose last part is nearest, the nearest first."""
    scores = {name: _likeness(leaf.lower(), _leaf(name).lower()) for name in names}
    near = sorted((n for n in scores if scores[n] >= CUTOFF), key=lambda n: (-scores[n], n))
    return near[:MOST]


def _likeness(a: str, b: str) -> float:
    if len(a) >= MOST and {*a.split("_")} <= {*b.split("_")}:
        # size of image_size
        return 1.0 if a == b else CUTOFF
    return SequenceMatcher(None, a, b).ratio()


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _either(names: Sequence[str]) -> str:
    shown = [f"--{name}" for name in names[:MOST]]
    return " or ".join(shown) + (" or others" if len(names) > MOST else "")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"--{name}" for name in names)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST]) + (", ..." if len(names) > MOST else "")


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
    """Every argument of a class and its ancestors; the nearest definition counts."""
    found: dict[str, Parameter] = {}
    for ancestor in reversed(cls.__mro__[:-1]):
        found |= signature(ancestor).parameters
    return found
