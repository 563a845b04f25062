"""Regularisers that compare a discriminator's verdicts on what is nearly the same."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_modules.errors import require
from gan_modules.objectives.augmentations import Augmentation, RandomShift
from gan_modules.objectives.regularizers import Regularizer

__all__ = ["Consistency", "LatentConsistency", "LatentDiversity"]


class Consistency(Regularizer):
    """bCR: ``E[(D(T(x)) - D(x))^2]`` of real images and of fakes (Zhao et al. 2020).

    arXiv:2002.04724, section 2.1. With ``fake_weight=0`` it is CR, for real images alone (Zhang et
    al. 2019, arXiv:1910.12027). The discriminator is shown images that are not augmented, and is
    to say the same once they are; a model's own ``augmentation`` comes behind ``T``.

    Args:
        real_weight: 10 in both papers.
        fake_weight: 10 in the first.
        augmentation: T; by default shifts by up to four pixels and flips, the best of the second
            paper. Give ``RandomShift`` where a flipped image is none, as with digits.
        every: iterations from one that is due to the next.

    Raises:
        ValueError: if an option is out of its range, or images cannot be augmented so.
    """

    name = "consistency"
    needs: ClassVar = ("real", "fake", "real_logits", "fake_logits")

    def __init__(
        self,
        real_weight: float = 10.0,
        fake_weight: float = 10.0,
        augmentation: Augmentation | None = None,
        every: int = 1,
    ) -> None:
        super().__init__(1.0, every)
        for name, value in (("real_weight", real_weight), ("fake_weight", fake_weight)):
            require(value >= 0, name, value, "at least 0")
        right = "positive, or real_weight must be"
        require(real_weight + fake_weight > 0, "fake_weight", fake_weight, right)
        self.real_weight, self.fake_weight = real_weight, fake_weight
        self.augmentation = RandomShift(4, flip=True) if augmentation is None else augmentation

    def check(self, model: Any) -> None:
        """Refuse images that the augmentation does."""
        super().check(model)
        self.augmentation.check(model.judged_shape)

    def schedule(self, step: int, images: int) -> None:
        """The augmentation's."""
        self.augmentation.schedule(step, images)

    def observe(self, seen: Any) -> None:
        """The augmentation does."""
        self.augmentation.observe(seen.real_logits.detach())

    def to_average(self) -> Sequence[Tensor]:
        """The augmentation's."""
        return self.augmentation.to_average()

    def forward(self, model: Any, seen: Any) -> Tensor:
        """The value, which has the weights of both parts."""
        parts = (
            (self.real_weight, seen.real, seen.real_logits),
            (self.fake_weight, seen.fake.detach(), seen.fake_logits),
        )
        terms = [
            weight * F.mse_loss(model.judge(self.augmentation(images), seen.labels).logits, logits)
            for weight, images, logits in parts
            if weight
        ]
        return torch.stack(terms).sum()


class _OfLatents(Regularizer):
    """Compares fakes with those of latents nearby."""

    def __init__(self, weight: float, sigma: float, every: int) -> None:
        super().__init__(weight, every)
        require(sigma > 0, "sigma", sigma, "positive")
        self.sigma = sigma

    def check(self, model: Any) -> None:
        """Refuse models without latents."""
        super().check(model)
        has_latents = hasattr(model, "sample_noise")
        require(has_latents, "regularizers", type(self).__name__, "of a model with latents")

    def nearby(self, model: Any, seen: Any) -> Tensor:
        """The fakes of latents with normal noise."""
        fakes: Tensor = model.fakes(seen.z + self.sigma * torch.randn_like(seen.z), seen.labels)
        return fakes


class LatentConsistency(_OfLatents):
    """zCR, the discriminator's part: ``E[(D(G(z)) - D(G(z + dz)))^2]``, dz from N(0, sigma^2).

    Zhao et al. 2020, arXiv:2002.04724, section 2.2; :class:`LatentDiversity` is the generator's
    part, without which it would make the same of all latents. It takes a further pass of the
    generator, which batch normalisation's running statistics follow. Noise is added to the whole
    latent, codes included.

    Args:
        weight: lambda_dis.
        sigma: deviation of the noise.
        every: iterations from one that is due to the next.

    Raises:
        ValueError: if an option is out of its range.
    """

    name = "latent_consistency"
    needs: ClassVar = ("z", "fake_logits")

    def __init__(self, weight: float = 20.0, sigma: float = 0.05, every: int = 1) -> None:
        super().__init__(weight, sigma, every)

    def forward(self, model: Any, seen: Any) -> Tensor:
        """The unweighted value."""
        logits = model.judge(self.nearby(model, seen).detach(), seen.labels).logits
        return F.mse_loss(logits, seen.fake_logits)


class LatentDiversity(_OfLatents):
    """zCR, the generator's part: ``-E[(G(z) - G(z + dz))^2]``, dz from N(0, sigma^2).

    Zhao et al. 2020, arXiv:2002.04724, section 2.2: the generator is to be sensitive to its
    latents, see :class:`LatentConsistency`. The mean is over pixels, too, where the paper writes a
    norm.

    Args:
        weight: lambda_gen.
        sigma: deviation of the noise.
        every: iterations from one that is due to the next.

    Raises:
        ValueError: if an option is out of its range.
    """

    player = "generator"
    name = "latent_diversity"
    needs: ClassVar = ("z", "fake")

    def __init__(self, weight: float = 0.5, sigma: float = 0.05, every: int = 1) -> None:
        super().__init__(weight, sigma, every)

    def forward(self, model: Any, seen: Any) -> Tensor:
        """The unweighted value."""
        return -F.mse_loss(self.nearby(model, seen), seen.fake)
