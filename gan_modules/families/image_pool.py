"""A history of fakes for the discriminator."""

import torch
from torch import Tensor

from gan_modules.errors import require

__all__ = ["ImagePool"]


class ImagePool:
    """Shows a discriminator old fakes among new ones (Shrivastava et al. 2017, arXiv:1612.07828).

    The variant of CycleGAN (arXiv:1703.10593, section 4), image by image: while the pool fills, an
    image is stored and returned. When it is full, an image is returned as it is with probability
    1/2; otherwise it takes the place of a random stored one, which is returned in its stead.

    Random numbers come from the CPU's default generator. Nothing waits for the device.

    Args:
        pool_size: images kept, 50 in the paper; 0 returns every image as it is.

    Raises:
        ValueError: if ``pool_size`` is negative.
    """

    def __init__(self, pool_size: int = 50) -> None:
        require(pool_size >= 0, "pool_size", pool_size, "at least 0")
        self.pool_size = pool_size
        self._stored: Tensor | None = None
        self._count = 0

    def __len__(self) -> int:
        """Number of images in the pool."""
        return self._count

    @torch.no_grad()
    def query(self, images: Tensor) -> Tensor:
        """Exchange some of the images for stored ones.

        Args:
            images: new fakes ``(N, C, H, W)``, in any range.

        Returns:
            As many images, without graph. One that was not exchanged keeps its position.
        """
        images = images.detach()
        if self.pool_size == 0:
            return images
        stored = self._storage(images)
        n = len(images)
        filling = min(n, self.pool_size - self._count)
        stored[self._count : self._count + filling] = images[:filling]
        self._count += filling
        swapped, slots = _draw(n - filling, self.pool_size)
        if not slots:
            return images
        # rows 0 to n - 1 are the new images, those that follow the old ones that are taken out
        rows = list(range(n))
        holder: dict[int, int] = {}
        for taken, (offset, slot) in enumerate(zip(swapped, slots, strict=True)):
            position = filling + offset
            # a slot may be met twice in one batch: then it gives what it was given before
            rows[position] = holder.get(slot, n + taken)
            holder[slot] = position
        lists = (slots, rows, list(holder.keys()), list(holder.values()))
        packed = torch.tensor([index for indices in lists for index in indices], device="cpu")
        old_slots, order, new_slots, sources = _send(packed, images.device).split(
            [len(indices) for indices in lists]
        )
        returned = torch.cat([images, stored[old_slots]])[order]
        stored[new_slots] = images[sources]
        return returned

    def state_dict(self) -> dict[str, Tensor]:
        """The stored images ``(n, C, H, W)``, n <= ``pool_size``; of shape ``(0,)`` before any."""
        if self._stored is None:
            return {"images": torch.empty(0)}
        return {"images": self._stored[: self._count].clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue with the images of :meth:`state_dict`, as many as fit."""
        images = state["images"][: self.pool_size]
        self._stored, self._count = None, 0
        if len(images):
            self._storage(images)[: len(images)] = images
            self._count = len(images)

    def _storage(self, images: Tensor) -> Tensor:
        """Room for ``pool_size`` images, where and of the type that these are."""
        if self._stored is None:
            self._stored = images.new_zeros(self.pool_size, *images.shape[1:])
        self._stored = self._stored.to(images.device, images.dtype)
        return self._stored


def _draw(n: int, pool_size: int) -> tuple[list[int], list[int]]:
    """Which of ``n`` images are swapped, and with which slots."""
    if n == 0:
        return [], []
    swap = torch.rand(n, device="cpu") < 0.5
    slots = torch.randint(pool_size, (n,), device="cpu")
    return swap.nonzero().flatten().tolist(), slots[swap].tolist()


def _send(indices: Tensor, device: torch.device) -> Tensor:
    """Copy to the device without waiting for it."""
    if device.type == "cuda":
        indices = indices.pin_memory()
    return indices.to(device, non_blocking=True)
