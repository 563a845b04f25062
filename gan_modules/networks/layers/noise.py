"""Noise that a network draws by itself."""

import torch
from torch import Tensor, nn

from gan_modules.errors import require

__all__ = ["NoiseDropout", "without_noise"]


class NoiseDropout(nn.Module):
    """Dropout that can be on in evaluation mode, too, where it is a network's only noise.

    So it is in pix2pix (arXiv:1611.07004, section 2.1). What is kept is divided by ``1 - p``.

    Args:
        p: share of the values that become zero.
        when_sampling: be on in evaluation mode.

    Raises:
        ValueError: if ``p`` is not in [0, 1).
    """

    def __init__(self, p: float = 0.5, when_sampling: bool = True) -> None:
        super().__init__()
        require(0 <= p < 1, "dropout", p, "in [0, 1)")
        self.p, self.when_sampling = p, when_sampling

    def forward(self, x: Tensor) -> Tensor:
        """Map features of any shape to the same shape."""
        if not self.p or not (self.training or self.when_sampling):
            return x
        # drawn alike whether compiled or not, which bernoulli_ is not
        kept = torch.rand_like(x, dtype=torch.float32) >= self.p
        return x * kept / (1 - self.p)


def without_noise(network: nn.Module) -> nn.Module:
    """Have a network draw nothing in evaluation mode; the network itself is returned."""
    for module in network.modules():
        if isinstance(module, NoiseDropout):
            module.when_sampling = False
    return network
