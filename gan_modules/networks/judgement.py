"""What a discriminator says of images."""

from typing import Any, NamedTuple

from torch import Tensor

__all__ = ["Judgement"]


class Judgement(NamedTuple):
    """What a discriminator says of images.

    Args:
        logits: shape ``(N,)``, or more than one for each image.
        features: of a hidden layer, for models that use them.
        classes: logits of classes ``(N, K)``, for models that use them.
    """

    logits: Tensor
    features: Any = None
    classes: Tensor | None = None
