"""AE-GAN: two phases, each by hand."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from variants import batches, small

from gan_modules import AEGAN
from gan_modules.networks import AEGANDiscriminator, AEGANGenerator, MLPEncoder
from gan_modules.training.batches import Batch

pytestmark = pytest.mark.filterwarnings("ignore:You.re resuming from a checkpoint that ended")


class Scale(nn.Module):
    """Multiplies, and gives another shape."""

    def __init__(self, factor: float, *shape: int) -> None:
        super().__init__()
        self.factor, self.shape = nn.Parameter(torch.tensor(factor)), shape

    def forward(self, x: Tensor) -> Tensor:
        return (self.factor * x).reshape(-1, *self.shape)


class Linear(nn.Module):
    """``w . c``."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, 2.0, 2.0, 4.0]))

    def forward(self, codes: Tensor) -> Tensor:
        return codes @ self.w


def by_hand(**options: Any) -> Any:
    networks: Any = {
        "generator": Scale(3.0, 4),
        "discriminator": Linear(),
        "encoder": Scale(2.0, 4),
        "decoder": Scale(0.25, 1, 2, 2),
    }
    return AEGAN(image_shape=(1, 2, 2), latent_dim=4, **{"code_dim": 4, **networks, **options})


def test_objectives_by_hand() -> None:
    model = by_hand(gp_weight=10.0)
    images = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]).reshape(2, 1, 2, 2)
    batch: Batch = images, None
    # half of each pixel comes back
    expected = (images / 2).square().mean()
    assert_close(model.autoencoder_losses(batch), {"reconstruction": expected})
    torch.manual_seed(0)
    d = model.discriminator_losses(batch)
    torch.manual_seed(0)
    g = model.generator_losses(batch)
    torch.manual_seed(0)
    w = torch.tensor([1.0, 2.0, 2.0, 4.0])
    fake = (3 * model.sample_noise(2) @ w).mean()
    real = (2 * images.flatten(1) @ w).mean()
    # ||w|| = 5
    assert_close(d, {"wasserstein": fake - real, "gradient_penalty": torch.tensor(10 * 16.0)})
    assert_close(g, {"adversarial": -fake})


def test_a_sample_is_the_decoded_code_of_a_latent() -> None:
    model = by_hand()
    z = model.latents(3, seed=1)
    assert_close(model.sample(3, seed=1), (0.75 * z).reshape(3, 1, 2, 2))
    images = torch.rand(3, 1, 2, 2)
    assert_close(model.encode(images), 2 * images.flatten(1))
    assert_close(model.reconstruct(images), images / 2)
    # codes lie on a straight line
    walks = model.interpolate_between(images[:1], images[1:2], 3)
    ends = torch.stack([images[0], (images[0] + images[1]) / 2, images[1]]) / 2
    assert_close(walks[0], ends)


def state(model: Any, *names: str) -> list[Tensor]:
    networks = [getattr(model, name) for name in names]
    return [t.clone() for n in networks for t in n.state_dict().values()]


def test_each_phase_moves_its_own_networks(make_trainer: Any) -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16))
    model = small(AEGAN, image_shape=(1, 8, 8), autoencoder_steps=2, encoder=encoder, n_critic=2)
    gan, autoencoder = ("generator", "discriminator", "averaged_generator"), ("encoder", "decoder")
    start = state(model, *gan)
    data = batches(model, 4, 8)
    make_trainer(max_steps=2).fit(model, data)
    assert_close(state(model, *gan), start, rtol=0, atol=0)
    assert encoder.training
    assert encoder[2].num_batches_tracked == 2 * 2
    trainer = make_trainer(max_steps=2)
    trainer.fit(model, data)
    trainer.save_checkpoint("two.ckpt")
    trained = state(model, *autoencoder)
    make_trainer(max_steps=3).fit(model, data, ckpt_path="two.ckpt")
    # running statistics of batch normalisation among them
    assert_close(state(model, *autoencoder), trained, rtol=0, atol=0)
    # the bias of a critic's last layer never moves
    moved = [
        not torch.equal(now, then) for now, then in zip(state(model, *gan), start, strict=True)
    ]
    assert moved.count(False) <= 1


def test_an_average_waits_for_its_phase(make_trainer: Any) -> None:
    model = small(AEGAN, image_shape=(1, 8, 8), autoencoder_steps=3)
    make_trainer(max_steps=3).fit(model, batches(model, 4, 24))
    pairs = zip(state(model, "averaged_generator"), state(model, "generator"), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_trained_autoencoder_needs_no_first_phase() -> None:
    model = by_hand(autoencoder_steps=0, n_critic=2)
    parts: list[Batch] = [(torch.zeros(1), None), (torch.ones(1), None)]
    players = [player for player, _ in model.turns(parts)]
    assert players == ["discriminator", "discriminator", "generator"]
    first = by_hand(autoencoder_steps=1, n_critic=2).turns(parts)
    assert [player for player, _ in first] == ["autoencoder", "autoencoder"]
    assert [part[0].item() for _, part in first] == [0, 1]


def test_networks_are_the_papers() -> None:
    generator, critic = AEGANGenerator((128,), 128), AEGANDiscriminator((128,))
    sizes = [
        [m.out_features for m in n.layers if isinstance(m, nn.Linear)] for n in (generator, critic)
    ]
    assert sizes == [[128, 128], [256, 512, 1]]
    assert critic(generator(torch.zeros(2, 128))).shape == (2,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"code_dim": 0}, "code_dim=0 must be at least 1"),
        ({"autoencoder_steps": -1}, "autoencoder_steps=-1 must be at least 0"),
        ({"gp_weight": -1.0}, r"gp_weight=-1\.0 must be at least 0 and finite"),
        ({"discriminator": nn.BatchNorm1d(4)}, "discriminator has batch normalisation"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        by_hand(**options)


def test_a_gaussian_encoder_is_refused(make_trainer: Any) -> None:
    encoder = partial(MLPEncoder, hidden=(8,))
    model = small(AEGAN, image_shape=(1, 8, 8), encoder=encoder)
    with pytest.raises(
        ValueError, match=r"encoder gives \(4, 16\) and \(4, 16\) for 4 images, not"
    ):
        make_trainer(max_steps=1).fit(model, batches(model, 4, 20))
    narrow = small(AEGAN, image_shape=(1, 8, 8), autoencoder_steps=0, generator=Scale(1.0, 8))
    with pytest.raises(ValueError, match="generator makes images of shape"):
        make_trainer(max_steps=1).fit(narrow, batches(narrow, 4, 20))
