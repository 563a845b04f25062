"""DMD2: gradients by hand and in closed form, what it takes of a teacher, what it refuses."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from gan_modules import DMD2, EDM, VAE, GenerativeModule
from gan_modules.networks import MLPDenoiser
from gan_modules.networks.diffusion import karras_sigmas
from gan_modules.objectives.matching import matching_gradient, matching_loss
from gan_modules.tools.export import to_exported_program

SMALL = partial(MLPDenoiser, hidden=(8,))


def edm(**options: Any) -> Any:
    return EDM(**{"image_shape": (1, 8, 8), "generator": SMALL, "steps": 3, **options})


def dmd2(**options: Any) -> Any:
    if "teacher" not in options:
        options = {"teacher": "random", "generator": SMALL, **options}
    adam = partial(torch.optim.Adam, lr=1e-3)
    rates = {"generator_optimizer": adam, "guidance_optimizer": adam}
    return DMD2(**{"image_shape": (1, 8, 8), **rates, **options})


class Gaussian(nn.Module):
    """F of the exact denoiser of N(mean, 0.5^2): D = x sigma_d^2 / v + mean sigma^2 / v."""

    def __init__(self, mean: float) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(mean))

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        sigma = (4 * level).exp()
        gain = sigma / (0.5 * (sigma.square() + 0.25).sqrt())
        return self.mean * gain[:, None].expand_as(x)


# ---- the gradient --------------------------------------------------------------------------------


def test_the_gradient_by_hand() -> None:
    fakes = torch.tensor([[1.0, 2.0], [0.0, 4.0]])
    real = torch.tensor([[0.0, 4.0], [1.0, 4.0]])
    fake = torch.tensor([[3.0, 4.0], [1.0, 3.0]])
    # mean|x - real|: 1.5 and 0.5
    expected = torch.tensor([[2.0, 0.0], [0.0, -2.0]])
    assert_close(matching_gradient(fakes, real, fake), expected)


def test_the_loss_has_that_gradient_exactly(double: None) -> None:
    fakes = torch.randn(5, 2, 3, requires_grad=True)
    gradient = torch.randn(5, 2, 3)
    (found,) = torch.autograd.grad(matching_loss(fakes, gradient), fakes)
    assert_close(found, gradient / 30)


def test_the_generators_gradient_is_that_of_matching(double: None) -> None:
    """Through the network: the vector-Jacobian product with the gradient made by hand."""
    model = dmd2(gan_weight=0.0)
    with torch.no_grad():
        for weight in model.fake_score.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    batch = torch.rand(4, 1, 8, 8), None
    weights = [*model.generator.parameters()]
    torch.manual_seed(2)
    terms = model.generator_losses(batch)
    assert [*terms] == ["matching"]
    found = torch.autograd.grad(terms["matching"], weights)
    torch.manual_seed(2)
    fakes = model.generate(batch)
    sigmas = torch.tensor(karras_sigmas(1000))
    sigma = sigmas[((0.02 + 0.96 * torch.rand(4)) * 1000).long()]
    noisy = (fakes + sigma[:, None, None, None] * torch.randn(4, 1, 8, 8)).detach()
    real, fake = model.teacher(noisy, sigma), model.fake_score(noisy, sigma)
    size = (fakes - real).abs().mean((1, 2, 3), keepdim=True)
    gradient = ((fake - real) / size).detach() / fakes.numel()
    expected = torch.autograd.grad(fakes, weights, gradient)
    # levels are kept in single precision
    assert_close(found, expected, rtol=1e-4, atol=1e-9)


def test_between_gaussians_it_points_from_fakes_to_data(double: None) -> None:
    """Both denoisers exact: fake_x0 - real_x0 = (fakes' mean - the data's) sigma^2 / v."""
    model = DMD2(image_shape=(2,), teacher=Gaussian(0.3), gan_weight=0.0)
    model.fake_score.network.mean.data.fill_(-0.1)
    x, sigma = torch.randn(6, 2), torch.tensor([0.1, 0.2, 0.5, 1.0, 5.0, 50.0])
    difference = model.fake_score(x, sigma) - model.teacher(x, sigma)
    share = (sigma**2 / (sigma**2 + 0.25))[:, None]
    assert_close(difference, (-0.4 * share).expand(-1, 2))
    # one step of that size would end at the data's mean where noise hides all else
    assert_close((-0.1 - difference)[-1], torch.full((2,), 0.3), rtol=0, atol=1e-3)


def test_the_guidances_loss_by_hand(double: None) -> None:
    model = dmd2()
    real = torch.rand(4, 1, 8, 8)
    torch.manual_seed(2)
    terms = model.guidance_losses((real, None))
    torch.manual_seed(2)
    fakes = model.generate((real, None)).detach()
    sigmas = torch.tensor(karras_sigmas(1000))

    def noised(x: Tensor) -> tuple[Tensor, Tensor]:
        sigma = sigmas[(torch.rand(4) * 1000).long()]
        return x + sigma[:, None, None, None] * torch.randn_like(x), sigma

    noisy, sigma = noised(fakes)
    error = (model.fake_score(noisy, sigma) - fakes).square().mean((1, 2, 3))
    expected = ((sigma**-2 + 4) * error).mean()
    assert_close(terms["denoising"], expected, rtol=1e-4, atol=0)
    logits = [model.head(model.fake_score.features(*noised(x))) for x in (real, fakes)]
    expected = 1e-2 * (F.softplus(-logits[0]) + F.softplus(logits[1])).mean()
    assert_close(terms["adversarial"], expected, rtol=1e-4, atol=0)
    torch.manual_seed(3)
    fooled = model.generator_losses((real, None))["adversarial"]
    assert 0 < fooled < 3e-3 * 3


# ---- teacher and student -------------------------------------------------------------------------


def trained(make_trainer: Any, make_loader: Any, **options: Any) -> Any:
    model = edm(**options)
    trainer = make_trainer(max_steps=5)
    trainer.fit(model, make_loader(4))
    Path("runs/edm/0/checkpoints").mkdir(parents=True)
    trainer.save_checkpoint("runs/edm/0/checkpoints/step_000005.ckpt")
    return model


def test_it_begins_as_the_averaged_teacher(make_trainer: Any, make_loader: Any) -> None:
    teacher = trained(make_trainer, make_loader)
    for given in (teacher, "runs/edm/0", Path("runs/edm/0/checkpoints/step_000005.ckpt")):
        model = dmd2(teacher=given)
        expected = teacher.averaged_generator.denoiser.state_dict()
        assert_close(model.teacher.state_dict(), expected, rtol=0, atol=0)
        assert_close(model.fake_score.state_dict(), expected, rtol=0, atol=0)
        assert_close(model.generator.denoiser.state_dict(), expected, rtol=0, atol=0)
        z = model.latents(3, seed=0)
        with torch.no_grad():
            one = model.teacher(80 * z.reshape(3, 1, 8, 8), torch.full((3,), 80.0))
        assert_close(model.sample(3, seed=0), one.clamp(-1, 1))
        assert all(p.requires_grad for p in model.generator.parameters())
        assert all(p.requires_grad for p in model.fake_score.parameters())


def test_the_teacher_never_changes(make_trainer: Any, make_loader: Any) -> None:
    model = dmd2(teacher=trained(make_trainer, make_loader))
    before = {name: value.clone() for name, value in model.teacher.state_dict().items()}
    start = {name: value.clone() for name, value in model.generator.state_dict().items()}
    make_trainer(max_steps=4).fit(model, make_loader(10))
    assert_close(model.teacher.state_dict(), before, rtol=0, atol=0)
    assert model.training
    assert not any(module.training for module in model.teacher.modules())
    assert not any(p.requires_grad for p in model.teacher.parameters())
    assert any(not torch.equal(v, start[k]) for k, v in model.generator.state_dict().items())


@pytest.mark.parametrize("path", [True, False])
def test_checkpoints_need_the_teacher_no_more(
    make_trainer: Any, make_loader: Any, path: bool
) -> None:
    teacher = trained(make_trainer, make_loader)
    model = dmd2(teacher="runs/edm/0" if path else teacher)
    trainer = make_trainer(max_steps=1)
    trainer.fit(model, make_loader(10))
    trainer.save_checkpoint("dmd2.ckpt")
    Path("runs/edm/0/checkpoints/step_000005.ckpt").unlink()
    again: Any = GenerativeModule.load_from_checkpoint("dmd2.ckpt")
    assert type(again) is DMD2
    assert again.hparams["teacher"] == "random"
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert_close(again.sample(2, seed=0), model.sample(2, seed=0))
    make_trainer(max_steps=1).fit(again, make_loader(10))


def test_a_network_of_ones_own_teaches(make_trainer: Any, make_loader: Any) -> None:
    network = MLPDenoiser((1, 8, 8), hidden=(8,))
    model = dmd2(teacher=network)
    assert_close(model.teacher.network.state_dict(), network.state_dict(), rtol=0, atol=0)
    trainer = make_trainer(max_steps=1)
    trainer.fit(model, make_loader(10))
    trainer.save_checkpoint("dmd2.ckpt")
    with pytest.raises(ValueError, match="trained with generator passed in Python"):
        GenerativeModule.load_from_checkpoint("dmd2.ckpt")
    again = GenerativeModule.load_from_checkpoint("dmd2.ckpt", generator=network)
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_labels_reach_all_networks(make_trainer: Any, make_loader: Any) -> None:
    conditional = {"num_classes": 3, "conditional": True}
    model = dmd2(teacher=edm(**conditional), **conditional)
    make_trainer(max_steps=1).fit(model, make_loader(10))
    images = model.sample(2, labels=[0, 0], seed=1), model.sample(2, labels=[0, 2], seed=1)
    assert_close(images[0][0], images[1][0])
    assert not torch.equal(images[0][1], images[1][1])


# ---- one step, several, no head ------------------------------------------------------------------


def test_several_steps_by_hand() -> None:
    model = dmd2(step_sigmas=[80.0, 2.0])
    assert model.latent_dim == 2 * 64
    z = model.latents(3, seed=0)
    first, second = z.reshape(3, 2, 1, 8, 8).unbind(1)
    denoiser = model.averaged_generator.denoiser
    with torch.no_grad():
        x = denoiser(80 * first, torch.full((3,), 80.0))
        x = denoiser(x + 2 * second, torch.full((3,), 2.0))
    assert_close(model.sample(3, seed=0), x.clamp(-1, 1))


def test_each_fake_is_of_one_of_the_steps() -> None:
    model = dmd2(step_sigmas=[80.0, 2.0])
    batch = torch.rand(64, 1, 8, 8), None
    torch.manual_seed(5)
    fakes = model.generate(batch)
    torch.manual_seed(5)
    inputs = model.generator.inputs(model.sample_noise(64))
    step = (torch.rand(64) * 2).long()
    assert 0 < step.sum() < 64
    expected = [
        model.generator.denoiser(inputs[s][n : n + 1], model.generator.sigmas[s][None])
        for n, s in enumerate(step.tolist())
    ]
    assert_close(fakes, torch.cat(expected))


def test_without_a_head(make_trainer: Any, make_loader: Any) -> None:
    model = dmd2(teacher=edm(), gan_weight=0.0)
    assert not [*model.head.parameters()]
    trainer = make_trainer(max_steps=2, log_every_n_steps=1)
    trainer.fit(model, make_loader(10))
    terms = {name for name in trainer.callback_metrics if name.startswith(("g/", "guidance/"))}
    assert terms == {"g/matching", "g/loss", "guidance/denoising", "guidance/loss"}


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher": "runs/nothing"}, "^teacher='runs/nothing' must be a run or a checkpoint of"),
        ({"teacher": None}, "^teacher=None must be a run or a checkpoint of EDM, such a model"),
        ({"teacher": 3}, "^teacher=3 must be a run or a checkpoint of EDM, such a model, or a"),
        ({"teacher": VAE(image_shape=(1, 8, 8))}, "^teacher='VAE' must be a run or a"),
        ({"teacher": EDM(image_shape=(2,))}, r"^image_shape=\(1, 8, 8\) must be \(2,\), which the"),
        ({"teacher": edm(sigma_data=0.3)}, r"^sigma_data=0\.5 must be 0\.3, which the teacher"),
        (
            {"teacher": edm(num_classes=3, conditional=True)},
            r"^num_classes \(0 unless conditional\)=0 must be 3, which the teacher was",
        ),
        ({"teacher": edm(), "generator": SMALL}, "^generator='partial' must be left out with a"),
        ({"n_critic": 0}, "^n_critic=0 must be at least 1"),
        ({"gan_weight": -1.0}, r"^gan_weight=-1\.0 must be at least 0 and finite"),
        ({"step_sigmas": [2.0, 80.0]}, r"^step_sigmas=\[2\.0, 80\.0\] must be positive noise"),
        ({"step_sigmas": []}, r"^step_sigmas=\[\] must be positive noise levels, the highest"),
        ({"levels": 1}, "^levels=1 must be at least 2"),
        ({"generator": Gaussian(0.0)}, r"^generator=Gaussian must have features\(x, level\)"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        dmd2(**options)
    assert "\n" not in str(error.value)


def test_several_steps_are_exported() -> None:
    # compared with the model's own samples, for several numbers of images
    to_exported_program(dmd2(step_sigmas=[80.0, 2.0]), "dmd2.pt2", tolerance=1e-4)
