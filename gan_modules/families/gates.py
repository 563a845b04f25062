"""What stands between a model and its discriminator."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gan_modules.networks.judgement import Judgement

__all__ = ["Judgement", "Seen", "apply_to_both", "mixes_samples", "split_judgement"]


class Seen(NamedTuple):
    """What the turn at hand has generated and judged, for regularisers; None if it has not.

    Args:
        real: images ``(N, C, H, W)``, before any augmentation.
        fake: images ``(N, C, H, W)``, likewise; they have a graph in the generator's turn.
        labels: ``(N,)``, or None.
        real_logits: of ``real``.
        fake_logits: of ``fake``.
        z: latents ``(N, latent_dim)`` of ``fake``.
    """

    real: Tensor | None = None
    fake: Tensor | None = None
    labels: Tensor | None = None
    real_logits: Tensor | None = None
    fake_logits: Tensor | None = None
    z: Tensor | None = None


def mixes_samples(network: nn.Module) -> bool:
    """Whether what a network says of one sample depends on the others of its batch.

    So it is with batch normalisation, and with any layer that has ``mixes_samples = True``, as
    minibatch standard deviation, minibatch discrimination and packing have.
    """
    return any(
        isinstance(m, nn.modules.batchnorm._BatchNorm) or getattr(m, "mixes_samples", False)
        for m in network.modules()
    )


def apply_to_both(network: nn.Module, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs of a network for two batches, in one forward pass where that changes nothing.

    Whatever mixes samples would mix the two: such a network takes two passes.
    """
    if mixes_samples(network):
        return network(first), network(second)
    one, other = network(torch.cat([first, second])).split([len(first), len(second)])
    return one, other


def split_judgement(judgement: Judgement, n: int) -> tuple[Judgement, Judgement]:
    """The judgements of the first ``n`` images and of the rest."""
    parts: list[list[Any]] = [[], []]
    for part in judgement:
        first, second = (None, None) if part is None else torch.tensor_split(part, [n])
        parts[0].append(first)
        parts[1].append(second)
    return Judgement(*parts[0]), Judgement(*parts[1])
