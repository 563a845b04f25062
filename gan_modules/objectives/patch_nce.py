"""The contrastive loss between patches of two images (CUT, arXiv:2007.15651)."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["draw_places", "features_at", "patch_nce"]


def patch_nce(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    """Cross entropy of telling the patch at the same place from the others of the same image.

    ``-log(exp(q.k / tau) / sum_j exp(q.k_j / tau))``, the mean over all patches (equations 2 and
    4). Keys have no gradient, as in the official code. In float32 at least.

    Args:
        queries: vectors of length 1 of patches of the translation, shape ``(N, P, D)``.
        keys: of the patches of the input at the same places, shape ``(N, P, D)``.
        temperature: tau.
    """
    with torch.autocast(queries.device.type, enabled=False):
        if queries.dtype in (torch.float16, torch.bfloat16):
            queries = queries.float()
        keys = keys.detach().to(queries.dtype)
        logits = queries @ keys.transpose(1, 2) / temperature
        own = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
        # classes are to be the second dimension
        return F.cross_entropy(logits.transpose(1, 2), own)


def draw_places(features: Tensor, n: int) -> Tensor:
    """Different places of each image, at random.

    Args:
        features: shape ``(N, C, H, W)``.
        n: places wanted; all if there are fewer.

    Returns:
        Numbers from 0 to ``H * W - 1``, shape ``(N, P)``.
    """
    noise = torch.rand(len(features), features[0, 0].numel(), device=features.device)
    return noise.argsort(dim=1)[:, :n]


def features_at(places: Tensor, features: Tensor) -> Tensor:
    """Features ``(N, C, H, W)`` at places ``(N, P)``, shape ``(N, P, C)``."""
    flat = features.flatten(2)
    index = places[:, None].expand(-1, flat.shape[1], -1)
    return flat.gather(2, index).transpose(1, 2)
