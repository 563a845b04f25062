"""Pictures of the latent space: ways between latents, to their middle, along a code."""

from collections.abc import Sequence

import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from torch import Tensor

from gan_modules.callbacks.pictures import Picture, there_and_back
from gan_modules.errors import require
from gan_modules.families.latent_model import LatentModel
from gan_modules.models.infogan import InfoGAN
from gan_modules.training.batches import Batch

__all__ = ["CodeTraversal", "LatentInterpolation", "TruncationGrid"]


class LatentInterpolation(Picture):
    """Save ``interpolation/step_XXXXXX.png`` and ``.gif``: walks from latent to latent.

    In the picture, one walk per row, from left to right; of a conditional model, rows are of class
    0, 1, 2, ... In the animation, all walks at once, there and back. A generator that has learnt
    changes one image into the other by way of images, and does not jump (Radford et al. 2015,
    arXiv:1511.06434, section 6.1). Weights & Biases gets both, as ``interpolation`` and
    ``interpolation_animated``; TensorBoard the picture.

    Args:
        every_n_steps: generator updates between two pictures; the end of training is always drawn,
            with None it alone.
        n: walks.
        steps: images in a walk.
        seed: of the latents.
        width: images are enlarged by a whole factor until the picture has about this many pixels.
        dirpath: folder; by default ``interpolation`` in the trainer's ``default_root_dir``. Where
            it exists, ``-v1`` and so on is appended.

    Raises:
        ValueError: if an option is out of its range, or the model has no latents, or makes points.
    """

    name = "interpolation"
    needs = "interpolate"

    def __init__(
        self,
        every_n_steps: int | None = None,
        n: int = 8,
        steps: int = 12,
        seed: int = 0,
        width: int = 512,
        dirpath: str | None = None,
    ) -> None:
        super().__init__(every_n_steps, n, seed, width, dirpath)
        require(steps >= 2, "steps", steps, "at least 2")
        self.steps = steps

    def draw(self, model: LatentModel, batch: Batch) -> Tensor:
        """The model's ``interpolate``, shape ``(n, steps, C, H, W)``."""
        return model.interpolate(self.n, self.steps, self.seed)

    def frames(self, images: Tensor) -> list[Image.Image]:
        """All walks at once, side by side, there and back."""
        return there_and_back(images, self.width // 2)


class TruncationGrid(Picture):
    """Save ``truncation/step_XXXXXX.png``: the same samples under ever stronger truncation.

    The first row is not truncated; the others follow the thresholds, from above to below. Where
    truncation works, images become more alike and better (Brock et al. 2018, arXiv:1809.11096,
    figure 2). Of a conditional model, columns are of class 0, 1, 2, ...

    Args:
        every_n_steps: generator updates between two pictures; the end of training is always drawn,
            with None it alone.
        n: samples in a row.
        thresholds: one per row, see :meth:`Sampling.latents`.
        seed: of the latents.
        width: images are enlarged by a whole factor until the picture has about this many pixels.
        dirpath: folder; by default ``truncation`` in the trainer's ``default_root_dir``. Where it
            exists, ``-v1`` and so on is appended.

    Raises:
        ValueError: if an option is out of its range, or the model has no latents, or makes points.
    """

    name = "truncation"
    needs = "latents"

    def __init__(
        self,
        every_n_steps: int | None = None,
        n: int = 10,
        thresholds: Sequence[float] = (0.75, 0.5, 0.25, 0.04),
        seed: int = 0,
        width: int = 512,
        dirpath: str | None = None,
    ) -> None:
        super().__init__(every_n_steps, n, seed, width, dirpath)
        require(len(thresholds) >= 1, "thresholds", [*thresholds], "one number at least")
        self.thresholds = thresholds

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check that the thresholds suit the model's latents."""
        super().setup(trainer, pl_module, stage)
        assert isinstance(pl_module, LatentModel)
        for threshold in self.thresholds:
            pl_module.latents(1, 0, threshold)

    def draw(self, model: LatentModel, batch: Batch) -> Tensor:
        """Samples, shape ``(1 + len(thresholds), n, C, H, W)``."""
        thresholds = (None, *self.thresholds)
        rows = [model.sample(self.n, seed=self.seed, truncation=t) for t in thresholds]
        return torch.stack(rows)


class CodeTraversal(Picture):
    """Save ``codes/step_XXXXXX.png``: what each continuous code of an InfoGAN does to its samples.

    One continuous code after another, from above to below: for each as many rows as the first
    categorical code has categories, at most ``n``, in which it goes from -2 to 2, from left to
    right, and all else is kept (Chen et al. 2016, arXiv:1606.03657, figure 2).

    Args:
        every_n_steps: generator updates between two pictures; the end of training is always drawn,
            with None it alone.
        n: rows for each code, at most.
        steps: images in a row.
        seed: of the latents.
        width: images are enlarged by a whole factor until the picture has about this many pixels.
        dirpath: folder; by default ``codes`` in the trainer's ``default_root_dir``. Where it
            exists, ``-v1`` and so on is appended.

    Raises:
        ValueError: if an option is out of its range, or the model has no such codes.
    """

    name = "codes"
    needs = "traverse"

    def __init__(
        self,
        every_n_steps: int | None = None,
        n: int = 10,
        steps: int = 12,
        seed: int = 0,
        width: int = 512,
        dirpath: str | None = None,
    ) -> None:
        super().__init__(every_n_steps, n, seed, width, dirpath)
        require(steps >= 2, "steps", steps, "at least 2")
        self.steps = steps

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check that the model has continuous codes."""
        super().setup(trainer, pl_module, stage)
        assert isinstance(pl_module, InfoGAN)
        if not pl_module.latent.continuous:
            raise ValueError("CodeTraversal needs continuous codes: continuous=0")

    def draw(self, model: InfoGAN, batch: Batch) -> Tensor:
        """Samples, shape ``(codes * rows, steps, C, H, W)``."""
        rows = min(self.n, *model.latent.categorical[:1], self.n)
        walks = [
            model.traverse(rows, self.steps, self.seed, code)
            for code in range(model.latent.continuous)
        ]
        return torch.cat(walks)
