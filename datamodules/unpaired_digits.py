"""Digits in two styles whose translation is known, so that a translation can be scored."""

from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from datamodules.base import Split
from datamodules.digits import check_digits_size, digits_of
from datamodules.unpaired import UnpairedDataModule

__all__ = ["UnpairedDigitsDataModule"]

# in [0, 1]; multiples of 1/255, so that both are exact as uint8
BOARD = torch.tensor([20.0, 30.0, 110.0]) / 255
CHALK = torch.tensor([255.0, 230.0, 120.0]) / 255


class UnpairedDigitsDataModule(UnpairedDataModule):
    """Domain A: digits in white on black. Domain B: others in yellow chalk on a blue board.

    The digits are scikit-learn's, see :class:`DigitsDataModule`; each of its splits is halved with
    every class in proportion, so that no digit is in both domains: 718 and 719 for training, 90
    and 90 for validation, 90 and 90 for test. With the grey value v of a pixel in [0, 1], a pixel
    of A is (v, v, v) and one of B is ``board + v (chalk - board)``. :meth:`a_to_b` and
    :meth:`b_to_a` are the true translations. The class of every digit is at hand for scoring:
    ``data.splits["test"].a.labels`` belong to the images A of the test batches in their order, and
    ``.b.labels`` to those of B.

    Args:
        image_size: side of the images, 16 or 32.
        **kwargs: options of :class:`UnpairedDataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    channels = 3
    domains = ("white on black", "chalk on a board")

    def __init__(self, *, image_size: int = 16, **kwargs: Any) -> None:
        check_digits_size(image_size, "UnpairedDigitsDataModule")
        super().__init__(image_size=image_size, **kwargs)

    def load(self, split: Split) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Images ``(N, 3, L, L)``, L being ``load_size``, and labels of both domains."""
        from sklearn.model_selection import train_test_split

        images, labels = digits_of(split)
        # resized before they are coloured, which rounds once
        images = F.resize(images, [self.load_size, self.load_size], antialias=True)
        images = images.expand(-1, 3, -1, -1)
        a, b = train_test_split(
            range(len(labels)), test_size=0.5, stratify=labels.numpy(), random_state=0
        )
        chalk = self.a_to_b(images[b].float() / 127.5 - 1)
        coloured = ((chalk + 1) * 127.5).round().to(torch.uint8)
        return (images[a], labels[a]), (coloured, labels[b])

    def a_to_b(self, images: Tensor) -> Tensor:
        """Take white on black to chalk on the board.

        Args:
            images: float in [-1, 1], shape ``(N, 3, H, W)``; what is not grey is taken for its
                mean.
        """
        v = (images.mean(dim=1, keepdim=True) + 1) / 2
        board, stroke = self._colours(images)
        return (board + v * stroke) * 2 - 1

    def b_to_a(self, images: Tensor) -> Tensor:
        """Take chalk on the board to white on black.

        Args:
            images: float in [-1, 1], shape ``(N, 3, H, W)``; each colour is taken for the nearest
                between board and chalk.
        """
        board, stroke = self._colours(images)
        v = (((images + 1) / 2 - board) * stroke).sum(dim=1, keepdim=True)
        v = (v / stroke.square().sum()).clamp(0, 1)
        return (v * 2 - 1).expand(-1, 3, -1, -1)

    @staticmethod
    def _colours(images: Tensor) -> tuple[Tensor, Tensor]:
        """Board, and chalk seen from it, shape ``(3, 1, 1)``, like the images otherwise."""
        return BOARD.to(images)[:, None, None], (CHALK - BOARD).to(images)[:, None, None]
