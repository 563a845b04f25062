"""Buffers that stay precise in a model of half precision."""

from collections.abc import Callable
from typing import ClassVar, Self

from torch import Tensor, nn

__all__ = ["ExactBuffers"]


class ExactBuffers(nn.Module):
    """A module some of whose buffers stay in full precision: in half of it small steps are none."""

    exact: ClassVar[tuple[str, ...]]
    """Their names."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = {name: getattr(self, name) for name in self.exact}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            now = getattr(self, name)
            if now.dtype.itemsize < 4:
                setattr(self, name, buffer.to(now.device))
        return self
