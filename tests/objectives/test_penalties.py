from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from gan_modules.networks import MLPDiscriminator
from gan_modules.objectives.penalties import gradient_penalty


@pytest.mark.parametrize("shape", [(3,), (2, 5), (1, 4, 4), (3, 2, 2)])
def test_linear_critic_has_a_closed_form(shape: tuple[int, ...]) -> None:
    # D(x) = w.x has gradient w everywhere, so the penalty is (||w|| - 1)^2
    weight = torch.randn(shape, dtype=torch.float64)
    real, fake = torch.randn(2, 7, *shape, dtype=torch.float64)
    penalty = gradient_penalty(lambda x: (x * weight).flatten(1).sum(1), real, fake)
    assert_close(penalty, (weight.norm() - 1) ** 2)


def test_gradient_of_the_penalty_reaches_the_critic() -> None:
    # d/dw (||w|| - 1)^2 = 2 (||w|| - 1) w / ||w||, with w = (3, 4): 2 * 4 * (0.6, 0.8)
    critic = nn.Linear(2, 1, bias=False)
    nn.init.constant_(critic.weight, 0)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[3.0, 4.0]]))
    penalty = gradient_penalty(lambda x: critic(x).squeeze(1), torch.randn(5, 2), torch.randn(5, 2))
    penalty.backward()
    assert_close(penalty, torch.tensor(16.0))
    assert_close(critic.weight.grad, torch.tensor([[4.8, 6.4]]))


def test_norm_is_per_sample_and_position_lies_between_the_pair() -> None:
    # D(x) = ||x||^2 / 2 has gradient x: the penalty is the mean of (||x_hat|| - 1)^2
    real, fake = torch.randn(2, 6, 1, 2, 2, dtype=torch.float64)
    torch.manual_seed(3)
    penalty = gradient_penalty(lambda x: x.square().flatten(1).sum(1) / 2, real, fake)
    torch.manual_seed(3)
    position = torch.rand(6, 1, 1, 1, dtype=torch.float64)
    expected = 0.0
    for n in range(6):
        point = position[n] * real[n] + (1 - position[n]) * fake[n]
        expected += (point.square().sum().sqrt().item() - 1) ** 2 / 6
    assert_close(penalty.item(), expected)


def test_agrees_with_autograd_on_a_network(double: None) -> None:
    critic = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
    real, fake = torch.randn(2, 5, 3)
    torch.manual_seed(3)
    penalty = gradient_penalty(lambda x: critic(x).squeeze(1), real, fake)
    ours = torch.autograd.grad(penalty, critic[0].weight)[0]
    torch.manual_seed(3)
    position = torch.rand(5, 1)
    x = (fake + position * (real - fake)).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    expected = ((gradient.norm(dim=1) - 1) ** 2).mean()
    assert_close(penalty, expected)
    assert_close(ours, torch.autograd.grad(expected, critic[0].weight)[0])


@pytest.mark.parametrize(
    "activation",
    [
        nn.ReLU(),
        nn.LeakyReLU(0.2),
        nn.LeakyReLU(0.2, inplace=True),
        nn.LeakyReLU(-0.5),
        nn.LeakyReLU(3.0),
        nn.ReLU6(),
        nn.Tanh(),
        pytest.param(lambda x: F.leaky_relu(negative_slope=0.1, input=x), id="keywords"),
        pytest.param(lambda x: F.leaky_relu(x).mul_(2), id="in place behind it"),
        pytest.param(torch.vmap(nn.LeakyReLU(0.2)), id="vmap"),
    ],
    ids=str,
)
def test_agrees_with_autograd_for_any_activation(
    activation: Callable[[Tensor], Tensor], double: None
) -> None:
    first, second, last = nn.Linear(3, 5), nn.Linear(5, 4), nn.Linear(4, 1)
    weights = [first.weight, second.weight, last.weight]

    def critic(x: Tensor) -> Tensor:
        x = activation(first(x))
        return last(activation(second(x))).squeeze(1)

    # no line between the two: all points are the same
    x = torch.randn(6, 3)
    found = torch.autograd.grad(gradient_penalty(critic, x, x), weights)
    point = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(critic(point).sum(), point, create_graph=True)
    expected = torch.autograd.grad((slope.norm(dim=1) - 1).square().mean(), weights)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


@pytest.mark.parametrize(
    "activation", [nn.ReLU(), nn.LeakyReLU(0.2), nn.LeakyReLU(0.2, True)], ids=str
)
def test_a_checkpointed_critic_gets_the_same_gradients(activation: nn.Module, double: None) -> None:
    layers = nn.Sequential(nn.Linear(3, 5), activation, nn.Linear(5, 4), activation)
    last = nn.Linear(4, 1)

    def plain(x: Tensor) -> Tensor:
        return last(layers(x))

    def checkpointed(x: Tensor) -> Tensor:
        return last(checkpoint(layers, x, use_reentrant=False))

    x = torch.randn(6, 3)
    weights = [layers[0].weight, layers[2].weight, last.weight]
    expected, found = (
        torch.autograd.grad(gradient_penalty(critic, x, x), weights)
        for critic in (plain, checkpointed)
    )
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


def test_no_zeros_are_carried_back() -> None:
    n, wide, narrow = 7, 5, 3
    first_layer, activation, last_layer = MLPDiscriminator((wide,), hidden=[narrow]).layers

    def critic(x: Tensor) -> Tensor:
        # called without the counter's hooks, which do not go with gradients of gradients
        return last_layer.forward(activation.forward(first_layer.forward(x)))

    with FlopCounterMode(display=False) as counter:
        gradient_penalty(critic, *torch.randn(2, n, wide)).backward()
    # each layer, in multiples of its products: its output, its input's gradient, and of that
    # gradient's penalty the gradients of the weight and of what the layer was given back, which
    # for the last one is a constant
    first, last = 2 * n * wide * narrow, 2 * n * narrow
    assert counter.get_total_flops() == 4 * first + 3 * last


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_activation_of_an_mlp_is_torchs(dtype: torch.dtype) -> None:
    activation = MLPDiscriminator((2,), hidden=[3]).layers[1]
    x = torch.tensor([-3.0, -0.0, 0.0, 1.5, float("inf"), -float("inf")], dtype=dtype)
    slope = torch.func.grad(lambda x: F.leaky_relu(x, 0.2).sum())(x)
    for function, expected in (
        (activation, F.leaky_relu(x, 0.2)),
        (torch.func.grad(lambda x: activation(x).sum()), slope),
    ):
        for way in (function, torch.compile(function, backend="aot_eager", fullgraph=True)):
            assert_close(way(x), expected, rtol=0, atol=0)


def test_autocast_does_not_reach_the_penalty() -> None:
    critic = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    real, fake = torch.randn(2, 16, 8)
    torch.manual_seed(3)
    expected = gradient_penalty(lambda x: critic(x).squeeze(1), real, fake)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.manual_seed(3)
        penalty = gradient_penalty(lambda x: critic(x).squeeze(1), real, fake)
    assert penalty.dtype == torch.float32
    assert_close(penalty, expected, rtol=0, atol=0)


def test_works_in_inference_mode() -> None:
    with torch.inference_mode():
        penalty = gradient_penalty(lambda x: x.sum(1), torch.zeros(3, 4), torch.ones(3, 4))
    assert_close(penalty.clone(), torch.tensor((4**0.5 - 1.0) ** 2))


@pytest.mark.filterwarnings("ignore")
def test_works_inside_a_compiled_loss() -> None:
    critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    real, fake = torch.randn(2, 5, 4)

    def loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return gradient_penalty(lambda x: critic(x).squeeze(1), real, fake)

    gradients = []
    for function in (loss, torch.compile(loss, backend="aot_eager", fullgraph=True)):
        torch.manual_seed(3)
        penalty = function(real, fake)
        gradients.append([penalty, *torch.autograd.grad(penalty, critic[0].parameters())])
    assert_close(gradients[1], gradients[0])


def test_unequal_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be equal, not \(4, 2\) and \(3, 2\)"):
        gradient_penalty(lambda x: x.sum(1), torch.zeros(4, 2), torch.zeros(3, 2))
