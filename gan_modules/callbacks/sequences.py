"""Sequences as a picture."""

from typing import BinaryIO

from matplotlib.figure import Figure
from torch import Tensor

__all__ = ["draw_sequences"]

REACH = 1.1
"""Where the axes end."""


def draw_sequences(sequences: Tensor, width: int, file: BinaryIO) -> None:
    """Draw sequences as curves side by side, a colour for each channel, as a PNG.

    Args:
        sequences: in [-1, 1], shape ``(rows, columns, C, L)``. The axes are from -1.1 to 1.1.
        width: of the picture in pixels; a curve is half as high as it is wide.
        file: to write to.
    """
    rows, columns = sequences.shape[:2]
    size = width / 100, width / 200 * rows / columns
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for place, sequence in zip(axes.flat, sequences.flatten(0, 1).float().cpu(), strict=True):
        place.plot(sequence.T.numpy(), linewidth=0.7)
        place.set(xticks=[], yticks=[], ylim=(-REACH, REACH))
    figure.savefig(file, format="png", dpi=100)
