import pytest
import torch

from gan_modules.lab.loss_that_means_something import LOOKS, REAL, _course, _game
from gan_modules.lab.training import Lab, draw
from gan_modules.models.gan import GAN
from gan_modules.models.wgan_gp import WGANGP


class Perfect(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return draw(REAL, len(z)) + 0 * self.unused


@pytest.mark.thorough
def test_looks_are_taken_ever_more_rarely_up_to_the_end() -> None:
    course = _course(Lab(effort=0.1), _game(Lab(), GAN), 500)
    steps = course["updates"]
    assert steps[0] == 1
    assert steps[-1] == 50
    assert len(steps) <= LOOKS
    assert all(len(values) == len(steps) for values in course.values())


@pytest.mark.parametrize("paper", [GAN, WGANGP])
def test_a_generator_that_is_the_data_is_at_distance_0_and_no_estimate_is_far(
    paper: type[GAN | WGANGP],
) -> None:
    model = _game(Lab(), paper)
    model.generator = Perfect()
    course = _course(Lab(effort=0.01), model, 100)
    # what samples of 700 differ by
    assert course["distance"][-1] < 0.15
    assert abs(course["estimate"][-1]) < 0.1
