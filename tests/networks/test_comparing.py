"""Discriminators that see more than one sample: packing and minibatch discrimination."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from gan_modules import CGAN, D2GAN, DCGAN, GAN, CycleGAN, GANModule, InfoGAN
from gan_modules.families.gates import mixes_samples
from gan_modules.networks import (
    CycleGANGenerator,
    DCGANDiscriminator,
    MinibatchDiscrimination,
    MLPDiscriminator,
    MLPGenerator,
    PackedDiscriminator,
    PatchGANDiscriminator,
)
from gan_modules.networks.packed import in_packs, packing_of

SMALL: dict[str, Any] = {"generator": partial(MLPGenerator, hidden=(4,)), "latent_dim": 2}


class Plain(nn.Module):
    """Gives its input back."""

    def __init__(self, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.image_shape = image_shape

    def forward(self, images: Tensor) -> Tensor:
        assert tuple(images.shape[1:]) == self.image_shape
        return images


# ---- packing -------------------------------------------------------------------------------------


def test_neighbours_are_packed_along_channels() -> None:
    images = torch.arange(4 * 2 * 2 * 2.0).reshape(4, 2, 2, 2)
    packs = PackedDiscriminator((2, 2, 2), discriminator=Plain)(images)
    assert_close(packs, torch.stack([torch.cat([images[0], images[1]]), torch.cat([images[2], images[3]])]))  # fmt: skip  # noqa: E501
    points = torch.arange(12.0).reshape(6, 2)
    packs = PackedDiscriminator((2,), packing=3, discriminator=Plain)(points)
    assert_close(packs, torch.arange(12.0).reshape(2, 6))


def test_every_image_of_a_pack_has_its_label() -> None:
    images = torch.zeros(4, 1, 2, 2)
    packs = PackedDiscriminator((1, 2, 2), 3, discriminator=Plain)(images, torch.tensor([2, 0, 1, 1]))  # fmt: skip  # noqa: E501
    # an image's channel, then those of its label
    assert packs[:, :, 1, 1].tolist() == [[0, 0, 0, 1, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0, 1, 0]]
    with pytest.raises(ValueError, match="num_classes=3 must be given labels"):
        PackedDiscriminator((1, 2, 2), 3)(images)


def test_the_last_pack_is_filled_up_in_evaluation_only() -> None:
    network = PackedDiscriminator((2,), packing=4, discriminator=Plain)
    points = torch.arange(12.0).reshape(6, 2)
    with pytest.raises(ValueError, match=r"^packing=4 must divide the samples .* there are 6$"):
        network(points)
    packs = network.eval()(points)
    assert_close(packs, torch.cat([points, points[:2]]).reshape(2, 8))
    # fewer than a pack: again and again
    assert in_packs(torch.arange(2), 5, fill=True).tolist() == [[0, 1, 0, 1, 0]]


def test_packing_is_known_wherever_it_is() -> None:
    packed = PackedDiscriminator((2,), packing=3)
    assert packing_of(nn.ModuleDict({"a": packed})) == 3
    assert packing_of(MLPDiscriminator((2,))) == 1
    assert mixes_samples(packed)


def test_relativistic_losses_compare_packs() -> None:
    class Sum(Plain):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).flatten(1).sum(1)

    class White(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return torch.ones(len(z), 1, 1, 2)

    model = DCGAN(
        image_shape=(1, 1, 2), latent_dim=2, loss="relativistic",
        generator=White(),  # type: ignore[arg-type]
        discriminator=partial(PackedDiscriminator, discriminator=Sum),
    )  # fmt: skip
    real = torch.tensor([0.0, 1.0, 2.0, 3.0])[:, None, None, None].expand(4, 1, 1, 2)
    # packs of real images: 2 and 10; of fakes: 4
    expected = F.softplus(torch.tensor([4.0 - 2, 4 - 10])).mean()
    assert_close(model.discriminator_losses((real, None))["adversarial"], expected)
    expected = F.softplus(torch.tensor([2.0 - 4, 10 - 4])).mean()
    assert_close(model.generator_losses((real, None))["adversarial"], expected)


def of_pairs(**options: Any) -> Any:
    return partial(
        PackedDiscriminator, discriminator=partial(MLPDiscriminator, hidden=(4,)), **options
    )


@pytest.mark.parametrize("cls", [GAN, D2GAN, CGAN])
def test_a_packed_model_trains_and_comes_back(
    cls: Any, make_trainer: Any, make_loader: Any
) -> None:
    labels = {"num_classes": 3} if cls is CGAN else {}
    model = cls(image_shape=(1, 8, 8), discriminator=of_pairs(packing=2), **SMALL, **labels)
    trainer = make_trainer(max_steps=2, limit_val_batches=1.0)
    trainer.fit(model, make_loader(4))
    # of five images three packs are made
    (metrics,) = trainer.validate(model, make_loader(5, n=5), verbose=False)
    assert all(math.isfinite(value) for value in metrics.values())
    trainer.save_checkpoint("a.ckpt")
    again: Any = GANModule.load_from_checkpoint("a.ckpt")
    assert again.packing == 2
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_translation_takes_packs() -> None:
    model = CycleGAN(
        image_shape=(1, 16, 16),
        generator=partial(CycleGANGenerator, width=2, n_blocks=1, n_downsampling=1),
        discriminator=partial(
            PackedDiscriminator, discriminator=partial(PatchGANDiscriminator, width=2, n_layers=1)
        ),
    )
    a, b = torch.rand(2, 4, 1, 16, 16) * 2 - 1
    checks = model.checks(a)
    for domain, images in (("a", a), ("b", b)):
        network, check = checks[f"discriminator {domain}"]
        logits = network(images)
        assert len(logits) == 2
        check("discriminator", logits, (images,))
    assert sum(model.discriminator_losses((a, b)).values()).isfinite()  # type: ignore[union-attr]


def test_a_batch_of_no_whole_packs_is_refused_first(make_trainer: Any, make_loader: Any) -> None:
    model = GAN(image_shape=(1, 8, 8), discriminator=of_pairs(packing=4), **SMALL)
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(ValueError, match=r"^packing=4 must divide .* there are 6$"):
        make_trainer(max_steps=1).fit(model, make_loader(6))
    # and an epoch's last one before anything is trained
    images = torch.rand(10, 1, 8, 8)
    loader = DataLoader(TensorDataset(images, torch.zeros(10)), 4)
    with pytest.raises(ValueError, match=r"^packing=4 .* there are 2\nin .* drop_last=True$"):
        make_trainer(max_epochs=1).fit(model, loader)
    assert_close([*model.parameters()], before, rtol=0, atol=0)
    stddev = partial(DCGANDiscriminator, norm="none", width=4, minibatch_stddev=2)
    model = GAN(image_shape=(1, 8, 8), discriminator=stddev, **SMALL)
    loader = DataLoader(TensorDataset(images[:7], torch.zeros(7)), 4)
    with pytest.raises(ValueError, match=r"^group_size=2 .* there are 3\nin "):
        make_trainer(max_epochs=1).fit(model, loader)


def test_what_cannot_be_packed_is_said() -> None:
    with pytest.raises(ValueError, match="packing=0 must be at least 1"):
        PackedDiscriminator((2,), packing=0)
    with pytest.raises(ValueError, match="discriminator=PackedDiscriminator must have num_feat"):
        InfoGAN(image_shape=(1, 8, 8), discriminator=PackedDiscriminator)
    with pytest.raises(ValueError, match=r"image_shape=\(2, 5, 5\)") as error:
        PackedDiscriminator((1, 5, 5), discriminator=DCGANDiscriminator)
    assert error.value.__notes__ == ["in discriminator"]


# ---- minibatch discrimination --------------------------------------------------------------------


def test_minibatch_discrimination_by_hand() -> None:
    layer = MinibatchDiscrimination(2, kernels=2, dims=1)
    with torch.no_grad():
        layer.linear.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    x = torch.tensor([[0.0, 0.0], [1.0, 0.5], [3.0, -1.0]])
    near = (-torch.tensor([[1.0, 1.0], [3.0, 2.0], [2.0, 3.0]])).exp()
    # distances of 0 and 1, of 0 and 2, of 1 and 2, for each kernel
    expected = torch.stack([near[0] + near[1], near[0] + near[2], near[1] + near[2]])
    assert_close(layer(x), torch.cat([x, expected], 1))
    # alone there is nobody to be near
    assert_close(layer(x[:1])[:, 2:], torch.zeros(1, 2))


def test_minibatch_discrimination_against_an_independent_sum(double: None) -> None:
    layer = MinibatchDiscrimination(3 * 2 * 2)
    x = torch.randn(6, 3, 2, 2)
    mapped = (x.flatten(1) @ layer.linear.weight.T).reshape(6, 100, 5)
    for i in range(6):
        others = [j for j in range(6) if j != i]
        distances = torch.linalg.vector_norm(mapped[i] - mapped[others], ord=1, dim=2)
        assert_close(layer(x)[i, 12:], (-distances).exp().sum(0))


@pytest.mark.parametrize(
    "make",
    [
        partial(MLPDiscriminator, hidden=(4,)),
        partial(DCGANDiscriminator, width=4, norm="none"),
        partial(DCGANDiscriminator, width=4, norm="none", minibatch_stddev=2),
    ],
)
def test_networks_compare_images(make: Any, double: None) -> None:
    critic = make((1, 8, 8), minibatch_discrimination=7)
    assert mixes_samples(critic)
    images = torch.randn(2, 1, 8, 8)
    both = critic(images)
    assert both.shape == (2,)
    alike = critic(images[:1].expand(2, -1, -1, -1))
    assert not torch.allclose(both[0], alike[0])
    (layer,) = (m for m in critic.modules() if isinstance(m, MinibatchDiscrimination))
    last = [m for m in critic.modules() if isinstance(m, nn.Linear)][-1]
    assert last.in_features == layer.linear.in_features + 7
    # a penalty's gradient of a gradient goes through
    images.requires_grad_()
    (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert layer.linear.weight.grad is not None
    assert layer.linear.weight.grad.abs().max() > 0
    # nothing is there that nobody asked for
    assert not mixes_samples(make((1, 8, 8))) or make.keywords.get("minibatch_stddev")


def test_sizes_of_minibatch_discrimination() -> None:
    with pytest.raises(ValueError, match="kernels=-1 must be at least 1"):
        MLPDiscriminator((2,), minibatch_discrimination=-1)
    with pytest.raises(ValueError, match="dims=0 must be at least 1"):
        MinibatchDiscrimination(2, dims=0)
