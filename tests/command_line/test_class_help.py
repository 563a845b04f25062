"""Help on classes works as ``fit --help`` recommends it, in any order and without a class."""

import pytest

import cli
from gan_modules.command_line.class_help import list_of_classes, with_model_for_help
from gan_modules.command_line.option_classes import class_names
from gan_modules.command_line.parser_errors import shortened

pytestmark = pytest.mark.usefixtures("project_classes")


def printed(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        cli.main(command.split())
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_help_on_a_network_needs_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--generator.width WIDTH" in printed("fit --model.generator.help DCGANGenerator", capsys)


def test_help_without_a_class_lists_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = printed("fit --data.help", capsys).splitlines()
    assert first.startswith("--data takes one of: ArrayFolderDataModule, CIFAR10DataModule, Ce")
    assert second == "More: --data.help ArrayFolderDataModule"


@pytest.mark.parametrize(
    ("typed", "added"),
    [
        ("fit --model.generator.help X", True),
        ("fit --trainer.max_steps 1 --model.pool_size.help=X", True),
        ("fit --model GAN --model.generator.help=X", False),
        ("fit --config a.yaml --model.generator.help X", False),
        ("fit --model.nonsense.help X", False),
        ("fit --model.help X", False),
    ],
)
def test_a_model_is_added_where_it_is_missing(typed: str, added: bool) -> None:
    words = typed.split()
    new = [word for word in with_model_for_help(words) if word not in words]
    assert len(new) == 2 * added
    assert not added or new[0] == "--model"


def test_lists_of_classes() -> None:
    assert list_of_classes(["fit", "--model.help", "GAN"]) is None
    assert list_of_classes(["fit", "--trainer.help"]) is None
    assert "WGANGP" in (list_of_classes(["fit", "--model.help", "--data", "X"]) or "")


GENERATORS = ", ".join(class_names("model.generator"))
# what is typed after fit, and all that is said
WRONG = {
    "--config gan.yaml --model.generator.help Nonsense": (
        "model.generator has no class 'Nonsense'; it takes a subclass of Module"
    ),
    "--model.generator.help=Nonsense": (
        "model.generator has no class 'Nonsense'; it takes a subclass of Module"
    ),
    "--config gan.yaml --model.generator.help MLPGen": (
        "model.generator has no class 'MLPGen'; nearest: MLPGenerator"
    ),
    "--config gan.yaml --model.generator.help nosuch.Net": (
        "model.generator=nosuch.Net cannot be imported: there is no module 'nosuch'"
    ),
    "--model.generator.help torch.optim.Adam": (
        "model.generator=torch.optim.Adam must be a subclass of Module; choose from: "
        f"{shortened(GENERATORS, 200)}"
    ),
    "--config gan.yaml --model.discriminator_optimizer.help xyz": (
        "model.discriminator_optimizer has no class 'xyz'; it takes a subclass of Optimizer"
    ),
    "--data.help Digits": "data has no class 'Digits'; nearest: DigitsDataModule",
    "--model.help xyz": "model has no class 'xyz'; it takes a subclass of GenerativeModule",
    "--config gan.yaml --metrics.features.help Classifier": (
        "metrics.features has no class 'Classifier'; nearest: ClassifierFeatures"
    ),
}


@pytest.mark.parametrize("typed", WRONG)
def test_help_on_no_class_names_the_option(
    typed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # LightningCLI warns if the process has arguments of its own
    monkeypatch.setattr("sys.argv", ["cli.py"])
    with pytest.raises(SystemExit):
        cli.main(["fit", *typed.split()])
    assert capsys.readouterr().err == f"error: {WRONG[typed]}\n"


def test_help_on_no_data_module_lists_those_there_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    with pytest.raises(SystemExit):
        cli.main(["fit", "--data.help", "gan_modules.GAN"])
    choices = shortened(", ".join(class_names("data")), 200)
    assert capsys.readouterr().err == (
        "error: data=gan_modules.GAN must be a subclass of LightningDataModule; choose from: "
        f"{choices}\n"
    )
