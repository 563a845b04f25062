"""InfoGAN: its objective, its codes and its recognizer."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from variants import small

from gan_modules import InfoGAN
from gan_modules.callbacks import CodeTraversal
from gan_modules.networks import InfoGANDiscriminator, InfoGANGenerator, MLPDiscriminator
from gan_modules.training.batches import Batch

NETWORKS: dict[str, Any] = {
    "generator": partial(InfoGANGenerator, width=2, hidden=8),
    "discriminator": partial(InfoGANDiscriminator, width=2, hidden=8),
}


class Telltale(nn.Module):
    """Shows its latent in the pixels."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.nn.functional.pad(z, (0, 16 - z.shape[1])).reshape(-1, 1, 4, 4)


class Looking(nn.Module):
    """Its features are the pixels; its logit is always the same."""

    num_features = 16

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full((len(images),), 0.5), images.flatten(1)


class Guess(nn.Module):
    """Reads what the test says."""

    def __init__(self, outputs: list[float], **sizes: int) -> None:
        super().__init__()
        self.outputs = torch.tensor(outputs)

    def forward(self, features: Tensor) -> Tensor:
        return self.outputs.expand(len(features), -1)


def test_objective_by_hand() -> None:
    model = InfoGAN(
        image_shape=(1, 4, 4),
        latent_dim=6,
        categorical=(2,),
        continuous=1,
        information_weight=0.5,
        generator=Telltale(),  # type: ignore[arg-type]
        discriminator=Looking(),  # type: ignore[arg-type]
        # the first category with probability 3/4; the continuous code at 0.25
        recognizer=partial(Guess, [math.log(3.0), 0.0, 0.25]),
    )
    batch: Batch = torch.zeros(64, 1, 4, 4), None
    torch.manual_seed(0)
    terms = model.discriminator_losses(batch)
    torch.manual_seed(0)
    z = model.sample_noise(64)
    first, code = z[:, 3] == 1, z[:, 5]
    assert 0 < first.sum() < 64
    nats = torch.where(first, -math.log(0.75), -math.log(0.25)).mean()
    gauss = ((code - 0.25).square() / 2 + math.log(2 * math.pi) / 2).mean()
    codes = {"categorical": 0.5 * nats, "continuous": 0.5 * gauss}
    d = math.log1p(math.exp(-0.5)) + math.log1p(math.exp(0.5))
    assert_close(terms, {"adversarial": torch.tensor(d), **codes})
    torch.manual_seed(0)
    g = torch.tensor(math.log1p(math.exp(-0.5)))
    assert_close(model.generator_losses(batch), {"adversarial": g, **codes})


def test_several_categorical_codes_add_up() -> None:
    model = small(InfoGAN, image_shape=(1, 4, 4), categorical=(2, 3), continuous=0)
    z = model.sample_noise(32)
    features = torch.randn(32, 16)
    a, b = model.recognizer(features).split([2, 3], dim=1)
    _, (one, other), _ = model.latent.split(z)
    expected = -(a.log_softmax(1) * one).sum(1).mean() - (b.log_softmax(1) * other).sum(1).mean()
    assert_close(model.code_losses(features, z), {"categorical": expected})


def test_the_recognizer_learns_in_the_discriminators_turn(
    make_trainer: Any, make_loader: Any
) -> None:
    model = InfoGAN(image_shape=(1, 8, 8), latent_dim=16, **NETWORKS)
    before = [p.detach().clone() for p in model.recognizer.parameters()]
    make_trainer(max_steps=1).fit(model, make_loader(8))
    after = model.recognizer.parameters()
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    rates = [
        o.param_groups[0]["lr"] for o in model.configure_optimizers() for o in [o["optimizer"]]
    ]
    assert rates == [1e-3, 2e-4]


def test_recognize_reads_what_the_generator_shows() -> None:
    class Reader(nn.Module):
        def __init__(self, num_features: int, num_outputs: int) -> None:
            super().__init__()

        def forward(self, features: Tensor) -> Tensor:
            return torch.cat([50 * features[:, 3:7], features[:, 7:9]], dim=1)

    model = InfoGAN(
        image_shape=(1, 4, 4),
        latent_dim=9,
        categorical=(4,),
        generator=Telltale(),  # type: ignore[arg-type]
        discriminator=Looking(),  # type: ignore[arg-type]
        recognizer=Reader,
    )
    z = model.latents(8, seed=0)
    (probabilities,), means = model.recognize(model.sample(8, seed=0))
    assert_close(probabilities, z[:, 3:7])
    assert_close(means, z[:, 7:])

    # a row per category, all else the same in a column
    grid = model.sample_grid(8, 0, (torch.zeros(1), None)).flatten(2)
    assert grid.shape == (4, 2, 16)
    assert_close(grid[:, :, 3:7], torch.eye(4)[:, None].expand(4, 2, 4))
    assert_close(grid[:, :, :3], z[:2, :3].expand(4, 2, 3))

    # one code moves, all else stays
    walks = model.traverse(2, 5, seed=0, code=1).flatten(2)
    z = model.latents(2, seed=0)
    assert_close(walks[:, :, 8], torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]).expand(2, 5))
    assert_close(walks[:, :, :3], z[:, None, :3].expand(2, 5, 3))
    assert_close(walks[:, :, 7], z[:, None, 7].expand(2, 5))
    assert_close(walks[:, :, 3:7], torch.eye(4)[:2, None].expand(2, 5, 4))


def test_recognize_leaves_no_trace() -> None:
    model = InfoGAN(image_shape=(1, 8, 8), latent_dim=16, **NETWORKS).train()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    model.recognize(torch.randn(4, 1, 8, 8))
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert model.recognizer.training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categorical": (1,)}, r"categorical=\[1\] must be one number of categories, at least 2"),
        ({"continuous": -1}, "continuous=-1 must be at least 0"),
        ({"categorical": (), "continuous": 0}, r"categorical=\[\] must be not empty"),
        ({"latent_dim": 12}, "latent_dim=12 must be more than the 12 numbers of the codes"),
        ({"information_weight": -1.0}, r"information_weight=-1\.0 must be at least 0 and finite"),
        ({"discriminator": MLPDiscriminator}, "MLPDiscriminator must have num_features"),
        ({"image_shape": (1, 10, 10)}, r"\(1, 10, 10\) does not fit InfoGANGenerator"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InfoGAN(**{"image_shape": (1, 8, 8), **options})
    model = InfoGAN(image_shape=(1, 8, 8), latent_dim=16, **NETWORKS)
    with pytest.raises(ValueError, match="code=2 must be one of the 2 continuous codes"):
        model.traverse(1, 2, code=2)


def test_codes_are_drawn_one_below_the_other(make_trainer: Any, make_loader: Any) -> None:
    model = InfoGAN(image_shape=(1, 8, 8), latent_dim=16, categorical=(3,), **NETWORKS)
    callback = CodeTraversal(n=10, steps=4, seed=1)
    drawn = callback.draw(model, (torch.zeros(1), None))
    expected = torch.cat([model.traverse(3, 4, 1, code) for code in (0, 1)])
    assert_close(drawn, expected)
    without = InfoGAN(image_shape=(1, 8, 8), latent_dim=16, continuous=0, **NETWORKS)
    with pytest.raises(ValueError, match="CodeTraversal needs continuous codes"):
        make_trainer(max_steps=1, callbacks=[CodeTraversal()]).fit(without, make_loader(8))
