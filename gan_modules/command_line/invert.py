"""``invert``: latents of images of one's own, found by optimisation, and what they give."""

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_modules.callbacks.paths import check_writable, unused
from gan_modules.callbacks.pictures import grid, rule
from gan_modules.checkpoints.reading import read_checkpoint
from gan_modules.command_line.parsing import GANArgumentParser
from gan_modules.command_line.results import run_folder_of
from gan_modules.command_line.resume import checkpoint_of
from gan_modules.families.latent_model import LatentModel
from gan_modules.tools.files import whole_file
from gan_modules.tools.image_files import find_ranges, read_image, write_image
from gan_modules.tools.image_folders import find_images
from gan_modules.tools.inversion import Inversion, SpaceName, invert
from gan_modules.training.module import GenerativeModule

__all__ = ["INVERT", "invert_parser", "load_model", "read_folder", "run_invert"]

INVERT = "Find the latents, or styles, of images in a folder, and what a model makes of them."
SHOWN = 64
"""Images on the picture that shows them beside the originals."""
PAIRS = 8
"""Columns of that picture."""


def invert_parser() -> GANArgumentParser:
    """The parser of the command's options."""
    parser = GANArgumentParser(
        prog="cli.py invert",
        description=f"{INVERT} The model is any that samples from latents.",
        usage="%(prog)s --ckpt_path FILE --images FOLDER [options]",
    )
    parser.add_argument(
        "--ckpt_path",
        type=str,
        required=True,
        help="Checkpoint, or run folder, of which the newest one is taken.",
    )
    parser.add_argument("--images", type=str, required=True, help="Folder of images, at any depth.")
    parser.add_argument(
        "--labels",
        type=list[int | str] | int | str | None,
        default=None,
        help="Classes of the images, in the order of their names, or one for all; for a "
        "conditional model.",
    )
    parser.add_argument(
        "--space",
        type=SpaceName,
        default="z",
        help="Latents (z), or of a model with styles these (w), or one for each layer (w+).",
    )
    parser.add_argument("--steps", type=int, default=1000, help="Of each attempt.")
    parser.add_argument(
        "--restarts",
        type=int,
        default=1,
        help="Attempts, the best of which counts for each image.",
    )
    parser.add_argument(
        "--learning_rate", type=float, default=0.1, help="The highest; it rises and falls."
    )
    parser.add_argument(
        "--features",
        type=nn.Module | None,
        default=None,
        help="Module that maps images to what is compared; by default pixels are.",
    )
    parser.add_argument("--batch_size", type=int, default=64, help="Images at a time.")
    parser.add_argument("--seed", type=int, default=0, help="Of noise and random starts.")
    parser.add_argument(
        "--out",
        type=str | None,
        default=None,
        help="Folder; by default inversions/step_XXXXXX in the checkpoint's run folder. Where it "
        "exists, -v1 and so on is appended.",
    )
    return parser


def run_invert(arguments: Sequence[str]) -> None:
    """Invert, write and say where it is.

    The folder gets ``images/``, what the model makes under the names of the originals,
    ``latents.npy``, their latents or styles, ``errors.csv``, and ``beside.png``, the originals and
    what was found, side by side.

    Args:
        arguments: the command line after ``invert``.

    Raises:
        ValueError: if the model has no latents, or no such space, or the images cannot be read.
    """
    parser = invert_parser()
    parser.arguments = arguments
    chosen = parser.instantiate_classes(parser.parse_args([*arguments]))
    path = checkpoint_of(chosen.ckpt_path)
    step = read_checkpoint(path)["global_step"]
    usual = run_folder_of(path) / "inversions" / f"step_{step:06d}"
    folder = unused(Path(chosen.out or usual))
    # ahead of the search, which takes its time
    check_writable("out", folder)
    model = load_model("invert", path)
    model.space(chosen.space)
    names, images = read_folder(model, "images", chosen.images)
    labels = chosen.labels
    if isinstance(labels, (int, str)):
        labels = [labels] * len(names)
    found = invert(
        model,
        images,
        labels,
        space=chosen.space,
        steps=chosen.steps,
        restarts=chosen.restarts,
        features=chosen.features,
        learning_rate=chosen.learning_rate,
        batch_size=chosen.batch_size,
        seed=chosen.seed,
        progress=sys.stdout.isatty(),
    )
    _write(folder, names, images, found)
    print(f"{folder}: {len(names)} images, mean squared error {found.errors.mean():.3g}")


def load_model(command: str, path: str | Path) -> LatentModel:
    """The model of a checkpoint, on a GPU if there is one.

    Raises:
        ValueError: that names the command, if the model does not sample images from latents.
    """
    model = GenerativeModule.load_from_checkpoint(path, map_location="cpu")
    if not isinstance(model, LatentModel) or len(model.image_shape) != 3:
        kind = type(model).__name__
        raise ValueError(f"{command} takes a model that samples images, not a {kind}")
    return model.to("cuda") if torch.cuda.is_available() else model


def read_folder(model: LatentModel, option: str, place: str) -> tuple[list[str], Tensor]:
    """The images of a folder as a model takes them: cut to its shape, in [-1, 1].

    Args:
        model: whose ``image_shape`` they get.
        option: that names the folder.
        place: the folder.

    Returns:
        Paths within the folder, sorted; images ``(N, C, H, W)``.

    Raises:
        ValueError: if there is no such folder, there are no images, or one cannot be read.
    """
    folder = Path(place)
    if not folder.is_dir():
        raise ValueError(f"{option}={place!r} must be a folder of images; there is none")
    where = f"{option}={place!r}"
    found = find_images(folder)
    if not found.names:
        raise ValueError(found.none_in(where))
    found.warn(where)
    channels, *size = model.image_shape
    ranges = find_ranges(folder, found.names, where)
    images = []
    for name in found.names:
        try:
            images.append(read_image(folder / name, channels, (size[0], size[1]), ranges))
        except OSError as error:
            raise ValueError(f"{folder / name} cannot be decoded: {error}") from error
    return found.names, torch.stack(images)


def _write(folder: Path, names: Sequence[str], images: Tensor, found: Inversion) -> None:
    for name, image in zip(names, found.images, strict=True):
        # two formats of one name stay two files
        write_image(image, folder / "images" / f"{name}.png")
    write_image(found.latents, folder / "latents.npy")
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["image", "error"])
    rows.writerows(zip(names, found.errors.tolist(), strict=True))
    with whole_file(folder / "errors.csv") as file:
        file.write(text.getvalue().encode())
    pairs = torch.stack([images.to(found.images), found.images], dim=1)[:SHOWN]
    columns = min(PAIRS, len(pairs))
    empty = -torch.ones_like(pairs[:1]).expand(-len(pairs) % columns, *pairs.shape[1:])
    table = torch.cat([pairs, empty]).unflatten(0, (-1, columns)).flatten(1, 2)
    page = rule(grid(table, 512), table, 1, range(2, 2 * columns, 2))
    write_image(page * 2 - 1, folder / "beside.png")
