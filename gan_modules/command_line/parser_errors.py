"""Say in one line what the argument parser, which writes pages, finds wrong."""

import re
import sys
from ast import literal_eval
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from gan_modules.command_line.hints import hint, suggestion
from gan_modules.command_line.option_classes import base_of, class_names
from gan_modules.command_line.option_places import chosen_classes
from gan_modules.command_line.words import ahead_of_their_classes, typed_value

__all__ = ["explain_parser_error", "shortened", "without_middle"]

COMMANDS = "fit, validate, test, predict, demo, compare, invert, arithmetic, lab"
# what is right, for each type that may be expected
TYPES = {
    "int": ["an integer"],
    "PositiveInt": ["a positive integer"],
    "float": ["a number"],
    "bool": ["true", "false"],
    "str": ["text"],
    "NoneType": ["null"],
    "list": ["a list"],
    "tuple": ["a list"],
    "collections.abc.Sequence": ["a list"],
    "collections.abc.Iterable": ["a list"],
    "dict": ["a mapping"],
}


def shortened(text: str, length: int = 300) -> str:
    """The text on one line, of no more than about that many characters."""
    words = " ".join(text.split())
    return words if len(words) <= length else f"{words[:length].rsplit(' ', 1)[0]} ..."


def without_middle(text: str, length: int = 380) -> str:
    """The text on one line: of a long one the beginning, what is wrong, and the end, what to do."""
    words = " ".join(text.split())
    if len(words) <= length:
        return words
    half = length // 2
    return f"{words[:half].rsplit(' ', 1)[0]} ... {words[-half:].split(' ', 1)[-1]}"


def explain_parser_error(
    message: str,
    options: Iterable[str],
    arguments: Sequence[str],
    configs: Iterable[Any] = (),
) -> str:
    """Say in one line what a message of the argument parser means.

    Args:
        message: what jsonargparse or argparse reports, often over many lines.
        options: every ``--option`` of the command.
        arguments: the command line, to name an option as the user wrote it.
        configs: contents of the config files, to know which classes are chosen.
    """
    options, chosen = {*options}, chosen_classes(arguments, configs)
    if found := re.search(r"(?:unrecognized arguments|ambiguous option): (\S+)", message):
        word = _as_typed(found[1].split("=")[0] or found[1], arguments)
        return f"there is no option {word}{hint(word, options, chosen)}"
    if found := re.search(r"does not accept option '([\w.]+)'", message):
        word = re.split(r"\.(class_path|init_args)", found[1])[0]
        return f"there is no option {word!r}{hint(f'--{word}', options, chosen)}"
    if found := re.search(r"argument ([\w./-]+): expected one argument", message):
        return f"{found[1].split('/')[-1]} must be followed by its value"
    if found := re.search(r"invalid choice: '(\S+)' \(choose from (.+?)\)", message):
        return f"there is no command {found[1]!r}; choose from: {found[2].replace(chr(39), '')}"
    if "subcommand" in message and "was not provided" in message:
        # all of them: jsonargparse names the first five only
        return f"a command is missing; choose from: {COMMANDS}"
    if line := _explain_help(message, arguments):
        return line
    key, body = _innermost(message)
    if "is not accepted" in body or "NestedArg" in body:
        for ahead in ahead_of_their_classes([*arguments]):
            if re.search(rf"'{ahead.first_part}\b", body):
                return str(ahead)
    if "is not accepted" in body:
        return _explain_unknown(key, body, message, arguments, options, chosen)
    if found := re.search(r"arguments are required: ([\w.,= ]+)", body):
        return _explain_missing(key, found[1].split(", "), options)
    base = base_of(key)
    line = _explain_class(key, base, body) if base else ""
    return line or _explain_value(key, body) or shortened(message)


def _innermost(message: str) -> tuple[str, str]:
    """Full name of the option that a message is about, and what is said of it.

    Messages nest, each level further to the right: the first branch is followed to its end.
    """
    names: list[str] = []
    column, start = -1, 0
    for found in re.finditer(r'^( *)(.*Parser key "[\w.]+":)', message, re.MULTILINE):
        if len(found[1]) <= column:
            break
        column, start = len(found[1]), found.end()
        names += re.findall(r'Parser key "([\w.]+)":', found[2])
    return ".".join(dict.fromkeys(names)), message[start:]


def _explain_help(message: str, arguments: Sequence[str]) -> str:
    """Help that is asked for a class that an option does not take."""
    found = re.search(r"--([\w.]+)\.help: (.*)", message)
    if not found:
        return ""
    # the parser names the end only
    typed = (re.fullmatch(r"--([\w.]+)\.help", word.split("=")[0]) for word in arguments)
    key = next((t[1] for t in typed if t and f".{t[1]}".endswith(f".{found[1]}")), found[1])
    base, name = base_of(key), typed_value(arguments, f"--{key}.help") or ""
    if base is None:
        return ""
    if "is not a subclass" in found[2]:
        choices = shortened(", ".join(class_names(key)), 200)
        return f"{key}={name} must be a subclass of {base.__name__}; choose from: {choices}"
    return _explain_class(key, base, f"{found[2]}\nGiven value: {name}")


def _as_typed(word: str, arguments: Iterable[str]) -> str:
    """The whole word of the command line, of which the parser names the end only."""
    words = [argument.split("=")[0] for argument in arguments]
    end = f".{word.lstrip('-')}"
    return word if word in words else next((w for w in words if w.endswith(end)), word)


def _explain_unknown(
    key: str,
    body: str,
    message: str,
    arguments: Iterable[str],
    options: Collection[str],
    chosen: dict[str, str],
) -> str:
    """An option that a class has not, or that belongs to a class not named yet."""
    path = r"'([\w.]+)'"
    refused = rf"Option {path} is not accepted(?:\. Got value: \w+\(class_path={path})?"
    found = re.search(refused, body)
    if not found:
        return ""
    written = [a.split("=")[0] for a in arguments if re.match(rf"--[\w.]*\b{found[1]}\b", a)]
    name = written[0] if written else repr(found[1])
    problems = re.findall(rf"Problem with given class_path {path}", message)
    cls = _imported(found[2] or (problems[-1] if problems else ""))
    if cls is None:
        return f"there is no option {name}"
    if cls is base_of(key):
        return f"there is no option {name} yet: name the class first, as in --{key} CLASS"
    place = key.replace(".init_args", "")
    here = hint(
        f"--{place}.{found[1]}", options, {**chosen, place: f"{cls.__module__}.{cls.__name__}"}
    )
    return f"{cls.__name__} has no option {name}{here}"


def _explain_missing(key: str, names: Iterable[str], options: Collection[str]) -> str:
    """Options that must be given, and words that are no options."""
    lines = []
    for name in names:
        # jsonargparse names the command, too
        option = f"{key}.{name}" if key else name.split(".", 1)[-1]
        classes = class_names(option)
        choices = f", one of: {', '.join(classes)}" if classes else ""
        is_word = not key and f"--{name}" not in options and "." not in name
        lines.append(f"{name if is_word else f'--{option}'} is missing{choices}")
    return "; ".join(lines)


def _explain_class(key: str, base: type[Any], body: str) -> str:
    """A value that names no class, or one that the option does not take."""
    value, given = _value(body), _as_mapping(_value(body))
    name = given.get("class_path", value)
    kind, classes = f"a subclass of {base.__name__}", class_names(key)
    if found := re.search(r"Expected a dot import path string: (\S+)", body):
        near = suggestion(found[1], classes) or f"; it takes {kind}"
        return f"{key} has no class {found[1]!r}{near}"
    if found := re.search(r"Multiple subclasses with name (\w+)\..*: (.+)\.$", body, re.MULTILINE):
        return f"{key}={found[1]} is the name of several classes: write one of {found[2]}"
    if found := re.search(r"No module named '([\w.]+)'", body):
        return f"{key}={name} cannot be imported: there is no module {found[1]!r}"
    if found := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", body):
        things = vars(sys.modules[found[1]]) if found[1] in sys.modules else {}
        fitting = [n for n, c in things.items() if isinstance(c, type) and issubclass(c, base)]
        near = suggestion(found[2], fitting)
        return f"{key}={name} cannot be imported: {found[1]} has no {found[2]!r}{near}"
    is_abstract = re.search(r"Expected an instantiatable class, but (?:[\w.]+ )?is abstract", body)
    if value.startswith("NestedArg") and (is_abstract or "Not a valid subclass of" in body):
        return f"the class of {key} is missing: name it first, as in --{key} CLASS"
    if is_abstract:
        if others := given.keys() - {"class_path", "init_args", "dict_kwargs"}:
            return f"{key} must have {', '.join(sorted(others))} below init_args"
        return f"{key}={name} is abstract: it must be one of {shortened(', '.join(classes), 200)}"
    if found := re.search(r"Expected '([\w.]+)' to be a subcl|not correspond to a subclass", body):
        # there may be dozens
        choices = f"; choose from: {shortened(', '.join(classes), 200)}" if classes else ""
        return f"{key}={found[1] or name} must be {kind}{choices}"
    if given or "Not a valid subclass of" in body:
        right = f"{kind}, by its name or as a mapping of class_path and init_args"
        return f"{key}={shortened(value, 60)} must be {right}"
    return ""


def _explain_value(key: str, body: str) -> str:
    """A value of another type than the option takes."""
    if found := re.search(r"Unable to load config ['\"](.*)['\"]", body):
        return f"{key}={found[1]} must be a mapping of options"
    right: list[str] = []
    subtypes = re.search(r"^ *Subtypes: \[(.*)\]$", body, re.MULTILINE)
    for kind in re.finditer(
        r"typing\.Literal\[(?P<choices>.*?)\]|<class '(?:jsonargparse\.typing\.)?(?P<type>[\w.]+)'>"
        r"|tuple with (?P<number>\d+) elements|\b(?P<list>list)\[",
        subtypes[1] if subtypes else body.strip().split("Got value")[0],
    ):
        if kind["choices"]:
            right += kind["choices"].replace("'", "").split(", ")
        elif kind["number"]:
            right.append(f"a list of {kind['number']} values")
        elif kind["list"]:
            right += TYPES["list"]
        else:
            right += TYPES.get(kind["type"], [])
    found = re.search(r"Expected a dot import path string: (\S+)", body)
    if found and {*right} <= {"null", *TYPES["list"]}:
        # a class is the alternative that says more
        return f"{key} has no class {found[1]!r}"
    if right in ([], ["null"]):
        return ""
    *others, last = dict.fromkeys(right)
    choices = f"{', '.join(others)} or {last}" if others else last
    return f"{key}={shortened(_value(body), 60)} must be {choices}"


def _value(body: str) -> str:
    """The value that a message complains of."""
    # where messages nest, the value of the outer one follows on the same line
    pattern = r"G(?:ot|iven) value: (.*?)(?:\. Got value: Namespace\(.*)?$"
    found = re.search(pattern, body, re.MULTILINE)
    return found[1] if found else ""


def _as_mapping(value: str) -> dict[str, Any]:
    try:
        read = literal_eval(value)
    except (ValueError, SyntaxError):
        return {}
    return read if isinstance(read, dict) else {}


def _imported(path: str) -> type[Any] | None:
    """The class of that path, if it is imported already."""
    module, _, name = path.rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type) else None
