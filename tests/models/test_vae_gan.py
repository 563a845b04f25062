"""VAE/GAN: its objectives by hand, where gradients go, and who rests."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F
from torch.testing import assert_close
from variants import batches, small

from gan_modules import VAEGAN
from gan_modules.callbacks import RealInterpolation, Reconstructions
from gan_modules.models.vae import standard_normal_kl
from gan_modules.models.vae_gan import unit_gaussian_nats
from gan_modules.networks import VAEGANDiscriminator, VAEGANEncoder, VAEGANGenerator
from gan_modules.training.batches import Batch

pytestmark = pytest.mark.filterwarnings("ignore:You.re resuming from a checkpoint that ended")


def test_the_likelihood_against_distributions() -> None:
    mean, x = torch.randn(2, 5, 3, 2, 2)
    exact = -Normal(mean, 1.0).log_prob(x).flatten(1).sum(1).mean()
    constant = 12 * math.log(2 * math.pi) / 2
    assert_close(unit_gaussian_nats(mean, x) + constant, exact)


def test_objectives_by_hand() -> None:
    model = small(VAEGAN, image_shape=(1, 8, 8), gamma=0.25)
    batch: Batch = torch.rand(6, 1, 8, 8) * 2 - 1, None
    images = batch[0]
    torch.manual_seed(1)
    encoder = model.encoder_losses(batch)
    torch.manual_seed(1)
    discriminator = model.discriminator_losses(batch)
    torch.manual_seed(1)
    generator = model.generator_losses(batch)
    torch.manual_seed(1)
    mean, log_variance = model.encoder(images)
    again = model.generator(mean + (log_variance / 2).exp() * torch.randn_like(mean))
    samples = model.generator(model.sample_noise(6))
    (real, x), (fake, y), (other, _) = (model.discriminator(i) for i in (images, again, samples))
    nats = (x - y).square().sum(1).mean() / 2
    assert_close(encoder, {"kl": standard_normal_kl(mean, log_variance), "reconstruction": nats})
    # log(1 - D), of both kinds of fakes
    caught = (F.logsigmoid(-fake).mean() + F.logsigmoid(-other).mean()) / 2
    assert_close(discriminator, {"adversarial": -F.logsigmoid(real).mean() - caught})
    assert_close(generator, {"adversarial": caught, "reconstruction": 0.25 * nats})


def test_no_adversarial_gradient_reaches_the_encoder(make_trainer: Any) -> None:
    """Its weights are those of a training in which the adversarial loss is nothing."""
    ends = []
    for weight in (1.0, 0.0):

        class Weighed(VAEGAN):
            def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
                terms = super().generator_losses(batch)
                return {**terms, "adversarial": weight * terms["adversarial"]}  # noqa: B023

            def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
                terms = super().discriminator_losses(batch)
                return {name: weight * term for name, term in terms.items()}  # noqa: B023

        torch.manual_seed(0)
        model = small(Weighed, image_shape=(1, 8, 8))
        make_trainer(max_steps=1).fit(model, batches(model, 4, 4))
        ends.append(model)
    assert_close(ends[0].encoder.state_dict(), ends[1].encoder.state_dict(), rtol=0, atol=0)
    assert not torch.equal(*(next(iter(m.generator.parameters())) for m in ends))


def test_images_are_no_way_to_lower_the_distance() -> None:
    """With batch normalisation real features depend on the reconstructions beside them."""
    sizes: Any = {"width": 1, "hidden": 4}
    judge = VAEGANDiscriminator((1, 8, 8), **sizes)
    torch.manual_seed(0)
    model = small(VAEGAN, image_shape=(1, 8, 8), discriminator=judge)
    images = torch.rand(4, 1, 8, 8)
    again = torch.rand(4, 1, 8, 8, requires_grad=True)
    _, nats = model.compare(images, again, None)
    (found,) = torch.autograd.grad(nats, again)
    x, y = judge(torch.cat([images, again]))[1].split(4)
    (expected,) = torch.autograd.grad((x.detach() - y).square().sum() / 8, again)
    assert_close(found, expected)


@pytest.mark.parametrize(
    ("costs", "rests"),
    [
        ((0.68, 0.68), None),
        # the discriminator is too strong, too weak, both
        ((0.27, 0.7), "discriminator"),
        ((0.7, 0.27), "discriminator"),
        ((1.09, 0.7), "generator"),
        ((0.7, 1.09), "generator"),
        ((0.27, 1.09), None),
    ],
)
def test_who_rests(costs: tuple[float, float], rests: str | None) -> None:
    model = small(VAEGAN, image_shape=(1, 8, 8), balance=(0.68, 0.4), n_critic=2)
    model.observed.copy_(3 * torch.tensor([*costs, 1.0]))
    model.on_iteration(5, 100)
    assert_close(model.costs, torch.tensor(costs))
    parts: list[Batch] = [(torch.zeros(1), None), (torch.ones(1), None)]
    whole = ["encoder", "discriminator", "discriminator", "generator"]
    played = [player for player, _ in model.turns(parts)]
    assert played == [player for player in whole if player != rests]
    # where nothing was observed since, as in a run just resumed, the costs stay
    model.on_iteration(5, 100)
    assert_close(model.costs, torch.tensor(costs))
    assert model.balance is not None


def test_costs_are_those_of_the_turns(make_trainer: Any) -> None:
    model = small(VAEGAN, image_shape=(1, 8, 8), balance=(0.68, 0.4))
    seen: list[Tensor] = []
    model.discriminator.register_forward_hook(lambda m, i, out: seen.append(out[0].detach()))
    make_trainer(max_steps=1).fit(model, batches(model, 4, 4))
    # real and reconstruction for the encoder; reconstruction, then real and samples; real and
    # reconstruction, samples, reconstruction
    counts = [len(logits) for logits in seen]
    assert counts == [8, 4, 8, 8, 4, 4]
    real = torch.stack([seen[2][:4], seen[3][:4]])
    fake = torch.stack([torch.cat([seen[1], seen[2][4:]]), torch.cat([seen[4], seen[5]])])
    expected = [F.softplus(-real).mean() * 2, F.softplus(fake).mean() * 2, torch.tensor(2.0)]
    assert_close(model.observed, torch.stack(expected))
    # not in evaluation
    model.eval().discriminator_losses((torch.rand(4, 1, 8, 8), None))
    assert_close(model.observed, torch.stack(expected))


def test_the_rule_is_saved(make_trainer: Any) -> None:
    """A balance in which the discriminator rests every other time."""
    options: dict[str, Any] = {"balance": (0.75, 0.06)}
    ends, played = [], []

    class Noting(VAEGAN):
        def terms_of(self, player: str, batch: Batch) -> dict[str, Tensor]:
            played.append(player)
            return super().terms_of(player, batch)

    for stop in (None, 3):
        torch.manual_seed(0)
        model = small(Noting, image_shape=(1, 8, 8), **options)
        data = batches(model, 4, 4)
        if stop is not None:
            trainer = make_trainer(max_steps=stop)
            trainer.fit(model, data)
            trainer.save_checkpoint("half.ckpt")
        else:
            played.clear()
        whole = make_trainer(max_steps=6)
        whole.fit(model, data, ckpt_path=None if stop is None else "half.ckpt")
        ends.append(model.state_dict())
    assert_close(ends[0], ends[1], rtol=0, atol=0)
    assert 0 < played.count("discriminator") < played.count("encoder")


def test_networks_have_the_papers_sizes() -> None:
    images = torch.rand(2, 3, 16, 16)
    mean, log_variance = VAEGANEncoder((3, 16, 16), 5, width=4, hidden=6)(images)
    assert mean.shape == log_variance.shape == (2, 5)
    assert VAEGANGenerator((3, 16, 16), 5, width=2)(mean).shape == (2, 3, 16, 16)
    logits, features = VAEGANDiscriminator((3, 16, 16), width=2, hidden=6)(images)
    assert (logits.shape, features.shape) == ((2,), (2, 16, 2, 2))
    convolutions = [
        m.out_channels
        for m in VAEGANDiscriminator((3, 64, 64)).modules()
        if isinstance(m, nn.Conv2d)
    ]
    assert convolutions == [32, 128, 256, 256]
    with pytest.raises(ValueError, match=r"\(1, 12, 12\) does not fit VAEGANGenerator: it needs"):
        VAEGANGenerator((1, 12, 12), 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -1.0}, r"gamma=-1\.0 must be at least 0 and finite"),
        ({"balance": (0.68,)}, r"balance=\(0.68,\) must be equilibrium and margin"),
        ({"balance": (0.68, 0.0)}, r"balance=\(0.68, 0.0\) must be equilibrium and margin"),
        ({"encoder_accumulate_grad_batches": 0}, "encoder_accumulate_grad_batches=0 must be at"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(VAEGAN, image_shape=(1, 8, 8), **options)


# ---- what models with an encoder share -----------------------------------------------------------


def test_ways_between_images() -> None:
    model = small(VAEGAN, image_shape=(1, 8, 8))
    first, second = torch.rand(2, 3, 1, 8, 8)
    walks = model.interpolate_between(first, second, 4)
    assert walks.shape == (3, 4, 1, 8, 8)
    assert_close(walks[:, 0], model.reconstruct(first))
    assert_close(walks[:, -1], model.reconstruct(second))
    third = model.between(model.encode(first), model.encode(second), torch.tensor(1 / 3))
    assert_close(walks[:, 1], model(third), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="images_b='2 images' must be 3, as images_a"):
        model.interpolate_between(first, second[:2], 4)
    with pytest.raises(ValueError, match="steps=1 must be at least 2"):
        model.interpolate_between(first, second, 1)
    with pytest.raises(ValueError, match=r"images=\(3, 1, 4, 4\) must be \(N, \*\(1, 8, 8\)\)"):
        model.encode(first[:, :, :4, :4])


def test_pictures_of_reconstructions_and_of_ways() -> None:
    model = small(VAEGAN, image_shape=(1, 8, 8), num_classes=3, conditional=True)
    images, labels = torch.rand(5, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1])
    rows = Reconstructions(n=4, seed=3).draw(model, (images, labels))
    assert_close(rows[1], model.reconstruct(images[:4], labels[:4]))
    ways = RealInterpolation(n=3, steps=4).draw(model, (images, labels))
    assert ways.shape == (3, 6, 1, 8, 8)
    following = images[[1, 2, 0]]
    assert_close(ways[:, 0], images[:3])
    assert_close(ways[:, -1], following)
    expected = model.interpolate_between(images[:3], following, 4, labels[:3])
    assert_close(ways[:, 1:-1], expected)
    with pytest.raises(ValueError, match="steps=1 must be at least 2"):
        RealInterpolation(steps=1)


def test_both_averages_encode_and_sample(make_trainer: Any) -> None:
    model = small(VAEGAN, image_shape=(1, 8, 8))
    make_trainer(max_steps=3).fit(model, batches(model, 4, 12))
    images = torch.rand(2, 1, 8, 8)
    mean, _ = model.averaged_encoder(images)
    assert_close(model.encode(images), mean)
    assert not torch.equal(mean, model.encoder(images)[0])
    assert_close(model.reconstruct(images), model.averaged_generator(mean))
