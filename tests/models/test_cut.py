"""CUT, its contrastive loss and its projection head."""

import copy
import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from gan_modules import CUT, GenerativeModule
from gan_modules.networks import CycleGANGenerator, PatchGANDiscriminator, PatchProjector
from gan_modules.objectives.patch_nce import draw_places, features_at, patch_nce

SHAPE = (1, 8, 8)
NETWORKS: dict[str, Any] = {
    "generator": partial(CycleGANGenerator, width=2, n_blocks=2, n_downsampling=1),
    "discriminator": partial(PatchGANDiscriminator, width=2, n_layers=1),
    "projector": partial(PatchProjector, width=4),
}


def make(**kwargs: Any) -> Any:
    return CUT(**{"image_shape": SHAPE, **NETWORKS, **kwargs})


# ---- the contrastive loss --------------------------------------------------------------------


def test_patch_nce_by_hand() -> None:
    # two images of two patches; cosines of each query with both keys
    queries = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.8], [1.0, 0.0]]])
    keys = torch.tensor([[[1.0, 0.0], [0.6, 0.8]], [[0.0, 1.0], [1.0, 0.0]]])
    cosines = [(1.0, 0.6), (0.8, 0.0), (0.8, 0.6), (1.0, 0.0)]  # own, other
    tau = 0.5
    terms = [
        -math.log(math.exp(own / tau) / (math.exp(own / tau) + math.exp(other / tau)))
        for own, other in cosines
    ]
    assert patch_nce(queries, keys, tau).item() == pytest.approx(sum(terms) / 4, rel=1e-6)


def test_keys_have_no_gradient_and_half_precision_is_float32() -> None:
    queries, keys = torch.randn(2, 1, 3, 4, requires_grad=True).unbind()
    keys.retain_grad()
    patch_nce(queries, keys).backward()
    assert keys.grad is None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = patch_nce(queries.bfloat16(), keys.bfloat16())
    q, k = queries.bfloat16().float()[0], keys.bfloat16().float()[0]
    similar = torch.stack([(row * k).sum(1) for row in q]) / 0.07
    exact = (similar.logsumexp(1) - similar.diagonal()).mean()
    assert half.dtype == torch.float32
    assert_close(half, exact)


def test_places_are_different_and_shared_by_the_features() -> None:
    features = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    places = draw_places(features, 7)
    assert places.shape == (2, 7)
    assert all(len(set(row.tolist())) == 7 for row in places)
    assert 0 <= places.min() <= places.max() < 20
    assert sorted(draw_places(features, 256)[0].tolist()) == [*range(20)]
    chosen = features_at(places, features)
    for n, row in enumerate(places.tolist()):
        for i, place in enumerate(row):
            assert_close(chosen[n, i], features[n, :, place // 5, place % 5], rtol=0, atol=0)


def test_projector_by_hand() -> None:
    network = PatchProjector([2, 3], width=4)
    features = [torch.rand(2, 5, 2), torch.rand(2, 6, 3)]
    for head, x, found in zip(network.heads, features, network(features), strict=True):
        first, _, second = head
        hidden = (x @ first.weight.T + first.bias).clamp(min=0)
        expected = hidden @ second.weight.T + second.bias
        expected = expected / expected.pow(2).sum(-1, keepdim=True).sqrt()
        assert_close(found, expected)
    with pytest.raises(ValueError, match=r"channels=\[\] must be those of one layer at least"):
        PatchProjector([])


# ---- the objective ---------------------------------------------------------------------------


def data(n: int = 6) -> DataLoader[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.rand(2, n, *SHAPE, generator=generator) * 2 - 1).double()
    return DataLoader(TensorDataset(a, b), 2)


def sgd(parameters: Any) -> SGD:
    return SGD(parameters, lr=0.01)


def straight_features(g: Any, x: Tensor) -> list[Tensor]:
    """Pixels, the halving's convolution, and both blocks, by the places of the layers."""
    down = g.layers[3](F.relu(F.instance_norm(g.layers[0](x))))
    first = g.layers[6](F.relu(F.instance_norm(down)))
    return [x, down, first, g.layers[7](first)]


def straight_nce(g: Any, heads: Any, source: Tensor, made: Tensor) -> Tensor:
    """Equation 4 of arXiv:2007.15651 over all places, patch by patch."""
    terms = []
    layers = zip(heads, straight_features(g, made), straight_features(g, source), strict=True)
    for head, q, k in layers:
        q, k = (F.normalize(head(x.flatten(2).transpose(1, 2)), dim=-1) for x in (q, k))
        k = k.detach()
        for n in range(len(q)):
            for s in range(q.shape[1]):
                similar = torch.stack([q[n, s] @ other for other in k[n]]) / 0.07
                terms.append((similar.logsumexp(0) - similar[s]) / (len(q) * q.shape[1]))
    return torch.stack(terms).sum() / len(heads)


@pytest.mark.thorough
@pytest.mark.parametrize("identity", [True, False])
def test_same_weights_as_a_straight_loop(identity: bool, make_trainer: Any, double: None) -> None:
    """Sections 3.1 to 3.3, discriminator first, all places of every layer."""
    torch.manual_seed(0)
    options = {} if identity else {"identity": False, "nce_weight": 10.0}
    model = make(generator_optimizer=sgd, discriminator_optimizer=sgd, **options)
    for parameter in model.projector.parameters():
        # longer vectors, shorter gradients: those of rounding do not grow
        nn.init.normal_(parameter, 0.0, 0.5)
    names = ("generator", "discriminator", "projector")
    twins = g, d, f = [copy.deepcopy(getattr(model, name)) for name in names]
    start = copy.deepcopy(model.state_dict())
    make_trainer(max_steps=2).fit(model, data())

    def descend(loss: Tensor, *networks: nn.Module) -> None:
        weights = [p for network in networks for p in network.parameters()]
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for p, gradient in zip(weights, gradients, strict=True):
                p -= 0.01 * gradient

    for x, y in [*data()][:2]:
        with torch.no_grad():
            fake = g(x)
        descend(((d(y) - 1).square().mean() + d(fake).square().mean()) / 2, d)
        fake = g(x)
        loss = (d(fake) - 1).square().mean()
        if identity:
            both = straight_nce(g, f.heads, x, fake) + straight_nce(g, f.heads, y, g(y))
            loss = loss + both / 2
        else:
            loss = loss + 10 * straight_nce(g, f.heads, x, fake)
        descend(loss, g, f)
    for name, twin in zip(names, twins, strict=True):
        assert_close(getattr(model, name).state_dict(), twin.state_dict(), rtol=0, atol=1e-9)
    moved = [k for k, v in model.state_dict().items() if not torch.equal(v, start[k])]
    assert len(moved) == len(start)


class Columns(nn.Module):
    """A generator that leaves images alone; its features are they themselves."""

    feature_channels = (1,)

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return images * self.scale

    def features(self, images: Tensor) -> list[Tensor]:
        return [images * self.scale]


class Waves(nn.Module):
    """Pixels to points of a circle: each value has its own."""

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        return [torch.cat([x.cos(), x.sin()], dim=-1) for x in features]


def test_flipped_inputs_are_compared_with_what_is_flipped_back() -> None:
    model = make(
        generator=Columns(), projector=Waves(), identity=False, flip_equivariance=True,
        nce_weight=10.0, temperature=0.01,
    )  # fmt: skip
    images = torch.linspace(-1, 1, 64).view(1, *SHAPE).repeat(40, 1, 1, 1)
    fake, mirrored = model.shared((images, images))
    assert 5 < mirrored.sum() < 35
    for image, was, source in zip(fake, mirrored, images, strict=True):
        assert_close(image, source.flip(-1) if was else source, rtol=0, atol=0)
    right = model.contrast(images, fake, mirrored)
    # had they not been flipped back, or the others: chance is log(64)
    assert_close(right, model.contrast(images, images))
    assert model.contrast(images, fake, ~mirrored) > right + 1
    # held-out images are not mirrored
    assert not model.eval().shared((images, images))[1].any()
    assert not make().shared((images, images))[1].any()


def test_default_networks_give_five_layers() -> None:
    with torch.device("meta"):
        model = CUT(image_shape=(3, 256, 256), ema_decay=0.0)
        features = model.generator.features(torch.zeros(1, 3, 256, 256))
        assert [x.shape[1:] for x in features] == [
            (3, 256, 256), (128, 128, 128), (256, 64, 64), (256, 64, 64), (256, 64, 64),
        ]  # fmt: skip
        assert [x.shape[1] for x in features] == [*model.generator.feature_channels]
        blocks = [n for n, m in enumerate(model.generator.layers) if hasattr(m, "residual")]
        # the first and the fifth
        assert model.generator._tapped == (3, 6, blocks[0], blocks[4])
        assert [head[2].out_features for head in model.projector.heads] == [256] * 5


def note(seen: dict[int, Tensor], number: int, module: Any, inputs: Any, output: Tensor) -> None:
    seen[number] = output.clone()


def test_features_are_those_on_the_way() -> None:
    for n_blocks, n_downsampling in ((0, 1), (1, 0), (3, 1), (5, 2)):
        network = CycleGANGenerator((1, 8, 8), 2, n_blocks, n_downsampling)
        seen: dict[int, Tensor] = {}
        for number, layer in enumerate(network.layers):
            layer.register_forward_hook(partial(note, seen, number))
        images = torch.rand(2, 1, 8, 8)
        network(images)
        on_the_way = [seen[n] for n in network._tapped]
        assert_close(network.features(images), [images, *on_the_way], rtol=0, atol=0)
        assert len(network.feature_channels) == len(on_the_way) + 1


def test_the_head_is_there_before_training_and_saved(make_trainer: Any) -> None:
    model = make()
    assert model.players["generator"] == ("generator", "projector")
    trainer = make_trainer(max_steps=1)
    images = torch.rand(2, 4, *SHAPE) * 2 - 1
    trainer.fit(model, DataLoader(TensorDataset(*images), 4))
    trainer.save_checkpoint("a.ckpt")
    again: Any = GenerativeModule.load_from_checkpoint("a.ckpt")
    assert_close(again.projector.state_dict(), model.projector.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"nce_weight": -1.0}, "nce_weight=-1.0 must be at least 0 and finite"),
        ({"n_patches": 1}, "n_patches=1 must be at least 2"),
        ({"temperature": 0.0}, "temperature=0.0 must be above 0 and finite"),
        ({"loss": "l1"}, "loss='l1' must be one of"),
        ({"generator": nn.Identity()}, "generator=Identity gives no features: CUT needs one with"),
    ],
)
def test_bad_options(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make(**options)
