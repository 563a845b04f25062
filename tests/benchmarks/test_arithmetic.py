"""Widths of strokes, and which changes are made to which images, by hand."""

import torch
from arithmetic import changes_of, stroke_widths
from torch.testing import assert_close

from gan_modules.tools.arithmetic import Operand


def test_changes_are_of_other_digits() -> None:
    # the change of digit k is k
    differences = [Operand(torch.tensor([[float(k)]])) for k in range(10)]
    labels = torch.tensor([3, 0, 3, 9])
    found = changes_of(differences, labels)
    for k, (change, rows) in enumerate(found["one"]):
        assert change.vectors.item() == k
        assert rows.tolist() == [label != k for label in (3, 0, 3, 9)]
    for k, (change, rows) in enumerate(found["all"]):
        assert_close(change.vectors.item(), (45 - k) / 9, rtol=1e-6, atol=0)
        assert rows.tolist() == [label == k for label in (3, 0, 3, 9)]


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
