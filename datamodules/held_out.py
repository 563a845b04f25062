"""Validation images of data sets that come in training and test files."""

from datamodules.base import Split

__all__ = ["reads_test_files", "rows_of"]


def reads_test_files(split: Split, val_size: int) -> bool:
    """Whether a split lies in the test files: validation, too, where nothing is held out for it."""
    return split == "test" or (split == "val" and val_size == 0)


def rows_of(split: Split, val_size: int, n: int) -> slice:
    """Which of the ``n`` images of its files belong to a split.

    Raises:
        ValueError: if no training image is left.
    """
    if reads_test_files(split, val_size):
        return slice(n)
    if val_size >= n:
        raise ValueError(f"val_size={val_size} must be less than the {n} training images")
    return slice(n - val_size) if split == "train" else slice(n - val_size, n)
