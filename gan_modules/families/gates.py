"""What stands between a model and its discriminator."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gan_modules.networks.judgement import Judgement

__all__ = ["Judgement", "Seen", "mixes_samples"]


class Seen(NamedTuple):
    """What the turn at hand has judged, for regularisers.

    Args:
        real: images ``(N, C, H, W)``, before any augmentation.
        fake: images ``(N, C, H, W)``, likewise.
        labels: ``(N,)``, or None.
        real_logits: of ``real``.
        fake_logits: of ``fake``.
    """

    real: Tensor
    fake: Tensor
    labels: Tensor | None
    real_logits: Tensor
    fake_logits: Tensor


def mixes_samples(network: nn.Module) -> bool:
    """Whether what a network says of one sample depends on the others of its batch.

    So it is with batch normalisation, and with any layer that has ``mixes_samples = True``, as
    minibatch standard deviation has.
    """
    return any(
        isinstance(m, nn.modules.batchnorm._BatchNorm) or getattr(m, "mixes_samples", False)
        for m in network.modules()
    )


def split_judgement(judgement: Judgement, n: int) -> tuple[Judgement, Judgement]:
    """The judgements of the first ``n`` images and of the rest."""
    parts: list[list[Any]] = [[], []]
    for part in judgement:
        first, second = (None, None) if part is None else torch.tensor_split(part, [n])
        parts[0].append(first)
        parts[1].append(second)
    return Judgement(*parts[0]), Judgement(*parts[1])
