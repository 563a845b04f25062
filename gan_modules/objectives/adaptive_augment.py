"""Adaptive discriminator augmentation: as much of it as the discriminator overfits."""

import math
from collections.abc import Sequence
from functools import reduce
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from gan_modules.errors import require
from gan_modules.objectives.augmentations import Augmentation, require_images
from gan_modules.objectives.exact import ExactBuffers
from gan_modules.objectives.warp import compose, matrices, warp

__all__ = ["AdaptiveAugment"]


class AdaptiveAugment(ExactBuffers, Augmentation):
    """ADA: strong augmentation, as often as it takes (Karras et al. 2020, arXiv:2006.06676).

    The paper's pixel blitting, geometric and colour transformations ("bgc"), each applied to an
    image with probability ``p``: flip, quarter turn, shift by whole pixels, scaling, rotation,
    stretching, shift; brightness, contrast, luma flip, rotation of the hue, saturation. As long as
    ``p`` is well below 1, the generator does not learn to make augmented images.

    ``p`` rises while the mean sign of the logits of real images, the paper's ``r_t``, is above
    ``target``, which is to say that the discriminator knows them, and falls otherwise. Zero must be
    the boundary between real and fake: for Wasserstein, D2GAN's and least squares losses it is
    not, and ``target=None`` is right. Logged are ``augment/p`` and ``augment/r_t``.

    Other than in the paper, images are scaled up and down with the Haar wavelet's filters in place
    of a longer one's, and what a quarter turn of an oblong image leaves free are reflections, as
    everywhere beyond the border. Images of one channel have brightness, contrast and luma flip;
    those of neither one nor three channels keep their colours.

    Args:
        p: probability of each transformation at the start.
        target: the ``r_t`` to keep; None keeps ``p`` as it is.
        speed: training images over which ``p`` goes from 0 to 1 at the fastest.
        every: iterations from one adjustment to the next.

    Raises:
        ValueError: if an option is out of its range.
    """

    exact: ClassVar = ("p",)

    p: Tensor
    r_t: Tensor
    signs: Tensor

    def __init__(
        self, p: float = 0.0, target: float | None = 0.6, speed: int = 500_000, every: int = 4
    ) -> None:
        super().__init__()
        require(0 <= p <= 1, "p", p, "in [0, 1]")
        require(target is None or -1 < target < 1, "target", target, "in (-1, 1), or None")
        require(speed >= 1, "speed", speed, "at least 1")
        require(every >= 1, "every", every, "at least 1")
        self.target, self.speed, self.every = target, speed, every
        self.register_buffer("p", torch.tensor(float(p)))
        self.register_buffer("r_t", torch.tensor(0.0))
        # the sum of mean signs since the last adjustment, and how many there are
        self.register_buffer("signs", torch.zeros(2))

    def check(self, image_shape: Sequence[int]) -> None:
        """Refuse points."""
        require_images(self, image_shape)

    @torch.no_grad()
    def observe(self, real_logits: Tensor) -> None:
        """Note the mean sign."""
        sign = real_logits.float().sign().mean()
        self.signs += torch.stack([sign, torch.ones_like(sign)])

    @torch.no_grad()
    def schedule(self, step: int, images: int) -> None:
        """Adjust ``p``, in every so manieth iteration, by what was observed before it."""
        if step == 0 or step % self.every:
            return
        total, times = self.signs
        seen = times > 0
        self.r_t.copy_(torch.where(seen, total / times, self.r_t))
        if self.target is not None:
            amount = images // step * self.every / self.speed
            direction = (self.r_t - self.target).sign() * seen
            self.p.add_(direction.to(self.p) * amount).clamp_(0, 1)
        self.signs.zero_()

    def to_average(self) -> Sequence[Tensor]:
        """The signs, so that ``p`` is the same on all ranks."""
        return (self.signs,)

    def measures(self) -> dict[str, Tensor]:
        """``p``, and ``r_t`` when it was last adjusted."""
        return {"p": self.p, "r_t": self.r_t}

    def forward(self, images: Tensor) -> Tensor:
        """Transform each of images ``(N, C, H, W)`` in its own way."""
        count, channels, height, width = images.shape
        exact = images.to(torch.promote_types(images.dtype, torch.float32))
        exact = warp(exact, Geometry.draw(count, height, width, self.p).inverse())
        if channels in (1, 3):
            exact = Colours.draw(count, self.p).apply(exact)
        return exact.to(images.dtype)


class Geometry(NamedTuple):
    """Geometric transformations of images, in the order in which they are applied.

    Every parameter has shape ``(N,)``, and 0 changes nothing.

    Args:
        flip: 1 exchanges left and right.
        quarters: of a turn, clockwise.
        jump_x: pixels to the right, whole ones.
        jump_y: pixels down, whole ones.
        scale: logarithm, to base 2, of a factor of the size.
        before: angle of a clockwise rotation before stretching.
        stretch: logarithm, to base 2, of a factor of the width, by which the height is divided.
        after: angle of a clockwise rotation after stretching.
        drift_x: pixels to the right.
        drift_y: pixels down.
    """

    flip: Tensor
    quarters: Tensor
    jump_x: Tensor
    jump_y: Tensor
    scale: Tensor
    before: Tensor
    stretch: Tensor
    after: Tensor
    drift_x: Tensor
    drift_y: Tensor

    @classmethod
    def draw(cls, count: int, height: int, width: int, p: Tensor) -> "Geometry":
        """The paper's distributions; each transformation is there with probability ``p``."""
        flip, quarters, jump_x, jump_y, before, after = _uniform(count, 6, p).unbind(1)
        scale, stretch, drift_x, drift_y = _normal(count, 4, p).unbind(1)
        # one of both rotations, or both, with probability p
        rotates = 1 - torch.sqrt(1 - p)
        gates = _uniform(count, 8, p) < torch.stack([p, p, p, p, rotates, p, rotates, p])
        flips, turns, jumps, scales, befores, stretches, afters, drifts = gates.unbind(1)
        return cls(
            flip=(2 * flip).floor() * flips,
            quarters=(4 * quarters).floor() * turns,
            jump_x=(0.125 * width * (2 * jump_x - 1)).round() * jumps,
            jump_y=(0.125 * height * (2 * jump_y - 1)).round() * jumps,
            scale=0.2 * scale * scales,
            before=math.pi * (2 * before - 1) * befores,
            stretch=0.2 * stretch * stretches,
            after=math.pi * (2 * after - 1) * afters,
            drift_x=0.125 * width * drift_x * drifts,
            drift_y=0.125 * height * drift_y * drifts,
        )

    def inverse(self) -> Tensor:
        """One matrix ``(N, 3, 3)`` from positions afterwards to positions before."""
        shrink = torch.exp2(-self.scale)
        # not by sine and cosine, whose zeros are none
        cosine = (self.quarters == 0).to(shrink) - (self.quarters == 2).to(shrink)
        sine = (self.quarters == 1).to(shrink) - (self.quarters == 3).to(shrink)
        return reduce(
            compose,
            [
                _scaling(1 - 2 * self.flip, torch.ones_like(shrink)),
                _rotation(cosine, -sine),
                _shift(-self.jump_x, -self.jump_y),
                _scaling(shrink, shrink),
                _rotation(self.before.cos(), -self.before.sin()),
                _scaling(torch.exp2(-self.stretch), torch.exp2(self.stretch)),
                _rotation(self.after.cos(), -self.after.sin()),
                _shift(-self.drift_x, -self.drift_y),
            ],
        )


class Colours(NamedTuple):
    """Transformations of colours in [-1, 1], in the order in which they are applied.

    Every parameter has shape ``(N,)``, and 0 changes nothing.

    Args:
        brightness: to be added.
        contrast: logarithm, to base 2, of a factor.
        flip: 1 exchanges dark and light, and leaves hues.
        hue: angle of a rotation around the axis of greys.
        saturation: logarithm, to base 2, of a factor of the distance from that axis.
    """

    brightness: Tensor
    contrast: Tensor
    flip: Tensor
    hue: Tensor
    saturation: Tensor

    @classmethod
    def draw(cls, count: int, p: Tensor) -> "Colours":
        """The paper's distributions; each transformation is there with probability ``p``."""
        flip, hue = _uniform(count, 2, p).unbind(1)
        brightness, contrast, saturation = _normal(count, 3, p).unbind(1)
        brightens, contrasts, flips, turns, saturates = (_uniform(count, 5, p) < p).unbind(1)
        return cls(
            brightness=0.2 * brightness * brightens,
            contrast=0.5 * contrast * contrasts,
            flip=(2 * flip).floor() * flips,
            hue=math.pi * (2 * hue - 1) * turns,
            saturation=saturation * saturates,
        )

    def matrix(self, channels: int) -> Tensor:
        """What is to be multiplied with colours ``(N, C, C)``, once brightness is added.

        All of it keeps the axis of greys, on which it is one factor, and the plane across, which
        it turns and scales: that needs no products of matrices.
        """
        contrast = torch.exp2(self.contrast)[:, None, None]
        along = 1 - 2 * self.flip[:, None, None]
        if channels == 1:
            return contrast * along
        unit = torch.eye(3, dtype=contrast.dtype, device=contrast.device)
        axis = torch.full_like(unit, 1 / 3)
        # turns by a right angle around the axis what lies across it
        quarter = (unit.roll(-1, 1) - unit.roll(1, 1)) / math.sqrt(3)
        hue, saturation = self.hue[:, None, None], torch.exp2(self.saturation)[:, None, None]
        across = hue.cos() * (unit - axis) + hue.sin() * quarter
        return contrast * (along * axis + saturation * across)

    def apply(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` of one or three channels in their new colours."""
        by = self.matrix(images.shape[1]).to(images.dtype)[..., None, None]
        brighter = images + self.brightness.to(images.dtype)[:, None, None, None]
        # as in compose, not by @, which may be less precise
        return (by * brighter.unsqueeze(1)).sum(dim=2)


def _uniform(count: int, kinds: int, like: Tensor) -> Tensor:
    """Numbers from [0, 1), shape ``(count, kinds)``."""
    return torch.rand(count, kinds, dtype=like.dtype, device=like.device)


def _normal(count: int, kinds: int, like: Tensor) -> Tensor:
    return torch.randn(count, kinds, dtype=like.dtype, device=like.device)


def _rotation(cosine: Tensor, sine: Tensor) -> Tensor:
    none, one = torch.zeros_like(sine), torch.ones_like(sine)
    return matrices([[cosine, -sine, none], [sine, cosine, none], [none, none, one]])


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    none, one = torch.zeros_like(x), torch.ones_like(x)
    return matrices([[x, none, none], [none, y, none], [none, none, one]])


def _shift(x: Tensor, y: Tensor) -> Tensor:
    none, one = torch.zeros_like(x), torch.ones_like(x)
    return matrices([[one, none, x], [none, one, y], [none, none, one]])
