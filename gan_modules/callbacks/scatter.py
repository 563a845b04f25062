"""Points in the plane as a picture."""

from collections.abc import Mapping
from typing import BinaryIO

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

__all__ = ["REACH", "plane", "scatter"]

COLOURS = {"real": "tab:gray", "generated": "tab:red"}
REACH = 1.1
"""Where the axes end."""


def plane(side: int) -> Tensor:
    """Points of a square lattice over the picture, row after row from below, ``(side ** 2, 2)``."""
    steps = torch.linspace(-REACH, REACH, side)
    return torch.cartesian_prod(steps, steps).flip(1)


def scatter(
    points: Mapping[str, Tensor], width: int, file: BinaryIO, surface: Tensor | None = None
) -> None:
    """Draw points, ``real`` ones first and ``generated`` ones over them, as a PNG.

    Args:
        points: by one of those names, shape ``(N, D)``: the first two coordinates are shown, points
            on a line at height 0. The axes are from -1.1 to 1.1.
        width: of the picture, a square, in pixels.
        file: to write to.
        surface: one value for each point of :func:`plane`, shown below the points as colours, the
            higher the brighter.
    """
    figure = Figure(figsize=(width / 100, width / 100), layout="constrained")
    axes = figure.subplots()
    if surface is not None:
        side = round(len(surface) ** 0.5)
        values = surface.float().cpu().reshape(side, side).numpy()
        axes.imshow(values, extent=(-REACH, REACH) * 2, origin="lower", cmap="Blues_r", alpha=0.7)
    for name, some in points.items():
        x, y = F.pad(some, (0, 1))[:, :2].float().cpu().numpy().T
        axes.scatter(x, y, s=4, alpha=0.4, linewidths=0, color=COLOURS[name], label=name)
    axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
    axes.legend(loc="upper right", fontsize="small", markerscale=3)
    figure.savefig(file, format="png", dpi=100)
