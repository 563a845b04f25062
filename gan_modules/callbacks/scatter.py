"""Points in the plane as a picture."""

from collections.abc import Mapping
from typing import BinaryIO

from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

__all__ = ["scatter"]

COLOURS = {"real": "tab:gray", "generated": "tab:red"}


def scatter(points: Mapping[str, Tensor], width: int, file: BinaryIO) -> None:
    """Draw points, ``real`` ones first and ``generated`` ones over them, as a PNG.

    Args:
        points: by one of those names, shape ``(N, D)``: the first two coordinates are shown, points
            on a line at height 0. The axes are from -1.1 to 1.1.
        width: of the picture, a square, in pixels.
        file: to write to.
    """
    figure = Figure(figsize=(width / 100, width / 100), layout="constrained")
    axes = figure.subplots()
    for name, some in points.items():
        x, y = F.pad(some, (0, 1))[:, :2].float().cpu().numpy().T
        axes.scatter(x, y, s=4, alpha=0.4, linewidths=0, color=COLOURS[name], label=name)
    axes.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal")
    axes.legend(loc="upper right", fontsize="small", markerscale=3)
    figure.savefig(file, format="png", dpi=100)
