"""Classes asked for, by their numbers or names, and pages of them."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["class_numbers", "class_page", "rows_of_each"]


def class_numbers(
    labels: Tensor | Sequence[int | str], n: int, num_classes: int, names: Sequence[str] = ()
) -> Tensor:
    """The classes of ``n`` samples, int64, shape ``(n,)``.

    Args:
        labels: ``n`` numbers in [0, num_classes), or names.
        n: number of samples.
        num_classes: number of classes.
        names: of the classes, in their order; empty if they have none.

    Raises:
        ValueError: if they are not ``n``, or one is no class.
    """
    if isinstance(labels, (str, int)):
        raise ValueError(f"labels={labels!r} must be a list of {n} classes: [{labels!r}] * {n}")
    typed = labels.tolist() if isinstance(labels, Tensor) else [*labels]
    if not isinstance(labels, Tensor):
        labels = [_number(label, num_classes, names) for label in labels]
    chosen = torch.as_tensor(labels)
    in_range = bool(((chosen >= 0) & (chosen < num_classes)).all())
    if chosen.shape != (n,) or chosen.is_floating_point() or not in_range:
        # one for all is said once
        alike = chosen.shape == (n,) and bool((chosen == chosen[0]).all())
        given = typed[0] if alike else typed
        right = "an integer" if alike else f"{n} integers"
        raise ValueError(
            f"labels={given} must be {right} in [0, {num_classes - 1}]"
            + (f", or names of {_listed(names)}" if names else "")
        )
    return chosen.long()


def _number(label: int | str, num_classes: int, names: Sequence[str]) -> int | str:
    if not isinstance(label, str):
        return label
    if label in names:
        return [*names].index(label)
    if not names:
        raise ValueError(
            f"labels={label!r} must be an integer in [0, {num_classes - 1}]: the data that the "
            "model was trained on gave its classes no names"
        )
    raise ValueError(
        f"labels={label!r} must be one of {_listed(names)}, or an integer in [0, {num_classes - 1}]"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")


def rows_of_each(each: int, classes: int) -> int:
    """Rows that images of one class take, of so many each, for a page that is no strip."""
    return max(1, round(math.sqrt(each / classes)))


def class_page(n: int, num_classes: int) -> Tensor:
    """Classes of a page of about ``n`` images, int64, shape ``(rows, columns)``.

    As many images of each class as fit: in one row per class, in several where classes are few, or
    classes side by side where they are many, so that the page is no strip.
    """
    classes = min(n, num_classes)
    each = n // classes
    if each >= classes:
        rows = rows_of_each(each, classes)
        labels = torch.arange(classes).repeat_interleave(rows)
        return labels[:, None].expand(-1, each // rows)
    beside = 1
    if classes > 4 * each:
        # what divides the classes, if that comes near a square
        square = math.sqrt(classes / each)
        whole = [d for d in range(1, classes + 1) if classes % d == 0 and 2 / 3 < d / square < 1.5]
        beside = min([*whole, round(square)], key=lambda d: (classes % d, abs(d - square)))
    # the last row begins again where classes run out
    labels = torch.arange(-(-classes // beside) * beside) % classes
    return labels.view(-1, beside).repeat_interleave(each, dim=1)
