"""LeCam: verdicts are anchored to what they were."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_modules.errors import require
from gan_modules.objectives.exact import ExactBuffers
from gan_modules.objectives.regularizers import Regularizer

__all__ = ["LeCam"]


class LeCam(ExactBuffers, Regularizer):
    """``E[(D(x) - a_fake)^2] + E[(D(G(z)) - a_real)^2]`` (Tseng et al. 2021, arXiv:2104.03310).

    Equation 3. ``a_real`` and ``a_fake`` follow the mean logits of real images and of fakes: with
    few images it keeps them from drifting apart.

    Deviations: averages are those of the iterations before, with one step for each iteration, over
    the images of all its discriminator updates and of all processes; the official code takes one
    for each update, ahead of the term. That code also cuts both differences off at 0, by relu.

    Args:
        weight: 0.3 for CIFAR in the official code.
        decay: of the averages, 0.99 in the paper.
        start: iterations without the term, at least 1; the averages begin as the mean logits of the
            last of them.

    Raises:
        ValueError: if an option is out of its range.
    """

    name = "lecam"
    needs: ClassVar = ("real_logits", "fake_logits")
    exact: ClassVar = ("anchors",)

    anchors: Tensor
    sums: Tensor

    def __init__(self, weight: float = 0.3, decay: float = 0.99, start: int = 1) -> None:
        super().__init__(weight)
        require(0 <= decay < 1, "decay", decay, "in [0, 1)")
        require(start >= 1, "start", start, "at least 1: nothing is known before")
        self.decay, self.start = decay, start
        # of real images, then of fakes
        self.register_buffer("anchors", torch.zeros(2))
        # of mean logits since the last iteration, in that order, and how many there are
        self.register_buffer("sums", torch.zeros(3))

    def is_due(self, step: int) -> bool:
        """Not before ``start``."""
        return step >= self.start

    @torch.no_grad()
    def observe(self, seen: Any) -> None:
        """Note the mean logits."""
        real, fake = seen.real_logits.mean(), seen.fake_logits.mean()
        self.sums += torch.stack([real, fake, torch.ones_like(real)])

    @torch.no_grad()
    def schedule(self, step: int, images: int) -> None:
        """Have the averages follow what was observed in the iteration before."""
        times = self.sums[2]
        means = (self.sums[:2] / times).to(self.anchors)
        followed = torch.lerp(means, self.anchors, self.decay if step > self.start else 0.0)
        self.anchors.copy_(torch.where(times > 0, followed, self.anchors))
        self.sums.zero_()

    def to_average(self) -> Sequence[Tensor]:
        """The sums, so that averages are the same on all ranks."""
        return (self.sums,)

    def forward(self, model: Any, seen: Any) -> Tensor:
        """The unweighted value."""
        dtype = torch.promote_types(seen.real_logits.dtype, self.anchors.dtype)
        real, fake = seen.real_logits.to(dtype), seen.fake_logits.to(dtype)
        a_real, a_fake = self.anchors.to(dtype)
        return F.mse_loss(real, a_fake.expand_as(real)) + F.mse_loss(fake, a_real.expand_as(fake))
