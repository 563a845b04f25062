"""Checkpoint files, read without running anything that they name."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["check_weights", "read_checkpoint"]


def read_checkpoint(path: str | Path, weights_only: bool = True) -> dict[str, Any]:
    """Read a checkpoint of a :class:`ReloadableModule`, without running anything it names.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such checkpoint.
    """
    try:
        checkpoint = torch.load(path, "cpu", weights_only=weights_only, mmap=True)
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # a damaged file can make the unpickler raise nearly anything
        if Path(path).is_dir():
            raise ValueError(
                f"{path} is a folder, not a checkpoint file: from_run takes the folder of a run"
            ) from error
        raise ValueError(
            f"{path} is not a readable checkpoint: it is cut off or damaged, another kind of file, "
            "or holds more than tensors and plain values, which is never loaded"
        ) from error
    expected = {"class": str, "given_in_python": list, "hyper_parameters": dict, "state_dict": dict}
    if not isinstance(checkpoint, dict) or not all(
        isinstance(checkpoint.get(name), kind) for name, kind in expected.items()
    ):
        raise ValueError(f"{path} was not saved by a module of this package")
    return checkpoint


def check_weights(path: str | Path, checkpoint: dict[str, Any], module: nn.Module) -> None:
    """Raise ``ValueError`` unless a checkpoint has the weights that a module takes, and no others.

    Args:
        path: of the checkpoint, for the message.
        checkpoint: as read.
        module: that is to take its weights.
    """
    saved, taken = checkpoint["state_dict"], module.state_dict()
    for name in sorted(saved.keys() | taken.keys()):
        there, here = (_shape(weights.get(name)) for weights in (saved, taken))
        if there != here:
            raise ValueError(
                f"{path} does not fit the model: {name} is {there} in it, {here} in the model"
            )


def _shape(weight: Any) -> str:
    if weight is None:
        return "missing"
    return f"of shape {tuple(weight.shape)}" if isinstance(weight, Tensor) else "no tensor"
