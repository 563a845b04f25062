"""A discriminator that judges several samples together (PacGAN, arXiv:1712.04086)."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from gan_modules.errors import raised_by, require
from gan_modules.networks.layers.conditioning import append_labels
from gan_modules.networks.mlp import MLPDiscriminator

__all__ = ["PackFactory", "PackedDiscriminator", "in_packs", "packing_of"]


class PackFactory(Protocol):
    """A class or function that builds a discriminator of packs."""

    def __call__(self, *, image_shape: tuple[int, ...]) -> nn.Module:
        """Build it."""
        ...


class PackedDiscriminator(nn.Module):
    """A discriminator that gives one logit to a pack of samples (Lin et al. 2017).

    arXiv:1712.04086: packs of fakes that lack modes are easier to tell from packs of real samples
    than one fake from one sample. Samples that follow each other are packed along their channels,
    points along their only dimension. Labels are appended to each sample as channels, as one-hot
    vectors; the discriminator of packs has none of its own, so that a projection of labels, where
    it would have one, is not there.

    A pack is what gets one logit, and what is one sample to a gradient penalty; a relativistic loss
    compares packs. In training a batch, or each piece into which gradient accumulation cuts it,
    holds whole packs; in evaluation the last pack is filled up with the first samples.

    Args:
        image_shape: ``(C, H, W)`` of the images judged, or ``(D,)`` for points.
        num_classes: 0 for an unconditional network.
        packing: samples in a pack, 2 to 4 in the paper.
        discriminator: a class or function that builds the discriminator of packs, images of shape
            ``(packing * (C + num_classes), H, W)``.

    Raises:
        ValueError: if ``packing`` is below 1, or in training does not divide the batch; if the
            discriminator cannot be built for such images.
    """

    mixes_samples = True

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        packing: int = 2,
        discriminator: PackFactory = MLPDiscriminator,
    ) -> None:
        super().__init__()
        require(packing >= 1, "packing", packing, "at least 1")
        self.num_classes, self.packing = num_classes, packing
        channels, *size = image_shape
        with raised_by("discriminator", "image_shape"):
            self.discriminator = discriminator(
                image_shape=(packing * (channels + num_classes), *size)
            )

    def check_size(self, n: int) -> None:
        """Raise ``ValueError`` if ``n`` samples of an update are not whole packs."""
        _require_whole(n, self.packing)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images ``(N, C, H, W)`` to logits ``(N / packing,)``, rounded up."""
        samples = append_labels(images, labels, self.num_classes)
        packs = in_packs(samples, self.packing, fill=not self.training)
        logits: Tensor = self.discriminator(packs.flatten(1, 2))
        return logits


def _require_whole(n: int, packing: int) -> None:
    if n % packing:
        raise ValueError(
            f"packing={packing} must divide the samples of an update (or of a piece of it, with "
            f"accumulate_grad_batches): there are {n}"
        )


def in_packs(samples: Tensor, packing: int, fill: bool) -> Tensor:
    """Samples ``(N, ...)`` in packs ``(N / packing, packing, ...)`` of neighbours.

    Args:
        samples: of any shape.
        packing: samples in a pack.
        fill: the last pack with the first samples.

    Raises:
        ValueError: if the last pack is not whole and not to be filled.
    """
    if not fill:
        _require_whole(len(samples), packing)
    missing = -len(samples) % packing
    if missing:
        every = torch.arange(len(samples) + missing, device=samples.device) % len(samples)
        samples = samples[every]
    packs: Tensor = samples.unflatten(0, (-1, packing))
    return packs


def packing_of(network: nn.Module) -> int:
    """How many samples the network gives one logit."""
    return max(getattr(module, "packing", 1) for module in network.modules())
