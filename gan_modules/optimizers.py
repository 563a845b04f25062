"""Optimizers that several papers share, as functions: a config file can name them."""

from collections.abc import Iterable

from torch import nn
from torch.optim import Adam

__all__ = ["dcgan_adam"]


def dcgan_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 2e-4 and betas (0.5, 0.999): DCGAN's, and since then the usual one.

    Radford et al. 2015, arXiv:1511.06434, section 4.
    """
    return Adam(parameters, lr=2e-4, betas=(0.5, 0.999), fused=True)
