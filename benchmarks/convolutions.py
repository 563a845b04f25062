"""4x4 convolutions of stride 2 as matrix products against torch's own, by size.

    OMP_NUM_THREADS=1 python benchmarks/convolutions.py

CPU milliseconds of a forward pass and of a backward pass to input and weight, torch's own / as a
product, and their ratio: medians, in turns. A star marks what the library computes as a product.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_modules.command_line.memory import keep_freed_memory
from gan_modules.networks.layers import convolutions

__all__ = ["main"]

Pass = Callable[[], object]
SIZES = [
    (batch, channels, side)
    for batch in (16, 64)
    for channels in (128, 256, 512)
    for side in (4, 8)
    # to a second each
    if batch * channels**2 * side**2 <= 2**28
]
"""Images, channels of the larger map and side of the smaller one, which has twice the channels."""


def seconds(passes: Sequence[Pass], rounds: int) -> list[float]:
    """CPU seconds of each, taking turns."""
    times: list[list[float]] = [[] for _ in passes]
    for turn in range(rounds + 1):
        for each, found in zip(passes, times, strict=True):
            start = time.process_time()
            each()
            if turn:  # the first warms up
                found.append(time.process_time() - start)
    return [statistics.median(found) for found in times]


def passes(transposed: bool, batch: int, channels: int, side: int) -> list[Pass]:
    """Forward and backward, torch's own and as a product."""
    shape = (
        (batch, 2 * channels, side, side) if transposed else (batch, channels, 2 * side, 2 * side)
    )
    x, weight = torch.randn(shape), torch.randn(2 * channels, channels, 4, 4)
    x, weight = (t.to(memory_format=torch.channels_last).requires_grad_() for t in (x, weight))
    own = F.conv_transpose2d if transposed else F.conv2d
    ours = convolutions.conv_transpose if transposed else convolutions.conv

    def forward(convolve: Callable[[], Tensor]) -> Pass:
        return torch.no_grad()(convolve)

    def backward(convolve: Callable[[], Tensor]) -> Pass:
        outcome = convolve()
        slope = torch.randn_like(outcome)
        return lambda: torch.autograd.grad(outcome, (x, weight), slope, retain_graph=True)

    ways: list[Callable[[], Tensor]] = [
        lambda: own(x, weight, None, 2, 1),
        lambda: ours(x, weight, None),
    ]
    return [make(way) for make in (forward, backward) for way in ways]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args(arguments).rounds
    torch.set_num_threads(1)
    keep_freed_memory()
    large, small = convolutions.LARGE_KERNEL, convolutions.SMALL_MAP
    convolutions.LARGE_KERNEL, convolutions.SMALL_MAP = 0, 2**20
    print(f"{'':<34}{'forward':>26}{'backward':>26}")
    for transposed in (True, False):
        for batch, channels, side in SIZES:
            found = seconds(passes(transposed, batch, channels, side), rounds)
            of, to = (2 * channels, channels) if transposed else (channels, 2 * channels)
            sides = f"{side} to {2 * side}" if transposed else f"{2 * side} to {side}"
            chosen = 32 * channels**2 >= large and side**2 <= small
            print(
                f"{'*' if chosen else ' '} {batch:>3} images {of:>4} to {to:<4} {sides:<10}", end=""
            )
            for own, ours in (found[:2], found[2:]):
                print(f"{own * 1e3:>10.1f} / {ours * 1e3:<5.1f}{own / ours:>7.2f}", end="")
            print(flush=True)


if __name__ == "__main__":
    main()
