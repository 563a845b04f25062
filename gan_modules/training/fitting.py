"""Networks that do not go with each other or with the images, told before anything is trained."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

__all__ = ["Check", "check_fakes", "check_logits", "tried", "try_network"]


Check = Callable[[str, Any, tuple[Any, ...]], None]


@contextmanager
def tried(networks: Mapping[str, tuple[nn.Module, Check]]) -> Iterator[None]:
    """Have what does not fit said in one line; that is done in the first iteration only.

    Args:
        networks: by the name for messages: each network, and what looks at its name, its output and
            its inputs.
    """
    # a network that plays two parts goes by the name of the first
    once = {id(network): name for name, (network, _) in reversed([*networks.items()])}
    own: list[tuple[nn.Module, Callable[..., Any] | None]] = []
    for name in once.values():
        network, check = networks[name]
        own.append((network, network.__dict__.get("forward")))
        vars(network)["forward"] = _watched(name, network.forward, check)
    try:
        yield
    finally:
        for network, forward in own:
            del vars(network)["forward"]
            if forward is not None:
                vars(network)["forward"] = forward


def _watched(name: str, forward: Callable[..., Any], check: Check) -> Callable[..., Any]:
    def call(*inputs: Any, **options: Any) -> Any:
        output = try_network(name, partial(forward, **options), *inputs)
        check(name, output, inputs)
        return output

    return call


def try_network(name: str, network: Callable[..., Any], *inputs: Tensor) -> Any:
    """What a network makes of its inputs.

    Raises:
        ValueError: if it does not take such inputs, in one line that names it.
    """
    try:
        return network(*inputs)
    except (RuntimeError, TypeError) as error:
        if type(error) not in (RuntimeError, TypeError):  # such as out of memory
            raise
        given = " and ".join(
            f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            for x in inputs
        )
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise ValueError(f"{name} cannot take {given}: {reason}") from error


def check_fakes(real: Tensor) -> Check:
    """Raises ``ValueError`` unless a generator makes images of the real ones' shape."""

    def check(name: str, fakes: Any, inputs: tuple[Any, ...]) -> None:
        right = (len(inputs[0]), *real.shape[1:])
        if _shape(fakes) != right:
            raise ValueError(
                f"{name} makes images of shape {_shape(fakes)}, the real ones are of {right}: "
                "it must be built for their image_shape"
            )

    return check


def check_logits(packing: int = 1) -> Check:
    """Raises ``ValueError`` unless a discriminator judges every image, or every pack of them."""

    def check(name: str, output: Any, inputs: tuple[Any, ...]) -> None:
        # one that gives more than logits is called by a discriminate of its own
        shape = _shape(output[0] if isinstance(output, tuple) and output else output)
        packs = -(-len(inputs[0]) // packing)
        if not isinstance(shape, tuple) or not shape or shape[0] % packs:
            each = "each" if packing == 1 else f"each {packing}"
            raise ValueError(
                f"{name} gives logits of shape {shape} for {len(inputs[0])} images: there must be "
                f"one (or more) for {each}"
            )

    return check


def _shape(output: Any) -> tuple[int, ...] | str:
    """Shape of a tensor, or what there is in its place."""
    return tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
