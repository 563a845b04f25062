"""Images by way of their codes: beside samples, and from one to another."""

import torch
from PIL import Image
from torch import Tensor

from gan_modules.callbacks.pictures import Picture, rule, there_and_back
from gan_modules.errors import require
from gan_modules.families.encoding import EncodingModel
from gan_modules.training.batches import Batch

__all__ = ["RealInterpolation", "Reconstructions"]


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

    def draw(self, model: EncodingModel, batch: Batch) -> Tensor:
        """Shape ``(3, n, C, H, W)``."""
        images, labels = batch
        real, samples = model.real_and_fake(self.n, self.seed, batch)
        again = model.reconstruct(images[: self.n], None if labels is None else labels[: self.n])
        return torch.stack([real, again, samples])

    def grid(self, images: Tensor) -> Tensor:
        """A page with a line above the samples."""
        return rule(super().grid(images), images, 0, [2])


class RealInterpolation(Picture):
    """Save ``between/step_XXXXXX.png`` and ``.gif``: ways from held-out image to held-out image.

    One way per row: an image, the way from its code to that of the next row's image, and that
    image; the last row leads to the first. Of a conditional model all of a row is given the class
    of its first image. In the animation, all ways at once, there and back. Without validation data,
    training images are shown.

    Args:
        every_n_steps: updates between two pictures; the end of training is always drawn, with None
            it alone.
        n: ways.
        steps: images in a way, both ends, which are reconstructions, among them.
        width: images are enlarged by a whole factor until the picture has about this many pixels.
        dirpath: folder; by default ``between`` in the trainer's ``default_root_dir``. Where it
            exists, ``-v1`` and so on is appended.

    Raises:
        ValueError: if an option is out of its range, or the model has no ``interpolate_between``.
    """

    name = "between"
    needs = "interpolate_between"

    def __init__(
        self,
        every_n_steps: int | None = None,
        n: int = 8,
        steps: int = 10,
        width: int = 512,
        dirpath: str | None = None,
    ) -> None:
        super().__init__(every_n_steps, n, 0, width, dirpath)
        require(steps >= 2, "steps", steps, "at least 2")
        self.steps = steps

    def draw(self, model: EncodingModel, batch: Batch) -> Tensor:
        """Shape ``(n, 1 + steps + 1, C, H, W)``."""
        images, labels = batch[0][: self.n], batch[1]
        classes = next((chosen[: self.n] for chosen in model.condition(labels)), None)
        following = images.roll(-1, dims=0)
        ways = model.interpolate_between(images, following, self.steps, classes)
        return torch.cat([images[:, None].to(ways), ways, following[:, None].to(ways)], dim=1)

    def grid(self, images: Tensor) -> Tensor:
        """A page with lines between the images and the ways."""
        return rule(super().grid(images), images, 1, [1, images.shape[1] - 1])

    def frames(self, images: Tensor) -> list[Image.Image]:
        """All ways at once, side by side, there and back."""
        return there_and_back(images[:, 1:-1], self.width // 2)
