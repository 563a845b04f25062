"""Networks that do not go with each other or with the images, told from their first use."""

from typing import Any

from torch import Tensor, nn

__all__ = ["apply_network", "check_fakes", "check_logits"]


def apply_network(name: str, network: nn.Module, *inputs: Tensor) -> Any:
    """What a network makes of its inputs.

    Args:
        name: of the network, for the message.
        network: called with the inputs.
        *inputs: images or latents, and labels where the model is conditional.

    Raises:
        ValueError: in one line, if the network takes no inputs of such number, shape or type.
    """
    try:
        return network(*inputs)
    except (RuntimeError, TypeError) as error:
        if type(error) not in (RuntimeError, TypeError):  # such as out of memory
            raise
        given = " and ".join(f"{x.dtype} of shape {tuple(x.shape)}" for x in inputs)
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise ValueError(f"{name} cannot take {given}: {reason}") from error


def check_fakes(name: str, fakes: Any, real: Tensor) -> None:
    """Raise ``ValueError`` unless a generator makes images of the shape that real ones have."""
    made = tuple(fakes.shape) if isinstance(fakes, Tensor) else type(fakes).__name__
    if made != real.shape:
        raise ValueError(
            f"{name} makes images of shape {made}, the real ones are of {tuple(real.shape)}: it "
            "must be built for their image_shape"
        )


def check_logits(name: str, logits: Any, images: Tensor) -> None:
    """Raise ``ValueError`` unless a discriminator judges every image by itself."""
    made = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if not isinstance(logits, Tensor) or not logits.ndim or len(logits) % len(images):
        raise ValueError(
            f"{name} gives logits of shape {made} for {len(images)} images: there must be one (or "
            "more) for each"
        )
