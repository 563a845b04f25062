"""``--model.help`` and its like, also without a class, or ahead of the model's."""

import re
from collections.abc import Sequence

from gan_modules.command_line.option_classes import class_names
from gan_modules.command_line.option_places import model_with

__all__ = ["list_of_classes", "with_model_for_help"]


def list_of_classes(words: Sequence[str]) -> str | None:
    """What to print for ``--name.help`` without a class: those that there are."""
    for word, following in zip(words, [*words[1:], "--"], strict=False):
        found = re.fullmatch(r"--([\w.]+)\.help", word)
        names = class_names(found[1]) if found and following.startswith("-") else []
        if found and names:
            option = f"--{found[1]}"
            return f"{option} takes one of: {', '.join(names)}\nMore: {option}.help {names[0]}"
    return None


def with_model_for_help(words: Sequence[str]) -> list[str]:
    """The command line with a model, if help is asked for an option of a model not named."""
    options = {word.partition("=")[0] for word in words}
    for position, word in enumerate(words):
        found = re.match(r"--model\.(\w+)\.help\b", word)
        if found and not options & {"--model", "--config", "-c"}:
            model = model_with(found[1])
            return [*words[:position], *(["--model", model] if model else []), *words[position:]]
    return [*words]
