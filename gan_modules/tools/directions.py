"""Latent directions that mean something, found in the generator itself without any labels."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gan_modules.errors import require
from gan_modules.families.latent_model import LatentModel

__all__ = ["Directions", "image_metric", "latent_directions", "principal_directions"]

PAIRS = 64
"""Directions that are tried at a time, which bounds the memory."""


class Directions(NamedTuple):
    """Orthonormal directions ``(n, D)``, and of each its share ``(n,)`` of all change."""

    directions: Tensor
    shares: Tensor


def image_metric(generate: Callable[[Tensor], Tensor], z: Tensor, step: float = 0.1) -> Tensor:
    """How fast images change around a latent: ``J^T J``, with ``J`` the generator's Jacobian.

    ``v^T J^T J v`` is the squared distance between images per squared distance along ``v``. The
    Jacobian is taken by central differences, which every generator allows, also one that cannot be
    differentiated, and which look past steps that no eye sees.

    Args:
        generate: maps latents ``(N, D)`` to images ``(N, ...)``, each by itself.
        z: shape ``(D,)``.
        step: length of a step to either side.

    Returns:
        Symmetric, positive semidefinite, shape ``(D, D)``, float64, on the CPU.
    """
    rows = []
    for directions in torch.eye(len(z), dtype=z.dtype, device=z.device).split(PAIRS):
        ahead, behind = (generate(z + s * directions) for s in (step, -step))
        rows.append(((ahead - behind) / (2 * step)).flatten(1).cpu().double())
    jacobian = torch.cat(rows)
    return jacobian @ jacobian.T


def principal_directions(metric: Tensor, n: int) -> Directions:
    """The ``n`` directions in which images change most, each at right angles to those before.

    Args:
        metric: ``J^T J``, in general its mean over many latents, shape ``(D, D)``.
        n: number of directions, at most ``D``.

    Returns:
        Eigenvectors of the metric, that of the largest eigenvalue first, with the signs that make
        their largest components positive; shares are eigenvalues over their sum, 0 where nothing
        changes at all.
    """
    require(1 <= n <= len(metric), "n", n, f"in [1, {len(metric)}], the size of a latent")
    values, vectors = torch.linalg.eigh(metric)
    values, directions = values.flip(0).clamp(min=0), vectors.flip(1).T
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    total = values.sum().clamp(min=torch.finfo(values.dtype).tiny)
    return Directions((directions * largest.sign())[:n], (values / total)[:n])


@torch.no_grad()
def latent_directions(
    model: LatentModel, n: int, n_latents: int = 10, seed: int = 0, step: float = 0.1
) -> Directions:
    """The latent directions that change a model's images most, on average over random latents.

    They are the eigenvectors of the mean of ``J^T J``, as Wang & Ponce 2021 (arXiv:2101.06006) have
    them, here with the squared distance between pixels: to the whole generator what SeFa's are to
    its first layer (Shen & Zhou 2021, arXiv:2007.06600), and of a linear generator the same. Unlike
    that, or the principal components of activations (Härkönen et al. 2020, arXiv:2004.02546), they
    ask nothing of the generator's layers. Of a conditional model the classes are taken in turn, so
    that all share the directions.

    Args:
        model: its averaged generator is used, in evaluation mode.
        n: number of directions, at most ``latent_dim``.
        n_latents: over which is averaged. ``2 latent_dim`` images are made for each.
        seed: of these latents.
        step: see :func:`image_metric`.

    Returns:
        Directions of unit length, the strongest first, shape ``(n, latent_dim)``, with the type
        and on the device of the model.
    """
    z = model.latents(n_latents, seed)
    labels = model.sample_labels(n_latents)

    def generate_like(place: int) -> Callable[[Tensor], Tensor]:
        if labels is None:
            return lambda z: model(z).float()
        return lambda z: model(z, labels[place].expand(len(z))).float()

    with model.evaluating():
        metrics = [image_metric(generate_like(i), z[i], step) for i in range(n_latents)]
    directions, shares = principal_directions(torch.stack(metrics).mean(0), n)
    return Directions(directions.to(z), shares)
