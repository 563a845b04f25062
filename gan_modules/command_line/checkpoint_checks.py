"""Whether a checkpoint goes with the options given, before anything is trained."""

from collections.abc import Container, Mapping
from typing import Any

from gan_modules.command_line.resume import difference
from gan_modules.training.module import GenerativeModule

__all__ = ["check_more_to_do", "check_same_options"]


def check_same_options(
    path: str,
    checkpoint: dict[str, Any],
    model: GenerativeModule,
    given: Mapping[str, Any],
    training: bool,
    typed_anew: Container[str] = (),
) -> None:
    """Refuse a checkpoint that was trained with other options than those given now.

    Args:
        path: of the checkpoint, for the message.
        checkpoint: as read.
        model: that is to take its weights.
        given: options of the model, and its class.
        training: whether it is trained on; other commands draw noise of their own.
        typed_anew: options that are to differ, since they were typed.

    Raises:
        ValueError: which names the first option that differs.
    """
    then = {"class": checkpoint["class"], **checkpoint[model.CHECKPOINT_HYPER_PARAMS_KEY]}
    now = {**given, **model.recorded_instead}
    if training and checkpoint["noise_seed"] is not None:
        then["seed_everything"], now["seed_everything"] = checkpoint["noise_seed"], model.noise_seed
    # compiled, recorded or not, what is trained is the same
    for name in sorted((then.keys() & now.keys()) - {"compile", "cuda_graphs"}):
        found = difference(name, then[name], now[name])
        if found is not None and not name.startswith("_") and name not in typed_anew:
            raise ValueError(
                f"{path} was trained with {found}: give the options it was trained with, "
                "or train anew"
            )


def check_more_to_do(path: str, checkpoint: dict[str, Any], trainer: Mapping[str, Any]) -> None:
    """Refuse to go on with a training that is complete, or that was not saved.

    Args:
        path: of the checkpoint, for the message.
        checkpoint: as read.
        trainer: options of the trainer.

    Raises:
        ValueError: if there is nothing to go on with.
    """
    if "optimizer_states" not in checkpoint:
        raise ValueError(f"{path} holds weights only: there is no training to go on with")
    for option, key in (("max_steps", "global_step"), ("max_epochs", "epoch")):
        limit = trainer[option]
        if limit is not None and 0 <= limit <= checkpoint[key]:
            raise ValueError(
                f"trainer.{option}={limit} must be more than {checkpoint[key]}, where {path} is"
            )
