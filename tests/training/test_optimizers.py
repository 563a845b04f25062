"""Weight decay that leaves out biases and gains."""

import torch
from torch import nn

from gan_modules import AdamDecayingWeights


def test_one_step_by_hand() -> None:
    # without a gradient Adam's first step goes by the sign of decay times weight: the rate itself
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(-2.0)
    optimizer = AdamDecayingWeights(network.parameters(), lr=0.5, weight_decay=0.1)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for parameter in network.parameters():
        expected = -1.5 if parameter.ndim == 2 else -2.0
        torch.testing.assert_close(parameter.data, torch.full_like(parameter, expected))


def test_no_empty_group() -> None:
    optimizer = AdamDecayingWeights([nn.Parameter(torch.ones(3))], weight_decay=0.1)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0]
