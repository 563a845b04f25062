"""VAE: its bound against torch.distributions."""

from typing import Any

import torch
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.testing import assert_close

from gan_modules import VAE
from gan_modules.callbacks import Reconstructions
from gan_modules.models.vae import bernoulli_nats, standard_normal_kl


def test_the_bound_against_distributions(double: None) -> None:
    mean, log_variance = torch.randn(2, 5, 3)
    posterior = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    assert_close(standard_normal_kl(mean, log_variance), expected)


def test_the_likelihood_against_distributions() -> None:
    images = torch.randint(0, 2, (5, 1, 4, 4)).float() * 2 - 1
    outputs = torch.rand(5, 1, 4, 4) * 1.8 - 0.9
    expected = -Bernoulli((1 + outputs) / 2).log_prob((1 + images) / 2).flatten(1).sum(1).mean()
    assert_close(bernoulli_nats(outputs, images), expected)


def test_its_terms_are_those_two(make_loader: Any) -> None:
    model = VAE(image_shape=(1, 8, 8))
    batch = next(iter(make_loader(6)))
    torch.manual_seed(1)
    terms = model.autoencoder_losses(batch)
    torch.manual_seed(1)
    mean, log_variance = model.encoder(batch[0])
    z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
    assert_close(terms["kl"], standard_normal_kl(mean, log_variance))
    assert_close(terms["reconstruction"], bernoulli_nats(model.generator(z), batch[0]))


def test_one_player_learns_and_reconstructs(make_trainer: Any, make_loader: Any) -> None:
    """Two images, told apart by their latents."""
    images = torch.ones(2, 1, 8, 8)
    images[1, :, :4] = -1
    loader = torch.utils.data.DataLoader(images.repeat(32, 1, 1, 1), 16)  # type: ignore[arg-type]
    model = VAE(image_shape=(1, 8, 8), latent_dim=2)
    trainer = make_trainer(max_steps=150, log_every_n_steps=1)
    trainer.fit(model, loader)
    assert trainer.global_step == 150
    assert {"autoencoder/kl", "autoencoder/reconstruction"} <= trainer.callback_metrics.keys()
    assert (model.reconstruct(images) - images).abs().max() < 0.1
    # a code costs one bit: the bound reaches log 2 and little more
    assert trainer.callback_metrics["autoencoder/loss"] < 4


def test_reconstructions_are_drawn_above_samples() -> None:
    model = VAE(image_shape=(1, 8, 8), num_classes=3, conditional=True)
    images, labels = torch.rand(5, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1])
    rows = Reconstructions(n=4, seed=3).draw(model, (images, labels))
    expected = [
        images[:4],
        model.reconstruct(images[:4], labels[:4]),
        model.sample(4, labels[:4], 3),
    ]
    assert_close(rows, torch.stack(expected))
