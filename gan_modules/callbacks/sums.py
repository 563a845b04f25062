"""A sum of latents as a picture, with its operands."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gan_modules.callbacks.captions import with_row_names
from gan_modules.callbacks.pictures import grid, rule
from gan_modules.tools.arithmetic import Term

__all__ = ["sum_page"]

SHOWN = 8
"""Columns of sums on the picture, at most, and examples beside each operand."""


def sum_page(
    terms: Sequence[Term],
    operands: Mapping[str, Tensor],
    result: Tensor,
    examples: Mapping[str, Tensor],
) -> Tensor:
    """A sum as it is written: operands with their weights, a line, the result; examples beside.

    Args:
        terms: of the expression.
        operands: images of each name's operand, in [-1, 1], shape ``(N, C, H, W)`` or
            ``(1, C, H, W)``.
        result: images of the sum, shape ``(N, C, H, W)``.
        examples: images that operands were taken of; none for classes.

    Returns:
        ``(3, height, width)`` in [0, 1].
    """
    n = min(SHOWN, len(result))
    beside = min(SHOWN, max((len(images) for images in examples.values()), default=0))
    blank = -torch.ones_like(result[:1]).cpu()

    def row(images: Tensor, others: Tensor) -> Tensor:
        sums = images.cpu().expand(max(n, len(images)), -1, -1, -1)[:n]
        others = others.cpu()[:beside]
        return torch.cat([sums, others, blank.expand(beside - len(others), -1, -1, -1)])

    none = blank[:0]
    rows = [row(operands[term.name], examples.get(term.name, none)) for term in terms]
    table = torch.stack([*rows, row(result, none)])
    page = rule(grid(table, 512), table, 0, [len(terms)])
    if beside:
        page = rule(page, table, 1, [n])
    return with_row_names(page, [*map(str, terms), "="])
