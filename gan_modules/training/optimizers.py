"""Optimizers that several papers share, as functions: a config file can name them."""

import math
import os
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Adam, Optimizer, SparseAdam

__all__ = [
    "AdamDecayingWeights",
    "adam",
    "check_optimizer",
    "dcgan_adam",
    "lay_out_like_weights",
    "look_for_gpus_once",
]


class AdamDecayingWeights(Adam):
    """Adam whose weight decay leaves out what has fewer than two dimensions.

    These are biases and the gains of normalisation, but for embeddings of classes and biases of
    another shape, as in R3GAN's and StyleGAN2's networks. BiGAN's official code (arXiv:1605.09782)
    decays no gains, and its networks for MNIST have neither these nor biases.

    Args:
        params: the parameters, not in groups.
        lr: learning rate.
        betas: decay of the averages of the gradient and of its square.
        eps: what is added to the denominator.
        weight_decay: that factor times a weight is added to its gradient, as Adam has it.
        fused: step with one kernel for many parameters.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        fused: bool = True,
    ) -> None:
        given = list(params)
        groups = [
            {"params": [p for p in given if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in given if p.ndim < 2], "weight_decay": 0.0},
        ]
        super().__init__(
            [group for group in groups if group["params"]],
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            fused=fused,
        )


def dcgan_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 2e-4 and betas (0.5, 0.999): DCGAN's, and since then the usual one.

    Radford et al. 2015, arXiv:1511.06434, section 4.
    """
    return Adam(parameters, lr=2e-4, betas=(0.5, 0.999), fused=True)


def adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with its own defaults, learning rate 1e-3 among them."""
    return Adam(parameters, lr=1e-3, fused=True)


def check_optimizer(name: str, optimizer: Optimizer) -> None:
    """Raise ``ValueError`` for an optimizer with which nothing would be learnt.

    Args:
        name: of the option that it was given as.
        optimizer: whose learning rates must be positive and finite; LBFGS, which evaluates the
            objective itself, and SparseAdam, for sparse gradients, do not go with the loop.
    """
    if isinstance(optimizer, (LBFGS, SparseAdam)):
        raise ValueError(
            f"{name}={type(optimizer).__name__!r} must be an optimizer that steps once for each "
            "(dense) gradient, such as 'Adam'"
        )
    for group in optimizer.param_groups:
        rate = group.get("lr")
        if isinstance(rate, (int, float, Tensor)) and not 0 < float(rate) < math.inf:
            raise ValueError(f"{name}.lr={float(rate):g} must be positive and finite")


def lay_out_like_weights(optimizer: Optimizer) -> None:
    """Have moments lie in memory in the order of their weights.

    A checkpoint's come in the order in which they were saved. A fused step takes for granted that
    both have the same, and would give weights that now lie channels last the moments of others.
    """
    for weight, state in optimizer.state.items():
        # some optimizers keep numbers of their own there, under names
        if not (isinstance(weight, Tensor) and isinstance(state, dict)):
            continue
        for name, value in state.items():
            if (
                isinstance(value, Tensor)
                and value.shape == weight.shape
                and value.stride() != weight.stride()
            ):
                like = torch.empty_like(weight, dtype=value.dtype, device=value.device)
                state[name] = like.copy_(value)


def look_for_gpus_once() -> None:
    """Where there is no GPU, have Adam not look for one at every step.

    Adam asks torch, and Lightning has torch answer through NVML, so that the question itself starts
    no CUDA: 0.1 ms or more where there is no such library. Where no GPU is found, CUDA cannot be
    started, and torch's own answer takes a microsecond.
    """
    if not torch.cuda.is_available():
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
