"""Spectral normalisation of whole networks."""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["normalise_spectrally"]


def normalise_spectrally(network: nn.Module, eps: float = 1e-12) -> None:
    """Divide the weights of every linear and convolutional layer by their largest singular value.

    It is estimated by one power iteration per forward pass in training (Miyato et al. 2018,
    arXiv:1802.05957). A convolution's weight is taken as a matrix of output channels by all else.

    Args:
        network: whose layers are normalised in place.
        eps: least norm by which the iteration's vectors are divided.
    """
    for module in [*network.modules()]:
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            spectral_norm(module, eps=eps)
