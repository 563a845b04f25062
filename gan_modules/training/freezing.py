"""The first layers of a network left as they are."""

from collections.abc import Iterator

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from gan_modules.errors import require

__all__ = ["freeze_first_layers"]


def freeze_first_layers(network: nn.Module, number: int, name: str) -> None:
    """Have nobody train the weights of the first layers, in the order in which they were made.

    A layer is a module that holds weights itself; those behind a parametrization, such as spectral
    normalisation's, are its own. Running statistics go on.

    Args:
        network: that is to be trained but for them.
        number: of layers.
        name: of the option, for the message.

    Raises:
        ValueError: if no layer would be left to train.
    """
    layers = [*_layers(network)]
    right = f"in [0, {len(layers) - 1}]: {type(network).__name__} has {len(layers)} layers"
    require(0 <= number < max(len(layers), 1), name, number, right)
    for layer in layers[:number]:
        for parameter in layer:
            parameter.requires_grad_(False)


def _layers(network: nn.Module) -> Iterator[list[nn.Parameter]]:
    """Weights of every layer."""
    for name, module in network.named_modules():
        if "parametrizations" in name.split("."):
            continue
        own = [*module.parameters(recurse=False)]
        if is_parametrized(module):
            own += module.parametrizations.parameters()
        if own:
            yield own
