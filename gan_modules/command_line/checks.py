"""Options that are wrong whatever is trained: refused before anything is built."""

import re
from collections.abc import Callable, Sequence
from typing import Any, cast

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

from gan_modules.command_line.hints import suggestion
from gan_modules.command_line.trainer_parts import CALLBACKS
from gan_modules.command_line.words import typed_value
from gan_modules.errors import require
from gan_modules.training.batches import is_shape

__all__ = ["check_options", "image_shape", "num_classes"]

# options that may be given again and again: each adds to those before
LISTS = (
    "--config",
    "--trainer.callbacks",
    "--trainer.logger",
    "--trainer.plugins",
    "--metrics.names+",
)
# groups of options that do nothing unless one of them is set, and how to set it
SWITCHES = {"metrics": ("names", "[fid,kid]"), "watch": ("what", "all")}
LAST_SEED = 2**32 - 1
GROUPS = ("trainer", *CALLBACKS)


def check_options(arguments: Sequence[str], options: Namespace) -> None:
    """Raise ``ValueError`` in one line for what Lightning would misunderstand or pass over.

    Args:
        arguments: the command line.
        options: all options of its command.
    """
    _check_repetitions(arguments)
    for group in GROUPS:
        is_mapping = isinstance(options[group], Namespace)
        require(is_mapping, group, options[group], "a mapping of options")
    for group, (switch, example) in SWITCHES.items():
        typed = [a.partition("=")[0] for a in arguments if a.startswith(f"--{group}.")]
        idle = [name for name in typed if not name.startswith(f"--{group}.{switch}")]
        if idle and not options[group][switch] and f"--{group}.{switch}" not in typed:
            raise ValueError(f"{idle[0]} does nothing without --{group}.{switch} {example}")
    source = typed_value(arguments, "--init_from")
    is_typed = source not in (None, "null")
    right = "left out: only fit starts a training"
    require(not is_typed or "fit" in arguments, "init_from", source, right)
    both = is_typed and options["ckpt_path"] is not None
    right = "left out: ckpt_path goes on with a training, networks and all"
    require(not both, "init_from", source, right)
    seed = options["seed_everything"]
    in_range = seed is None or isinstance(seed, bool) or 0 <= seed <= LAST_SEED
    require(in_range, "seed_everything", seed, f"in [0, {LAST_SEED}]")
    # "--weights_only false" would let a checkpoint run code
    right = "left out: checkpoints are data and run nothing"
    require(options["weights_only"] is not False, "weights_only", False, right)
    # predict needs no model beside its checkpoint
    model = (options["model"] or Namespace()).get("init_args", Namespace())
    for name, value in (("image_shape", None), ("num_classes", 0)):
        given = model.get(name, value)
        right = "left out: it comes from the data module's attribute of that name"
        require(given in (None, value), f"model.{name}", given, right)
    _check_trainer(options["trainer"])


def _check_repetitions(arguments: Sequence[str]) -> None:
    """Of an option typed twice with two values, others take the last silently."""
    given: dict[str, str] = {}
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if not argument.startswith("--") or argument.startswith(LISTS):
            continue
        name, equals, value = argument.partition("=")
        value = value if equals else following
        if given.setdefault(name, value) != value:
            raise ValueError(f"{name} is given twice, as {given[name]} and as {value}")


def _check_trainer(trainer: Namespace) -> None:
    for name, neutral in (("gradient_clip_val", None), ("accumulate_grad_batches", 1)):
        if trainer[name] != neutral:
            raise ValueError(
                f"trainer.{name} knows one optimizer, a GAN has two: set "
                f"model.generator_{name} and model.discriminator_{name}"
            )
    for name, (is_right, right) in TRAINER.items():
        value = trainer[name]
        require(value is None or is_right(value), f"trainer.{name}", value, right)
    # objects, which come as mappings of class_path and init_args, speak for themselves
    accelerator, strategy = trainer["accelerator"], trainer["strategy"]
    available = _available_accelerators()
    if isinstance(accelerator, str):
        right = f"one of those that are here: {', '.join(available)}"
        require(accelerator in available, "trainer.accelerator", accelerator, right)
    if isinstance(strategy, str) and "." not in strategy:
        known = ["auto", *StrategyRegistry.available_strategies()]
        near = suggestion(strategy, known)
        right = f"auto, ddp or another strategy of Lightning's{near}"
        require(strategy in known, "trainer.strategy", strategy, right)
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and available == ["auto", "cpu"])
    # Lightning would train in bfloat16 and leave it at a warning
    has_it = not (on_cpu and str(trainer["precision"]) in ("16", "16-mixed"))
    right = "bf16-mixed or 32-true on a CPU: 16-mixed needs a GPU"
    require(has_it, "trainer.precision", trainer["precision"], right)


def _available_accelerators() -> list[str]:
    """What ``trainer.accelerator`` can be on this machine."""
    found = ["auto"]
    for name in AcceleratorRegistry.available_accelerators():
        if AcceleratorRegistry[name]["accelerator"].is_available():
            found.append(name)
    return [*found, "gpu"] if {"cuda", "mps"} & {*found} else found


def _is_a_number_of_devices(value: Any) -> bool:
    """``auto``, how many, -1 for all, or the numbers of some: a list, ``0,2``, or ``0,``."""
    if isinstance(value, list):
        return bool(value)
    return re.fullmatch(r"auto|-1|0*[1-9]\d*|\d+(, *\d+)+|\d+,", str(value)) is not None


def _at_least(least: int, *others: int) -> Callable[[Any], bool]:
    return lambda value: value >= least or value in others


def _is_a_part(value: Any) -> bool:
    """A whole number, a share, or (of another type) a time."""
    if isinstance(value, float):
        return 0 < value <= 1
    return not isinstance(value, int) or value >= 1


# options of the trainer that may be None, what they must be, and how to say so
TRAINER: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_steps": (_at_least(1, -1), "at least 1, or -1 for no end"),
    "max_epochs": (_at_least(1, -1), "at least 1, or -1 for no end"),
    "val_check_interval": (_is_a_part, "a number of steps, at least 1, or a share in (0, 1]"),
    "check_val_every_n_epoch": (_at_least(1), "at least 1, or null to count generator updates"),
    "log_every_n_steps": (_at_least(0), "at least 1, or 0 for never"),
    "num_sanity_val_steps": (_at_least(0, -1), "at least 0, or -1 for all batches"),
    "limit_train_batches": (_is_a_part, "a number of batches, at least 1, or a share in (0, 1]"),
    "gradient_clip_algorithm": (lambda value: False, "left out: norms are clipped"),
    "barebones": (lambda value: not value, "false: a run writes its metrics"),
    "devices": (_is_a_number_of_devices, "how many there are to use, at least 1, or auto"),
}


def image_shape(data: LightningDataModule | None) -> Sequence[int] | None:
    """Shape of the images, which the model takes from the data; predict goes without data."""
    if data is None:
        return None
    try:
        shape: Sequence[int] = cast(Any, data).image_shape
    except AttributeError as error:
        raise ValueError(
            f"{type(data).__name__} must have the attribute image_shape, such as (3, 32, 32)"
        ) from error
    right = "(C, H, W), such as (3, 32, 32), (C, L) for sequences, or (D,) for points"
    require(is_shape(shape, (1, 2, 3)), f"{type(data).__name__}.image_shape", shape, right)
    return shape


def num_classes(data: LightningDataModule) -> int:
    """Number of classes, which the model takes from the data; 0 where there are none."""
    number = getattr(data, "num_classes", 0)
    is_number = isinstance(number, int) and number >= 0
    name = f"{type(data).__name__}.num_classes"
    require(is_number, name, number, "an integer, 0 where there are no classes")
    return number
