"""Config files: found by bare name, and read only if they are what a config must be."""

import re
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile
from lightning.pytorch.cli import LightningArgumentParser

from gan_modules.command_line.hints import suggestion
from gan_modules.command_line.other_classes import leave_out_other_model
from gan_modules.command_line.parser_errors import shortened
from gan_modules.command_line.words import typed_value

__all__ = ["ConfigFile", "config_folders"]


def config_folders() -> list[Path]:
    """Where a bare config name is looked up, in this order: here, the checkout, the wheel."""
    package = Path(__file__).parents[1]
    return [Path(), Path("configs"), package.parent / "configs", package / "configs"]


class ConfigFile(ActionConfigFile):
    """``--config`` that also finds the shipped recipes by their bare name."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: Any = None) -> None:
        """Apply the file."""
        path = self.find(parser, values)
        content, wrong = _read(path)
        if wrong is not None:
            parser.error(wrong)
        name = path if _is_file(path) else "--config"
        leave_out_other_model(cfg, _class_of_model(content), "the configs before")
        # ahead of what may be wrong in it: hints go by the classes that it names
        parser.contents[name] = content
        super().__call__(parser, cfg, path, option_string)  # type: ignore[no-untyped-call]
        leave_out_other_model(cfg, typed_value(parser.arguments, "--model"), name)

    @classmethod
    def valid(cls, parser: LightningArgumentParser, name: str) -> str:
        """Path of a config that is one, or one line that says what is wrong with it."""
        path = cls.find(parser, name)
        if wrong := _read(path)[1]:
            parser.error(wrong)
        return path

    @staticmethod
    def find(parser: LightningArgumentParser, name: str) -> str:
        """Path of a config, or one line that names the nearest ones there are."""
        looks_like_a_name = re.fullmatch(r"[^\n:{}]+", name) is not None
        for folder in config_folders():
            if looks_like_a_name and (folder / name).is_file():
                return str(folder / name)
        if looks_like_a_name:
            known = [
                str(path.relative_to(folder))
                for folder in config_folders()
                for path in folder.glob("*.y*ml" if folder == Path() else "**/*.y*ml")
                if path.parent.name != "sweeps"
            ]
            parser.error(f"there is no config {name!r}{suggestion(name, known)}")
        return name


class _StrictLoader(yaml.SafeLoader):
    """Refuses a name that comes twice in one mapping, of which others take the last silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Read a mapping."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name!r} is given twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _read(config: str) -> tuple[Any, str | None]:
    """Content of a file (or a text in its place), and what keeps it from being a config, if any."""
    name = config if _is_file(config) else "--config"
    try:
        text = Path(config).read_text(encoding="utf-8") if name == config else config
        content = yaml.load(text, _StrictLoader)
    except UnicodeDecodeError:
        return None, f"{name} is not a config: it holds other things than text"
    except OSError as error:
        return None, f"{name} cannot be read ({error.strerror})"
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        return None, f"{name}{line} is not valid YAML: {getattr(error, 'problem', None) or error}"
    if not isinstance(content, dict):
        held = shortened(repr(content), 60) if content is not None else "nothing"
        return (
            None,
            f"{name} holds {held}: a config must be a mapping of options, as in model: WGANGP",
        )
    if {"method", "parameters"} <= content.keys():
        return None, f"{name} is a sweep of Weights & Biases, not a config: wandb sweep {name}"
    return content, None


def _class_of_model(content: Any) -> str | None:
    """The class that a config names for the model."""
    model = content.get("model")
    found = model.get("class_path") if isinstance(model, dict) else model
    return found if isinstance(found, str) else None


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # a text can be too long for a name
        return False
