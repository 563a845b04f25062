"""Files of tensors that are computed once and found again by what decides their content."""

import hashlib
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_modules.tools.files import whole_file

__all__ = ["TensorCache", "digest", "weights_digest"]

FORMAT = 5  # to be raised whenever the same key would give other tensors


def digest(*parts: object) -> str:
    """A short name for everything that decides what a file holds."""
    key = "\0".join(str(part) for part in (FORMAT, *parts)).encode()
    return hashlib.blake2b(key, digest_size=12).hexdigest()


def weights_digest(network: nn.Module) -> str:
    """A short name for a network: its structure as it prints itself, its weights and buffers."""
    found = hashlib.blake2b(repr(network).encode(), digest_size=12)
    for name, tensor in network.state_dict().items():
        values = tensor.detach().cpu().contiguous()
        found.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        found.update(values.flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


class TensorCache:
    """A folder of files of tensors.

    Args:
        folder: None for ``gan_modules`` in ``$XDG_CACHE_HOME``, or in ``~/.cache`` where that is
            not set.
    """

    def __init__(self, folder: str | None = None) -> None:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self.folder = Path(base, "gan_modules") if folder is None else Path(folder)

    def read(self, name: str) -> dict[str, Tensor] | None:
        """The tensors of that name; None if there are none, or the file is broken."""
        path = self.folder / f"{name}.pt"
        try:
            found: dict[str, Tensor] = torch.load(path, "cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except Exception:  # cut off, or of another program: it is made anew
            return None
        return found

    def write(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Keep tensors under a name; the file appears whole or not at all.

        Raises:
            ValueError: if the folder cannot be written to.
        """
        try:
            with whole_file(self.folder / f"{name}.pt") as file:
                torch.save({key: tensor.cpu() for key, tensor in tensors.items()}, file)
        except OSError as error:
            raise ValueError(
                f"cache_dir={str(self.folder)!r} cannot be written to ({error.strerror}): "
                "name a folder that can"
            ) from error
