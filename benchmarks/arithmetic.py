"""Whether ``thick - thin + other digit`` makes the other digit thicker and leaves it what it is.

    python benchmarks/arithmetic.py                     # five recipes on digits, seeds 0, 1 and 2
    python benchmarks/arithmetic.py cgan.yaml --seeds 0 --picture sum.png
    python benchmarks/arithmetic.py bigan.yaml --through invert --parts 0.25 0.5 1

Of each digit the quarter of the training images with the thickest strokes and that with the
thinnest are averaged in latent space; their difference, or a part of it, is added to, and
subtracted from, the latents of every held-out image of another digit. "one" is the difference
within one digit, for each pair of digits; "all" the mean of those within all digits but the
image's. A classifier trained on the real images says whether the class is kept: of the sums, and of
the same images by way of their latents alone, which bounds it. Latents are an encoder's where there
is one, else found by optimisation, with the class.

A stroke's width is twice its ink over the length of its outline, in pixels: of grey images the sum
of the ink over their total variation. It moves as it should where a sum with the difference is
wider than the same image without, and one against it thinner.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, product
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from judges import Classifier, accuracy, train_classifier
from torch import Tensor
from torch.nn import functional as F
from torchvision.utils import save_image
from training import train

from datamodules import DigitsDataModule
from gan_modules import GenerativeModule, LatentModel
from gan_modules.callbacks.sums import sum_page
from gan_modules.tools.arithmetic import (
    Operand,
    Term,
    Through,
    images_of,
    operand_of_images,
    way_of,
)

RECIPES = ["vae.yaml", "bigan.yaml", "vae_gan.yaml", "cgan.yaml", "infogan.yaml"]
QUARTER = 0.25
CLASSES = 10
KEYS = ("recipe", "through", "examples", "part")


def stroke_widths(images: Tensor) -> Tensor:
    """Widths of strokes in pixels, shape ``(N,)``, of images in [-1, 1], ``(N, 1, H, W)``."""
    ink = F.pad((images + 1) / 2, (1, 1, 1, 1))
    slopes = ink.diff(dim=-1)[..., :-1, :], ink.diff(dim=-2)[..., :-1]
    outline = sum(slope.square() for slope in slopes).sqrt()  # type: ignore[union-attr]
    return 2 * ink.sum((1, 2, 3)) / outline.sum((1, 2, 3)).clamp(min=1e-6)


class Digits:
    """Real digits, the thick and the thin among them, and who tells their classes."""

    def __init__(self, image_size: int) -> None:
        data = DigitsDataModule(image_size=image_size)
        data.setup()
        self.images, self.labels = _floats(data, ["train"])
        self.held_out, self.held_out_labels = _floats(data, ["val", "test"])
        self.judge: Classifier = train_classifier(self.images, self.labels, epochs=30)
        self.accuracy = accuracy(self.judge, self.held_out, self.held_out_labels)
        widths = stroke_widths(self.images)
        self.thick, self.thin = {}, {}
        for digit in range(CLASSES):
            rows = (self.labels == digit).nonzero().squeeze(1)
            rows = rows[widths[rows].argsort()]
            n = round(QUARTER * len(rows))
            self.thin[digit], self.thick[digit] = rows[:n], rows[-n:]


def _floats(data: DigitsDataModule, names: list[Any]) -> tuple[Tensor, Tensor]:
    splits = [data.splits[name] for name in names]
    images = torch.cat([split.images for split in splits]) / 127.5 - 1
    return images, torch.cat([split.labels for split in splits])


class Finder:
    """Latents of images: an encoder's, or after so many steps of optimisation."""

    def __init__(self, model: LatentModel, through: Through | None, steps: int) -> None:
        self.model, self.steps = model, steps
        self.through = way_of(model, through)

    def operand(self, images: Tensor, labels: Tensor) -> Operand:
        """The latents of images of these classes."""
        options: dict[str, Any] = {"through": self.through}
        if self.through == "invert":
            options |= {"steps": self.steps, "batch_size": len(images)}
        chosen = labels if self.model.num_classes else None
        return operand_of_images(self.model, images, chosen, **options)


def score(finder: Finder, digits: Digits, parts: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Shares of classes that are kept and of widths that move, and mean widths, of each way."""
    model, labels = finder.model, digits.held_out_labels
    places = finder.operand(digits.held_out, labels)
    plain = images_of(model, places)
    before = stroke_widths(plain)
    real = stroke_widths(digits.images)
    thick_rows, thin_rows = (torch.cat([*rows.values()]) for rows in (digits.thick, digits.thin))
    common = {
        "class_kept_unchanged": (digits.judge.classify(plain) == labels).double().mean().item(),
        "width_unchanged": before.mean().item(),
        "width_of_thick": real[thick_rows].mean().item(),
        "width_of_thin": real[thin_rows].mean().item(),
    }
    changes = []
    for digit in range(CLASSES):
        thick, thin = (
            finder.operand(digits.images[rows], digits.labels[rows]).averaged()
            for rows in (digits.thick[digit], digits.thin[digit])
        )
        changes.append(thick - thin)
    for (kind, used), part in product(changes_of(changes, labels).items(), parts):
        found: dict[str, Any] = {"examples": kind, "part": part, **common}
        for name, sign in (("thicker", 1), ("thinner", -1)):
            made = torch.cat(
                [images_of(model, sign * part * change + places)[rows] for change, rows in used]
            )
            rows = torch.cat([rows.nonzero().squeeze(1) for _, rows in used])
            after = stroke_widths(made)
            kept = digits.judge.classify(made) == labels[rows]
            found[f"class_kept_{name}"] = kept.double().mean().item()
            moved = sign * (after - before[rows]) > 0
            found[f"width_{name}_moved"] = moved.double().mean().item()
            found[f"width_{name}"] = after.mean().item()
        yield found


def changes_of(
    changes: Sequence[Operand], labels: Tensor
) -> dict[str, list[tuple[Operand, Tensor]]]:
    """Differences, and which images each is added to."""
    of_others = []
    for digit in range(CLASSES):
        others = [change for k, change in enumerate(changes) if k != digit]
        of_others.append(sum(others[1:], others[0]) * (1 / len(others)))
    return {
        "one": [(change, labels != digit) for digit, change in enumerate(changes)],
        "all": [(change, labels == digit) for digit, change in enumerate(of_others)],
    }


def picture(finder: Finder, digits: Digits) -> Tensor:
    """Thick threes less thin threes, plus a seven of each kind that there is."""
    model = finder.model
    rows = {
        "thick 3": digits.thick[3],
        "thin 3": digits.thin[3],
        "7": (digits.labels == 7).nonzero().squeeze(1)[:8],
    }
    found = {k: finder.operand(digits.images[r], digits.labels[r]) for k, r in rows.items()}
    operands = {name: o if name == "7" else o.averaged() for name, o in found.items()}
    result = images_of(model, operands["thick 3"] - operands["thin 3"] + operands["7"])
    terms = [Term(1, "thick 3"), Term(-1, "thin 3"), Term(1, "7")]
    shown = {name: images_of(model, o) for name, o in operands.items()}
    examples = {name: digits.images[r[:4]] for name, r in rows.items() if name != "7"}
    return sum_page(terms, shown, result, examples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--through", choices=("encode", "invert"), help="by default encode if it can"
    )
    parser.add_argument("--steps", type=int, default=300, help="of optimisation, without encoder")
    parser.add_argument("--parts", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    parser.add_argument("--runs", type=Path, default=Path("runs", "arithmetic"))
    parser.add_argument("--picture", type=Path, help="PNG of a sum, of the first recipe and seed")
    parser.add_argument("--output", type=Path, help="JSON file of all results")
    options = parser.parse_args()
    torch.manual_seed(0)
    digits = Digits(16)
    print(f"the classifier is right about {digits.accuracy:.1%} of held-out images", flush=True)
    wanted = [(recipe, seed) for recipe in options.recipes for seed in options.seeds]

    def run(job: tuple[str, int]) -> list[dict[str, Any]]:
        recipe, seed = job
        folder, _ = train(recipe, seed, options.runs, ["--metrics.names", "[]"])
        path = folder / "checkpoints" / "last.ckpt"
        model = GenerativeModule.load_from_checkpoint(path, map_location="cpu")
        assert isinstance(model, LatentModel)
        finder = Finder(model, options.through, options.steps)
        if options.picture is not None and job == wanted[0]:
            save_image(picture(finder, digits), options.picture)
        about = {"recipe": recipe, "seed": seed, "through": finder.through}
        found = [about | each for each in score(finder, digits, options.parts)]
        print(f"{recipe}, seed {seed}", flush=True)
        return found

    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(chain.from_iterable(pool.map(run, wanted)))
    print("| recipe | latents | of digits | part | class kept | width moved | mean width |")
    print("| --- " * 7 + "|")
    ways = {tuple(r[name] for name in KEYS): None for r in results}
    for way in ways:
        runs = [result for result in results if tuple(result[name] for name in KEYS) == way]
        means = {k: mean(r[k] for r in runs) for k in runs[0] if k not in (*KEYS, "seed")}
        kept = [means[f"class_kept_{name}"] for name in ("unchanged", "thicker", "thinner")]
        moved = [means[f"width_{name}_moved"] for name in ("thicker", "thinner")]
        widths = [means[f"width_{name}"] for name in ("unchanged", "thicker", "thinner")]
        print(
            f"| {' | '.join(map(str, way))} | {', '.join(f'{x:.1%}' for x in kept)} | "
            f"{', '.join(f'{x:.1%}' for x in moved)} | {', '.join(f'{x:.2f}' for x in widths)} |"
        )
    if options.output is not None:
        options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
