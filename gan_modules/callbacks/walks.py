"""Pictures of the latent space: ways between latents, to their middle, along a code, mixtures."""

from collections.abc import Sequence
from typing import Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from torch import Tensor

from gan_modules.callbacks.pictures import Picture, rule, there_and_back
from gan_modules.errors import require
from gan_modules.families.latent_model import LatentModel
from gan_modules.families.sampling import Sampling
from gan_modules.families.styled import StyledGAN
from gan_modules.models.infogan import InfoGAN
from gan_modules.training.batches import Batch

__all__ = ["CodeTraversal", "LatentInterpolation", "StyleMixing", "TruncationGrid"]


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
        space: where to walk: between latents, ``z``, or in straight lines between the styles of a
            model that has some, ``w``.
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
        space: Literal["z", "w"] = "z",
    ) -> None:
        super().__init__(every_n_steps, n, seed, width, dirpath)
        require(steps >= 2, "steps", steps, "at least 2")
        self.steps, self.space = steps, space

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check that the model has the space."""
        super().setup(trainer, pl_module, stage)
        assert isinstance(pl_module, Sampling)
        pl_module.space(self.space)

    def draw(self, model: LatentModel, batch: Batch) -> Tensor:
        """The model's ``interpolate``, shape ``(n, steps, C, H, W)``."""
        return model.interpolate(self.n, self.steps, self.seed, space=self.space)

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
        thresholds: one per row, see :meth:`Sampling.latents`; of a model with styles, its psi.
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
            pl_module.check_threshold(threshold)

    def draw(self, model: LatentModel, batch: Batch) -> Tensor:
        """Samples, shape ``(1 + len(thresholds), n, C, H, W)``."""
        rows = [model.truncated(self.n, t, seed=self.seed) for t in self.thresholds]
        return torch.stack([model.sample(self.n, seed=self.seed), *rows])


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


class StyleMixing(Picture):
    """Save ``mixing/step_XXXXXX.png``: samples, each with the coarse styles of others.

    The first column shows samples, the first row others; every cell has the styles of the sample
    left of it, but up to the crossover those of the one above it: pose and shape go with the
    columns, colour and texture with the rows (Karras et al. 2019, arXiv:1812.04948, figure 3). At
    the corner is the image of the mean style. Of a conditional model, samples are of class 0, 1, 2,
    ..., the first column's before the first row's.

    Args:
        every_n_steps: generator updates between two pictures; the end of training is always drawn,
            with None it alone.
        n: samples in the first column, and others in the first row.
        crossover: layers, from the coarsest on, whose styles are those of the first row; by default
            half of them.
        psi: see :meth:`StyledGAN.sample`.
        seed: of the latents.
        width: images are enlarged by a whole factor until the picture has about this many pixels.
        dirpath: folder; by default ``mixing`` in the trainer's ``default_root_dir``. Where it
            exists, ``-v1`` and so on is appended.

    Raises:
        ValueError: if an option is out of its range, or the model has no styles.
    """

    name = "mixing"
    needs = "mix"

    def __init__(
        self,
        every_n_steps: int | None = None,
        n: int = 8,
        crossover: int | None = None,
        psi: float = 1.0,
        seed: int = 0,
        width: int = 512,
        dirpath: str | None = None,
    ) -> None:
        super().__init__(every_n_steps, n, seed, width, dirpath)
        self.crossover, self.psi = crossover, psi

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check that crossover and psi suit the model."""
        super().setup(trainer, pl_module, stage)
        assert isinstance(pl_module, StyledGAN)
        require(-1 <= self.psi <= 1, "psi", self.psi, "in [-1, 1]")
        layers = pl_module.generator.num_layers
        within = self.crossover is None or 0 < self.crossover < layers
        require(within, "crossover", self.crossover, f"from 1 to {layers - 1}, of {layers} layers")

    def draw(self, model: StyledGAN, batch: Batch) -> Tensor:
        """The model's ``mix``, shape ``(1 + n, 1 + n, C, H, W)``."""
        return model.mix(self.n, self.n, self.seed, last=self.crossover, psi=self.psi)

    def grid(self, images: Tensor) -> Tensor:
        """A page with lines between the samples and their mixtures."""
        return rule(rule(super().grid(images), images, 0, [1]), images, 1, [1])
