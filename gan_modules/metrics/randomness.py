"""Seeds for the parts of a measurement."""

import hashlib

import torch

__all__ = ["derive_seed", "seed_generators"]


def derive_seed(*words: int) -> int:
    """A seed of its own for each place."""
    key = "/".join(str(word) for word in words).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=7).digest(), "big")


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed what draws on the processor and on a device.

    ``torch.manual_seed`` also notes the seed, with a stack trace, for every backend that this
    process may yet start: for each batch, that costs more time and memory than statistics do.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
