"""Regularisers: terms that any image-judging GAN can be given by configuration."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from gan_modules.checkpoints.described import Described
from gan_modules.errors import require
from gan_modules.networks.layers.blocks import refuse_batch_norm
from gan_modules.objectives.penalties import (
    input_gradients,
    penalty_at,
    perturbed,
    points_between,
)

__all__ = [
    "R1",
    "R2",
    "GradientPenalty",
    "Regularizer",
    "half_squared_norm",
]


class Regularizer(Described, nn.Module):
    """A further term of one player's objective.

    ``forward(model, seen)`` gives its value, a scalar, from what this turn has generated and
    judged. In an iteration that is due, every turn of the player carries ``every * weight`` times
    it; a lazy term has the gradients of its dense form on average, though not under Adam's moments.
    With :attr:`own_step` the player takes a further step for it instead.

    Args:
        weight: of the term.
        every: iterations from one that is due to the next; the first is due.

    Raises:
        ValueError: if an option is out of its range.
    """

    player: str = "discriminator"
    """Whose objective it is a term of."""

    name: ClassVar[str]
    """The term's."""

    needs: ClassVar[tuple[str, ...]] = ()
    """What must have been seen in a turn, by the names of :class:`Seen`."""

    own_step: bool = False
    """Whether its player takes a step for it alone, after that for the rest of the objective.

    It sees there the images and labels of the turn, and new latents.
    """

    def __init__(self, weight: float, every: int = 1) -> None:
        super().__init__()
        require(weight >= 0, "weight", weight, "at least 0")
        require(every >= 1, "every", every, "at least 1")
        self.weight, self.every = weight, every

    def check(self, model: Any) -> None:
        """Raise ``ValueError`` if the model, whose networks are there, cannot have this term."""
        known = ", ".join(model.players)
        require(self.player in model.players, "player", self.player, f"one of {known}")

    def is_due(self, step: int) -> bool:
        """Whether it is in force in the iteration after that many."""
        return step % self.every == 0

    def schedule(self, step: int, images: int) -> None:
        """Set what changes with time, from the iterations and images before this iteration."""

    def observe(self, seen: Any) -> None:
        """Note what was seen in a turn of the player, whether or not the term is due."""

    def to_average(self) -> Sequence[Tensor]:
        """Buffers that are averaged over ranks at the end of every iteration."""
        return ()


class _AtSamples(Regularizer):
    """A penalty on the gradients at samples: each must be judged by itself."""

    needs: ClassVar[tuple[str, ...]] = ("real", "fake")

    def check(self, model: Any) -> None:
        """Refuse batch normalisation."""
        super().check(model)
        refuse_batch_norm(model.discriminator)


class R1(_AtSamples):
    """``E[||grad D(x)||^2] / 2`` at real images (Mescheder et al. 2018, arXiv:1801.04406).

    Gradients are with respect to images before any augmentation, in float32; those of a pack, which
    gets one logit, are one gradient. The weight is gamma; that paper's own code (``reg_param`` 10)
    has no half, and is ``weight=20`` here.

    Args:
        weight: gamma, 10 in the paper's text.
        every: 1 in the paper; 16 in StyleGAN2 (arXiv:1912.04958).

    Raises:
        ValueError: if an option is out of its range, or the discriminator has batch normalisation.
    """

    name = "r1"
    needs: ClassVar = ("real",)

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    def forward(self, model: Any, seen: Any) -> Tensor:
        """The unweighted value."""
        return _at(model, seen.real, seen.labels)


class R2(_AtSamples):
    """``E[||grad D(G(z))||^2] / 2`` at fakes (Mescheder et al. 2018, arXiv:1801.04406).

    As :class:`R1`; with both, fakes and real images hold the discriminator down alike.

    Args:
        weight: gamma, 10 in the paper's text.
        every: 1 in the paper.

    Raises:
        ValueError: if an option is out of its range, or the discriminator has batch normalisation.
    """

    name = "r2"
    needs: ClassVar = ("fake",)

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__(weight, every)

    def forward(self, model: Any, seen: Any) -> Tensor:
        """The unweighted value."""
        return _at(model, seen.fake.detach(), seen.labels)


def _at(model: Any, images: Tensor, labels: Tensor | None) -> Tensor:
    """The penalty at some images."""
    return half_squared_norm(input_gradients(model.judge_packs(labels), model.packs(images)))


def half_squared_norm(gradients: Tensor) -> Tensor:
    """``E[||g||^2] / 2`` of gradients ``(N, ...)``."""
    value: Tensor = gradients.flatten(1).square().sum(1).mean() / 2
    return value


class GradientPenalty(_AtSamples):
    """``E[(||grad D(x_hat)||_2 - target)^2]``, for any adversarial loss.

    By default what WGAN-GP has of its own (Gulrajani et al. 2017, arXiv:1704.00028). With
    ``where="real"`` and ``noise=0.5`` it is DRAGAN's (Kodali et al. 2017, arXiv:1705.07215): the
    noise is that of its official code, the paper's text has normal noise.

    Gradients are with respect to images before any augmentation, in float32; those of a pack are
    one gradient. The deviation that noise is measured by is that of each process's own images.

    Args:
        weight: lambda, 10 in both papers.
        where: points on the lines ``"between"`` real images and fakes, ``"real"`` images, or
            ``"fake"`` ones.
        noise: added at these points, see :func:`perturbed`.
        target: norm that is not penalised.
        one_sided: penalise larger norms only.
        every: iterations from one penalty to the next.

    Raises:
        ValueError: if an option is out of its range, or the discriminator has batch normalisation.
    """

    name = "gradient_penalty"

    def __init__(
        self,
        weight: float = 10.0,
        where: Literal["between", "real", "fake"] = "between",
        noise: float = 0.0,
        target: float = 1.0,
        one_sided: bool = False,
        every: int = 1,
    ) -> None:
        super().__init__(weight, every)
        require(where in ("between", "real", "fake"), "where", where, "between, real or fake")
        require(noise >= 0, "noise", noise, "at least 0")
        require(target >= 0, "target", target, "at least 0")
        self.where, self.noise, self.target, self.one_sided = where, noise, target, one_sided

    def forward(self, model: Any, seen: Any) -> Tensor:
        """The unweighted value."""
        real, fake = model.packs(seen.real), model.packs(seen.fake.detach())
        if self.where == "between":
            samples = points_between(real, fake)
        else:
            samples = real if self.where == "real" else fake
        if self.noise:
            samples = perturbed(samples, self.noise)
        return penalty_at(model.judge_packs(seen.labels), samples, self.target, self.one_sided)
