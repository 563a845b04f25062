"""U-Nets of Hugging Face's diffusers as denoisers; that package is not needed here."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_modules.errors import require

__all__ = ["DiffusersUNet"]


class DiffusersUNet(nn.Module):
    """Has a ``UNet2DModel``, or what is called like one, denoise for :class:`EDM`, :class:`DMD2`.

    It is called as ``unet(sample, timestep, class_labels)``, of which ``.sample`` is taken; the
    timestep is ``ln(sigma) / 4``, as in EDM's own networks. A network that was trained to tell the
    noise of a thousand timesteps must be wrapped otherwise: it gives something else.

    Args:
        unet: the network.
        image_shape: ``(C, H, W)`` of its images.
        num_classes: 0 for an unconditional network.
        bottom: name of the module whose output are the features, which DMD2's head reads.

    Raises:
        ValueError: if it has no module of that name, or does not take such images.
    """

    def __init__(
        self,
        unet: nn.Module,
        image_shape: Sequence[int],
        num_classes: int = 0,
        bottom: str = "mid_block",
    ) -> None:
        super().__init__()
        modules = dict(unet.named_modules())
        right = f"the name of a module of {type(unet).__name__}"
        require(bottom in modules and bottom != "", "bottom", bottom, right)
        self.unet: Any = unet
        self.num_classes, self.bottom = num_classes, bottom
        weight = next(unet.parameters())
        x = torch.zeros(1, *image_shape, dtype=weight.dtype, device=weight.device)
        labels = torch.zeros(1, dtype=torch.long, device=x.device) if num_classes else None
        try:
            with torch.no_grad():
                self.num_features = self.features(x, x.new_zeros(1), labels).shape[1]
        except (RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"image_shape={tuple(image_shape)} and num_classes={num_classes} must be those of "
                f"{type(unet).__name__}: {reason}"
            ) from error

    def features(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """The output of the module at the bottom, ``(N, num_features)``."""
        found: list[Tensor] = []

        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            found.append(output[0] if isinstance(output, tuple) else output)

        handle = self.unet.get_submodule(self.bottom).register_forward_hook(note)
        try:
            self(x, level, labels)
        finally:
            handle.remove()
        return found[-1].flatten(1)

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map scaled images ``(N, C, H, W)`` and levels ``(N,)`` to outputs of that shape."""
        outputs: Tensor = self.unet(x, level, class_labels=labels).sample
        return outputs
