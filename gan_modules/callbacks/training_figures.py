"""Figures of a training at one moment, from a few images, without any effect on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from gan_modules.objectives.penalties import input_gradients, points_between
from gan_modules.training.batches import Batch

__all__ = ["figures_of", "spread", "usable_size", "without_effect"]


@contextmanager
def without_effect(model: LightningModule) -> Iterator[None]:
    """Have networks work as in training, and leave buffers and random numbers as they were.

    Batch normalisation would learn from what is looked at, spectral normalisation would move on.
    """
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    device = model.device
    indices = [] if device.type != "cuda" else [device.index or 0]
    with torch.random.fork_rng(devices=indices):
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, before in kept:
                    buffer.copy_(before)


def usable_size(model: nn.Module, n: int) -> int:
    """At most ``n`` images, as many as layers that compare images take: whole groups and packs."""
    checks = [layer.check_size for layer in model.modules() if hasattr(layer, "check_size")]
    return next((size for size in range(n, 1, -1) if _all_take(checks, size)), 0)


def _all_take(checks: list[Any], size: int) -> bool:
    try:
        for check in checks:
            check(size)
    except ValueError:
        return False
    return True


def figures_of(model: Any, part: Batch, held_out: Batch | None) -> dict[str, Tensor]:
    """What can be measured of a model, by what it has: each a scalar, nothing waits for the device.

    Args:
        model: asked for ``latents`` and ``fakes``; for ``realness``, if it judges images by
            themselves, not with their latents or by way of codes; and for its ``loss``.
        part: images and labels that it has just been trained with.
        held_out: others, as many or fewer, if there are any.

    Returns:
        ``diversity``; of models that judge images ``slope_mean`` and ``slope_max``; with held-out
        images ``held_out_gap``; where logits have a boundary ``accuracy_real``, ``accuracy_fake``
        and ``r_t``; of critics, with held-out images, ``wasserstein``.
    """
    if not (hasattr(model, "latents") and hasattr(model, "fakes")):
        return {}
    real, labels = part
    with torch.no_grad():
        fake = model.fakes(model.latents(len(real), seed=0), labels)
    found = {"diversity": spread(fake) / spread(real)}
    if hasattr(model, "realness"):
        found |= _judged(model, part, fake, held_out) | _slopes(model, part, fake)
    return found


def spread(samples: Tensor) -> Tensor:
    """Mean distance between two different ones of samples ``(N, ...)``."""
    flat = samples.flatten(1).float()
    # by way of products, nearly equal samples would seem to be far apart
    distances = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.sum() / (len(flat) * (len(flat) - 1))


@torch.no_grad()
def _judged(model: Any, part: Batch, fake: Tensor, held_out: Batch | None) -> dict[str, Tensor]:
    loss = getattr(model, "loss", None)
    boundary: float | None = getattr(loss, "boundary", None)

    def scores(images: Tensor, labels: Tensor | None) -> Tensor:
        realness: Tensor = model.realness(model.judge(images, labels).logits)
        return realness.float()

    real_scores, fake_scores = scores(*part), scores(fake, part[1])
    found: dict[str, Tensor] = {}
    if boundary is not None:
        found["accuracy_real"] = (real_scores > boundary).float().mean()
        found["accuracy_fake"] = (fake_scores < boundary).float().mean()
        found["r_t"] = (real_scores - boundary).sign().mean()
    if held_out is not None:
        others = scores(*held_out)
        gap = real_scores.mean() - others.mean()
        found["held_out_gap"] = gap / ((real_scores.var() + others.var()) / 2).sqrt()
        if getattr(loss, "critic", False):
            found["wasserstein"] = others.mean() - fake_scores.mean()
    return found


def _slopes(model: Any, part: Batch, fake: Tensor) -> dict[str, Tensor]:
    """Norms of the discriminator's gradients between real images and fakes."""
    real, labels = part
    judge = model.judge_packs(labels)
    with torch.enable_grad():
        points = points_between(model.packs(real), model.packs(fake))
        gradients = input_gradients(lambda packs: model.realness(judge(packs)), points)
    norms = torch.linalg.vector_norm(gradients.detach().flatten(1).float(), dim=1)
    return {"slope_mean": norms.mean(), "slope_max": norms.max()}
