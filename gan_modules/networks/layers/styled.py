"""Generators that map a latent to a style, and styles to an image."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from gan_modules.errors import require

__all__ = ["StyledGenerator"]


class StyledGenerator(nn.Module):
    """A generator in two parts, with a style for each of its layers (arXiv:1812.04948).

    A subclass builds ``synthesis``, which maps styles ``(N, num_layers, style_dim)`` to images
    ``(N, C, H, W)``, and says how a latent becomes a style in :meth:`mapping`. The buffer
    ``w_avg`` follows the mean style, towards which samples can be drawn in.

    Args:
        style_dim: size of a style, W.
        num_layers: layers that take a style.

    Raises:
        ValueError: if a size is not positive.
    """

    w_avg: Tensor
    synthesis: nn.Module

    def __init__(self, style_dim: int, num_layers: int) -> None:
        super().__init__()
        require(style_dim >= 1, "style_dim", style_dim, "at least 1")
        require(num_layers >= 1, "num_layers", num_layers, "at least 1")
        self.style_dim, self.num_layers = style_dim, num_layers
        self.register_buffer("w_avg", torch.zeros(style_dim))

    @abstractmethod
    def mapping(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Styles ``(N, style_dim)`` of latents ``(N, latent_dim)``."""

    @torch.no_grad()
    def follow(self, w: Tensor, decay: float) -> None:
        """Move the mean style by ``1 - decay`` of the way to that of styles ``(N, style_dim)``."""
        self.w_avg.lerp_(w.mean(0).to(self.w_avg.dtype), 1 - decay)

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Styles drawn in towards the mean: ``w_avg + psi (w - w_avg)``."""
        return self.w_avg + psi * (w - self.w_avg)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents ``(N, latent_dim)`` to images, all layers with one style."""
        w = self.mapping(z, labels)
        images: Tensor = self.synthesis(w[:, None].expand(-1, self.num_layers, -1))
        return images
