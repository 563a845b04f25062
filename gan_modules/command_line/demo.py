"""``demo``: a page to play with a checkpoint. It needs neither trainer nor data."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gan_modules.callbacks.examples import real_examples
from gan_modules.checkpoints.reading import read_checkpoint
from gan_modules.command_line.parsing import GANArgumentParser
from gan_modules.command_line.resume import checkpoint_of
from gan_modules.training.module import GenerativeModule

__all__ = ["DESCRIPTION", "demo_parser", "run_demo"]

DESCRIPTION = "Serve a page on this machine to play with a checkpoint, in the browser."


def demo_parser() -> GANArgumentParser:
    """The parser of the command's options."""
    parser = GANArgumentParser(
        prog="cli.py demo",
        description=DESCRIPTION,
        usage="%(prog)s --ckpt_path FILE [options]",
    )
    parser.add_argument(
        "--ckpt_path",
        type=str,
        required=True,
        help="Checkpoint, or run folder, of which the newest one is taken.",
    )
    parser.add_argument(
        "--model",
        type=str | None,
        default=None,
        help="Class of your own, model or network, that the checkpoint names: my_project.MyGAN.",
    )
    parser.add_argument(
        "--device",
        type=str | None,
        default=None,
        help="Such as cpu or cuda:1; by default the GPU if there is one.",
    )
    parser.add_argument("--host", type=str, default="127.0.0.1", help="Address to listen on.")
    parser.add_argument(
        "--port", type=int | None, default=None, help="By default the first free one from 7860."
    )
    parser.add_argument(
        "--share", type=bool, default=False, help="Give it a public address by Gradio's servers."
    )
    parser.add_argument("--browser", type=bool, default=False, help="Open it in the browser.")
    return parser


def run_demo(arguments: Sequence[str]) -> None:
    """Run the command until it is ended.

    Args:
        arguments: the command line after ``demo``.

    Raises:
        ValueError: if Gradio is not installed, or an option cannot work.
    """
    parser = demo_parser()
    parser.arguments = arguments
    chosen = parser.parse_args([*arguments])
    if find_spec("gradio") is None:
        raise ValueError('demo needs Gradio: pip install "gan_modules[demo]"')
    from gan_modules.demo.server import find_port, serve

    find_port(chosen.host, chosen.port)
    device = _device(chosen.device)
    cls = GenerativeModule if chosen.model is None else _own_class(chosen.model)
    path = checkpoint_of(chosen.ckpt_path)
    checkpoint = read_checkpoint(path)

    def load(file: Path) -> GenerativeModule:
        return cls.load_from_checkpoint(file, map_location="cpu").to(device)

    serve(
        load(path),
        checkpoint["global_step"],
        path,
        real_examples(checkpoint),
        _beside(path),
        load,
        chosen.host,
        chosen.port,
        chosen.share,
        chosen.browser,
    )


def _beside(path: Path) -> list[Path]:
    """The checkpoint, and those of the same run, the newest first."""
    folder = path.parent
    steps = sorted(folder.glob("step_*.ckpt"), reverse=True)
    others = [*sorted(folder.glob("best*.ckpt")), *steps]
    # last.ckpt is the newest by another name
    return [path, *(other for other in others if other.resolve() != path.resolve())]


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device={name} must be one that is here, such as cpu") from error
    return device


def _own_class(path: str) -> type[GenerativeModule]:
    module, _, name = path.rpartition(".")
    try:
        found: Any = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        line = f"model={path} cannot be imported, as in my_project.MyGAN: {error}"
        raise ValueError(line) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"model={path} must be a subclass of GenerativeModule, or a network")
    # a network is imported now, which is all that the checkpoint waits for
    return found if issubclass(found, GenerativeModule) else GenerativeModule
