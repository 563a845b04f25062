"""Regularisers: terms that any image-judging GAN can be given by configuration."""

from typing import Any, ClassVar

from torch import Tensor, nn

from gan_modules.checkpoints.described import Described
from gan_modules.errors import require
from gan_modules.objectives.penalties import input_gradients

__all__ = ["R1", "R2", "Regularizer", "half_squared_norm"]


class Regularizer(Described, nn.Module):
    """A further term of one player's objective.

    ``forward(model, seen)`` gives its value, a scalar, from what this turn has judged. In an
    iteration that is due, every turn of the player carries ``every * weight`` times it; a lazy
    term has the gradients of its dense form on average, though not under Adam's moments.

    Args:
        weight: of the term.
        every: iterations from one that is due to the next; the first is due.

    Raises:
        ValueError: if an option is out of its range.
    """

    player: ClassVar[str] = "discriminator"
    name: ClassVar[str]

    def __init__(self, weight: float, every: int = 1) -> None:
        super().__init__()
        require(weight >= 0, "weight", weight, "at least 0")
        require(every >= 1, "every", every, "at least 1")
        self.weight, self.every = weight, every

    def is_due(self, step: int) -> bool:
        """Whether it is in force in the iteration after that many."""
        return step % self.every == 0


class R1(Regularizer):
    """``E[||grad D(x)||^2] / 2`` at real images (Mescheder et al. 2018, arXiv:1801.04406).

    Gradients are with respect to images before any augmentation, in float32. The weight is gamma;
    that paper's own code (``reg_param`` 10) has no half, and is ``weight=20`` here.

    Args:
        weight: gamma, 10 in the paper's text.
        every: 1 in the paper; 16 in StyleGAN2 (arXiv:1912.04958).
    """

    name = "r1"

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    def forward(self, model: Any, seen: Any) -> Tensor:
        """The unweighted value."""
        return _at(model, seen.real, seen.labels)


class R2(Regularizer):
    """``E[||grad D(G(z))||^2] / 2`` at fakes (Mescheder et al. 2018, arXiv:1801.04406).

    As :class:`R1`; with both, fakes and real images hold the discriminator down alike.

    Args:
        weight: gamma, 10 in the paper's text.
        every: 1 in the paper.
    """

    name = "r2"

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    def forward(self, model: Any, seen: Any) -> Tensor:
        """The unweighted value."""
        return _at(model, seen.fake.detach(), seen.labels)


def _at(model: Any, images: Tensor, labels: Tensor | None) -> Tensor:
    """The penalty at some images."""

    def judge(x: Tensor) -> Tensor:
        logits: Tensor = model.judge(x, labels).logits
        return logits

    return half_squared_norm(input_gradients(judge, images))


def half_squared_norm(gradients: Tensor) -> Tensor:
    """``E[||g||^2] / 2`` of gradients ``(N, ...)``."""
    value: Tensor = gradients.flatten(1).square().sum(1).mean() / 2
    return value
