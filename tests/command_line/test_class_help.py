"""Help on classes works as ``fit --help`` recommends it, in any order and without a class."""

import pytest

import cli
from gan_modules.command_line.class_help import list_of_classes, with_model_for_help


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
