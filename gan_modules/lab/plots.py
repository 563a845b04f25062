"""What the pictures of the laboratory have in common."""

from collections.abc import Callable
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

__all__ = ["panels", "plane", "surface"]


def panels(*titles: str, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of panels with titles, so many rows of them."""
    columns = -(-len(titles) // rows)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    axes = [*figure.subplots(rows, columns, squeeze=False).flat]
    for axis, title in zip(axes, titles, strict=False):
        axis.set_title(title, fontsize="medium")
        axis.grid(alpha=0.3)
    return figure, axes


def plane(limit: float, steps: int = 81) -> tuple[Tensor, Tensor]:
    """The ticks of a square around the origin, and its points ``(steps^2, 2)``, row by row."""
    ticks = torch.linspace(-limit, limit, steps)
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    return ticks, torch.stack([x.flatten(), y.flatten()], dim=1)


@torch.no_grad()
def surface(axis: Axes, judge: Callable[[Tensor], Tensor], limit: float) -> Any:
    """Draw what a discriminator says of the points of a square, and its level lines."""
    ticks, points = plane(limit)
    values = judge(points).reshape(len(ticks), len(ticks)).numpy()
    axis.contour(ticks, ticks, values, levels=12, colors="k", linewidths=0.4)
    axis.set(aspect="equal", xlabel="x", ylabel="y")
    return axis.contourf(ticks, ticks, values, levels=24, cmap="viridis", alpha=0.8)
