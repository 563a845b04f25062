"""The weights of another training as a start."""

from pathlib import Path

from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from gan_modules.checkpoints.newest import find_checkpoint
from gan_modules.checkpoints.pretrained import WEIGHTS
from gan_modules.checkpoints.reading import check_weights, read_checkpoint
from gan_modules.training.module import GenerativeModule

__all__ = ["start_from"]


def start_from(model: GenerativeModule, source: str) -> None:
    """Give a model the networks of another training, and the averages of them.

    Optimizers, schedules and the number of updates begin anew. What averages has no average in the
    other training begins with the network itself.

    Args:
        model: that is to be trained.
        source: a checkpoint, a run, or a folder that ``save_pretrained`` wrote.

    Raises:
        ValueError: if there are none, or they are not of the model's names and shapes.
    """
    path, weights = _read(source)
    rank_zero_info(f"Starting from the networks in {path}")
    averages = {f"averaged_{name}": name for name in model.averaged}
    found: dict[str, Tensor] = {}
    names = [name for attributes in model.players.values() for name in attributes]
    for name in [*names, *model.frozen, *averages]:
        own = {key for key in model.state_dict() if key.startswith(f"{name}.")}
        theirs = {key: value for key, value in weights.items() if key.startswith(f"{name}.")}
        if name in averages and not theirs:
            live = averages[name]
            theirs = {
                f"{name}.{key.removeprefix(f'{live}.')}": value
                for key, value in weights.items()
                if key.startswith(f"{live}.")
            }
        if own or name not in averages:
            found |= theirs
    networks = {*names, *model.frozen, *averages}
    rest = {k: v for k, v in model.state_dict().items() if k.partition(".")[0] not in networks}
    check_weights(f"init_from={source}", {"state_dict": {**rest, **found}}, model)
    model.load_state_dict({**rest, **found})


def _read(source: str) -> tuple[Path, dict[str, Tensor]]:
    folder = Path(source)
    if (folder / WEIGHTS).is_file():
        try:
            from safetensors.torch import load_file
        except ImportError as error:
            raise ValueError(f"init_from={source} needs safetensors, which is missing") from error
        return folder / WEIGHTS, load_file(folder / WEIGHTS)
    try:
        path = find_checkpoint(source)
    except ValueError as error:
        raise ValueError(
            f"init_from={source} must be a checkpoint file, a run or a pretrained folder: {error}"
        ) from error
    weights: dict[str, Tensor] = read_checkpoint(path)["state_dict"]
    return path, weights
