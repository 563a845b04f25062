"""A few real images that go with a checkpoint."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from gan_modules.callbacks.paths import is_trial
from gan_modules.callbacks.pictures import held_out_batches
from gan_modules.metrics.features import as_bytes
from gan_modules.training.batches import as_batch

__all__ = ["RealExamples", "real_examples"]

MOST_BYTES = 2**20
"""Of the examples of one domain."""
POINTS = 500
IMAGES = 16


class RealExamples(Callback):
    """Keep up to 16 held-out images (or 500 points) in every checkpoint, to be seen beside fakes.

    They are as the model sees them, of each domain where there are two, images as bytes and
    together at most a megabyte. Sequences are kept like images, but as floats. Without validation
    they are those of the first training batch.
    """

    def __init__(self) -> None:
        self._examples: list[Tensor] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take them from the first held-out batch."""
        self._examples = []
        if trainer.is_global_zero and not is_trial(trainer):
            for batch in held_out_batches(trainer):
                self._keep(trainer.strategy.batch_to_device(batch))
                break

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take them from the first batch, if there was none."""
        if trainer.is_global_zero and not self._examples:
            self._keep(batch)

    def state_dict(self) -> dict[str, Any]:
        """The examples: uint8 images, or points and sequences as they are."""
        return {"examples": self._examples}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: they are taken anew."""

    def _keep(self, batch: Any) -> None:
        images, second = as_batch(batch)
        domains = [images]
        if second is not None and second.ndim == images.ndim:
            domains.append(second)
        self._examples = [_few(domain.detach()) for domain in domains]


def _few(images: Tensor) -> Tensor:
    if images.ndim == 2:
        return images[:POINTS].float().cpu()
    some = images[: max(1, min(IMAGES, MOST_BYTES // images[0].numel()))].float().cpu()
    return as_bytes(some) if images.ndim == 4 else some


def real_examples(checkpoint: Mapping[str, Any]) -> list[Tensor]:
    """The examples in a checkpoint as the model sees them, one tensor ``(N, ...)`` per domain.

    Args:
        checkpoint: as read; older ones have none.

    Returns:
        Float images in [-1, 1], or points.
    """
    state = checkpoint.get("callbacks", {}).get(RealExamples.__qualname__, {})
    examples: list[Tensor] = state.get("examples", [])
    return [e if e.is_floating_point() else e.float() / 127.5 - 1 for e in examples]
