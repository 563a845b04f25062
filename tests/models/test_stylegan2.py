"""StyleGAN2: its objective, its regularisers and its styles."""

import math
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from PIL import Image
from small_networks import StyledMLP
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from torchvision.transforms.v2.functional import pil_to_tensor
from variants import batches

from gan_modules import GAN, R1, AdaptiveAugment, StyleGAN2
from gan_modules.callbacks import LatentInterpolation, StyleMixing, TruncationGrid
from gan_modules.callbacks.pictures import grid, picture
from gan_modules.command_line.prediction import Prediction
from gan_modules.demo.pictures import SamplePictures
from gan_modules.families.gates import Seen
from gan_modules.families.latents import slerp
from gan_modules.models.stylegan2 import PathLength, path_lengths
from gan_modules.networks import (
    MLPDiscriminator,
    MLPGenerator,
    StyledGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from gan_modules.training.seeding import seed_iteration


class Plain(StyledGenerator):
    """A style is the latent; an image is a linear map of the styles of two layers."""

    def __init__(self, image_shape: Any, latent_dim: int, num_classes: int = 0) -> None:
        super().__init__(latent_dim, 2)
        torch.manual_seed(3)
        size = math.prod(image_shape)
        self.weight = nn.Parameter(torch.randn(size, 2, latent_dim))
        self.image_shape = image_shape
        self.synthesis = self.Images(self)

    class Images(nn.Module):
        def __init__(self, owner: Any) -> None:
            super().__init__()
            self.owner = [owner]

        def forward(self, ws: Tensor) -> Tensor:
            (owner,) = self.owner
            return torch.einsum("pld,nld->np", owner.weight, ws).unflatten(1, owner.image_shape)

    def mapping(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return z + 0 * self.weight.sum()


def plain(**options: Any) -> StyleGAN2:
    networks: dict[str, Any] = {
        "generator": Plain,
        "discriminator": partial(MLPDiscriminator, hidden=(4,)),
    }
    return StyleGAN2(**{"image_shape": (1, 2, 3), "latent_dim": 3, **networks, **options})


def test_objective_by_hand(double: None) -> None:
    model = plain(mixing=0.0)
    real = torch.randn(4, 1, 2, 3)
    torch.manual_seed(1)
    z = torch.randn(4, 3)
    fake = model.generator(z)
    torch.manual_seed(1)
    d = model.discriminator_losses((real, None))["adversarial"]
    judge = model.discriminator
    assert_close(d, F.softplus(-judge(real)).mean() + F.softplus(judge(fake)).mean())
    torch.manual_seed(1)
    g = model.generator_losses((real, None))["adversarial"]
    assert_close(g, F.softplus(-judge(fake)).mean())


def test_path_lengths_of_a_linear_generator(double: None) -> None:
    generator = Plain((1, 2, 3), 3)
    ws = torch.randn(5, 2, 3, requires_grad=True)
    torch.manual_seed(7)
    found = path_lengths(generator.synthesis, ws)
    torch.manual_seed(7)
    y = torch.randn(5, 1, 2, 3).flatten(1) / math.sqrt(6)
    through = torch.einsum("np,pld->nld", y, generator.weight)
    assert_close(found, through.square().sum(2).mean(1).sqrt())


def test_path_lengths_by_differences(double: None) -> None:
    generator = StyledMLP((1, 2, 2), 3, hidden=(6,))
    ws = torch.randn(2, 2, 8, requires_grad=True)
    torch.manual_seed(7)
    found = path_lengths(generator.synthesis, ws)
    torch.manual_seed(7)
    y = torch.randn(2, 1, 2, 2) / 2
    slopes = torch.zeros(2, 2, 8)
    for index in [(n, layer, d) for n in range(2) for layer in range(2) for d in range(8)]:
        step = torch.zeros_like(ws)
        step[index] = 1e-6
        ahead, behind = generator.synthesis(ws + step), generator.synthesis(ws - step)
        slopes[index] = ((ahead - behind) * y).sum() / 2e-6
    assert_close(found, slopes.square().sum(2).mean(1).sqrt(), rtol=1e-6, atol=1e-8)


def test_path_length_is_compared_with_the_mean_before(double: None) -> None:
    model = plain(mixing=0.0)
    term = PathLength(weight=2.0, every=4, decay=0.25)
    term.mean.fill_(0.5)
    z = torch.randn(6, 3)
    torch.manual_seed(2)
    value = term(model, Seen(z=z))
    torch.manual_seed(2)
    # half as many latents as there were
    ws = z[:3, None].expand(-1, 2, -1).requires_grad_()
    norms = path_lengths(model.generator.synthesis, ws)
    assert_close(value, (norms - 0.5).square().mean())
    assert_close(term.mean, (0.5 + 0.25 * (norms.mean() - 0.5)).detach())
    (gradient,) = torch.autograd.grad(value, model.generator.weight)
    assert gradient.abs().min() > 0


def test_lazy_terms_are_the_dense_ones_on_average(double: None) -> None:
    """Sixteen updates, of which one has R1 sixteen times: its gradient is the dense one's."""

    def total(model: Any, steps: int, batch: Any) -> Tensor:
        found = torch.zeros(())
        with pytest.MonkeyPatch.context() as patch:
            for step in range(steps):
                patch.setattr(type(model), "global_step", step)
                for objective in model.objectives("discriminator"):
                    found = found + objective(batch).get("r1", 0)
        return found

    batch = (torch.randn(4, 1, 2, 3), None)
    torch.manual_seed(0)
    lazy = plain(gamma=0.7, gamma_every=16)
    torch.manual_seed(0)
    dense = plain(gamma=0.7, gamma_every=1)
    images = batch[0].clone().requires_grad_()
    (slopes,) = torch.autograd.grad(dense.discriminator(images).sum(), images)
    assert_close(
        total(dense, 1, batch).detach(), 0.7 / 2 * slopes.flatten(1).square().sum(1).mean()
    )
    gradients = [
        torch.autograd.grad(total(model, 32, batch), [*model.discriminator.parameters()][:1])
        for model in (lazy, dense)
    ]
    assert_close(gradients[0], gradients[1])
    assert gradients[0][0].abs().max() > 0


def test_rates_by_hand() -> None:
    model = plain(gamma_every=16, path_every=4)
    generator, discriminator = (
        found["optimizer"].param_groups[0]
        for found in model.configure_optimizers()  # type: ignore[union-attr]
    )
    # 0.002 times 16 / 17, and 0.99 to its power
    assert_close(discriminator["lr"], 0.0018823529411764706)
    assert_close([*discriminator["betas"]], [0.0, 0.9905854573])
    assert_close(generator["lr"], 0.0016)
    assert_close([*generator["betas"]], [0.0, 0.9919919678])

    def sgd(parameters: Any) -> Any:
        return torch.optim.SGD(parameters, lr=0.5)

    # those given, too, of whatever kind; what is not lazy, or not there, changes nothing
    options = {"generator_optimizer": sgd, "discriminator_optimizer": sgd}
    for every, weight, rate in ((3, 1.0, 0.375), (1, 1.0, 0.5), (3, 0.0, 0.5)):
        model = plain(
            gamma=weight, gamma_every=every, path_weight=weight, path_every=every, **options
        )
        for found in model.configure_optimizers():  # type: ignore[union-attr]
            assert_close(found["optimizer"].param_groups[0]["lr"], rate)
    with pytest.raises(ValueError, match="discriminator_optimizer=SGD object must be a class or"):
        plain(discriminator_optimizer=sgd([nn.Parameter(torch.zeros(1))]))


def test_an_iteration_with_lazy_steps_by_hand(double: None, make_trainer: Any) -> None:
    """The adversarial step first, then that of the lazy term, from where the first has led to."""
    images = torch.randn(4, 1, 2, 3).clamp(-1, 1)
    model = plain(
        mixing=0.0, gamma=0.7, gamma_every=3, path_weight=2.0, path_every=4,
        generator_optimizer=partial(torch.optim.SGD, lr=0.1),
        discriminator_optimizer=partial(torch.optim.SGD, lr=0.1),
    ).double()  # fmt: skip
    hand = deepcopy(model)
    trainer = make_trainer(max_steps=1, log_every_n_steps=1, precision="64-true")
    trainer.fit(model, torch.utils.data.DataLoader(images, 4))  # type: ignore[arg-type]
    seed_iteration(model.noise_seed, 0, 0, torch.device("cpu"))  # type: ignore[arg-type]
    judge, generator = hand.discriminator, hand.generator

    def step(network: nn.Module, loss: Tensor, rate: float) -> float:
        parameters = [*network.parameters()]
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= rate * gradient
        return loss.item()

    fakes = generator(hand.sample_noise(4)).detach()
    loss = F.softplus(-judge(images)).mean() + F.softplus(judge(fakes)).mean()
    d = step(judge, loss, 0.1 * 3 / 4)
    hand.sample_noise(4)
    points = images.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(judge(points).sum(), points, create_graph=True)
    r1 = 3 * 0.7 * slopes.flatten(1).square().sum(1).mean() / 2
    d += step(judge, r1, 0.1 * 3 / 4)
    step(generator, F.softplus(-judge(generator(hand.sample_noise(4)))).mean(), 0.1 * 4 / 5)
    ws = generator.mapping(hand.sample_noise(4)[:2])[:, None].expand(-1, 2, -1)
    norms = path_lengths(generator.synthesis, ws)
    step(generator, 4 * 2.0 * norms.square().mean(), 0.1 * 4 / 5)
    assert_close(dict(model.discriminator.named_parameters()), dict(judge.named_parameters()))
    assert_close(dict(model.generator.named_parameters()), dict(generator.named_parameters()))
    # one sum of both steps
    terms = trainer.callback_metrics
    assert_close(terms["d/r1"].item(), r1.item(), rtol=1e-6, atol=0)
    assert_close(terms["d/loss"].item(), d, rtol=1e-6, atol=0)
    assert trainer.global_step == 1


def test_lazy_steps_are_those_that_are_due(make_trainer: Any) -> None:
    model = plain(gamma_every=4, path_every=3, path_decay=1.0)
    trainer = make_trainer(max_steps=6, log_every_n_steps=1)
    trainer.fit(model, batches(model, 4, 24))
    assert trainer.global_step == 6
    steps = [
        {int(state["step"]) for state in optimizer.state.values()}
        for optimizer in trainer.optimizers
    ]
    # after 0 and 3 iterations; after 0 and 4, where the last bias has no gradient
    assert steps == [{8}, {6, 8}]
    assert model.eval().objectives("discriminator")[1:] == []


def test_mixing_by_hand() -> None:
    model = plain(mixing=1.0)
    w = torch.full((4, 3), 5.0)
    ws = model.mixed(w, None)
    # of two layers, the first keeps its style
    assert_close(ws[:, 0], w)
    assert (ws[:, 1] != 5.0).all()
    # one further latent for both layers of an image, none for others
    generator = StyledMLP((1, 2, 2), 3)
    generator.num_layers = 5
    model = plain(generator=generator, mixing=0.5)
    w = torch.full((2000, 8), 5.0)
    ws = model.mixed(w, None)
    others = (ws != 5.0).all(2)
    assert_close((ws != 5.0).any(2), others)
    starts = 5 - others.sum(1)
    # from the start on, to the end
    assert_close(others, torch.arange(5) >= starts[:, None])
    shares = starts.bincount(minlength=6) / 2000
    assert_close(shares, torch.tensor([0, 0.125, 0.125, 0.125, 0.125, 0.5]), rtol=0, atol=0.04)
    # none in evaluation, or without
    assert_close(model.eval().mixed(w, None), w[:, None].expand(-1, 5, -1))


def test_the_mean_style_and_truncation_by_hand() -> None:
    model = plain(mixing=0.5, w_decay=0.75)
    torch.manual_seed(1)
    z, _ = model.draw((torch.zeros(4, 1, 2, 3), None))
    assert_close(model.generator.w_avg, 0.25 * z.mean(0))
    model.draw((torch.zeros(4, 1, 2, 3), None))
    before = model.generator.w_avg.clone()
    model.eval().draw((torch.zeros(4, 1, 2, 3), None))
    assert_close(model.generator.w_avg, before, rtol=0, atol=0)
    assert any(model.generator.w_avg is tensor for tensor in model.to_average())
    model.averaged_generator.w_avg.copy_(torch.tensor([1.0, 2.0, 3.0]))  # type: ignore[union-attr, operator]
    z = model.latents(2, 0)
    mean = torch.tensor([1.0, 2.0, 3.0])
    assert_close(model.styles(z, psi=0.7), mean + 0.7 * (z - mean))
    expected = model.averaged_generator.synthesis(
        (mean + 0.7 * (z - mean))[:, None].expand(-1, 2, -1)
    )  # type: ignore[union-attr, operator]
    assert_close(model.sample(2, seed=0, psi=0.7), expected)
    assert_close(model.sample(2, seed=0), model(z))
    assert_close(*model.sample(2, seed=0, psi=0.0))
    with pytest.raises(ValueError, match=r"psi=1\.5 must be in \[-1, 1\]"):
        model.sample(1, psi=1.5)


def test_mixed_samples_have_styles_of_both() -> None:
    model = plain().eval()
    grid = model.mix(2, 3, seed=0, first=1, last=2)
    assert grid.shape == (3, 4, 1, 2, 3)
    w = model.latents(5, 0)
    synthesis: Any = model.averaged_generator.synthesis  # type: ignore[union-attr]
    assert_close(grid[1:, 0], model.images_of_styles(w[:2]))
    assert_close(grid[0, 1:], model.images_of_styles(w[2:]))
    assert_close(grid[2, 3], synthesis(torch.stack([w[1], w[4]])[None])[0])
    first = model.mix(2, 3, seed=0)
    assert_close(first[2, 3], synthesis(torch.stack([w[4], w[1]])[None])[0])
    with pytest.raises(ValueError, match=r"first=2 must be .*below last=2"):
        model.mix(1, 1, first=2, last=2)


def test_ways_between_styles_are_straight(double: None) -> None:
    torch.manual_seed(4)
    model = StyleGAN2(
        image_shape=(1, 4, 4), latent_dim=3, generator=StyledMLP,
        discriminator=partial(MLPDiscriminator, hidden=(4,)),
    )  # fmt: skip
    z = model.latents(4, 6)
    w = model.styles(z)
    for name in ("w", "w+"):
        walks = model.interpolate(2, 5, seed=6, space=name)
        assert walks.shape == (2, 5, 1, 4, 4)
        expected = model.images_of_styles(torch.stack([w[0], 0.75 * w[0] + 0.25 * w[1], w[1]]))
        assert_close(walks[0, [0, 1, 4]], expected)
        assert_close(walks[1, 2], model.images_of_styles((w[2:3] + w[3:]) / 2)[0])
    # another way than that between the latents, with the same ends
    arcs = model.interpolate(2, 5, seed=6)
    assert_close(arcs[:, 2], model(slerp(z[::2], z[1::2], 0.5)))
    assert_close(arcs[:, [0, 4]], walks[:, [0, 4]])
    assert (arcs[:, 2] - walks[:, 2]).abs().max() > 1e-4
    picture_of = LatentInterpolation(n=2, steps=5, seed=6, space="w")
    assert_close(picture_of.draw(model, (torch.zeros(0), None)), walks)
    with pytest.raises(ValueError, match="space='w' must be z for GAN"):
        GAN(image_shape=(1, 4, 4)).interpolate(1, 2, space="w")
    with pytest.raises(ValueError, match=r"space='y' must be z or w or w\+ for StyleGAN2"):
        model.space("y")


def test_the_middle_of_spaces_by_hand() -> None:
    model = plain()
    z = model.latents(10_000, 9)
    mean, spread = model.space("w").middle(None, 9)
    assert_close(mean, z.mean(0, keepdim=True))
    assert_close(spread, (z - z.mean(0)).square().sum(1).mean().sqrt().reshape(1, 1))
    means, spreads = model.space("w+").middle(None, 9)
    assert_close(means, mean[:, None].expand(1, 2, 3))
    assert_close(spreads, spread[:, None].expand(1, 2, 1))


def test_the_picture_of_mixtures(make_trainer: Any) -> None:
    generator = StyledMLP((1, 4, 4), 3)
    model = StyleGAN2(
        image_shape=(1, 4, 4), latent_dim=3, generator=generator,
        discriminator=partial(MLPDiscriminator, hidden=(4,)),
    )  # fmt: skip
    callback = StyleMixing(n=2, crossover=1, psi=0.5, seed=5, width=60)
    trainer = make_trainer(max_steps=1, callbacks=[callback])
    trainer.fit(model, batches(model, 4, 8))
    images = callback.draw(model, (torch.zeros(0), None))
    w = model.styles(model.latents(4, 5), psi=0.5)
    # the second sample of the column, with the first layer's style of the first one of the row
    expected = model.images_of_styles(torch.stack([w[2], w[1]])[None])[0]
    assert_close(images[2, 1], expected)
    with Image.open("mixing/step_000001.png") as file:
        page = pil_to_tensor(file.convert("RGB"))
    plain_page = grid(images, 60).mul(255).add(0.5).clamp(0, 255).byte()
    # one line below the first row and one right of the first column
    assert (page[:, :, 22:24] == 255).all()
    assert (page[:, 22:24] == 255).all()
    assert_close(page[:, 24:, 24:], plain_page[:, 24:, 24:])
    for options, line in (
        ({"crossover": 2}, "crossover=2 must be from 1 to 1, of 2 layers"),
        ({"psi": 2.0}, r"psi=2\.0 must be in \[-1, 1\]"),
    ):
        with pytest.raises(ValueError, match=line):
            make_trainer(max_steps=2, callbacks=[StyleMixing(**options)]).fit(
                model, batches(model, 4, 8)
            )
    with pytest.raises(ValueError, match="StyleMixing draws from a model with the method mix"):
        StyleMixing().setup(make_trainer(), GAN(image_shape=(1, 4, 4)), "fit")


def test_truncation_of_styles_is_psi() -> None:
    model = plain()
    rows = TruncationGrid(n=3, thresholds=[0.5, 0.0], seed=2).draw(model, (torch.zeros(0), None))
    assert_close(rows[1], model.sample(3, seed=2, psi=0.5))
    assert_close(rows[2], model.sample(3, seed=2, psi=0.0))
    images = model.predict_step((model.latents(3, 2), None, 0.5, ["a", "b", "c"]), 0)
    assert_close(images, rows[1])
    with pytest.raises(ValueError, match=r"truncation=1\.5 must be psi, in \[-1, 1\]"):
        Prediction(truncation=1.5, format="npy").loader(model)
    (batch,) = Prediction(truncation=0.5, n=3, seed=2, format="npy").loader(model)
    assert_close(model.predict_step(batch, 0), rows[1])
    pictures = SamplePictures(model)
    assert pictures.most_truncation == 1.0
    below = picture(model.sample(4, seed=2, psi=0.5).unflatten(0, (2, 2)), 640)
    assert pictures.samples(2, 4, None, 0.5).tobytes() == below.tobytes()
    for crossover, last in ((0, 1), (1, 1), (7, 2)):
        mixed = picture(model.mix(6, 6, 2, last=last, psi=0.5), 640)
        assert pictures.mixtures(2, crossover, 0.5).tobytes() == mixed.tobytes()
    assert SamplePictures(GAN(image_shape=(1, 4, 4))).layers == 0


def test_the_mean_style_goes_with_the_average(make_trainer: Any) -> None:
    model = StyleGAN2(
        image_shape=(1, 8, 8), latent_dim=4, augmentation=AdaptiveAugment(),
        generator=partial(StyleGAN2Generator, style_dim=4, channel_base=32),
        discriminator=partial(StyleGAN2Discriminator, channel_base=32),
    )  # fmt: skip
    trainer = make_trainer(max_steps=2, log_every_n_steps=1)
    trainer.fit(model, batches(model, 4, 8))
    generator: Any = model.averaged_generator
    assert generator.w_avg.abs().max() > 0
    assert_close(generator.w_avg, model.generator.w_avg, rtol=0, atol=0)
    # terms that are not due are reported as they were
    terms = trainer.callback_metrics
    assert {"d/r1", "g/path_length", "augment/p"} <= terms.keys()
    assert_close(terms["d/loss"], terms["d/adversarial"])


def test_lazy_terms_are_reported_wherever_they_are_due(make_trainer: Any) -> None:
    model = GAN(
        image_shape=(1, 8, 8), regularizers=[R1(every=4)],
        generator=partial(MLPGenerator, hidden=(4,)),
        discriminator=partial(MLPDiscriminator, hidden=(4,)),
    )  # fmt: skip
    # due in the first and the fifth iteration, reported after the third and the sixth
    trainer = make_trainer(max_steps=6, log_every_n_steps=3)
    trainer.fit(model, batches(model, 4, 24))
    assert trainer.callback_metrics["d/r1"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -1.0}, r"gamma=-1\.0 must be at least 0"),
        ({"gamma_every": 0}, "gamma_every=0 must be at least 1"),
        ({"path_weight": math.inf}, "path_weight=inf must be at least 0"),
        ({"path_every": 0}, "path_every=0 must be at least 1"),
        ({"path_decay": 0.0}, r"path_decay=0\.0 must be in \(0, 1\]"),
        ({"mixing": 1.1}, r"mixing=1\.1 must be in \[0, 1\]"),
        ({"w_decay": 1.0}, r"w_decay=1\.0 must be in \[0, 1\)"),
        ({"generator": MLPGenerator}, "generator='?MLPGenerator'? must be a StyledGenerator"),
        ({"regularizers": [R1(1.0)]}, "it is there"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plain(**options).terms_of("discriminator", (torch.zeros(4, 1, 2, 3), None))
