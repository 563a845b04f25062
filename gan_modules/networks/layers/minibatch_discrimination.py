"""Minibatch discrimination: lets a discriminator see which of its images are alike."""

import torch
from torch import Tensor, nn

from gan_modules.networks.layers.blocks import check_sizes

__all__ = ["MinibatchDiscrimination"]


class MinibatchDiscrimination(nn.Module):
    """Append how near each sample is to all others of its batch (Salimans et al. 2016).

    arXiv:1606.03498, section 3.2: for every kernel the sum of ``exp(-||M_i - M_j||_1)`` over the
    other samples j, where M is a linear map of the features to ``dims`` numbers. It mixes samples:
    real and fake images are judged in passes of their own. What is compared are the images of one
    process, and with gradient accumulation those of one piece; the sums grow with their number.

    Deviations: the sample itself is left out, as in the official code, which adds a bias and
    normalises the kernels' weights by data; here they start as torch's linear layers do.

    Args:
        in_features: numbers in the features of a sample.
        kernels: features to be appended, 100 in the official code.
        dims: size of a kernel, 5 in that code.

    Raises:
        ValueError: if a size is not positive.
    """

    mixes_samples = True

    def __init__(self, in_features: int, kernels: int = 100, dims: int = 5) -> None:
        super().__init__()
        check_sizes(in_features=in_features, kernels=kernels, dims=dims)
        self.dims = dims
        self.linear = nn.Linear(in_features, kernels * dims, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(N, ...)``, flattened, to ``(N, in_features + kernels)``."""
        features = x.flatten(1)
        mapped = self.linear(features).unflatten(1, (-1, self.dims))  # (N, kernels, dims)
        distances = (mapped[:, None] - mapped[None]).abs().sum(3)  # (N, N, kernels)
        # a sample's distance to itself is 0
        nearness = (-distances).exp().sum(1) - 1
        return torch.cat([features, nearness.to(features.dtype)], dim=1)
