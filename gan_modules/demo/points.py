"""What the page of a model of points shows. Nothing here knows of pages."""

from io import BytesIO

import torch
from PIL import Image
from torch import Tensor

from gan_modules.callbacks.scatter import scatter
from gan_modules.demo.pictures import WIDTH
from gan_modules.families.latent_model import LatentModel

__all__ = ["PointPictures"]


class PointPictures:
    """Pictures of a model that draws points; it is put in evaluation mode for good.

    Args:
        model: of points.
        real: real points, shape ``(N, D)``, to be seen below the others.
    """

    def __init__(self, model: LatentModel, real: Tensor | None = None) -> None:
        self.model = model.eval().requires_grad_(False)
        self.real = real
        self.names: tuple[str, ...] = ()

    def samples(self, seed: int, n: int, label: int | None = None) -> Image.Image:
        """Samples over real points.

        Args:
            seed: of the latents.
            n: number of samples.
            label: a class for all of them; None for all classes in turn.
        """
        labels = None if label is None else torch.full((n,), label)
        points = {} if self.real is None else {"real": self.real}
        file = BytesIO()
        scatter({**points, "generated": self.model.sample(n, labels, seed)}, WIDTH, file)
        return Image.open(file).convert("RGB")
