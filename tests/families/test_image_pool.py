"""The history of fakes."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from gan_modules.families.image_pool import ImagePool


class OneByOne:
    """The pool as CycleGAN describes it, image by image."""

    def __init__(self, pool_size: int) -> None:
        self.pool_size = pool_size
        self.images: list[Tensor] = []

    def query(self, images: Tensor) -> Tensor:
        free = min(len(images), self.pool_size - len(self.images))
        self.images += list(images[:free])
        returned = list(images[:free])
        if free < len(images):
            swap = torch.rand(len(images) - free) < 0.5
            slots = torch.randint(self.pool_size, (len(images) - free,))
            for image, swapped, slot in zip(images[free:], swap, slots.tolist(), strict=True):
                returned.append(self.images[slot] if swapped else image)
                if swapped:
                    self.images[slot] = image
        return torch.stack(returned)


def numbered(start: int, n: int) -> Tensor:
    return torch.arange(start, start + n).float().reshape(n, 1, 1, 1).expand(n, 2, 3, 3).clone()


@pytest.mark.parametrize(("pool_size", "batch_size"), [(50, 1), (8, 3), (4, 4), (3, 10), (1, 5)])
def test_same_as_one_by_one(pool_size: int, batch_size: int) -> None:
    pool, reference = ImagePool(pool_size), OneByOne(pool_size)
    for step in range(150):
        images = numbered(step * batch_size, batch_size)
        torch.manual_seed(step)
        returned = pool.query(images.clone())
        torch.manual_seed(step)
        assert_close(returned, reference.query(images), rtol=0, atol=0)
        assert_close(pool.state_dict()["images"], torch.stack(reference.images), rtol=0, atol=0)
        assert len(pool) == min(pool_size, (step + 1) * batch_size)


def test_half_old_and_half_new() -> None:
    pool = ImagePool(50)
    ages: list[float] = []
    for step in range(4_000):
        (returned,) = pool.query(numbered(step, 1))
        if step >= 1_000:
            ages.append(step - returned[0, 0, 0].item())
    old = [age for age in ages if age > 0]
    # 3,000 fair coins: 1,500 with a standard deviation of 27
    assert len(old) == pytest.approx(1_500, abs=110)
    # one of 50 is replaced every second step: images stay for 100 steps on average
    assert sum(old) / len(old) == pytest.approx(100, rel=0.15)
    # every image comes out once at most
    assert len({step - age for step, age in enumerate(ages)}) == len(ages)


def test_while_filling_images_are_returned() -> None:
    pool = ImagePool(5)
    for step in range(2):
        images = numbered(2 * step, 2)
        assert_close(pool.query(images), images, rtol=0, atol=0)
    assert len(pool) == 4
    assert pool.query(numbered(4, 2))[0, 0, 0, 0] == 4


def test_size_zero_switches_it_off() -> None:
    pool = ImagePool(0)
    state = torch.random.get_rng_state()
    for step in range(20):
        images = numbered(step, 3)
        assert_close(pool.query(images), images, rtol=0, atol=0)
    assert len(pool) == 0
    assert_close(torch.random.get_rng_state(), state)


def test_stored_images_are_copies_without_graph() -> None:
    pool = ImagePool(2)
    images = numbered(0, 2).requires_grad_()
    returned = pool.query(images * 1)
    assert not returned.requires_grad
    returned += 100
    assert pool.state_dict()["images"].max() == 1
    for step in range(30):
        before = pool.state_dict()["images"]
        pool.query(numbered(step, 2)).fill_(-1)
        assert pool.state_dict()["images"].min() >= 0
        assert before.min() >= 0


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_state_round_trip(steps: int) -> None:
    pool, again = ImagePool(6), ImagePool(6)
    for step in range(steps):
        pool.query(numbered(2 * step, 2))
    torch.save(pool.state_dict(), "pool.pt")
    again.query(numbered(1_000, 4))
    again.load_state_dict(torch.load("pool.pt", weights_only=True))
    assert len(again) == len(pool)
    for step in range(20):
        images = numbered(100 + 2 * step, 2)
        torch.manual_seed(step)
        returned = pool.query(images)
        torch.manual_seed(step)
        assert_close(again.query(images), returned, rtol=0, atol=0)


def test_a_state_is_no_view_of_the_pool_and_the_pool_none_of_a_state() -> None:
    pool, again = ImagePool(2), ImagePool(2)
    pool.query(numbered(0, 2))
    state = pool.state_dict()
    again.load_state_dict(state)
    for step in range(10):
        pool.query(numbered(10 + step, 2))
        again.query(numbered(10 + step, 2))
    assert_close(state["images"], numbered(0, 2), rtol=0, atol=0)


def test_a_smaller_pool_takes_what_fits_and_follows_the_precision() -> None:
    pool, smaller = ImagePool(5), ImagePool(3)
    pool.query(numbered(0, 5))
    smaller.load_state_dict(pool.state_dict())
    assert len(smaller) == 3
    returned = smaller.query(numbered(5, 8).to(torch.bfloat16))
    assert returned.dtype == torch.bfloat16
    assert len(smaller) == 3


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="pool_size=-1 must be at least 0"):
        ImagePool(-1)


def test_draws_are_the_cpu_default_generators() -> None:
    def draw(seed: int) -> Tensor:
        pool = ImagePool(3)
        pool.query(numbered(0, 3))
        torch.manual_seed(seed)
        return pool.query(numbered(3, 20))

    assert_close(draw(1), draw(1), rtol=0, atol=0)
    assert not torch.equal(draw(1), draw(2))
