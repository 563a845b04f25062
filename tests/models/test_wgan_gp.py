from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.testing import assert_close

from gan_modules import WGANGP
from gan_modules.networks import (
    DCGANDiscriminator,
    MLPDiscriminator,
    ResNetDiscriminator,
    ResNetGenerator,
)


class Linear(nn.Module):
    """D(x) = w.x with w = (2, 0, 0, ...)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(64))
        with torch.no_grad():
            self.weight[0] = 2.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.weight


class Constant(nn.Module):
    """G(z) = 0.25 everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(0.25))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.value.expand(len(z), 1, 8, 8)


def test_objective_by_hand() -> None:
    model = WGANGP(image_shape=(1, 8, 8), generator=Constant(), discriminator=Linear())
    batch = (torch.full((6, 1, 8, 8), -0.5), None)
    # D(real) = -1, D(fake) = 0.5, gradient norm 2: (2 - 1)^2 times 10
    assert_close(
        model.discriminator_losses(batch),
        {"wasserstein": torch.tensor(1.5), "gradient_penalty": torch.tensor(10.0)},
    )
    assert_close(model.generator_losses(batch), {"adversarial": torch.tensor(-0.5)})


def test_defaults_are_the_papers() -> None:
    model = WGANGP(image_shape=(3, 8, 8))
    assert (model.n_critic, model.gp_weight, model.latent_dim) == (5, 10.0, 128)
    assert isinstance(model.generator, ResNetGenerator)
    assert isinstance(model.discriminator, ResNetDiscriminator)
    for configured in model.configure_optimizers():  # type: ignore[union-attr]
        group = configured["optimizer"].param_groups[0]  # type: ignore[index]
        assert (group["lr"], group["betas"]) == (1e-4, (0.0, 0.9))


def test_batch_norm_in_the_critic_is_refused() -> None:
    with pytest.raises(ValueError, match="discriminator has batch normalisation"):
        WGANGP(image_shape=(1, 16, 16), discriminator=DCGANDiscriminator)


def test_conditional_use(make_model: Any, make_trainer: Any, make_loader: Any) -> None:
    model = make_model(n_critic=2, num_classes=3, conditional=True)
    make_trainer(max_steps=3).fit(model, make_loader(12))
    images = model.sample(6, labels=[0, 1, 2, 0, 1, 2], seed=1)
    again = model.sample(6, seed=1)
    assert_close(images, again, rtol=0, atol=0)
    assert not torch.equal(images, model.sample(6, labels=[1] * 6, seed=1))
    with pytest.raises(ValueError, match=r"labels=\[0, 3\] must be 2 integers in \[0, 2\]"):
        model.sample(2, labels=[0, 3])


def test_sample(make_model: Any) -> None:
    model = make_model()
    model.train()
    before = torch.random.get_rng_state()
    images = model.sample(5, seed=3)
    assert_close(torch.random.get_rng_state(), before)
    assert images.shape == (5, 1, 8, 8)
    assert images.abs().max() <= 1
    assert not images.requires_grad
    assert all(module.training for module in model.modules())
    assert_close(model.sample(5, seed=3), images, rtol=0, atol=0)
    assert not torch.equal(model.sample(5, seed=4), images)
    assert not torch.equal(model.sample(5), model.sample(5))
    with pytest.raises(ValueError, match="takes no labels"):
        model.sample(2, labels=[0, 1])
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        model.sample(0)


def test_sample_is_from_the_averaged_generator(make_model: Any) -> None:
    model = make_model()
    for parameter in model.generator.parameters():
        nn.init.zeros_(parameter)
    assert model.sample(2).abs().max() > 0
    live = make_model(ema_decay=0.0)
    for parameter in live.generator.parameters():
        nn.init.zeros_(parameter)
    assert live.averaged_generator is None
    assert live.sample(2).abs().max() == 0


# ---- critics of every kind, against the definition --------------------------------------


def expected_terms(
    model: WGANGP, real: Tensor, fake: Tensor, labels: Tensor | None
) -> list[Tensor]:
    """Distance and penalty by the definition, image by image."""
    position = torch.rand(len(real))
    terms: list[list[Tensor]] = [[], [], []]
    for i in range(len(real)):
        label = None if labels is None else labels[i : i + 1]
        point = (position[i] * real[i] + (1 - position[i]) * fake[i])[None].requires_grad_()
        score = model.discriminate(point, label).sum()
        (slope,) = torch.autograd.grad(score, point, create_graph=True)
        real_score, fake_score = model.discriminate_both(real[i : i + 1], fake[i : i + 1], label)
        terms[0].append(real_score)
        terms[1].append(fake_score)
        terms[2].append((slope.square().sum().sqrt() - 1) ** 2 / len(real))
    distance = torch.cat(terms[1]).mean() - torch.cat(terms[0]).mean()
    return [distance, torch.stack(terms[2]).sum()]


def found_terms(model: WGANGP, real: Tensor, fake: Tensor, labels: Tensor | None) -> list[Tensor]:
    """The model's own objective, unweighted, of images that are given."""
    model.generate = lambda batch: fake  # type: ignore[method-assign, assignment]
    losses = model.discriminator_losses((real, labels))
    return [losses["wasserstein"], losses["gradient_penalty"] / model.gp_weight]


def assert_terms_are_right(model: WGANGP) -> None:
    """Of random images, with their gradients."""
    real, fake = torch.randn(2, 6, *model.image_shape)
    labels = torch.arange(6) % model.num_classes if model.num_classes else None
    weights = list(model.discriminator.parameters())
    found, expected = [], []
    for function, terms in (
        (lambda *batch: found_terms(model, *batch), found),
        (lambda *batch: expected_terms(model, *batch), expected),
    ):
        torch.manual_seed(1)
        values = function(real, fake, labels)
        terms += values
        weighted = values[0].square() + 7 * values[1]
        gradients = torch.autograd.grad(weighted, weights, allow_unused=True)
        terms += [torch.zeros(()) if g is None else g for g in gradients]
    assert_close(found, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("image_shape", [(1, 3, 3), (2, 2, 3), (2,)])
@pytest.mark.parametrize("hidden", [[5], [6, 5], [4, 5, 6]])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_objective_of_an_mlp(
    image_shape: tuple[int, ...], hidden: list[int], num_classes: int, double: None
) -> None:
    critic = MLPDiscriminator(image_shape, num_classes, hidden)
    model = WGANGP(
        image_shape=image_shape, num_classes=num_classes, conditional=bool(num_classes),
        generator=MLPDiscriminator(image_shape), discriminator=critic,
    )  # fmt: skip
    assert_terms_are_right(model)


class Twice(MLPDiscriminator):
    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return 2 * super().forward(images, labels)


class Halved(WGANGP):
    def discriminate(self, images: Tensor, labels: Tensor | None) -> Tensor:
        return super().discriminate(images / 2, labels)


class Shifted(WGANGP):
    def discriminate_both(
        self, real: Tensor, fake: Tensor, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        real_scores, fake_scores = super().discriminate_both(real, fake, labels)
        return real_scores + 0, fake_scores


class Own(MLPDiscriminator):
    """Without the layers of its base."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.linear = nn.Linear(9, 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.linear(images.flatten(1)).squeeze(1)


class Residual(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x.sum(1, keepdim=True)


class Called(MLPDiscriminator):
    def __call__(self, *args: Any) -> Any:
        return 2 * super().__call__(*args)


def changed(change: Callable[[MLPDiscriminator], Any]) -> MLPDiscriminator:
    critic = MLPDiscriminator((1, 3, 3), hidden=[5, 4])
    change(critic)
    return critic


def replace_forward(module: nn.Module) -> None:
    usual = module.forward
    module.forward = lambda *args: usual(*args) / 2  # type: ignore[method-assign]


def back(module: nn.Module, *gradients: Any) -> None:
    """A hook that does nothing."""


def halve(module: nn.Module, inputs: tuple[Tensor, ...], *output: Tensor) -> Any:
    return output[0] / 2 if output else (inputs[0] / 2, *inputs[1:])


OTHERS: dict[str, Callable[[], nn.Module]] = {
    "subclass": lambda: Twice((1, 3, 3), hidden=[5, 4]),
    "layer norm": lambda: MLPDiscriminator((1, 3, 3), hidden=[5, 4], norm="layer"),
    "maxout": lambda: MLPDiscriminator((1, 3, 3), hidden=[5, 4], activation="maxout"),
    "no hidden layer": lambda: MLPDiscriminator((1, 3, 3), hidden=[]),
    "hook": lambda: changed(lambda c: c.register_forward_hook(halve)),
    "pre-hook": lambda: changed(lambda c: c.register_forward_pre_hook(halve)),
    "hook of a layer": lambda: changed(lambda c: c.layers[2].register_forward_hook(halve)),
    "other layer": lambda: changed(lambda c: c.layers.__setitem__(1, nn.LeakyReLU(0.2, True))),
    "other activation": lambda: changed(lambda c: c.layers.__setitem__(1, nn.ELU())),
    "ends in LeakyReLU": lambda: changed(lambda c: c.layers.append(nn.LeakyReLU(0.2))),
    "parametrized": lambda: changed(lambda c: weight_norm(c.layers[0])),
    "backward hook": lambda: changed(lambda c: c.register_full_backward_hook(back)),
    "backward pre-hook": lambda: changed(lambda c: c.register_full_backward_pre_hook(back)),
    "hook of the layers": lambda: changed(lambda c: c.layers.register_forward_hook(halve)),
    "other layers": lambda: changed(lambda c: setattr(c, "layers", Residual(*c.layers))),
    "own layers": Own,
    "own forward": lambda: changed(replace_forward),
    "own forward of a layer": lambda: changed(lambda c: replace_forward(c.layers[0])),
    "called otherwise": lambda: Called((1, 3, 3), hidden=[5, 4]),
    "not ours": lambda: nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.Tanh(), nn.Linear(5, 1)),
}


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("name", OTHERS)
def test_objective_of_other_critics(name: str, double: None) -> None:
    critic = OTHERS[name]()
    model = WGANGP(image_shape=(1, 3, 3), generator=nn.Identity(), discriminator=critic)
    assert_terms_are_right(model)


def test_a_hook_of_all_modules_is_kept(double: None) -> None:
    critic = MLPDiscriminator((1, 3, 3), hidden=[5, 4])
    model = WGANGP(image_shape=(1, 3, 3), generator=nn.Identity(), discriminator=critic)
    handle = nn.modules.module.register_module_forward_hook(halve)
    try:
        assert_terms_are_right(model)
    finally:
        handle.remove()


def test_several_logits_of_an_image(double: None) -> None:
    critic = MLPDiscriminator((1, 3, 3), hidden=[5, 4])
    critic.layers[-1] = nn.Linear(4, 3)
    assert_terms_are_right(
        WGANGP(image_shape=(1, 3, 3), generator=nn.Identity(), discriminator=critic)
    )


def test_half_precision_images_under_autocast() -> None:
    model = WGANGP(
        image_shape=(1, 3, 3), generator=nn.Identity(),
        discriminator=MLPDiscriminator((1, 3, 3), hidden=[5, 4]),
    )  # fmt: skip
    real, fake = torch.randn(2, 6, 1, 3, 3).bfloat16()
    torch.manual_seed(1)
    *_, expected = found_terms(model, real.float(), fake.float(), None)
    torch.manual_seed(1)
    with torch.autocast("cpu"):
        *_, penalty = found_terms(model, real, fake, None)
    assert_close(penalty, expected)


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize(("n", "m"), [(6, 4), (1, 3)])
def test_unequal_numbers_are_refused(norm: Any, n: int, m: int) -> None:
    critic = MLPDiscriminator((1, 3, 3), hidden=[5, 4], norm=norm)
    model = WGANGP(image_shape=(1, 3, 3), generator=nn.Identity(), discriminator=critic)
    with pytest.raises(ValueError, match=rf"must be equal, not \({n}, 1, 3, 3\) and \({m}, 1"):
        found_terms(model, torch.zeros(n, 1, 3, 3), torch.zeros(m, 1, 3, 3), None)


@pytest.mark.parametrize("variant", [Halved, Shifted])
def test_overrides_of_how_images_are_judged_are_kept(variant: type[WGANGP], double: None) -> None:
    model = variant(
        image_shape=(1, 3, 3), generator=nn.Identity(),
        discriminator=MLPDiscriminator((1, 3, 3), hidden=[5, 4]),
    )  # fmt: skip
    assert_terms_are_right(model)
