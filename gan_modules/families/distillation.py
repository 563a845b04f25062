"""What a model that is distilled from another takes of it."""

from pathlib import Path
from typing import Any

from torch import nn

from gan_modules.checkpoints.newest import find_checkpoint
from gan_modules.errors import require
from gan_modules.families.diffusion import DiffusionModel
from gan_modules.networks.diffusion import HeunGenerator
from gan_modules.training.module import GenerativeModule

__all__ = ["UNTAUGHT", "num_features_of", "take_from_teacher"]

UNTAUGHT = "random"
"""In the place of a teacher: networks of random weights."""

RIGHT = "a run or a checkpoint of EDM, such a model, or a network that denoises"


def take_from_teacher(student: DiffusionModel, teacher: Any) -> nn.Module:
    """The network of a teacher; the student's checkpoints say what it is, in place of the teacher.

    Args:
        student: with the options that must be the teacher's, too.
        teacher: a path, a diffusion model or a network.

    Raises:
        ValueError: if it is none of these, or does not fit.
    """
    if isinstance(teacher, str | Path):
        teacher = _read(teacher)
    if not isinstance(teacher, GenerativeModule):
        require(isinstance(teacher, nn.Module), "teacher", teacher, RIGHT)
        student.record_instead(teacher=UNTAUGHT, generator=teacher)
        network: nn.Module = teacher
        return network
    name = type(teacher).__name__
    solves = isinstance(teacher, DiffusionModel) and isinstance(teacher.generator, HeunGenerator)
    require(solves, "teacher", name, RIGHT)
    for option in ("image_shape", "num_classes", "sigma_data"):
        own, its = getattr(student, option), getattr(teacher, option)
        if own != its:
            classes = option == "num_classes"
            asked = "num_classes (0 unless conditional)" if classes else option
            raise ValueError(f"{asked}={own!r} must be {its!r}, which the teacher was trained with")
    network = teacher.sampler.denoiser.network  # type: ignore[assignment, union-attr]
    by_hand = "generator" in teacher._given_in_python
    told = network if by_hand else teacher.hparams.get("generator")
    student.record_instead(teacher=UNTAUGHT, generator=told)
    return network


def _read(path: str | Path) -> GenerativeModule:
    """The model of a checkpoint.

    Raises:
        ValueError: if there is none.
    """
    try:
        found = find_checkpoint(path)
    except ValueError as error:
        raise ValueError(f"teacher={str(path)!r} must be {RIGHT}: {error}") from error
    return GenerativeModule.load_from_checkpoint(found, map_location="cpu")


def num_features_of(network: nn.Module) -> int:
    """Size of the features of a denoiser.

    Raises:
        ValueError: if it has none.
    """
    number = getattr(network, "num_features", None)
    if not isinstance(number, int) or not callable(getattr(network, "features", None)):
        raise ValueError(
            f"generator={type(network).__name__} must have features(x, level) and num_features, "
            "which the head reads; gan_weight=0 is without one"
        )
    return number
