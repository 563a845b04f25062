"""What builds the networks of the models."""

from collections.abc import Callable
from typing import Any, Protocol

from torch import nn

from gan_modules.errors import raised_by

__all__ = [
    "DiscriminatorFactory",
    "EncoderFactory",
    "GeneratorFactory",
    "HeadFactory",
    "ImageNetworkFactory",
    "PairDiscriminatorFactory",
    "RecognizerFactory",
    "build",
]


class GeneratorFactory(Protocol):
    """A class or function that builds a generator; ``num_classes`` is passed if conditional."""

    def __call__(
        self, *, image_shape: tuple[int, ...], latent_dim: int, num_classes: int = 0
    ) -> nn.Module:
        """Build it."""
        ...


class DiscriminatorFactory(Protocol):
    """A class or function that builds a discriminator; ``num_classes`` is passed if conditional."""

    def __call__(self, *, image_shape: tuple[int, ...], num_classes: int = 0) -> nn.Module:
        """Build it."""
        ...


class PairDiscriminatorFactory(Protocol):
    """A class or function that builds a discriminator of images with their latents."""

    def __call__(
        self, *, image_shape: tuple[int, ...], latent_dim: int, num_classes: int = 0
    ) -> nn.Module:
        """Build it; ``num_classes`` is passed if conditional."""
        ...


class EncoderFactory(Protocol):
    """A class or function that builds an encoder."""

    def __call__(self, *, image_shape: tuple[int, ...], latent_dim: int) -> nn.Module:
        """Build it."""
        ...


class HeadFactory(Protocol):
    """A class or function that builds a head."""

    def __call__(self, *, num_features: int) -> nn.Module:
        """Build it."""
        ...


class ImageNetworkFactory(Protocol):
    """A class or function that builds a network whose input is an image."""

    def __call__(self, *, image_shape: tuple[int, ...]) -> nn.Module:
        """Build it."""
        ...


class RecognizerFactory(Protocol):
    """A class or function that builds a recognizer."""

    def __call__(self, *, num_features: int, num_outputs: int) -> nn.Module:
        """Build it."""
        ...


def build(name: str, given: Any, default: Callable[[], nn.Module], **arguments: Any) -> nn.Module:
    """A network passed as a module, built by what was passed, or the paper's."""
    if given is None:
        return default()
    if isinstance(given, nn.Module):
        return given
    with raised_by(name, *arguments):
        network: nn.Module = given(**arguments)
    return network
