"""Orthogonal regularisation of weights."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gan_modules.errors import require
from gan_modules.objectives.regularizers import Regularizer

__all__ = ["Orthogonal"]


class Orthogonal(Regularizer):
    """``||W W^T * (1 - I)||_F^2 / 2``, summed over layers (Brock et al. 2018, arXiv:1809.11096).

    Equation 3 without its diagonal: output units are to be orthogonal to each other, of whatever
    norm. ``W`` is the weight of a linear or convolutional layer as a matrix of output channels by
    all else; under spectral normalisation it is the weight before that. Embeddings, biases and the
    gains of norms are left out, and so are parameters that belong to no such layer.

    The gradient is the official code's, ``2 (W W^T * (1 - I)) W``: the half, which the paper's
    equation does not have, makes it so. Computed in float32 under autocast.

    Args:
        weight: beta, 1e-4 in the paper.
        player: whose networks; the paper's is the generator.
        every: iterations from one that is due to the next.

    Raises:
        ValueError: if an option is out of its range, or the model has no such player.
    """

    name = "orthogonal"

    def __init__(self, weight: float = 1e-4, player: str = "generator", every: int = 1) -> None:
        super().__init__(weight, every)
        self.player = player

    def check(self, model: Any) -> None:
        """Refuse networks without such layers."""
        super().check(model)
        right = "a player with linear or convolutional layers"
        first = next(_matrices(model, self.player), None)
        require(first is not None, "player", self.player, right)

    def forward(self, model: Any, seen: Any) -> Tensor:
        """The unweighted value."""
        total = torch.zeros((), device=model.device)
        with torch.autocast(total.device.type, enabled=False):
            for matrix in _matrices(model, self.player):
                products = matrix @ matrix.T
                total = total + (products - products.diag().diag()).square().sum() / 2
        return total


def _matrices(model: Any, player: str) -> Iterator[Tensor]:
    """Weights of layers, as matrices of output channels by all else."""
    for network in (getattr(model, name) for name in model.players[player]):
        for layer in network.modules():
            if not isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
                continue
            parametrized: Any = layer.parametrizations if is_parametrized(layer, "weight") else None
            weight: Tensor = layer.weight if parametrized is None else parametrized.weight.original
            transposed = getattr(layer, "transposed", False)
            yield (weight.transpose(0, 1) if transposed else weight).flatten(1)
