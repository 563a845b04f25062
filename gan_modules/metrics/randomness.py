"""Seeding for the parts of a measurement."""

import torch

__all__ = ["seed_generators"]


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed what draws on the processor and on a device.

    ``torch.manual_seed`` also notes the seed, with a stack trace, for every backend that this
    process may yet start: for each batch, that costs more time and memory than statistics do.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
