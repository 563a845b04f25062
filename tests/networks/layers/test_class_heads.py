"""Three ways for a discriminator to meet classes."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_modules.networks.judgement import Judgement
from gan_modules.networks.layers.class_heads import ConditionedDiscriminator


class Plain(ConditionedDiscriminator):
    def __init__(self, conditioning: Any, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 1)
        self.meet_classes(conditioning, num_classes, 2)

    def forward(self, phi: Tensor, labels: Tensor | None = None) -> Any:
        return self.conclude(self.linear(phi).squeeze(1), phi, labels)


PHI = torch.tensor([[1.0, 2.0], [3.0, -1.0]])


def test_projection_by_hand() -> None:
    network = Plain("projection", 3)
    with torch.no_grad():
        network.linear.weight.copy_(torch.tensor([[1.0, 1.0]]))
        network.linear.bias.fill_(0.5)
        network.embedding.weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 3.0]]))
    # 1 + 2 + 0.5 + (2, 3).(1, 2), 3 - 1 + 0.5 + (0, 1).(3, -1)
    assert_close(network(PHI, torch.tensor([2, 1])), torch.tensor([11.5, 1.5]))
    with pytest.raises(ValueError, match="num_classes=3 must be given labels"):
        network(PHI)


def test_classifier_by_hand() -> None:
    network = Plain("ac", 3)
    with torch.no_grad():
        network.classifier.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        network.classifier.bias.copy_(torch.tensor([0.0, 0.0, -1.0]))
    for labels in (None, torch.tensor([0, 1])):
        judged = network(PHI, labels)
        assert isinstance(judged, Judgement)
        assert_close(judged.logits, network.linear(PHI).squeeze(1))
        assert_close(judged.classes, torch.tensor([[1.0, 2.0, 2.0], [3.0, -1.0, 1.0]]))


@pytest.mark.parametrize("conditioning", ["concat", "projection", "ac"])
def test_without_classes_there_is_nothing_more(conditioning: str) -> None:
    network = Plain(conditioning, 0)
    assert [name for name, _ in network.named_children()] == ["linear"]
    assert_close(network(PHI), network.linear(PHI).squeeze(1))


def test_another_conditioning() -> None:
    with pytest.raises(ValueError, match="conditioning='proj' must be one of concat, projection"):
        Plain("proj", 3)
