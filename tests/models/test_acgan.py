"""AC-GAN: its objective by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from gan_modules import ACGAN
from gan_modules.networks import MLPDiscriminator
from gan_modules.networks.judgement import Judgement

# what the discriminator says of two real images, of classes 0 and 2, and of two fakes
LOGITS = torch.tensor([1.0, -1.0, 0.5, 2.0])
CLASSES = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
LABELS = torch.tensor([0, 2])


def model(**kwargs: Any) -> Any:
    def discriminate(images: Tensor, labels: Any) -> Judgement:
        # images carry their number
        rows = images[:, 0, 0, 0].long()
        return Judgement(LOGITS[rows], classes=CLASSES[rows])

    made: Any = ACGAN(image_shape=(1, 8, 8), num_classes=3, **kwargs)
    made.discriminate = discriminate
    made.generate = lambda batch: numbered(2, 3)
    return made


def numbered(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32)[:, None, None, None].expand(-1, 1, 8, 8)


def nats(rows: list[int]) -> Tensor:
    """Of the classes asked for, by the definition."""
    p = CLASSES[rows].exp() / CLASSES[rows].exp().sum(1, keepdim=True)
    return -(p[0, LABELS[0]].log() + p[1, LABELS[1]].log()) / 2


def test_both_players_classify_real_and_fake() -> None:
    batch = (numbered(0, 1), LABELS)
    d = model(class_weight=0.5).discriminator_losses(batch)
    sigmoid = LOGITS.sigmoid()
    adversarial = -(sigmoid[:2].log().mean() + (1 - sigmoid[2:]).log().mean())
    expected = {
        "adversarial": adversarial,
        "real_classes": 0.5 * nats([0, 1]),
        "fake_classes": 0.5 * nats([2, 3]),
    }
    assert_close(d, expected)
    g = model().generator_losses(batch)
    expected = {"adversarial": -sigmoid[2:].log().mean(), "fake_classes": nats([2, 3])}
    assert_close(g, expected)


def test_the_papers_own_objective_of_the_generator() -> None:
    g = model(loss="minimax").generator_losses((numbered(0, 1), LABELS))
    assert_close(g["adversarial"], (1 - LOGITS[2:].sigmoid()).log().mean())


def test_the_generator_learns_from_the_classifier() -> None:
    torch.manual_seed(0)
    gan = ACGAN(image_shape=(1, 8, 8), num_classes=3, latent_dim=4)
    gan.discriminator.eval()
    terms = gan.generator_losses((torch.randn(6, 1, 8, 8), torch.arange(6) % 3))
    terms["fake_classes"].backward()
    assert all(p.grad is not None and p.grad.any() for p in gan.generator.parameters())
    linear: Any = gan.discriminator.linear
    assert linear.weight.grad is None


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="class_weight=-1 must be at least 0 and finite"):
        ACGAN(image_shape=(1, 8, 8), num_classes=3, class_weight=-1)
    with pytest.raises(ValueError, match="num_classes=1 must be at least 2"):
        ACGAN(image_shape=(1, 8, 8), num_classes=1)
    mute = ACGAN(image_shape=(1, 8, 8), num_classes=3, discriminator=MLPDiscriminator)
    with pytest.raises(ValueError, match="discriminator=MLPDiscriminator must tell classes: give"):
        mute.generator_losses((torch.zeros(2, 1, 8, 8), torch.tensor([0, 1])))
