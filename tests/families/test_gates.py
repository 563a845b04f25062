"""What is set by configuration: augmentation, regularisers, what mixes samples, shared fakes."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_modules import DCGAN, GAN, R1, R3GAN, WGANGP, InstanceNoise, NoiseGAN
from gan_modules.families.gates import mixes_samples
from gan_modules.networks import MLPDiscriminator, MLPGenerator
from gan_modules.objectives.augmentations import Augmentation
from gan_modules.training.averaging import Averaging, Forgetting


class Linear(nn.Module):
    """``w . x``, whose input gradient is w."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight


def small(**options: Any) -> GAN:
    return GAN(
        image_shape=(1, 2, 2),
        latent_dim=2,
        generator=MLPGenerator((1, 2, 2), 2, hidden=(4,)),
        **options,
    )


def test_r1_of_a_linear_discriminator() -> None:
    weight = torch.tensor([1.0, -2.0, 3.0, 0.5])
    model = small(discriminator=Linear(weight), regularizers=[R1(weight=3.0)])
    images = torch.zeros(5, 1, 2, 2)
    terms = model.terms_of("discriminator", (images, None))
    assert_close(terms["r1"].detach(), 3.0 * weight.square().sum() / 2)
    # not in the generator's turn, and not in evaluation
    assert "r1" not in model.terms_of("generator", (images, None))
    assert "r1" not in model.eval().terms_of("discriminator", (images, None))


def test_a_regularizer_that_would_be_passed_over_is_refused() -> None:
    class Apart(GAN):
        """Judges real and fake by itself."""

        def discriminator_losses(self, batch: Any) -> dict[str, Tensor]:
            return {"adversarial": self.judge(batch[0]).logits.mean()}

    batch = (torch.zeros(2, 1, 2, 2), None)
    options: dict[str, Any] = {"image_shape": (1, 2, 2), "regularizers": [R1()]}
    with pytest.raises(ValueError, match=r"=R1 cannot add .* Apart.* real must be noted"):
        Apart(**options).terms_of("discriminator", batch)
    # nor may one take the place of a term that there is
    with pytest.raises(ValueError, match=r"the term 'r1' to R3GAN.discriminator_losses: it is th"):
        R3GAN(generator=MLPGenerator, discriminator=MLPDiscriminator, **options).terms_of(
            "discriminator", batch
        )
    with pytest.raises(ValueError, match="the term 'r1' to GAN"):
        GAN(**options | {"regularizers": [R1(), R1(2.0)]}).terms_of("discriminator", batch)


def test_r1_is_float32_under_autocast_and_leaves_the_images_alone() -> None:
    torch.manual_seed(0)
    model = small(
        discriminator=MLPDiscriminator((1, 2, 2), hidden=(16,)), regularizers=[R1(weight=1.0)]
    )
    images = torch.randn(5, 1, 2, 2)
    exact = model.terms_of("discriminator", (images, None))["r1"]
    with torch.autocast("cpu", torch.bfloat16):
        found = model.terms_of("discriminator", (images, None))["r1"]
    assert found.dtype == torch.float32
    assert_close(found, exact)
    assert not images.requires_grad


def test_a_lazy_term_is_weighted_by_its_interval(make_trainer: Any, make_loader: Any) -> None:
    seen: list[tuple[int, float]] = []

    class Noting(GAN):
        def terms_of(self, player: str, batch: Any) -> dict[str, Tensor]:
            terms = super().terms_of(player, batch)
            if player == "discriminator":
                seen.append((self.global_step, terms["r1"].item() if "r1" in terms else 0.0))
            return terms

    weight = torch.full((64,), 0.5)

    def still(parameters: Any) -> Any:
        return torch.optim.SGD(parameters, lr=1e-30)

    model = Noting(
        image_shape=(1, 8, 8),
        discriminator=Linear(weight),
        regularizers=[R1(weight=2.0, every=3)],
        discriminator_optimizer=still,
    )
    make_trainer(max_steps=5).fit(model, make_loader(4))
    # gamma / 2 ||w||^2 = 16, three times as much in every third iteration
    assert_close(seen, [(0, 48.0), (1, 0.0), (2, 0.0), (3, 48.0), (4, 0.0)])


def test_instance_noise_is_annealed() -> None:
    noise = InstanceNoise(sigma=0.5, steps=10)
    images = torch.zeros(1, 1, 200, 200)
    for step, sigma in ((0, 0.5), (5, 0.25), (10, 0.0), (99, 0.0)):
        noise.schedule(step, 0)
        assert_close(noise(images).std(), torch.tensor(sigma), rtol=0.02, atol=0)


class Shift(Augmentation):
    """Adds one."""

    def forward(self, images: Tensor) -> Tensor:
        return images + 1


def test_real_and_fake_pass_the_gate_in_training_only() -> None:
    weight = torch.ones(4)
    model = small(discriminator=Linear(weight), augmentation=Shift())
    zeros = torch.zeros(3, 1, 2, 2)
    real, fake = model.discriminate_both(zeros, zeros - 1, None)
    assert_close((real, fake), (torch.full((3,), 4.0), torch.zeros(3)))
    assert_close(model.judge(zeros).logits, torch.full((3,), 4.0))
    assert_close(model.eval().judge(zeros).logits, torch.zeros(3))


class Mixing(nn.Module):
    """Subtracts the batch's mean, as no layer of torch's does."""

    mixes_samples = True

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        scores = images.flatten(1).sum(1)
        return self.scale * (scores - scores.mean())


def test_real_and_fake_go_apart_where_a_layer_mixes_samples() -> None:
    assert mixes_samples(nn.Sequential(nn.Linear(2, 2), Mixing()))
    assert mixes_samples(nn.Sequential(nn.BatchNorm1d(2)))
    assert not mixes_samples(nn.Sequential(nn.LayerNorm(2), nn.GroupNorm(1, 2)))
    model = small(discriminator=Mixing())
    real, fake = torch.rand(2, 4, 1, 2, 2)
    logits = model.discriminate_both(real, fake, None)
    assert_close(logits, (model.discriminator(real), model.discriminator(fake)))


def test_dcgan_shares_fakes_and_updates_statistics_once(
    make_trainer: Any, make_loader: Any
) -> None:
    for share, passes in ((None, 1), (False, 2)):
        model = DCGAN(image_shape=(1, 8, 8), share_fakes=share)
        make_trainer(max_steps=3).fit(model, make_loader(4))
        norms = [m for m in model.generator.modules() if isinstance(m, nn.BatchNorm2d)]
        assert {int(norm.num_batches_tracked) for norm in norms} == {3 * passes}


# ---- who owns what -------------------------------------------------------------------------------


class Extra(NoiseGAN):
    """Four answers, and a network that nobody trains."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = 4

    def build_generator(self) -> nn.Module:
        # what a subclass sets after super().__init__ is there
        return MLPGenerator(self.image_shape, self.latent_dim, hidden=(self.width,))

    def build_discriminator(self) -> nn.Module:
        return MLPDiscriminator(self.image_shape, hidden=(self.width,))

    def discriminator_losses(self, batch: Any) -> dict[str, Tensor]:
        real, fake = self.discriminate_both(batch[0], self.generate(batch), None)
        return {"difference": (fake - real).mean()}

    def generator_losses(self, batch: Any) -> dict[str, Tensor]:
        return {"score": -self.judge(self.generate(batch)).logits.mean()}


def test_four_answers_are_a_paper(make_trainer: Any, make_loader: Any) -> None:
    trainer = make_trainer(max_steps=2)
    trainer.fit(Extra(image_shape=(1, 8, 8)), make_loader(4))
    assert trainer.global_step == 2


def test_a_parameter_that_nobody_trains_is_an_error(make_trainer: Any, make_loader: Any) -> None:
    model = Extra(image_shape=(1, 8, 8))
    model.idle = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"idle\.weight is trained by nobody"):
        make_trainer(max_steps=1).fit(model, make_loader(4))
    model.idle.requires_grad_(False)
    make_trainer(max_steps=1).fit(model, make_loader(4))


def test_a_parameter_of_two_players_is_an_error(make_trainer: Any, make_loader: Any) -> None:
    model = Extra(image_shape=(1, 8, 8))
    model.discriminator.also = model.generator
    with pytest.raises(ValueError, match="trained by both generator and discriminator"):
        make_trainer(max_steps=1).fit(model, make_loader(4))


def test_an_average_copies_the_vectors_of_spectral_norm() -> None:
    torch.manual_seed(3)
    live = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6, bias=False))
    copy = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6, bias=False))
    copy.load_state_dict(live.state_dict())
    average = Averaging([copy], [live], Forgetting(0.5))
    for step in range(1, 6):
        with torch.no_grad():
            live.parametrizations.weight.original.normal_()
        live(torch.zeros(1, 6))
        average.update(step, 1)
    name = "parametrizations.weight.0._u"
    assert_close(copy.state_dict()[name], live.state_dict()[name], rtol=0, atol=0)
    assert_close(copy.state_dict()[name].norm(), torch.tensor(1.0))


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended")
def test_a_checkpoint_says_whose_an_optimizer_is(make_trainer: Any, make_loader: Any) -> None:
    model = WGANGP(image_shape=(1, 8, 8), n_critic=1, generator=MLPGenerator, discriminator=MLPDiscriminator)  # fmt: skip  # noqa: E501
    trainer = make_trainer(max_steps=1)
    trainer.fit(model, make_loader(4))
    trainer.save_checkpoint("a.ckpt")
    checkpoint = torch.load("a.ckpt", weights_only=True)
    assert checkpoint["players"] == ["generator", "discriminator"]
    # in the other order each still finds its own
    for key in ("players", "optimizer_states"):
        checkpoint[key].reverse()
    torch.save(checkpoint, "b.ckpt")
    shapes = []
    for name in ("a.ckpt", "b.ckpt"):
        again = WGANGP(image_shape=(1, 8, 8), n_critic=1, generator=MLPGenerator, discriminator=MLPDiscriminator)  # fmt: skip  # noqa: E501
        trainer = make_trainer(max_steps=2)
        trainer.fit(again, make_loader(4), ckpt_path=name)
        shapes.append([p.clone() for p in again.parameters()])
    assert_close(shapes[0], shapes[1], rtol=0, atol=0)
    checkpoint["players"] = ["generator", "encoder"]
    torch.save(checkpoint, "c.ckpt")
    with pytest.raises(ValueError, match="optimizers of generator, encoder, not of"):
        make_trainer(max_steps=2).fit(again, make_loader(4), ckpt_path="c.ckpt")
