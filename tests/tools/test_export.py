"""Exported generators give what the model gives."""

import inspect
import json
import sys
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.testing import assert_close

import gan_modules
from gan_modules import CGAN, DCGAN, WGANGP, CycleGAN, GANModule, LatentModel
from gan_modules.networks import (
    CycleGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    PatchGANDiscriminator,
)
from gan_modules.networks.layers.noise import without_noise
from gan_modules.tools.export import main, to_exported_program, to_onnx

pytestmark = pytest.mark.thorough

VARIANTS = [
    variant
    for variant in (getattr(gan_modules, name) for name in gan_modules.__all__)
    if inspect.isclass(variant)
    and issubclass(variant, GANModule)
    and not inspect.isabstract(variant)
]


def default(variant: Any, shape: tuple[int, ...] = (1, 16, 16), **options: Any) -> Any:
    """A variant with its default networks, conditional wherever it can be."""
    if issubclass(variant, LatentModel):
        always = "num_classes" in inspect.signature(variant).parameters
        options |= {"num_classes": 3} if always else {"num_classes": 3, "conditional": True}
    return ready(variant(image_shape=shape, **options))


def ready(model: Any) -> Any:
    """As if it had been trained: statistics of batch norms, and averages, that are no identity.

    Noise of its own, which no file has, is off.
    """
    without_noise(model.sampler)
    for module in model.sampler.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model


def inputs(model: Any, n: int) -> tuple[Tensor, ...]:
    if not isinstance(model, LatentModel):
        return (torch.rand(n, *model.image_shape) * 2 - 1,)
    return (model.sample_noise(n), *model.condition(torch.arange(n) % 3))


@torch.no_grad()
def expected(model: Any, arguments: tuple[Tensor, ...], *direction: str) -> Tensor:
    with model.evaluating():
        output: Tensor = model(*arguments, *direction)
    return output


def loaded(file: Path) -> Any:
    """What the file computes."""
    if file.suffix == ".pt2":
        return torch.export.load(file).module()
    session = onnxruntime.InferenceSession(file)
    names = [each.name for each in session.get_inputs()]

    def run(*arguments: Tensor) -> Tensor:
        fed = {name: value.numpy() for name, value in zip(names, arguments, strict=True)}
        return torch.from_numpy(session.run(None, fed)[0])

    return run


def ways(model: Any) -> list[tuple[str, ...]]:
    """What may be told to an export beside the model."""
    return [()] if isinstance(model, LatentModel) else [(d,) for d in model.directions]


def check(model: Any, writers: Any, chosen: Any = None, tolerance: float = 1e-5) -> None:
    """Files, in every direction, for batches of any size, against the model itself."""
    for direction in chosen or ways(model):
        for write, ending in writers.items():
            file = write(model, Path(f"model{ending}"), *direction, tolerance=tolerance)
            assert file == Path(f"model{ending}")
            run = loaded(file)
            for n in (1, 4, 7):
                arguments = inputs(model, n)
                wanted = expected(model, arguments, *direction)
                assert_close(run(*arguments), wanted, rtol=0, atol=tolerance)


EXPORTED = {to_exported_program: ".pt2"}
BOTH = {**EXPORTED, to_onnx: ".onnx"}


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_every_variant_with_torch_export(variant: Any) -> None:
    model = default(variant)
    check(model, EXPORTED, ways(model)[-1:], tolerance=max(1e-5, 2 * rounding(model)))


@pytest.mark.slow
@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_every_variant_with_onnx(variant: Any, size: int) -> None:
    model = default(variant, (3, size, size))
    check(model, BOTH, tolerance=max(1e-5, 2 * rounding(model)))


def rounding(model: Any) -> float:
    """What float32 alone leaves undecided: how far PyTorch's output is from that in float64.

    Two programs as exact as that may differ twice as much. It matters for CycleGAN, whose sampler
    lies channels last in memory, which the file's network does not: 1e-5 apart from 16 pixels up,
    and more at 8, where instance norm over 2x2 maps magnifies rounding.
    """
    arguments = inputs(model, 4)
    found = [expected(model, arguments, *way) for way in ways(model)]
    exact = deepcopy(model).double()
    doubled = tuple(a.double() if a.is_floating_point() else a for a in arguments)
    differences = [
        (expected(exact, doubled, *way) - of_float).abs().max().item()
        for way, of_float in zip(ways(model), found, strict=True)
    ]
    return max(differences)


@pytest.mark.slow
def test_the_papers_networks() -> None:
    check(ready(DCGAN(image_shape=(3, 128, 128))), BOTH)
    check(ready(CycleGAN(image_shape=(3, 256, 256))), BOTH, tolerance=2e-5)
    check(ready(CGAN(image_shape=(1, 28, 28), num_classes=10)), BOTH)


def small_cgan(**options: Any) -> Any:
    return ready(
        CGAN(
            image_shape=(1, 8, 8),
            num_classes=3,
            latent_dim=4,
            generator=partial(MLPGenerator, hidden=(8,), batch_norm=True),
            **options,
        )
    )


class SmallCycleGAN(CycleGAN):
    """Few channels; convolutions of every kind that the paper's generator has."""

    def build_generator(self) -> nn.Module:
        return CycleGANGenerator(self.image_shape, width=2, n_blocks=1, n_downsampling=1)

    def build_discriminator(self) -> nn.Module:
        return PatchGANDiscriminator(self.image_shape, width=2, n_layers=1)


def test_small_models_with_onnx() -> None:
    check(small_cgan(), {to_onnx: ".onnx"})


def test_the_file_describes_itself() -> None:
    model = SmallCycleGAN(image_shape=(3, 8, 16))
    path = to_onnx(model, Path("deep/model.onnx"), "b_to_a")
    session = onnxruntime.InferenceSession(path)
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("images", ["batch", 3, 8, 16])]
    assert [o.name for o in session.get_outputs()] == ["translations"]
    assert session.get_modelmeta().custom_metadata_map == {
        "class": "SmallCycleGAN", "range": "[-1, 1]", "direction": "b_to_a",
    }  # fmt: skip
    arguments = inputs(model, 3)
    assert_close(loaded(path)(*arguments), expected(model, arguments, "b_to_a"), rtol=0, atol=1e-5)  # fmt: skip  # noqa: E501
    extra = {"gan_modules.json": ""}
    torch.export.load(to_exported_program(small_cgan(), "model.pt2"), extra_files=extra)
    facts = {"class": "CGAN", "range": "[-1, 1]", "latent_distribution": "uniform"}
    assert json.loads(extra["gan_modules.json"]) == facts


def test_the_averaged_generator_is_exported_and_the_model_left_alone() -> None:
    model = small_cgan().train()
    with torch.no_grad():
        for parameter in model.generator.parameters():
            parameter.add_(1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    check(model, EXPORTED)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.generator.parameters())
    assert_close(model.state_dict(), before, rtol=0, atol=0)


class Drawing(nn.Module):
    """Other images at every call, which no export can repeat."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.rand_like(z)


def test_training_is_left_alone() -> None:
    for model, ways in ((WGANGP(image_shape=(4,), latent_dim=4, generator=nn.Linear(4, 4),
        discriminator=partial(MLPDiscriminator, hidden=(8,))), []),
        (CycleGAN(image_shape=(3, 8, 8)), ["a_to_b"])):  # fmt: skip
        before = torch.random.get_rng_state()
        to_exported_program(model, "model.pt2", *ways)
        assert_close(torch.random.get_rng_state(), before)


def test_what_differs_is_refused() -> None:
    model = WGANGP(
        image_shape=(4,), latent_dim=4, generator=Drawing(), ema_decay=0,
        discriminator=partial(MLPDiscriminator, hidden=(8,)),
    )  # fmt: skip
    line = r"model.pt2 would differ by .* from the model, more than tolerance=1e-05: nothing is"
    with pytest.raises(ValueError, match=line):
        to_exported_program(model, "model.pt2")
    assert not list(Path().iterdir())


def test_wrong_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    cycle = SmallCycleGAN(image_shape=(3, 8, 8))
    with pytest.raises(ValueError, match="direction=None must be a_to_b or b_to_a"):
        to_exported_program(cycle, "model.pt2")
    with pytest.raises(ValueError, match="direction='a_to_b' must be left out: the model draws"):
        to_exported_program(small_cgan(), "model.pt2", "a_to_b")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="pip install onnxscript onnxruntime"):
        to_onnx(cycle, "model.onnx", "a_to_b")
    assert not list(Path().iterdir())


def test_from_the_command_line(capsys: Any) -> None:
    model = SmallCycleGAN(image_shape=(3, 8, 8))
    trainer = Trainer(accelerator="cpu", logger=False, enable_model_summary=False)
    trainer.strategy.connect(model)
    model.trainer = trainer
    for path in ("run/checkpoints/step_000001.ckpt", "alone.ckpt"):
        trainer.save_checkpoint(path)
    for source, file in (("run", "run.pt2"), ("alone.ckpt", "alone.pt2")):
        main([source, file, "--direction", "a_to_b"])
        assert capsys.readouterr().out == f"{file}\n"
        arguments = inputs(model, 2)
        found = torch.export.load(file).module()(*arguments)
        assert_close(found, expected(model, arguments, "a_to_b"), rtol=0, atol=1e-5)
    for arguments, line in {
        ("run", "a.txt"): "a.txt must end in .onnx or .pt2",
        ("run", "run.pt2"): "run.pt2 exists: name another file",
        ("run", "a.pt2"): "error: direction=None must be a_to_b or b_to_a",
        ("nothing.ckpt", "a.pt2"): "error: [Errno 2] No such file",
    }.items():
        with pytest.raises(SystemExit):
            main(arguments)
        assert line in capsys.readouterr().err
