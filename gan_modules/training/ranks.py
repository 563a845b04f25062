"""What the processes of one training agree on."""

from collections.abc import Sequence

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

__all__ = ["average_over_ranks"]


def average_over_ranks(
    trainer: Trainer, parameters: Sequence[nn.Parameter], tensors: Sequence[Tensor] = ()
) -> None:
    """All-reduce gradients, and further tensors in place, flattened into one tensor.

    A gradient that only some ranks have counts as zero on the others. One that none has stays
    None: zeros would move weights that rest, under moments.

    Args:
        trainer: whose processes take part, all of them.
        parameters: whose gradients are averaged.
        tensors: to be averaged, too, such as running statistics: each rank has its own images, and
            all must end with one model.
    """
    if trainer.world_size == 1 or not (parameters or tensors):
        return
    missing = [p.grad is None for p in parameters]
    first = (*parameters, *tensors)[0]
    shares = torch.tensor([not m for m in missing], dtype=first.dtype).to(first.device)
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    all_of_them = [shares, *gradients, *tensors]
    flat = torch.cat([tensor.detach().flatten() for tensor in all_of_them])
    flat = trainer.strategy.reduce(flat, reduce_op="mean")
    shares, *pieces = flat.split([tensor.numel() for tensor in all_of_them])
    # to look at what others have is to wait for the device: only where something is missing
    nowhere = (shares == 0).tolist() if any(missing) else missing
    for parameter, gradient, is_nowhere in zip(parameters, gradients, nowhere, strict=True):
        parameter.grad = None if is_nowhere else gradient
    for tensor, piece in zip([*gradients, *tensors], pieces, strict=True):
        tensor.detach().copy_(piece.view_as(tensor))
