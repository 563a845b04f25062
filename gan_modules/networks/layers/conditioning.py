"""How labels enter the networks of this package."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["append_labels", "embedded", "one_hot", "require_labels"]


def append_labels(x: Tensor, labels: Tensor | None, num_classes: int) -> Tensor:
    """Append the one-hot labels to ``x`` as channels (Mirza & Osindero 2014, arXiv:1411.1784).

    Args:
        x: latents ``(N, D)`` or images ``(N, C, H, W)``.
        labels: integer classes ``(N,)`` in ``[0, num_classes)``, or mixtures as in :func:`one_hot`.
        num_classes: 0 for an unconditional network, which returns ``x`` untouched.

    Returns:
        ``(N, D + num_classes)`` or ``(N, C + num_classes, H, W)``.

    Raises:
        ValueError: if labels are missing where ``num_classes`` asks for them.
    """
    if num_classes == 0:
        return x
    classes = one_hot(labels, num_classes, x.dtype)
    classes = classes.reshape(*classes.shape, *(1,) * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])
    return torch.cat([x, classes], dim=1)


def one_hot(labels: Tensor | None, num_classes: int, dtype: torch.dtype) -> Tensor:
    """Classes ``(N,)`` as rows ``(N, num_classes)`` with a single 1.

    Mixtures of classes, weights ``(N, num_classes)``, are such rows already.

    Raises:
        ValueError: if there are no labels.
    """
    classes = require_labels(labels, num_classes)
    assert classes is not None
    if classes.ndim == 2:
        return classes.to(dtype)
    return F.one_hot(classes.long(), num_classes).to(dtype)


def embedded(embedding: nn.Embedding, labels: Tensor) -> Tensor:
    """Vectors ``(N, D)`` of classes ``(N,)``, or of mixtures of them ``(N, num_classes)``."""
    if labels.ndim == 2:
        return labels.to(embedding.weight.dtype) @ embedding.weight
    vectors: Tensor = embedding(labels.long())
    return vectors


def require_labels(labels: Tensor | None, num_classes: int) -> Tensor | None:
    """The labels of a conditional network, None of any other.

    Raises:
        ValueError: if there are none where ``num_classes`` asks for them.
    """
    if not num_classes:
        return None
    if labels is None:
        raise ValueError(f"a network built with num_classes={num_classes} must be given labels")
    return labels
