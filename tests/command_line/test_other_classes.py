"""Another class on the command line than in the config: nothing of the config's stays by chance."""

import shlex
from pathlib import Path
from typing import Any

import pytest

import cli
from gan_modules import DCGAN, GAN, WGANGP

SMALL = "fit --config small.yaml --trainer.max_steps 1"


class OfMyOwn(WGANGP):
    """A kind of the config's class."""


def run(options: str, caplog: pytest.LogCaptureFixture) -> tuple[Any, list[str]]:
    caplog.set_level("INFO")
    done = cli.main(shlex.split(f"{SMALL} {options}"))
    return done, [r.message for r in caplog.records if "small.yaml" in r.message]


pytestmark = pytest.mark.usefixtures("small_config", "undrawn")


def test_another_model_has_its_own_defaults(caplog: pytest.LogCaptureFixture) -> None:
    done, said = run("--model DCGAN --model.latent_dim 3", caplog)
    assert type(done.model) is DCGAN
    assert done.model.latent_dim == 3
    assert type(done.model.generator).__name__ == "DCGANGenerator"
    assert done.model.hparams.n_critic == 1
    assert said == [
        "model is DCGAN, not WGANGP as in small.yaml: what is said there of the model is left out "
        "(latent_dim, n_critic, generator, discriminator), DCGAN has its own defaults"
    ]


def test_so_it_does_where_a_config_names_it(caplog: pytest.LogCaptureFixture) -> None:
    Path("other.yaml").write_text("model: GAN")
    caplog.set_level("INFO")
    done = cli.main(shlex.split(f"{SMALL} --config other.yaml --model.n_critic 2"))
    assert type(done.model) is GAN
    assert done.model.latent_dim == 100
    said = [r.message for r in caplog.records if r.message.startswith("model is")]
    assert said == [
        "model is GAN, not WGANGP as in the configs before: what is said there of the model is "
        "left out (latent_dim, n_critic, generator, discriminator), GAN has its own defaults"
    ]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["test_other_classes.OfMyOwn", "WGANGP", "gan_modules.WGANGP"])
def test_a_kind_of_the_same_class_keeps_the_options(
    kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    done, said = run(f"--model {kind}", caplog)
    assert type(done.model).__name__ == kind.rpartition(".")[2]
    assert done.model.latent_dim == 4
    assert said == []


def test_what_another_class_does_not_take_is_named(caplog: pytest.LogCaptureFixture) -> None:
    options = "--model.generator ResNetGenerator --model.generator.width 2 --data DigitsDataModule"
    done, said = run(options, caplog)
    assert type(done.model.generator).__name__ == "ResNetGenerator"
    assert said == [
        "model.generator is ResNetGenerator, not MLPGenerator as in small.yaml: left out, as it "
        "has no such options: hidden"
    ]
