"""Seeding for the parts of a measurement, which leaves training's own randomness as it is."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch.utilities.seed import isolate_rng

__all__ = ["seed_generators", "without_trace"]


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed what draws on the processor and on a device.

    ``torch.manual_seed`` also notes the seed, with a stack trace, for every backend that this
    process may yet start: for each batch, that costs more time and memory than statistics do.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


@contextmanager
def without_trace(seed: int, device: torch.device) -> Iterator[None]:
    """Leave no trace in training: neither in the random state nor in what tensors may be used.

    Lightning validates in inference mode, whose tensors no later training could use: a classifier
    could not be trained, and data read here for the first time would be spoilt.

    Args:
        seed: of whatever is drawn.
        device: where it is drawn, besides the processor.
    """
    with (
        isolate_rng(include_cuda=device.type == "cuda"),
        torch.inference_mode(False),
        torch.no_grad(),
    ):
        seed_generators(seed, device)
        yield
