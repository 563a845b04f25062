"""How good the shipped recipes are: the tables of results in docs/variants.yaml.

    python benchmarks/quality.py                               # every variant on digits
    python benchmarks/quality.py --mnist DIR mnist/dcgan.yaml mnist/wgan_gp.yaml
    python benchmarks/quality.py --budget 60 wgan_gp.yaml r3gan.yaml dmd2.yaml    # equal seconds
    python benchmarks/quality.py pix2pix.yaml --model.adversarial_weight=0        # an option of fit

Each recipe is trained through the command line with seeds 0, 1 and 2, every checkpoint is judged,
and a row says how good the last and the best of them are: mean and standard deviation over seeds.
The judge is a classifier trained on the real training images; the Frechet distance is taken in its
features, between held-out real images and samples, 1,437 for digits and 10,000 for MNIST. The floor
is the distance of that many real training images. The best checkpoint is chosen by the very
distance it is reported with. Seconds are CPU time of the training process.

With a budget each trains for so many CPU seconds, beside which it does nothing, and is judged at
its end alone. A student of a diffusion model comes after a teacher, which is trained by its recipe
and whose CPU seconds are said beside it.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from statistics import mean, stdev
from threading import Lock
from typing import Any

import torch
from judges import Classifier, accuracy, frechet_distance, train_classifier
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from training import train

from datamodules import (
    DigitsDataModule,
    MNISTDataModule,
    PairedDataModule,
    PairedDigitsDataModule,
    PairedMNISTDataModule,
    UnpairedDigitsDataModule,
)
from datamodules.base import Split
from gan_modules import GenerativeModule, InfoGAN, LatentModel, TranslationModel
from gan_modules.command_line.trials import NO_OTHER_END
from gan_modules.families.translation_model import Direction
from gan_modules.metrics import compute_prdc

A_TO_B: Direction = "a_to_b"
RECIPES = ["gan", "dragan", "dcgan", "cgan", "wgan", "wgan_gp", "sngan", "acgan", "sagan", "biggan"]
RECIPES += ["r3gan", "progan", "stylegan2", "infogan", "vae", "bigan", "vae_gan", "ae_gan", "edm"]
RECIPES += ["cyclegan", "pix2pix", "cut"]
TEACHERS = {"dmd2.yaml": "edm.yaml", "mnist/dmd2.yaml": "mnist/edm.yaml"}


class Digits:
    """Real digits of one size, and their judge, on the CPU wherever it was trained."""

    def __init__(self, image_size: int, mnist: str | None, device: str = "cpu") -> None:
        data: Any
        if mnist is None:
            data = DigitsDataModule(image_size=image_size)
            options: dict[str, int] = {"epochs": 30}
        else:
            data = MNISTDataModule(root=mnist, image_size=image_size)
            data.prepare_data()
            options = {"epochs": 6, "num_features": 128, "width": 16}
        data.setup()
        self.mnist = mnist
        self.names: list[Split] = ["test"] if mnist else ["val", "test"]
        self.train, self.labels = _floats([data.splits["train"]])
        self.held_out, self.held_out_labels = _floats([data.splits[name] for name in self.names])
        self.n = min(len(self.train), 10_000)
        self.judge = train_classifier(
            self.train.to(device), self.labels.to(device), **options
        ).cpu()
        self.accuracy = accuracy(self.judge, self.held_out, self.held_out_labels)
        self.floor = frechet_distance(self.judge, self.held_out, self.train[: self.n])

    def score(self, model: LatentModel | TranslationModel) -> dict[str, float]:
        """Frechet distance and smallest and largest share of a class; more where it applies."""
        if isinstance(model, TranslationModel):
            return self.score_translation(model)
        assert isinstance(model, LatentModel)
        seeds = torch.arange(self.n).split(1000)
        images = torch.cat([model.sample(len(part), seed=int(part[0])) for part in seeds])
        scores = self.score_images(images) | {"seconds_per_1000": seconds_per_1000(model)}
        if isinstance(model, InfoGAN):
            latents = torch.cat([model.latents(len(part), seed=int(part[0])) for part in seeds])
            codes = model.latent.split(latents)[1][0].argmax(1)
            scores["label_kept"] = agreement(codes, self.judge.classify(images))
        elif model.num_classes:
            wanted = torch.cat([torch.arange(len(part)) % model.num_classes for part in seeds])
            scores["label_kept"] = (self.judge.classify(images) == wanted).double().mean().item()
        return scores

    def score_images(self, images: Tensor) -> dict[str, float]:
        shares = self.judge.classify(images).bincount(minlength=10) / len(images)
        return {
            "frechet": frechet_distance(self.judge, self.held_out, images),
            "smallest_class": shares.min().item(),
            "largest_class": shares.max().item(),
            **self.score_neighbours(images[: len(self.held_out)]),
        }

    def score_neighbours(self, images: Tensor) -> dict[str, float]:
        """Precision and recall, of as many samples as held-out images, 2,000 at most."""
        with torch.no_grad():
            pair = [self.judge.features(each[:2000]) for each in (self.held_out, images)]
        found = compute_prdc(*pair)
        return {"precision": float(found.precision), "recall": float(found.recall)}

    def score_translation(self, model: TranslationModel) -> dict[str, float]:
        """Held-out digits translated, judged in grey."""
        return self.score_pairs(model) if model.paired else self.score_styles(model)

    def score_pairs(self, model: TranslationModel) -> dict[str, float]:
        """Digits made of the outlines of held-out ones; the distance is to these digits."""
        size = self.train.shape[-1]
        data: PairedDataModule = PairedDigitsDataModule(image_size=size)
        if self.mnist is not None:
            data = PairedMNISTDataModule(root=self.mnist, image_size=size)
        data.setup()
        images, labels = _floats([data.splits[name] for name in self.names])
        outlines, digits = images.split(1, dim=1)
        made = torch.cat([model.translate(part) for part in outlines.split(1000)])
        return {
            **self.score_images(made),
            "label_kept": (self.judge.classify(made) == labels).double().mean().item(),
            "l1": (made - digits).abs().mean().item(),
            "sharpness": sharpness(made),
            "sharpness_of_real": sharpness(digits),
        }

    def score_styles(self, model: TranslationModel) -> dict[str, float]:
        """Digits in another style, through the known inverse.

        The distance is of those brought to B, to other digits, those of B.
        """
        data = UnpairedDigitsDataModule(image_size=self.train.shape[-1])
        data.setup()
        style = style_judge(data)
        kept, styles, made, real_b = [], [], [], []
        for split in ("val", "test"):
            pair = data.splits[split]
            for direction in model.directions:
                target = int(direction == A_TO_B)
                real, label = _floats([pair.a if target else pair.b])
                fake = model.translate(real, direction)
                styles.append(style.classify(fake) == target)
                grey = (data.b_to_a(fake) if target else fake).mean(1, keepdim=True)
                kept.append(self.judge.classify(grey) == label)
                made += [grey] if target else []
            real_b.append(data.b_to_a(_floats([pair.b])[0]).mean(1, keepdim=True))
        # not as a quality of its own: a copy of other digits is at that distance, too
        distance = frechet_distance(self.judge, torch.cat(real_b), torch.cat(made))
        return {
            "label_kept": torch.cat(kept).double().mean().item(),
            "style_reached": torch.cat(styles).double().mean().item(),
            "to_other_digits": distance,
        }


def seconds_per_1000(model: LatentModel) -> float:
    """CPU seconds to make images in batches of 100, on one thread, after a batch to warm up."""
    model.sample(100, seed=0)
    begun = time.thread_time()
    for seed in range(3):
        model.sample(100, seed=seed)
    return (time.thread_time() - begun) / 0.3


def sharpness(images: Tensor) -> float:
    """Mean difference of neighbouring pixels."""
    return sum(images.diff(dim=d).abs().mean().item() for d in (-1, -2)) / 2


def agreement(codes: Tensor, classes: Tensor) -> float:
    """Share of samples whose code stands for their class, under the best matching of the two."""
    together = torch.zeros(10, 10).index_put_((codes, classes), torch.tensor(1.0), accumulate=True)
    rows, columns = linear_sum_assignment(together.numpy(), maximize=True)
    return float(together[rows, columns].sum() / len(codes))


def style_judge(data: UnpairedDigitsDataModule) -> Classifier:
    """A classifier that tells real images of domain A (0) from those of domain B (1)."""
    a, b = (_floats([getattr(data.splits["train"], domain)])[0] for domain in "ab")
    styles = torch.cat([torch.zeros(len(a)), torch.ones(len(b))]).long()
    return train_classifier(torch.cat([a, b]), styles, epochs=5)


def _floats(splits: list[Any]) -> tuple[Tensor, Tensor]:
    images = torch.cat([split.images for split in splits]) / 127.5 - 1
    return images, torch.cat([split.labels for split in splits])


def ends_of(seconds: float) -> list[str]:
    """Options with which training ends after so many CPU seconds, and nothing else takes any."""
    options = ["--trainer.callbacks+=training.CPUSeconds", f"--trainer.callbacks.seconds={seconds}"]
    for option in ("--samples.every_n_steps", "--trainer.val_check_interval"):
        options += [option, str(10**6)]
    return [*NO_OTHER_END, *options, "--metrics.names", "[]"]


def judge(
    run: Path, digits: Callable[[int], Digits], only_last: bool = False
) -> list[dict[str, float]]:
    """Scores of every checkpoint of a run, in order, or of the last."""
    found = []
    for path in sorted(run.glob("checkpoints/step_*.ckpt"))[-1 if only_last else 0 :]:
        model = GenerativeModule.load_from_checkpoint(path, map_location="cpu")
        assert isinstance(model, (LatentModel, TranslationModel))
        real = digits(model.image_shape[-1])
        found.append({"step": int(path.stem.split("_")[1]), **real.score(model)})
    return found


def rows(results: list[dict[str, Any]]) -> Iterator[str]:
    """Lines of a table in markdown."""
    yield "| recipe | CPU seconds | last | best | class shares | label kept | style reached |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for recipe in dict.fromkeys(result["recipe"] for result in results):
        runs = [result for result in results if result["recipe"] == recipe]
        last = [run["scores"][-1] for run in runs]
        best, shares = [], ""
        if "frechet" in last[0]:
            best = [min(score["frechet"] for score in run["scores"]) for run in runs]
            smallest = min(score["smallest_class"] for score in last)
            shares = f"{smallest:.1%} to {max(score['largest_class'] for score in last):.1%}"
        yield " | ".join(
            [
                f"| `{recipe}`",
                f"{mean(run['cpu_seconds'] for run in runs):.0f}",
                _spread([score["frechet"] for score in last if "frechet" in score]),
                _spread(best),
                shares,
                _share([score["label_kept"] for score in last if "label_kept" in score]),
                f"{_share([s['style_reached'] for s in last if 'style_reached' in s])} |",
            ]
        )


def _spread(values: list[float]) -> str:
    return f"{mean(values):.1f} ± {stdev(values) if len(values) > 1 else 0:.1f}" if values else ""


def _share(values: list[float]) -> str:
    return f"{mean(values):.1%}, least {min(values):.1%}" if values else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = [f"{name}.yaml" for name in RECIPES]
    parser.add_argument("recipes", nargs="*", default=default)
    parser.add_argument("--mnist", help="root of MNIST, for recipes on it")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=float, help="CPU seconds of each training")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    parser.add_argument("--runs", type=Path, default=Path("runs", "quality"))
    parser.add_argument("--output", type=Path, help="JSON file of all scores")
    options, extra = parser.parse_known_args()
    if options.mnist is not None:
        extra += ["--data.root", str(Path(options.mnist).resolve())]
    ends = [] if options.budget is None else ends_of(options.budget)
    torch.set_num_threads(1)
    wanted = [(recipe, seed) for recipe in options.recipes for seed in range(options.seeds)]
    known: dict[int, Digits] = {}
    lock = Lock()

    def digits(image_size: int) -> Digits:
        with lock:
            if image_size not in known:
                known[image_size] = Digits(image_size, options.mnist)
        return known[image_size]

    def result_of(job: tuple[str, int]) -> dict[str, Any]:
        recipe, seed = job
        result: dict[str, Any] = {"recipe": recipe, "seed": seed}
        more = [*extra, *ends]
        if recipe in TEACHERS:
            teacher, seconds = train(TEACHERS[recipe], seed, options.runs, extra)
            result["teachers_cpu_seconds"] = seconds
            more += ["--model.teacher", str(teacher)]
        run, seconds = train(recipe, seed, options.runs, more)
        scores = judge(run, digits, only_last=options.budget is not None)
        return result | {"cpu_seconds": seconds, "run": run.name, "scores": scores}

    results = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for done in as_completed([pool.submit(result_of, job) for job in wanted]):
            results.append(done.result())
            results.sort(key=lambda result: wanted.index((result["recipe"], result["seed"])))
            if options.output is not None:
                judges = {size: [real.floor, real.accuracy] for size, real in known.items()}
                date = time.strftime("%Y-%m-%d")
                report = {"date": date, "floor_and_accuracy": judges, "results": results}
                options.output.write_text(json.dumps(report, indent=1) + "\n")
    for size, real in known.items():
        print(f"{size} px: floor {real.floor:.2f}, judge {real.accuracy:.1%} on held-out images")
    print("\n".join(rows(results)))


if __name__ == "__main__":
    main()
