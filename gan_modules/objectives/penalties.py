"""Penalties on the discriminator: pure functions of a scoring function and its inputs."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = [
    "gradient_penalty",
    "input_gradients",
    "positions_between",
    "scores_and_gradients",
    "unit_norm_penalty",
]


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Two-sided gradient penalty ``E[(||grad D(x_hat)||_2 - 1)^2]`` (arXiv:1704.00028).

    ``x_hat`` lies on the line between a real and a fake sample, at a position drawn uniformly for
    every pair. The norm is taken per sample over all other dimensions. The critic must score each
    sample independently of the others, so it must not contain batch normalisation.

    Under autocast the penalty is computed in float32: half precision loses the gradients of
    gradients. It also works in inference mode and inside a compiled loss.

    Args:
        critic: maps samples to one score each; conditional critics are closed over their labels.
        real: real samples, shape ``(N, ...)``.
        fake: as many fake samples, same shape.

    Returns:
        The unweighted penalty, a scalar; the paper multiplies it by 10.

    Raises:
        ValueError: if the two shapes differ.
    """
    position = positions_between(real, fake)
    device = real.device.type
    if torch.is_autocast_enabled(device):
        real, fake = real.float(), fake.float()
    with torch.autocast(device, enabled=False):
        interpolated = torch.lerp(fake, real, position.reshape(-1, *(1,) * (real.ndim - 1)))
        return unit_norm_penalty(input_gradients(critic, interpolated))


def positions_between(real: Tensor, fake: Tensor) -> Tensor:
    """Where between each fake and its real sample the penalty is taken, uniform in [0, 1).

    Args:
        real: real samples, shape ``(N, ...)``.
        fake: as many fake samples, same shape.

    Returns:
        Shape ``(N, 1)``, under autocast in float32.

    Raises:
        ValueError: if the two shapes differ.
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"gradient_penalty pairs real with fake samples: their shapes must be equal, "
            f"not {tuple(real.shape)} and {tuple(fake.shape)}"
        )
    dtype = torch.float32 if torch.is_autocast_enabled(real.device.type) else real.dtype
    return torch.rand((real.shape[0], 1), dtype=dtype, device=real.device)


def unit_norm_penalty(gradients: Tensor) -> Tensor:
    """``E[(||g||_2 - 1)^2]`` of gradients ``(N, ...)``, the norm being each sample's own."""
    norms = torch.linalg.vector_norm(gradients.flatten(1), dim=1)
    penalty: Tensor = (norms - 1).square().mean()
    return penalty


def input_gradients(critic: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
    """The gradients of :func:`scores_and_gradients`."""
    return scores_and_gradients(critic, samples)[1]


def scores_and_gradients(
    critic: Callable[[Tensor], Tensor], samples: Tensor
) -> tuple[Tensor, Tensor]:
    """Scores, and the gradient of each sample's with respect to the sample, both with graph.

    Under autocast the critic runs in float32: half precision loses the gradients of gradients.

    Args:
        critic: maps samples to scores, of which there may be several each.
        samples: shape ``(N, ...)``; they are left as they are.
    """
    device = samples.device.type
    samples = samples.float() if torch.is_autocast_enabled(device) else samples
    with torch.autocast(device, enabled=False):
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            # a third of a millisecond less than the other way on a CPU
            if not samples.requires_grad:
                samples = samples.detach().requires_grad_()
            scores = critic(samples)
            (gradients,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
            return scores, gradients

        def summed(x: Tensor) -> tuple[Tensor, Tensor]:
            scores = critic(x)
            return scores.sum(), scores

        # works in inference mode, and becomes part of the forward graph of what is compiled
        through, scores = torch.func.grad(summed, has_aux=True)(samples)
        return scores, through
