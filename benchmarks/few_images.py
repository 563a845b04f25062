"""What augmentation does where images are few: digits by two recipes, with and without.

    python benchmarks/few_images.py                       # 54 trainings, hours of CPU time
    python benchmarks/few_images.py --device cuda --jobs 14

100, 300 and all 1,437 training digits, classes in proportion; WGAN-GP and DCGAN, with nothing,
DiffAugment or ADA in front of the discriminator; seeds 0, 1 and 2. All train for the same number of
generator updates, of batches of 64 images, long enough for 100 images to be learnt by heart, and
every checkpoint is judged as in ``quality.py``: by the Frechet distance of 1,437 samples to the 360
held-out digits, in the features of a classifier of all real training digits. The best checkpoint is
chosen by the very distance it is reported with.

DiffAugment is translation and cutout: digits are grey. ADA starts at ``p = 0`` and may rise to 1
within 50,000 images, an eighth of DCGAN's training; its 500,000 are a fiftieth of the paper's. A
Wasserstein critic has no boundary at zero that ADA could follow: WGAN-GP has its transformations
with the fixed probability of 0.2.

What is in the JSON file is not trained again; ``p`` is there as of every checkpoint.
"""

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from matplotlib.figure import Figure
from quality import judge
from side_by_side import Job, add_options, load_kept, prepare_judge, run_all, spread, train_on
from torch import Tensor

from datamodules import DigitsDataModule
from datamodules.base import Split

__all__ = ["FewDigits"]

ALL = 1437
SPEED = 50_000
MODELS = {"wgan_gp": "WGAN-GP", "dcgan": "DCGAN"}
ADA: dict[str, dict[str, Any]] = {
    "wgan_gp": {"p": 0.2, "target": None},
    "dcgan": {"speed": SPEED},
}
AUGMENTATIONS = {"none": "nothing", "DiffAugment": "DiffAugment", "AdaptiveAugment": "ADA"}
COLOURS = {"none": "tab:grey", "DiffAugment": "tab:blue", "AdaptiveAugment": "tab:orange"}


class FewDigits(DigitsDataModule):
    """Digits of which only some are trained on, the same ones in every run.

    An epoch has each of them many times, since an iteration may take more images than there are.

    Args:
        images: number of training images, classes in proportion.
        **kwargs: options of :class:`DigitsDataModule`.
    """

    def __init__(self, *, images: int = ALL, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.images = images

    def load(self, split: Split) -> tuple[Tensor, Tensor]:
        """Images ``(N, 1, 8, 8)`` and labels; of the training split the chosen ones, repeated."""
        images, labels = super().load(split)
        if split == "train":
            chosen = choose(labels, self.images).repeat(-(-100 * ALL // self.images))
            images, labels = images[chosen], labels[chosen]
        return images, labels


def choose(labels: Tensor, n: int) -> Tensor:
    """Indices of so many images, in order, every class in proportion."""
    # slow to import
    from sklearn.model_selection import train_test_split

    if n == len(labels):
        return torch.arange(n)
    chosen, _ = train_test_split(range(len(labels)), train_size=n, stratify=labels, random_state=0)
    return torch.tensor(sorted(chosen))


def augmented(model: str, augmentation: str) -> list[str]:
    """Options of the command line."""
    if augmentation == "none":
        # recipes may have one of their own
        return ["--model.augmentation", "null"]
    diff_augment = {"policy": ["translation", "cutout"]}
    arguments = diff_augment if augmentation == "DiffAugment" else ADA[model]
    entry = {"class_path": augmentation, "init_args": arguments}
    return ["--model.augmentation", json.dumps(entry)]


def train_and_judge(runs: Path, device: str, every: int, job: Job) -> dict[str, Any]:
    """Scores of every checkpoint of a training, which are then removed."""
    model, augmentation, n = job["model"], job["augmentation"], job["images"]
    options = ["--data", "few_images.FewDigits", "--data.images", str(n), "--data.batch_size", "64"]
    options += augmented(model, augmentation)
    options += ["--trainer.max_steps", str(job["updates"])]
    options += ["--checkpoint.every_n_train_steps", str(every)]
    folder = runs / f"{augmentation}_{n}"
    took = train_on(device, f"{model}.yaml", job["seed"], folder, options)
    run = took.pop("run")
    scores = judge(run, lambda _: load_kept(runs / "judge.pt"))
    if augmentation == "AdaptiveAugment":
        for score in scores:
            checkpoint = run / "checkpoints" / f"step_{score['step']:06d}.ckpt"
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
            score |= {name: float(state[f"augmentation.{name}"]) for name in ("p", "r_t")}
    shutil.rmtree(run / "checkpoints")
    return {**took, "run": f"{folder.name}/{model}/{run.name}", "scores": scores}


def last_and_best(runs: Sequence[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """The distances of a cell, one for each seed."""
    distances = [[score["frechet"] for score in run["scores"]] for run in runs]
    return [each[-1] for each in distances], [min(each) for each in distances]


def cell(results: list[dict[str, Any]], *wanted: Any) -> list[dict[str, Any]]:
    """Results of one model, augmentation and number of images."""
    names = ("model", "augmentation", "images")
    return [r for r in results if tuple(r[name] for name in names) == wanted]


def rows(results: list[dict[str, Any]]) -> Iterator[str]:
    """Lines of a table in markdown."""
    yield "| model | images | augmentation | last | best | best after | recall, last | ADA's p |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    counts = sorted({r["images"] for r in results})
    for model, n, augmentation in product(MODELS, counts, AUGMENTATIONS):
        runs = cell(results, model, augmentation, n)
        if not runs:
            continue
        last, best = last_and_best(runs)
        after = mean(min(r["scores"], key=lambda s: s["frechet"])["step"] for r in runs)
        recall = mean(r["scores"][-1]["recall"] for r in runs)
        p = [r["scores"][-1]["p"] for r in runs if "p" in r["scores"][-1]]
        yield (
            f"| {MODELS[model]} | {n:,} | {AUGMENTATIONS[augmentation]} | {spread(last)} "
            f"| {spread(best)} | {after:,.0f} | {recall:.2f} | {spread(p, 2) if p else ''} |"
        )


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Distance against number of images, by model; the probability over updates."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    *panels, probability = figure.subplots(1, 3)
    counts = sorted({r["images"] for r in results})
    for axes, model in zip(panels, MODELS, strict=True):
        if all(r["model"] != model for r in results):
            axes.set_axis_off()
            continue
        for augmentation, label in AUGMENTATIONS.items():
            found = {n: cell(results, model, augmentation, n) for n in counts}
            known = [n for n in counts if found[n]]
            if augmentation == "AdaptiveAugment" and model == "wgan_gp":
                label += ", p = 0.2"
            for which, style in enumerate(("-", ":")):
                values = [last_and_best(found[n])[which] for n in known]
                axes.errorbar(
                    known,
                    [mean(each) for each in values],
                    [_deviation(each) for each in values],
                    color=COLOURS[augmentation],
                    linestyle=style,
                    marker="o" if which == 0 else None,
                    capsize=3,
                    label=label if which == 0 else None,
                )
        axes.set(title=MODELS[model], xscale="log", yscale="log", xlabel="training images")
        axes.set_xticks(counts, [f"{n:,}" for n in counts])
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.3)
    drawn = [axes for axes in panels if axes.has_data()]
    if drawn:
        drawn[0].set_ylabel("Fréchet distance; dotted: best checkpoint")
        drawn[0].legend()
    for shade, n in zip((1.0, 0.65, 0.35), counts, strict=False):
        runs = cell(results, "dcgan", "AdaptiveAugment", n)
        if runs:
            steps = [0, *(score["step"] for score in runs[0]["scores"])]
            curves = [[0.0, *(score["p"] for score in run["scores"])] for run in runs]
            middle = [mean(each) for each in zip(*curves, strict=True)]
            apart = [_deviation(list(each)) for each in zip(*curves, strict=True)]
            low = [m - d for m, d in zip(middle, apart, strict=True)]
            high = [m + d for m, d in zip(middle, apart, strict=True)]
            probability.plot(steps, middle, color="tab:orange", alpha=shade, label=f"{n:,} images")
            probability.fill_between(steps, low, high, color="tab:orange", alpha=0.2 * shade)
    probability.set(title="ADA's p, DCGAN", xlabel="generator updates", ylim=(0, 1))
    probability.grid(alpha=0.3)
    if probability.lines:
        probability.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def _deviation(values: list[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser, "few_images", updates=6000)
    parser.add_argument("--picture", type=Path, default=Path("runs/few_images/few_images.png"))
    parser.add_argument("--every", type=int, help="updates between two checkpoints, a twelfth")
    parser.add_argument("--images", type=int, nargs="+", default=[100, 300, ALL])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    order = product(range(options.seeds), options.models, options.images, AUGMENTATIONS)
    jobs: list[Job] = [
        {"model": model, "augmentation": augmentation, "images": n, "seed": seed}
        | {"updates": options.updates, "device": options.device}
        for seed, model, n, augmentation in order
    ]
    # the same on every device
    real = prepare_judge(options.runs / "judge.pt", 16, None, "cpu")
    every = options.every or max(options.updates // 12, 1)
    facts = {"floor": real.floor, "accuracy": real.accuracy, "ada_speed": SPEED}
    work = partial(train_and_judge, options.runs, options.device, every)
    results = run_all(work, jobs, options, facts)
    print(f"floor {real.floor:.2f}, judge {real.accuracy:.1%} on held-out images")
    print("\n".join(rows(results)))
    draw(results, options.picture)


if __name__ == "__main__":
    main()
