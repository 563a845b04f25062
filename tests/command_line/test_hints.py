"""Where an option lies that was typed under another name."""

import pytest

import cli  # noqa: F401  (makes all classes known)
from gan_modules.command_line.hints import elsewhere
from gan_modules.command_line.parser_errors import explain_parser_error

RATES = "--model.generator_optimizer.lr or --model.discriminator_optimizer.lr"


@pytest.mark.parametrize(
    ("word", "places"),
    [
        ("--lr", RATES),
        ("--model.lr", RATES),
        ("--model.width", "--model.generator.width or --model.discriminator.width"),
        ("--batch_size", "--data.batch_size"),
        ("--gp_weight", "--model.gp_weight"),
        ("--image_size", "--data.image_size"),
        # where it is, nothing is to be said
        ("--data.batch_size", None),
        ("--frobnicate", None),
    ],
)
def test_options_are_found_wherever_they_are_nested(word: str, places: str | None) -> None:
    assert elsewhere(word) == ("" if places is None else f"; it is {places}")


def test_the_parsers_messages_say_so() -> None:
    lines = {
        "unrecognized arguments: --lr 1e-3": f"there is no option --lr; it is {RATES}",
        "unrecognized arguments: wgan_gp.yaml": (
            "there is no option wgan_gp.yaml; a config is given as --config wgan_gp.yaml"
        ),
        "unrecognized arguments: runs/0": (
            "there is no option runs/0; a checkpoint or a run is given as --ckpt_path runs/0"
        ),
        "unrecognized arguments: --seed 3": "there is no option --seed; it is --data.seed",
    }
    for message, line in lines.items():
        assert explain_parser_error(message, ["--config"], message.split()[2:]) == line
