import pytest
import torch

from gan_modules.lab.critic_size import CLIP
from gan_modules.networks import MLPDiscriminator


@pytest.mark.parametrize("hidden", [(16,), (8, 8)])
def test_no_clipped_critic_is_steeper_than_the_bound_which_is_reached(
    hidden: tuple[int, ...],
) -> None:
    bound = CLIP ** (len(hidden) + 1) * torch.tensor(hidden).prod().item()
    v = torch.tensor([0.3, -0.2])
    points = torch.randn(500, 2)
    critic = MLPDiscriminator((2,), hidden=hidden)
    for _ in range(20):
        with torch.no_grad():
            for parameter in critic.parameters():
                parameter.copy_(CLIP * (2 * torch.rand_like(parameter) - 1))
        change = (critic(points + v) - critic(points)).abs().max().item()
        assert change <= bound * 0.5 * (1 + 1e-4)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.fill_(CLIP)
        critic.layers[0].weight[:, 1] = -CLIP
        at = torch.tensor([[0.2, 0.1]])
        change = (critic(at + v) - critic(at)).item()
    assert change == pytest.approx(bound * 0.5, rel=1e-4)
