"""All of a training's randomness as a function of the seed, the rank and the iteration."""

import torch

from gan_modules.seeding import derive_seed

__all__ = ["seed_iteration"]


def seed_iteration(seed: int, rank: int, step: int, device: torch.device) -> None:
    """Seed torch's generators for one iteration.

    Lightning seeds all ranks alike, and they would all draw the same noise. Knowing the iteration
    makes a resumed run draw what an uninterrupted one would have drawn.
    """
    number = derive_seed(seed, rank, step, bits=64)
    # torch.manual_seed also prepares backends that this process never starts, at 0.2 ms a step
    torch.default_generator.manual_seed(number)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(number)
