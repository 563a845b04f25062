"""``arithmetic``: ``glasses - none + woman`` in a model's latent space, as a picture."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torchvision.utils import save_image

from gan_modules.callbacks.paths import check_writable, unused
from gan_modules.callbacks.sums import sum_page
from gan_modules.checkpoints.reading import read_checkpoint
from gan_modules.command_line.hints import suggestion
from gan_modules.command_line.invert import load_model, read_folder
from gan_modules.command_line.parsing import GANArgumentParser
from gan_modules.command_line.results import run_folder_of
from gan_modules.command_line.resume import checkpoint_of
from gan_modules.errors import require
from gan_modules.families.encoding import EncodingModel
from gan_modules.families.latent_model import LatentModel
from gan_modules.tools.arithmetic import (
    Operand,
    Term,
    Through,
    images_of,
    operand_of_class,
    operand_of_images,
    terms_of,
    way_of,
)
from gan_modules.tools.files import whole_file
from gan_modules.tools.image_files import write_image

__all__ = ["ARITHMETIC", "arithmetic_parser", "run_arithmetic"]

ARITHMETIC = "Add and subtract latents, such as glasses - none + woman, and show what they give."
SAMPLES = 8
"""Latents that classes are shown with."""


def arithmetic_parser() -> GANArgumentParser:
    """The parser of the command's options."""
    parser = GANArgumentParser(
        prog="cli.py arithmetic",
        description=f"{ARITHMETIC} With --images, names are folders of example images; without, "
        "classes of a conditional model.",
        usage='%(prog)s "NAME - NAME + NAME" --ckpt_path FILE [--images FOLDER] [options]',
    )
    parser.add_argument(
        "expression",
        type=str,
        help="Names with + or - between them, spaces around these, weights before them: 0.5*thick.",
    )
    parser.add_argument(
        "--ckpt_path",
        type=str,
        required=True,
        help="Checkpoint, or run folder, of which the newest one is taken.",
    )
    parser.add_argument(
        "--images",
        type=str | None,
        default=None,
        help="Folder with a folder of example images for each name, whose latents are averaged.",
    )
    parser.add_argument(
        "--each",
        type=str | None,
        default=None,
        help="Name whose images are taken one by one, not averaged: each gives a result.",
    )
    parser.add_argument(
        "--labels",
        type=list[int | str] | int | str | None,
        default=None,
        help="Class of each name's images, in the order of the expression, or one for all; for a "
        "conditional model.",
    )
    parser.add_argument(
        "--through",
        type=Through | None,
        default=None,
        help="Latents of images by the encoder or by optimisation; by default the encoder if the "
        "model has one.",
    )
    parser.add_argument(
        "--steps", type=int | None, default=None, help="Of optimisation, as in invert."
    )
    parser.add_argument(
        "--restarts", type=int | None, default=None, help="Of optimisation, as in invert."
    )
    parser.add_argument(
        "--n",
        type=int | None,
        default=None,
        help=f"Latents that classes are shown with, without --images; by default {SAMPLES}.",
    )
    parser.add_argument(
        "--seed",
        type=int | None,
        default=None,
        help="Of these latents, or of optimisation; by default 0.",
    )
    parser.add_argument(
        "--out",
        type=str | None,
        default=None,
        help="Folder; by default arithmetic/step_XXXXXX in the checkpoint's run folder. Where it "
        "exists, -v1 and so on is appended.",
    )
    return parser


def run_arithmetic(arguments: Sequence[str]) -> None:
    """Add up, write and say where it is.

    The folder gets ``sum.png``, the operands below each other with their weights and the result
    under a line, examples beside; ``result/``, the images; and ``latents.npy``, what they are made
    of.

    Args:
        arguments: the command line after ``arithmetic``.

    Raises:
        ValueError: if the expression cannot be read, an option has nothing to do, the model does
            not fit, or images cannot be read.
    """
    parser = arithmetic_parser()
    parser.arguments = arguments
    chosen = parser.parse_args([*arguments])
    terms = terms_of(chosen.expression)
    names = [*dict.fromkeys(term.name for term in terms)]
    _check(chosen, terms, names)
    path = checkpoint_of(chosen.ckpt_path)
    step = read_checkpoint(path)["global_step"]
    usual = run_folder_of(path) / "arithmetic" / f"step_{step:06d}"
    folder = unused(Path(chosen.out or usual))
    check_writable("out", folder)
    model = load_model("arithmetic", path)
    # ahead of an inversion, which takes its time
    if _has_classes(model, chosen) and abs(sum(term.weight for term in terms) - 1) > 1e-4:
        right = f"of weights that add up to 1: {type(model).__name__} is conditional"
        require(False, "expression", chosen.expression, right)
    examples: dict[str, Tensor] = {}
    if chosen.images is None:
        operands = _classes(model, names, chosen)
    else:
        operands, examples = _images(model, names, terms, chosen)
    weighted = [weight * operands[name] for weight, name in terms]
    result = sum(weighted[1:], weighted[0])
    images = images_of(model, result)
    shown = {name: images_of(model, operand) for name, operand in operands.items()}
    for number, image in enumerate(images):
        write_image(image, folder / "result" / f"{number}.png")
    write_image(result.vectors, folder / "latents.npy")
    with whole_file(folder / "sum.png") as file:
        save_image(sum_page(terms, shown, images, examples), file, format="png")
    print(f"{folder}: {chosen.expression} = {len(images)} image{'s' * (len(images) > 1)}")


def _has_classes(model: LatentModel, chosen: Any) -> bool:
    """Whether operands have weights of classes; an encoder's codes that are no latents have not."""
    codes = isinstance(model, EncodingModel) and not model.codes_are_latents
    through_codes = chosen.images is not None and way_of(model, chosen.through) == "encode"
    return model.num_classes > 0 and not (codes and through_codes)


def _check(chosen: Any, terms: Sequence[Term], names: Sequence[str]) -> None:
    """Raise ``ValueError`` for what is wrong whatever the model is."""
    if chosen.images is None:
        for name in ("each", "labels", "through", "steps", "restarts"):
            value = getattr(chosen, name)
            require(value is None, name, value, "left out without --images")
        return
    require(chosen.n is None, "n", chosen.n, "left out with --images")
    right = f"a name in the expression: {', '.join(names)}"
    require(chosen.each in (None, *names), "each", chosen.each, right)
    if isinstance(chosen.labels, list):
        right = f"{len(terms)} classes, one for each name, or one for all"
        require(len(chosen.labels) == len(terms), "labels", chosen.labels, right)
    folder = Path(chosen.images)
    right = "a folder with a folder of images for each name; there is none"
    require(folder.is_dir(), "images", chosen.images, right)
    there = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    for name in names:
        if name not in there:
            near = suggestion(name, there)
            raise ValueError(f"images={chosen.images!r} has no folder {name!r}{near}")


def _classes(model: LatentModel, names: Sequence[str], chosen: Any) -> dict[str, Operand]:
    """Classes of a conditional model, by their names or numbers."""
    kind = type(model).__name__
    if not model.num_classes:
        raise ValueError(f"--images is missing: {kind} is not conditional, names are no classes")
    n = SAMPLES if chosen.n is None else chosen.n
    numbers = {name: int(name) if name.isdecimal() else name for name in names}
    numbers |= {name: name for name in names if name in model.class_names}
    return {name: operand_of_class(model, k, n, chosen.seed or 0) for name, k in numbers.items()}


def _images(
    model: LatentModel, names: Sequence[str], terms: Sequence[Term], chosen: Any
) -> tuple[dict[str, Operand], dict[str, Tensor]]:
    """Operands of example images, and the images."""
    given = {name: getattr(chosen, name) for name in ("steps", "restarts", "seed")}
    options = {name: value for name, value in given.items() if value is not None}
    if way_of(model, chosen.through) == "encode":
        for name, value in options.items():
            require(False, name, value, "left out: the encoder finds the latents")
    elif sys.stdout.isatty():
        options["progress"] = True
    labels = chosen.labels if isinstance(chosen.labels, list) else [chosen.labels] * len(terms)
    label_of: dict[str, int | str | None] = {}
    for term, label in zip(terms, labels, strict=True):
        right = f"the same class wherever {term.name} is"
        require(label_of.setdefault(term.name, label) == label, "labels", labels, right)
    found = {n: read_folder(model, "images", str(Path(chosen.images, n)))[1] for n in names}
    operands = {}
    for name, images in found.items():
        label = label_of[name]
        classes = None if label is None else [label] * len(images)
        operand = operand_of_images(model, images, classes, through=chosen.through, **options)
        operands[name] = operand if name == chosen.each else operand.averaged()
    return operands, found
