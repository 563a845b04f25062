"""Options of a checkpoint and those now given: which differences count."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import cli
from gan_modules.command_line.resume import difference

pytestmark = pytest.mark.usefixtures("undrawn")

HERE = __name__


class Base:
    """Takes what its children pass on."""

    def __init__(self, a: int = 1, b: float = 2.0, kind: type = nn.ReLU) -> None:
        pass


class Child(Base):
    """Passes arguments on, except one that it asks for."""

    def __init__(self, a: int, c: tuple[int, ...] = (3,), **kwargs: Any) -> None:
        super().__init__(a, **kwargs)


class Closed(Base):
    """Passes nothing on."""

    def __init__(self, d: None = None) -> None:
        super().__init__()


def made_by(a: int = 1) -> None:
    pass


def of(name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"class_path": f"{HERE}.{name}", "init_args": arguments}


SAME: list[tuple[Any, Any]] = [
    ([8, (1, 2)], (8, [1, 2])),
    (1, 1.0),
    ({"a": [1, 2.0]}, {"a": (1.0, 2)}),
    (float("nan"), float("nan")),
    # as checkpoints of before there were packages have it, and as configs may
    ("gan_modules.wgan_gp.WGANGP", "gan_modules.WGANGP"),
    ("WGANGP", "gan_modules.WGANGP"),
    ({"class_path": "torch.optim.Adam"}, {"class_path": "Adam", "init_args": {}}),
    ({"class_path": "Adam", "init_args": {"fused": None}}, {"class_path": "torch.optim.Adam"}),
    # what one does not say is the default
    ({"class_path": f"{HERE}.Base"}, of("Base", a=1, b=2)),
    (of("Base", kind="torch.nn.ReLU"), of("Base")),
    (of("Child", a=5, b=2.0), of("Child", a=5, c=[3])),
    ([of("Base")], (of("Base", a=1.0),)),
    (of("made_by"), of("made_by", a=1)),
    ({**of("Child"), "dict_kwargs": {"b": 3}}, of("Child", b=3)),
]
DIFFERENT: list[tuple[Any, Any, str]] = [
    (1, 2, "x=1, not 2"),
    (1, True, "x=1, not true"),
    (1, "1", 'x=1, not "1"'),
    ([1, 2], [1, 3], "x=[1, 2], not [1, 3]"),
    ([1], [1, 2], "x=[1], not [1, 2]"),
    ("torch.optim.Adam", "torch.optim.SGD", 'x="torch.optim.Adam", not "torch.optim.SGD"'),
    # no class
    ("relu", "torch.relu", 'x="relu", not "torch.relu"'),
    ("hinge", "no.such.hinge", 'x="hinge", not "no.such.hinge"'),
    ({"class_path": "Adam"}, {"class_path": "SGD"}, 'x.class_path="Adam", not "SGD"'),
    (of("Base"), of("Base", b=3), "x.b=2.0, not 3"),
    (of("Base", b=3), of("Base"), "x.b=3, not 2.0"),
    (of("Base"), of("Base", kind="torch.nn.Tanh"), 'x.kind="torch.nn.modules.activation.ReLU", no'),
    (of("Child", a=1), of("Child"), "x.a=1, not left out"),
    (of("Closed"), of("Closed", a=1), "x.a=left out, not 1"),
    ([of("Base"), of("Base", a=4)], [of("Base"), of("Base")], "x.1.a=4, not 1"),
    ({"a": 1}, {"a": 1, "b": 2}, "x.b=left out, not 2"),
    (None, of("Base"), "x=null, not {"),
]


@pytest.mark.parametrize(("then", "now"), SAME)
def test_same(then: Any, now: Any) -> None:
    assert difference("x", then, now) is None
    assert difference("x", now, then) is None


@pytest.mark.parametrize(("then", "now", "line"), DIFFERENT)
def test_different(then: Any, now: Any, line: str) -> None:
    found = difference("x", then, now)
    assert found is not None
    assert found.startswith(line)
    # the same place, whichever of the two was first
    back = difference("x", now, then)
    assert back is not None
    assert back.partition("=")[0] == found.partition("=")[0]


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before")
def test_a_run_of_before_an_argument_was_there_goes_on(
    small_config: None, caplog: pytest.LogCaptureFixture
) -> None:
    cli.main(["fit", "--config", "small.yaml", "--metrics.names", "[]"])
    (path,) = Path("runs").glob("**/step_000002.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    hparams = checkpoint["hyper_parameters"]
    del hparams["generator"]["init_args"]["batch_norm"]
    # recipes say what they optimize with
    adam = {"class_path": "torch.optim.Adam", "init_args": {"lr": 1e-4, "betas": [0.0, 0.9]}}
    hparams["generator_optimizer"] = adam
    torch.save(checkpoint, "old.ckpt")
    more = ["fit", "--config", "small.yaml", "--metrics.names", "[]", "--ckpt_path", "old.ckpt"]
    more += ["--trainer.max_steps", "3", "--model.generator_optimizer", "torch.optim.Adam"]
    option = "--model.generator_optimizer."
    betas = [f"{option}lr", "0.0001", f"{option}betas", "[0, 0.9]"]
    assert cli.main([*more, *betas]).trainer.global_step == 3
    # what is typed is what trains, and is said; nothing is said of what is as it was
    caplog.set_level("INFO")
    cli.main([*more, *betas, f"{option}eps", "0.1"])
    assert "generator_optimizer: eps 0.1 in place of 1e-08" in caplog.text
