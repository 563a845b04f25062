"""Networks that do not go with each other or with the images, told from their first use."""

from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, nn

__all__ = ["FirstUse"]


class FirstUse:
    """Calls networks; what does not fit is said in one line, before anything is trained.

    That is the first time only: later calls cost next to nothing.
    """

    def __init__(self) -> None:
        self._checked: set[str] = set()

    def fakes(self, name: str, network: nn.Module, real: Tensor, *inputs: Tensor) -> Tensor:
        """What a generator makes of its inputs.

        Args:
            name: of the network, for messages.
            network: called with the inputs.
            real: images ``(N, C, H, W)`` whose shape the fakes must have.
            *inputs: latents or images, and labels where the model is conditional.

        Raises:
            ValueError: if the network does not take such inputs, or makes something else.
        """
        if name in self._checked:
            return cast(Tensor, network(*inputs))
        fakes: Tensor = self._try(name, network, inputs)
        if _shape(fakes) != tuple(real.shape):
            raise ValueError(
                f"{name} makes images of shape {_shape(fakes)}, the real ones are of "
                f"{tuple(real.shape)}: it must be built for their image_shape"
            )
        self._checked.add(name)
        return fakes

    def logits(
        self, name: str, network: Callable[..., Any], images: Tensor, *labels: Tensor
    ) -> Tensor:
        """What a discriminator says about images.

        Args:
            name: of the network, for messages.
            network: called with the images and the labels.
            images: of shape ``(N, C, H, W)``.
            *labels: their labels, where the model is conditional.

        Raises:
            ValueError: if the network does not take such inputs, or does not judge every image.
        """
        if name in self._checked:
            return cast(Tensor, network(images, *labels))
        logits: Tensor = self._try(name, network, (images, *labels))
        shape = _shape(logits)
        if not isinstance(shape, tuple) or not shape or shape[0] % len(images):
            raise ValueError(
                f"{name} gives logits of shape {shape} for {len(images)} images: there must be "
                "one (or more) for each"
            )
        self._checked.add(name)
        return logits

    @staticmethod
    def _try(name: str, network: Callable[..., Any], inputs: tuple[Tensor, ...]) -> Any:
        try:
            return network(*inputs)
        except (RuntimeError, TypeError) as error:
            if type(error) not in (RuntimeError, TypeError):  # such as out of memory
                raise
            given = " and ".join(f"{x.dtype} of shape {tuple(x.shape)}" for x in inputs)
            reason = " ".join(str(error).split("\n\n")[0].split())
            raise ValueError(f"{name} cannot take {given}: {reason}") from error


def _shape(output: Any) -> tuple[int, ...] | str:
    """Shape of a tensor, or what there is in its place."""
    return tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
