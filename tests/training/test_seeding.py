"""Seeds are functions of what they are for, and of nothing else."""

import itertools

import pytest
import torch

from gan_modules.seeding import derive_seed
from gan_modules.training.seeding import seed_iteration


def test_seeds_of_other_words_are_others() -> None:
    words = itertools.product((0, 1, 11), ("a", "b"), (1, 11))
    seeds = {derive_seed(*word) for word in words}
    assert len(seeds) == 12
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert derive_seed(0, "a", 1) == derive_seed("0", "a", "1") != derive_seed(1, "a", 0)
    assert derive_seed("a", bits=64) >= 2**32


# as versions before had them: a run that they began goes on with the same noise
@pytest.mark.parametrize(
    ("seed", "rank", "step", "drawn"),
    [
        (0, 0, 0, [191396848794, 799887606953]),
        (3, 1, 1700, [830305892502, 414783960920]),
        (1, 0, 7, [35736423440, 509112478849]),
    ],
)
def test_noise_of_an_iteration_is_what_it_was(
    seed: int, rank: int, step: int, drawn: list[int]
) -> None:
    seed_iteration(seed, rank, step, torch.device("cpu"))
    assert torch.randint(2**40, (2,)).tolist() == drawn
