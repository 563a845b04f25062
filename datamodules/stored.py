"""What the data modules of image files have in common."""

from abc import abstractmethod
from functools import cached_property
from typing import Any

from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from datamodules.base import InMemoryDataModule
from datamodules.store import ImageStore

__all__ = ["StoredDataModule"]


class StoredDataModule(InMemoryDataModule):
    """Base of the data modules of files in folders: a checkpoint knows which it was trained on.

    A run that goes on with others is told so in a warning.
    """

    _store: ImageStore
    _divides: bool
    """Whether training images are held out at random."""

    @abstractmethod
    def training_rows(self) -> Tensor:
        """Rows of the store that are trained on, shape ``(N,)``."""

    def prepare_data(self) -> None:
        """Decode all images, unless they are in the cache."""
        self._store.open()

    def state_dict(self) -> dict[str, Any]:
        """The seed of the order, how many files there are, and a hash of them and their split."""
        return {**super().state_dict(), "files": self._files}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on in the checkpoint's order; say so if the files or their split are others."""
        super().load_state_dict(state_dict)
        if self.trainer is not None and self.trainer.state.fn != TrainerFn.FITTING:
            return
        root, then, now = str(self._store.root), state_dict.get("files"), self._files
        risk = "images held out now may have been trained on"
        if then is None:
            if self._divides:
                rank_zero_warn(
                    f"the checkpoint does not say which images of root={root!r} it was trained "
                    f"on: it comes from a version that divided them otherwise, and {risk}"
                )
        elif then != now:
            images, before = now["count"], then["count"]
            how = f"{before} images" if before != images else "others, or divided otherwise"
            rank_zero_warn(
                f"root={root!r} is not what the checkpoint was trained on: it has {images} images "
                f"now, then {how}; {risk}"
            )

    @cached_property
    def _files(self) -> dict[str, Any]:
        self._store.open()
        digest = self._store.fingerprint(self.training_rows())
        return {"count": len(self._store.names), "digest": digest}
