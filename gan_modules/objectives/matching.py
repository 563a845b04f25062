"""Distribution matching (Yin et al. 2024, arXiv:2311.18828, arXiv:2405.14867)."""

from torch import Tensor
from torch.nn import functional as F

__all__ = ["matching_gradient", "matching_loss"]


def matching_gradient(fakes: Tensor, real_x0: Tensor, fake_x0: Tensor) -> Tensor:
    """``(fake_x0 - real_x0) / mean|x - real_x0|``, the mean over each image's pixels.

    Args:
        fakes: x, what the generator made, ``(N, C, H, W)``.
        real_x0: what the teacher makes of them and noise.
        fake_x0: what the fake score makes of the same.
    """
    size = (fakes - real_x0).abs().flatten(1).mean(1)
    # 0 where the teacher would change nothing, as for a generator that is the teacher's copy
    return (fake_x0 - real_x0) / size.clamp(min=1e-6).reshape(-1, *(1,) * (fakes.ndim - 1))


def matching_loss(fakes: Tensor, gradient: Tensor) -> Tensor:
    """Half the mean squared distance to ``x - gradient``.

    Its derivative by the fakes is the gradient, divided by how many numbers they are.
    """
    return F.mse_loss(fakes, (fakes - gradient).detach()) / 2
