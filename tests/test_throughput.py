"""What the throughput benchmark compares computes the same weights, three times."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import products
import pytest
import throughput
import throughput_best as best
import throughput_input
import throughput_usual as usual
import torch
from lightning.pytorch import Callback
from throughput_cases import CASES, Case
from torch import Tensor, nn
from torch.testing import assert_close

from datamodules.augmentation import to_float
from gan_modules.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
)

STEPS = 10
TINY: dict[str, dict[str, Any]] = {
    "MLPGenerator": {"hidden": [8]},
    "MLPDiscriminator": {"hidden": [8]},
    "DCGANDiscriminator": {"width": 4},
    "ResNetGenerator": {"width": 4},
    "ResNetDiscriminator": {"width": 4},
    "CycleGANGenerator": {"width": 4, "n_blocks": 1},
    "PatchGANDiscriminator": {"width": 4, "n_layers": 2},
    "throughput_cases.UpsamplingGenerator": {"width": 4},
}


def network(name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": name, "init_args": arguments}


DCGAN = {
    "generator": network("DCGANGenerator", width=4),
    "discriminator": network("DCGANDiscriminator", width=4),
}
# in place of default networks
SMALL: dict[str, dict[str, Any]] = {
    "dcgan": DCGAN,
    "wgan": DCGAN,
    "gan": {
        "generator": network("MLPGenerator", hidden=[8]),
        "discriminator": network("MLPDiscriminator", hidden=[8], activation="maxout", dropout=0.5),
    },
    "cgan": {
        "generator": network("CGANGenerator", latent_width=4, label_width=4, width=8),
        "discriminator": network("CGANDiscriminator", image_width=4, label_width=4, width=4),
    },
}


class Recorder(Callback):
    """Keeps what a fit started from, what it was given, and where its random numbers began."""

    def __init__(self) -> None:
        self.batches: list[Any] = []
        self.seeds: list[Tensor] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        for module in pl_module.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0  # its draws depend on how samples are put together
        self.networks = deepcopy((pl_module.generator, pl_module.discriminator))
        seed = pl_module._seed_noise

        def recorded() -> None:
            seed()
            self.seeds.append(torch.get_rng_state())

        pl_module._seed_noise = recorded

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, index: int) -> None:
        images, others = batch
        double = others.double() if others.is_floating_point() else others
        self.batches.append((images.double(), double))


def tiny(name: str) -> Case:
    """The case with narrow networks, small batches and images of 8 or 16 pixels."""
    case = CASES[name]
    model = deepcopy(case.model)
    arguments = model["init_args"]
    arguments.update(deepcopy(SMALL.get(name, {})))
    for player in ("generator", "discriminator"):
        if player in arguments:
            arguments[player]["init_args"].update(TINY.get(arguments[player]["class_path"], {}))
    side = 8 if case.objective != "cycle" else 16
    shape = (case.image_shape[0], side, side)
    size = min(case.batch_size, 4)
    return replace(case, model=model, image_shape=shape, batch_size=size)


def reseeded(recorder: Recorder, parts: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The recorded batches in so many parts, with the random state that each had at its start."""
    for batch, state in zip(recorder.batches, recorder.seeds, strict=True):
        torch.set_rng_state(state)
        yield from zip(*(half.chunk(parts) for half in batch), strict=True)


def advance(loop: Iterator[None]) -> None:
    for _ in range(STEPS):
        next(loop)


def assert_same(found: nn.Module, expected: nn.Module) -> None:
    assert_close(
        list(found.state_dict().values()),
        list(expected.state_dict().values()),
        rtol=1e-7,
        atol=1e-9,
    )


@pytest.mark.parametrize("name", CASES)
def test_three_ways_to_train_end_in_one_model(name: str, capsys: Any) -> None:
    case = tiny(name)
    recorder = Recorder()
    model = throughput.fit(case, recorder, "64-true", STEPS, 256).model
    generator, discriminator = recorder.networks
    assert not torch.equal(next(generator.parameters()), next(model.generator.parameters()))

    as_usual = usual.as_usual(generator), usual.as_usual(discriminator)
    advance(usual.LOOPS[case.objective](case, *as_usual, reseeded(recorder, case.n_critic)))
    assert_same(as_usual[0], model.generator)
    assert_same(as_usual[1], model.discriminator)
    assert capsys.readouterr().out.count("D loss") == STEPS * case.n_critic

    loop = best.Loop(case, deepcopy(generator), deepcopy(discriminator))
    advance(best.LOOPS[case.objective](loop, reseeded(recorder, 1)))
    assert_same(loop.generator, model.generator)
    assert_same(loop.discriminator, model.discriminator)
    assert_same(loop.averaged.network, model.averaged_generator)


@pytest.mark.parametrize("channels", [1, 3])
def test_both_ways_of_loading_give_the_same_images(channels: int) -> None:
    images = torch.randint(256, (6, channels, 5, 5), dtype=torch.uint8)
    labels = torch.arange(6)
    found, classes = next(best.batches_in_memory(images, labels, 6, "cpu"))
    assert_close(found[classes.argsort()], to_float(images))
    one_by_one = usual.PILImages(images, labels, 5)
    assert_close(torch.stack([one_by_one[i][0] for i in range(6)]), to_float(images))


def test_the_usual_way_resizes_images_one_by_one() -> None:
    case = CASES["mlp_wgan_gp"]
    assert (case.stored_shape, case.image_shape) == ((1, 28, 28), (1, 32, 32))
    labels = torch.arange(3)
    grey = torch.full((3, *case.stored_shape), 51, dtype=torch.uint8)
    images, _ = next(iter(usual.usual_loader(grey, labels, 3, case.image_shape[-1])))
    assert_close(images, torch.full((3, *case.image_shape), 51 / 127.5 - 1))


@pytest.mark.parametrize(
    ("network", "kinds"),
    [
        (ResNetGenerator((1, 8, 8), 4, width=4), {"Upsample", "Conv2d"}),
        (ResNetDiscriminator((1, 8, 8)), {"AvgPool2d", "Conv2d"}),
        (DCGANGenerator((1, 8, 8), 4, width=4), {"ConvTranspose2d"}),
        (DCGANDiscriminator((1, 8, 8), width=4), {"Conv2d"}),
    ],
    ids=lambda network: type(network).__name__,
)
def test_usual_networks_have_no_layer_of_ours(network: nn.Module, kinds: set[str]) -> None:
    copy = usual.as_usual(network)
    convolutions = {
        type(layer).__name__
        for layer in copy.modules()
        if "Conv" in type(layer).__name__ or type(layer).__name__ in ("Upsample", "AvgPool2d")
    }
    assert convolutions == kinds
    assert all(weight.is_contiguous() for weight in copy.parameters())


def test_products_are_counted(capsys: Any) -> None:
    generator = [100 * 512, 512 * 512, 512 * 512, 512 * 1024]
    critic = [1024 * 512, 512 * 512, 512 * 512, 512]
    # forward; gradients of weights; of inputs, but for the first
    of_discriminator = 64 * sum(generator) + 128 * (2 * sum(critic) + sum(critic[1:]))
    of_generator = 64 * (2 * sum(generator) + sum(generator[1:]) + 2 * sum(critic))
    (timed,) = products.measure("mlp_gan", 1)
    assert timed.operations == 2 * (of_discriminator + of_generator)
    assert 0 < timed.ms["float32"] == timed.ms["products"] < timed.ms["all"]
    products.main(["--cases", "mlp_gan_bf16", "--steps", "1"])
    assert "mlp_gan_bf16" in capsys.readouterr().out


@pytest.mark.slow
def test_a_measurement(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Any) -> None:
    monkeypatch.setattr(throughput, "CASES", {"gan": tiny("gan")})
    monkeypatch.setattr(throughput, "SIZE", 64)
    output = tmp_path / "result.json"
    throughput.main(["--cases", "gan", "--rounds", "2", "--steps", "2", "--output", str(output)])
    found = throughput.json.loads(output.read_text())
    assert found["conditions"]["torch"] == torch.__version__
    case = found["cases"]["gan"]
    # two rounds, and 2 steps of 4 images in each window
    assert len(case["ours_over_best_rounds"]) == len(case["ours_over_usual_rounds"]) == 2
    assert case["ours_images_per_s"]["wall"] > 0
    assert "gan" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:Precision bf16-mixed is not supported by the model summary")
@pytest.mark.slow
def test_a_compiled_measurement(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Any
) -> None:
    compile_, seen = torch.compile, []

    def noted(function: Any, options: Any = None, **kwargs: Any) -> Any:
        seen.append(function.__name__)
        return compile_(function, backend="eager", **kwargs)

    monkeypatch.setattr(torch, "compile", noted)
    monkeypatch.setattr(throughput, "CASES", {"gan": tiny("gan")})
    monkeypatch.setattr(throughput, "SIZE", 64)
    output = tmp_path / "result.json"
    line = ["--cases", "gan_bf16_compiled", "--rounds", "1", "--steps", "2"]
    throughput.main([*line, "--output", str(output)])
    found = throughput.json.loads(output.read_text())["cases"]["gan_bf16_compiled"]
    assert (found["precision"], found["compiled"]) == ("bf16-mixed", True)
    assert found["goal_over_usual"] is None
    assert seen[1:] == ["discriminator_losses", "generator_losses"]


def test_both_ways_from_files_give_images_of_one_range(tmp_path: Any) -> None:
    throughput_input.make_jpegs(tmp_path / "pictures", 80, 16)
    loaders = throughput_input.jpeg(tmp_path / "pictures", 8, tmp_path / "cache")[:2]
    ours, theirs = (next(loader) for loader in loaders)
    assert ours.shape == theirs.shape == (64, 3, 8, 8)
    # pictures in another order, and a resize that rounds otherwise
    assert_close(ours.mean(), theirs.mean(), rtol=0, atol=0.1)
    assert_close(ours.std(), theirs.std(), rtol=0, atol=0.1)
