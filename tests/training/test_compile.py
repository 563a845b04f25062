"""Compiled or not, training computes the same; what cannot be compiled is said in one line."""

import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.testing import assert_close
from variants import MODELS, batches, small

import cli
from datamodules import DigitsDataModule
from gan_modules import (
    DCGAN,
    GAN,
    R1,
    WGANGP,
    AdaptiveAugment,
    Consistency,
    CycleGAN,
    DiffAugment,
    InstanceNoise,
    LatentConsistency,
    LatentDiversity,
    LeCam,
    Orthogonal,
    ProGAN,
)
from gan_modules.callbacks import StepCheckpoint
from gan_modules.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    MLPGenerator,
    PackedDiscriminator,
)
from gan_modules.training.batches import Batch

pytestmark = pytest.mark.thorough

compile_ = torch.compile
COMMAND = ["fit", "--config", "small.yaml"]


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Graphs and gradients are made as always, but run by torch: in a second, without a compiler.

    Gives what was made since: numbers of graphs, of breaks and of times that one was made again.
    """

    def as_eager(function: Any, options: Any = None, **kwargs: Any) -> Any:
        return compile_(function, backend="aot_eager", **kwargs)

    monkeypatch.setattr(torch, "compile", as_eager)
    torch.compiler.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()

    def made() -> tuple[int, int, int]:
        breaks, again = counters["graph_break"], counters["recompiles"]
        return counters["stats"]["unique_graphs"], sum(breaks.values()), sum(again.values())

    return made


def fit(
    model: Any, make_trainer: Any, steps: int = 10, ckpt_path: str | None = None, **kwargs: Any
) -> Any:
    """The weights after some iterations; with a checkpoint, or '' for none, of resumable data."""
    trainer = make_trainer(max_steps=steps, **{"precision": "64-true", **kwargs})
    data = batches(model, 4, 400) if ckpt_path is None else DigitsDataModule(batch_size=4)
    trainer.fit(model, data, ckpt_path=ckpt_path or None)
    return model.state_dict()


def with_batch_norm(image_shape: tuple[int, ...] = (1, 8, 8), **kwargs: Any) -> DCGAN:
    networks = partial(DCGANGenerator, width=2), partial(DCGANDiscriminator, width=2)
    return DCGAN(
        image_shape=image_shape, generator=networks[0], discriminator=networks[1], **kwargs
    )


CASES = {v.__name__: partial(small, v, image_shape=(1, 8, 8)) for v in MODELS}
CASES["BatchNorm"] = with_batch_norm
# each stage is compiled by itself: one of them
CASES["ProGAN"] = partial(small, ProGAN, image_shape=(1, 8, 8), stable_images=1000)
# CycleGAN's pieces: translations, and the terms of both players; and one that sees the compiler
# what both players share is a graph of its own
GRAPHS = dict.fromkeys(("CycleGAN", "Pix2Pix", "CUT", "DCGAN", "BatchNorm"), 3 + 1)
GRAPHS |= dict.fromkeys(("VAE", "EDM"), 1 + 1)
# three players
GRAPHS |= dict.fromkeys(("VAEGAN", "AEGAN"), 3 + 1)


# with a gradient penalty: the most that is asked of a compiler
@pytest.mark.parametrize(
    "name",
    [name if name == "WGANGP" else pytest.param(name, marks=pytest.mark.slow) for name in CASES],
)
def test_weights_are_those_of_training_that_is_not_compiled(
    name: str, double: None, traced: Any, make_trainer: Any
) -> None:
    torch.manual_seed(0)
    expected = fit(CASES[name](), make_trainer)
    assert traced() == (0, 0, 0)
    torch.manual_seed(0)
    model = CASES[name](compile=True)
    start = deepcopy(model.state_dict())
    found = fit(model, make_trainer)
    assert traced() == (GRAPHS.get(name, 3), 0, 0)
    assert_close(found, expected, rtol=0, atol=1e-9)
    assert any((found[key] - start[key]).abs().max() > 1e-4 for key in found)
    # also without Lightning's own copy of the state
    assert_close(deepcopy(model).state_dict(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("variant", "graphs"),
    # the fakes of a piece are made for it alone
    [(WGANGP, 3), pytest.param(CycleGAN, 5, marks=pytest.mark.slow)],
)
def test_bfloat16_and_pieces(variant: Any, graphs: int, traced: Any, make_trainer: Any) -> None:
    ends = []
    for compiles in (False, True):
        torch.manual_seed(0)
        model = small(
            variant, image_shape=(1, 8, 8), compile=compiles,
            discriminator_accumulate_grad_batches=2,
        )  # fmt: skip
        ends.append(fit(model, make_trainer, 3, precision="bf16-mixed"))
    assert traced() == (graphs, 0, 0)
    assert_close(ends[0], ends[1], rtol=0, atol=1e-6)


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "0")
        monkeypatch.delenv(name)
    yield
    torch.distributed.destroy_process_group()


def test_ddp_does_not_cut_the_losses(one_process: None, traced: Any, make_trainer: Any) -> None:
    ends = []
    for compiles in (False, True):
        torch.manual_seed(0)
        model = small(GAN, image_shape=(1, 8, 8), compile=compiles)
        # every weight would be a part of its own
        strategy = DDPStrategy(process_group_backend="gloo", bucket_cap_mb=1e-5)
        ends.append(fit(model, make_trainer, 3, strategy=strategy, devices=1))
    assert traced() == (3, 0, 0)
    assert_close(ends[0], ends[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("variant", "graphs", "term"),
    [
        (WGANGP, 3, "val/d/gradient_penalty"),
        pytest.param(CycleGAN, 4, "val/g/cycle_a", marks=pytest.mark.slow),
    ],
)
def test_sampling_and_validation_are_not_compiled(
    variant: Any, graphs: int, term: str, traced: Any, make_trainer: Any
) -> None:
    model = small(variant, image_shape=(1, 8, 8), compile=True)

    class Sample(Callback):
        def on_train_batch_end(self, *arguments: Any) -> None:
            model.sample_grid(2, 0, arguments[3])

    trainer = make_trainer(
        max_steps=4, val_check_interval=2, limit_val_batches=1, callbacks=[Sample()]
    )
    trainer.fit(model, batches(model, 4, 80), batches(model, 2, 20))
    assert term in trainer.callback_metrics
    assert traced() == (graphs, 0, 0)


def test_checkpoints_go_from_compiled_to_not_compiled_and_back(
    double: None, traced: Any, make_trainer: Any
) -> None:
    def run(name: str, compiles: bool, ckpt_path: str = "") -> Any:
        torch.manual_seed(1 if ckpt_path else 0)
        saving = [StepCheckpoint(3, dirpath=name)]
        more = {"enable_checkpointing": True, "callbacks": saving}
        # running statistics are what a graph may change by the way
        generator = partial(MLPGenerator, hidden=(8,), batch_norm=True)
        model = small(GAN, image_shape=(1, 16, 16), generator=generator, compile=compiles)
        return fit(model, make_trainer, 6, ckpt_path, **more)

    whole = {compiles: run(str(compiles), compiles) for compiles in (True, False)}
    for compiles, state in whole.items():
        checkpoint = torch.load(f"{compiles}/step_000006.ckpt", weights_only=True)
        assert checkpoint["hyper_parameters"]["compile"] is compiles
        assert_close(checkpoint["state_dict"], state, rtol=0, atol=0)
    for then, now in ((True, True), (True, False), (False, True)):
        resumed = run("resumed", now, f"{then}/step_000003.ckpt")
        assert_close(resumed, whole[then], rtol=0, atol=0 if then == now else 1e-9)
    assert traced()[1:] == (0, 0)


@pytest.mark.parametrize(
    "augmentation",
    [
        partial(InstanceNoise, sigma=0.5, steps=5),
        partial(AdaptiveAugment, p=0.5, speed=100, every=2),
        pytest.param(DiffAugment, marks=pytest.mark.slow),
    ],
    ids=lambda made: getattr(made, "func", made).__name__,
)
def test_augmentation_and_regularizers(
    augmentation: Any, double: None, traced: Any, make_trainer: Any
) -> None:
    """What changes from step to step; a penalty that is due in every third."""

    def run(compiles: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        torch.manual_seed(0)
        model = small(
            GAN, image_shape=(1, 8, 8), compile=compiles,
            augmentation=augmentation(), regularizers=[R1(weight=2.0, every=3)],
        )  # fmt: skip
        trainer = make_trainer(max_steps=7, precision="64-true", log_every_n_steps=1)
        trainer.fit(model, batches(model, 4, 28))
        return model.state_dict(), dict(trainer.callback_metrics)

    (expected, terms), (found, compiled_terms) = run(False), run(True)
    # to the compiler, images of which R1 took gradients are not those of a plain batch
    assert traced()[0] <= 4
    assert_close(found, expected, rtol=0, atol=1e-9)
    assert terms["d/r1"] > 0
    assert_close(compiled_terms, terms, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_regularizers_of_both_domains(double: None, traced: Any, make_trainer: Any) -> None:
    def run(compiles: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        torch.manual_seed(0)
        model = small(
            CycleGAN, image_shape=(1, 16, 16), compile=compiles,
            augmentation=AdaptiveAugment(), regularizers=[R1(every=2), LeCam()],
        )  # fmt: skip
        trainer = make_trainer(max_steps=3, precision="64-true", log_every_n_steps=1)
        trainer.fit(model, batches(model, 4, 12))
        return model.state_dict(), dict(trainer.callback_metrics)

    (expected, terms), (found, compiled_terms) = run(False), run(True)
    assert_close(found, expected, rtol=0, atol=1e-9)
    assert {"d/r1_a", "d/r1_b", "d/lecam_a", "d/lecam_b"} < {*terms}
    assert_close(compiled_terms, terms, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_every_regularizer_and_packs(double: None, traced: Any, make_trainer: Any) -> None:
    """What regularisers see is made by compiled losses."""

    def run(compiles: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        torch.manual_seed(0)
        regularizers = [
            Consistency(), LatentConsistency(), LatentDiversity(), LeCam(), Orthogonal(), R1(),
        ]  # fmt: skip
        model = small(
            WGANGP, image_shape=(1, 8, 8), compile=compiles, regularizers=regularizers,
            discriminator=PackedDiscriminator, share_fakes=True, n_critic=1,
        )  # fmt: skip
        trainer = make_trainer(max_steps=3, precision="64-true", log_every_n_steps=1)
        trainer.fit(model, batches(model, 4, 28))
        return model.state_dict(), dict(trainer.callback_metrics)

    (expected, terms), (found, compiled_terms) = run(False), run(True)
    assert_close(found, expected, rtol=0, atol=1e-9)
    assert {"d/lecam", "d/latent_consistency", "g/latent_diversity"} <= terms.keys()
    assert_close(compiled_terms, terms, rtol=0, atol=1e-9)


def test_a_machine_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch, make_trainer: Any, make_loader: Any, make_model: Any
) -> None:
    def compile_nothing(function: Any, **_: Any) -> Any:
        def call(*_: Any) -> None:
            raise RuntimeError("\nFailed to find C compiler.\nMore lines")

        return call

    monkeypatch.setattr(torch, "compile", compile_nothing)
    line = "^compile=True needs a compiler for cpu, .* machine .*: Failed to find C compiler.$"
    trainer = make_trainer(max_steps=1)
    with pytest.raises(ValueError, match=line):
        trainer.fit(make_model(n_critic=1, compile=True), make_loader(2))
    assert trainer.global_step == 0


@pytest.mark.parametrize("is_the_compilers", [True, False])
def test_a_compiler_that_fails_is_told_from_losses_that_do(
    is_the_compilers: bool,
    monkeypatch: pytest.MonkeyPatch,
    make_trainer: Any,
    make_loader: Any,
    make_model: Any,
) -> None:
    kind = torch._inductor.exc.InductorError if is_the_compilers else RuntimeError
    error = kind(AssertionError("no kernel"), *[None] * is_the_compilers)

    def compile_badly(function: Any, **_: Any) -> Any:
        def call(*arguments: Any) -> Any:
            if "losses" in function.__name__:
                raise error
            return function(*arguments)

        return call

    monkeypatch.setattr(torch, "compile", compile_badly)
    trainer, model = make_trainer(max_steps=1), make_model(n_critic=1, compile=True)
    with pytest.raises(ValueError if is_the_compilers else kind) as caught:
        trainer.fit(model, make_loader(2))
    if is_the_compilers:
        assert str(caught.value).startswith(
            "compile=True cannot be used with WGANGP.discriminator_losses, which torch's own "
            "compiler fails at (--model.compile false goes on without it): "
        )
        assert isinstance(caught.value.__cause__, kind)


def test_losses_that_cannot_be_compiled(
    traced: Any, make_trainer: Any, make_loader: Any, make_model: Any
) -> None:
    class Reads(WGANGP):
        """Is not one graph."""

        def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
            terms = super().generator_losses(batch)
            return terms if terms["adversarial"] > 0 else {"adversarial": 2 * terms["adversarial"]}

    with pytest.raises(ValueError, match=r"^compile=True cannot be used with Reads.generator_loss"):
        make_trainer(max_steps=1).fit(make_model(Reads, n_critic=1, compile=True), make_loader(2))


def test_networks_are_checked_before_they_are_compiled(
    traced: Any, make_trainer: Any, make_loader: Any, make_model: Any
) -> None:
    wrong = MLPGenerator((1, 4, 4), 4, hidden=(8,))
    model = make_model(n_critic=1, compile=True, generator=wrong)
    with pytest.raises(ValueError, match="generator makes images of shape"):
        make_trainer(max_steps=1).fit(model, make_loader(2))
    assert traced() == (1, 0, 0)


def test_command_line(traced: Any, small_config: None) -> None:
    cli.main([*COMMAND, "--model.compile", "true"])
    graphs, *rest = traced()
    assert (graphs, rest) == (3, [0, 0])
    config = yaml.safe_load(Path("runs/small/0/config.yaml").read_text())
    assert config["model"]["init_args"]["compile"] is True
    # on with it as it was not
    more = ["--trainer.max_steps", "3", "--model.compile", "false"]
    cli.main(["fit", "--config", "small.yaml", *more, "--ckpt_path", "runs/small/0/checkpoints/last.ckpt"])  # fmt: skip  # noqa: E501
    assert traced()[0] == 3


@pytest.mark.slow
def test_inductor(double: None, make_trainer: Any) -> None:
    def run(name: str, compiles: bool, ckpt_path: str = "") -> Any:
        torch.compiler.reset()
        torch.manual_seed(1 if ckpt_path else 0)
        saving = [StepCheckpoint(5, dirpath=name)]
        more = {"enable_checkpointing": True, "callbacks": saving}
        model = small(WGANGP, image_shape=(1, 16, 16), compile=compiles)
        return fit(model, make_trainer, 10, ckpt_path, **more)

    whole = run("whole", True)
    assert_close(whole, run("eager", False), rtol=0, atol=1e-5)
    # bit for bit: compiled again it draws the same and computes the same
    assert_close(run("resumed", True, "whole/step_000005.ckpt"), whole, rtol=0, atol=0)


@pytest.mark.slow
def test_inductor_without_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", "/nowhere/g++")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    script = (
        "import torch; from gan_modules.training.compiling import check_compiler; "
        "check_compiler(torch.device('cpu'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: compile=True needs a compiler for cpu, which does not")
    assert "/nowhere/g++" in last
