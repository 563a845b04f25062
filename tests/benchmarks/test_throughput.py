"""What the throughput benchmark compares is what it says: losses, fakes, graphs, data."""

import json
import re
from copy import deepcopy
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import public_networks
import public_scripts
import pytest
import throughput
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_modules.objectives import losses

SHAPE = (1, 28, 28)


def images(shape: tuple[int, ...] = SHAPE, n: int = 4) -> Tensor:
    return torch.rand(n, *shape) * 2 - 1


def printed(capsys: pytest.CaptureFixture[str]) -> list[float]:
    """D loss and G loss of the first line."""
    found = re.search(r"D loss (\S+) G loss (\S+)", capsys.readouterr().out)
    assert found
    return [float(value) for value in found.groups()]


def noise(n: int = 4) -> Tensor:
    np.random.seed(0)  # noqa: NPY002
    return torch.FloatTensor(np.random.normal(0, 1, (n, 100)))  # noqa: NPY002


class Calls:
    """Counts forward passes of a network."""

    def __init__(self, network: nn.Module) -> None:
        self.count = 0
        network.register_forward_hook(self.note)

    def note(self, *_: Any) -> None:
        self.count += 1


@pytest.mark.parametrize("name", ["gan", "dcgan"])
def test_gan_and_dcgan_make_fakes_once(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    case = throughput.CASES[name]
    g, d = case.script(case.shape)
    for module in d.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
    real, z = images(case.shape), noise()
    fakes = deepcopy(g)(z)
    judge = public_networks.logits(deepcopy(d))
    found = losses.adversarial_loss("non_saturating")
    logits = judge(real), judge(fakes)
    expected = [found.discriminator(*logits).item() / 2, found.generator(logits[1]).item()]
    np.random.seed(0)  # noqa: NPY002
    calls = Calls(g)
    gradients: list[Tensor] = []
    g[-1].register_full_backward_hook(lambda *a: gradients.append(a[2][0]))
    next(public_scripts.LOOPS[name](g, d, repeat(real)))
    assert_close(printed(capsys), expected, rtol=1e-4, atol=1e-5)
    # one pass forward, and one back: the discriminator's loss stops at the fakes
    assert calls.count == len(gradients) == 1


def test_examples_make_fakes_once(capsys: pytest.CaptureFixture[str]) -> None:
    g, d = public_networks.examples_pair((3, 64, 64), width=4)
    real = images((3, 64, 64))
    torch.manual_seed(0)
    fakes = deepcopy(g)(torch.randn(4, 100, 1, 1))
    judge = public_networks.logits(deepcopy(d))
    expected = losses.cross_entropy_discriminator_loss(judge(real), judge(fakes)).item()
    torch.manual_seed(0)
    calls = Calls(g)
    next(public_scripts.examples(g, d, repeat(real)))
    assert printed(capsys)[0] == pytest.approx(expected, rel=1e-4)
    assert calls.count == 1


@pytest.mark.parametrize(("name", "passes_back"), [("wgan", 1), ("wgan_gp", 6)])
def test_critics_learn_five_times(
    name: str, passes_back: int, capsys: pytest.CaptureFixture[str]
) -> None:
    case = throughput.CASES[name]
    g, d = case.script(case.shape)
    real, z = images(), noise()
    fakes = deepcopy(g)(z).detach()
    expected = losses.wasserstein_discriminator_loss(d(real), d(fakes))
    if name == "wgan_gp":
        share = torch.FloatTensor(np.random.random((4, 1, 1, 1)))  # noqa: NPY002
        between = (share * real + (1 - share) * fakes).requires_grad_()
        (slopes,) = torch.autograd.grad(d(between).sum(), between)
        expected = expected + 10 * (slopes.flatten(1).norm(dim=1) - 1).square().mean()
    np.random.seed(0)  # noqa: NPY002
    calls, gradients = Calls(g), []
    g[-2].register_full_backward_hook(lambda *a: gradients.append(a[2][0]))
    next(public_scripts.LOOPS[name](g, d, repeat(real)))
    assert printed(capsys)[0] == pytest.approx(expected.item(), rel=1e-3, abs=1e-5)
    assert calls.count == 6
    # wgan_gp.py's critic goes back through the generator, wgan.py's does not
    assert len(gradients) == passes_back
    clipped = all(weight.abs().max() <= 0.01 for weight in d.parameters())
    assert clipped == (name == "wgan")


def test_cyclegan_prints_its_losses(capsys: pytest.CaptureFixture[str]) -> None:
    g, d = public_networks.cycle_networks(3, width=2, blocks=1)
    a, b = images((3, 32, 32), 1), images((3, 32, 32), 1)
    with torch.no_grad():
        fake_a, fake_b = g["b_to_a"](b), g["a_to_b"](a)
        l1, judged = nn.functional.l1_loss, losses.least_squares_generator_loss
        of_g = (judged(d["a"](fake_a)) + judged(d["b"](fake_b))) / 2
        of_g += 5 * (l1(g["b_to_a"](fake_b), a) + l1(g["a_to_b"](fake_a), b))
        of_g += 2.5 * (l1(g["b_to_a"](a), a) + l1(g["a_to_b"](b), b))
        of_d = losses.least_squares_discriminator_loss(d["a"](a), d["a"](fake_a))
        of_d += losses.least_squares_discriminator_loss(d["b"](b), d["b"](fake_b))
    next(public_scripts.cyclegan(g, d, repeat({"A": a, "B": b})))
    assert printed(capsys) == pytest.approx([of_d.item() / 2, of_g.item()], rel=1e-4)


def test_pictures_are_resized_one_by_one() -> None:
    grey = torch.full((3, 1, 28, 28), 51, dtype=torch.uint8)
    batch = next(public_scripts.load_pictures(grey, 32, 3))
    assert_close(batch, torch.full((3, 1, 32, 32), 51 / 127.5 - 1))


def test_our_dcgan_with_fused_layers_is_the_script_s() -> None:
    torch.manual_seed(0)
    theirs, _ = throughput.CASES["dcgan"].script((1, 32, 32))
    torch.manual_seed(0)
    ours, _ = throughput.CASES["dcgan"].own((1, 32, 32))
    z = torch.randn(4, 100)
    assert_close(ours(z), theirs(z), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["gan", "wgan_gp"])
def test_a_measurement(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    monkeypatch.setattr(throughput, "SIZE", 640)
    case = replace(throughput.CASES[name], steps=1, batch_size=4)
    monkeypatch.setitem(throughput.CASES, name, case)
    output = tmp_path / "result.json"
    throughput.main(["--cases", name, "--rounds", "1", "--output", str(output)])
    found = json.loads(output.read_text())["cases"][name]
    assert set(found) == {"the script's", "our own"}
    assert all(len(row["ratios"]) == 1 and row["ratio"] > 0 for row in found.values())
    assert name in capsys.readouterr().out
