"""Images by way of their latents, beside samples."""

from typing import Any

import torch
from torch import Tensor

from gan_modules.callbacks.pictures import Picture, rule
from gan_modules.training.batches import Batch

__all__ = ["Reconstructions"]


class Reconstructions(Picture):
    """Save ``reconstructions/step_XXXXXX.png``: held-out images, their reconstructions, samples.

    Three rows: what the model has never seen, what it makes of the codes of these images, and what
    it makes of random latents, of the same classes if it is conditional. Without validation data,
    training images are shown.

    Args:
        every_n_steps: updates between two pictures; the end of training is always drawn, with None
            it alone.
        n: images in a row.
        seed: of the latents.
        width: images are enlarged by a whole factor until the picture has about this many pixels.
        dirpath: folder; by default ``reconstructions`` in the trainer's ``default_root_dir``. Where
            it exists, ``-v1`` and so on is appended.

    Raises:
        ValueError: if an option is out of its range, or the model has no ``reconstruct``.
    """

    name = "reconstructions"
    needs = "reconstruct"

    def draw(self, model: Any, batch: Batch) -> Tensor:
        """Shape ``(3, n, C, H, W)``."""
        images, labels = batch
        real, samples = model.real_and_fake(self.n, self.seed, batch)
        again = model.reconstruct(images[: self.n], None if labels is None else labels[: self.n])
        return torch.stack([real, again, samples])

    def grid(self, images: Tensor) -> Tensor:
        """A page with a line above the samples."""
        return rule(super().grid(images), images, 0, [2])
