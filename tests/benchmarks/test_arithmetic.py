"""Widths of strokes, by hand."""

import torch
from arithmetic import stroke_widths
from torch.testing import assert_close


def test_the_width_of_a_bar() -> None:
    images = torch.full((3, 1, 64, 64), -1.0)
    images[0, :, 2:62, 10:13] = 1  # 3 pixels wide, 60 long
    images[1, :, 2:62, 10:15] = 1
    images[2, :, 2:62, 10:13] = 0  # as wide, half as dark
    widths = stroke_widths(images)
    # 2 w l / (2 l + 2 w), but for one corner, whose two edges are counted as their diagonal
    corner = 2 - 2**0.5
    expected = [2 * 180 / (126 - corner), 2 * 300 / (130 - corner), 2 * 180 / (126 - corner)]
    assert_close(widths, torch.tensor(expected), rtol=1e-3, atol=0)
