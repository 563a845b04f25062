from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import RMSprop
from torch.testing import assert_close

from gan_modules import WGAN
from gan_modules.networks import DCGANDiscriminator, DCGANGenerator


class Repeatable(WGAN):
    """Draws noise that a loop written in the test can draw too."""

    def _seed_noise(self) -> None:
        torch.manual_seed(self.global_step)


def rmsprop(parameters: Any) -> RMSprop:
    return RMSprop(parameters, lr=1e-2)


def test_same_weights_as_a_straight_loop(
    make_model: Any, make_trainer: Any, make_loader: Any, double: None
) -> None:
    """Algorithm 1 of arXiv:1701.07875."""
    options: dict[str, Any] = {
        "n_critic": 3,
        "clip_value": 0.05,
        "generator_optimizer": rmsprop,
        "discriminator_optimizer": rmsprop,
    }
    model, twin = (make_model(Repeatable, **options) for _ in range(2))
    twin.load_state_dict(model.state_dict())
    make_trainer(max_steps=4).fit(model, make_loader(12))

    generator, critic = twin.generator, twin.discriminator
    optimizer_g, optimizer_d = rmsprop(generator.parameters()), rmsprop(critic.parameters())
    clipped = 0
    for step, (images, _) in zip(range(4), make_loader(12), strict=False):
        torch.manual_seed(step)
        for real in images.chunk(3):
            fake = generator(torch.randn(4, 4)).detach()
            optimizer_d.zero_grad()
            (critic(fake).mean() - critic(real).mean()).backward()
            optimizer_d.step()
            for parameter in critic.parameters():
                clipped += int((parameter.abs() > 0.05).sum())
                parameter.data = parameter.data.clip(-0.05, 0.05)
        optimizer_g.zero_grad()
        (-critic(generator(torch.randn(4, 4))).mean()).backward()
        optimizer_g.step()
    assert clipped > 0
    for name in ("generator", "discriminator"):
        ours, theirs = getattr(model, name).parameters(), getattr(twin, name).parameters()
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a, b)


def test_the_generator_step_sees_the_clipped_critic_only(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    largest: list[float] = []

    class Watching(WGAN):
        def generator_losses(self, batch: Any) -> dict[str, torch.Tensor]:
            largest.append(max(p.abs().max().item() for p in self.discriminator.parameters()))
            return super().generator_losses(batch)

    model = make_model(Watching, n_critic=2, discriminator_optimizer=rmsprop)
    make_trainer(max_steps=3).fit(model, make_loader(4))
    assert largest == pytest.approx([0.01] * 3)
    # the generator is not clipped
    assert max(p.abs().max().item() for p in model.generator.parameters()) > 0.01


@pytest.mark.thorough
def test_critic_warm_up_is_the_official_schedule(
    make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    counts: list[int] = []

    class Counting(WGAN):
        def discriminator_losses(self, batch: Any) -> dict[str, torch.Tensor]:
            counts[-1] += 1
            return {"nothing": self.discriminate(batch[0], None).mean() * 0}

        def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
            counts.append(0)

    model = make_model(Counting, n_critic=2, critic_warmup=True)
    make_trainer(max_steps=27).fit(model, make_loader(4))
    assert counts == [100] * 25 + [2] * 2
    model.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.total.completed = 500
    parts = [(torch.zeros(1), None)] * 2
    assert len(model.turns(parts)) == 101
    model.critic_warmup = False
    assert len(model.turns(parts)) == 3


def test_defaults_are_the_papers() -> None:
    model = WGAN(image_shape=(3, 16, 16))
    assert (model.n_critic, model.clip_value, model.latent_dim) == (5, 0.01, 100)
    assert not model.critic_warmup
    assert isinstance(model.generator, DCGANGenerator)
    assert isinstance(model.discriminator, DCGANDiscriminator)
    for configured in model.configure_optimizers():  # type: ignore[union-attr]
        optimizer = configured["optimizer"]  # type: ignore[index]
        assert isinstance(optimizer, RMSprop)
        assert optimizer.param_groups[0]["lr"] == 5e-5
    assert not any(isinstance(m, nn.Sigmoid) for m in model.discriminator.modules())


def test_clip_value_must_be_positive() -> None:
    with pytest.raises(ValueError, match="clip_value=0 must be positive"):
        WGAN(image_shape=(1, 8, 8), clip_value=0)
