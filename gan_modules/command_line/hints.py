"""Where an option lies that was typed under another name."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import SequenceMatcher, get_close_matches

from gan_modules.command_line.option_places import Place, places_of

__all__ = ["hint", "suggestion"]

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
# from here on, names are taken for misspellings of each other: --prot of --port
CUTOFF = 0.75
MOST = 3


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
        chosen: names of classes by the options that take them, as ``option_places`` finds them.

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
    places = [*places_of(options, chosen)]
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
