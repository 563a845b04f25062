"""How many of the 1,000 modes of stacked MNIST each way against mode collapse finds.

    python benchmarks/stacked_mnist.py --mnist DIR --output stacked.json
    python benchmarks/stacked_mnist.py --mnist DIR --networks pacgan --device cuda --jobs 6

Images are three digits in three channels (:class:`StackedMNISTDataModule`, 128,000 for training).
Each model is trained through the command line, a process each, with seeds 0, 1 and 2. Of samples of
the averaged generator a classifier, trained on single digits of the training images, tells the
digit in each channel. Modes are the distinct ones of 1,000 triples among 26,000 samples, as in
VEEGAN's and PacGAN's experiments. KL divergences are of the samples' triples to equal shares, as in
PacGAN's code, and to the shares of the training images. "real" is the same of triples of test
digits. Noise, too, is given some digit: how sure the classifier is stands beside.

``--networks dcgan``: DCGAN's, 32 channels wide, at 32 pixels, batches of 64 images for all, pairs
included. ``--networks pacgan``: those of PacGAN's experiment after Metz et al., whose discriminator
is a quarter of the generator's size, at 28 pixels (unrolled_networks.py); it judges 128 times, 128
images or 128 pairs. There PacGAN took 500,000 updates.

Wall and CPU seconds are of the training's process, its start and the data included, with whatever
else runs beside it. A run that the JSON file has is not repeated.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
import unrolled_networks  # noqa: F401  checkpoints name its classes
import yaml
from judges import Classifier, accuracy, train_classifier
from side_by_side import Job, add_options, run_all, spread
from throughput import conditions
from torch import Tensor
from training import train

from datamodules import MNISTDataModule, StackedMNISTDataModule
from gan_modules import GenerativeModule, LatentModel

__all__ = ["MODELS", "divergence", "main", "score_triples"]

RECIPE = Path(__file__).parents[1] / "configs" / "mnist" / "stacked.yaml"
MODES = 1000
NEVER = 10**9


def part(class_path: str, **options: Any) -> dict[str, Any]:
    """A class and its options as configs have them."""
    return {"class_path": class_path, "init_args": options}


def adam(lr: float, beta1: float, beta2: float) -> dict[str, Any]:
    return part("torch.optim.Adam", lr=lr, betas=[beta1, beta2], fused=True)


def both(lr: float, beta1: float, beta2: float) -> dict[str, Any]:
    """The same optimizer for both players."""
    chosen = adam(lr, beta1, beta2)
    return {"generator_optimizer": chosen, "discriminator_optimizer": chosen}


def packed(discriminator: dict[str, Any]) -> dict[str, Any]:
    return part("PackedDiscriminator", packing=2, discriminator=discriminator)


def of_dcgan(**options: Any) -> dict[str, Any]:
    return part("DCGANDiscriminator", width=32, **options)


def of_unrolled(**options: Any) -> dict[str, Any]:
    return part("unrolled_networks.UnrolledDiscriminator", width=2, **options)


DCGAN_GENERATOR = {"latent_dim": 100, "generator": part("DCGANGenerator", width=32)}
DCGAN_RATES = both(2e-4, 0.5, 0.999)
UNROLLED_GENERATOR = {
    "latent_dim": 256,
    "latent_distribution": "normal",
    "generator": part("unrolled_networks.UnrolledGenerator"),
}
UNROLLED_RATES = {
    "generator_optimizer": adam(1e-4, 0.5, 0.99),
    "discriminator_optimizer": adam(2e-4, 0.5, 0.99),
}
# as mnist/r3gan.yaml
R3GAN_RATES = both(5e-4, 0.0, 0.99)
# rates and updates of the critic as mnist/wgan_gp.yaml
WGAN_GP_TRAINING = {**both(5e-4, 0.5, 0.9), "n_critic": 3}


class Setup(NamedTuple):
    """A model, and the images of one update."""

    model: dict[str, Any]
    batch_size: int = 64


def dcgan(discriminator: dict[str, Any], **options: Any) -> Setup:
    """DCGAN's loss and rates, with some discriminator."""
    return Setup(
        part("DCGAN", **DCGAN_GENERATOR, **DCGAN_RATES, discriminator=discriminator, **options)
    )


def unrolled(discriminator: dict[str, Any], batch_size: int) -> Setup:
    options = {**UNROLLED_GENERATOR, **UNROLLED_RATES, "discriminator": discriminator}
    return Setup(part("DCGAN", **options), batch_size)


MODELS: dict[str, dict[str, Setup]] = {
    "dcgan": {
        "gan": dcgan(of_dcgan()),
        "wgan_gp": Setup(
            part(
                "WGANGP",
                **DCGAN_GENERATOR,
                **WGAN_GP_TRAINING,
                discriminator=of_dcgan(norm="layer"),
            )
        ),
        "pacgan": dcgan(packed(of_dcgan())),
        "minibatch": dcgan(of_dcgan(minibatch_discrimination=100)),
        "r1": dcgan(of_dcgan(norm="none"), regularizers=[part("R1", weight=1.0)]),
        "r3gan": Setup(
            part(
                "R3GAN",
                **{**DCGAN_GENERATOR, "latent_dim": 64},
                **R3GAN_RATES,
                gamma=1.0,
                discriminator=of_dcgan(norm="none"),
            )
        ),
        "d2gan": Setup(
            part(
                "D2GAN",
                **DCGAN_GENERATOR,
                **DCGAN_RATES,
                alpha=1.0,
                beta=1.0,
                discriminator=of_dcgan(),
            )
        ),
    },
    "pacgan": {
        "gan": unrolled(of_unrolled(), 128),
        "wgan_gp": Setup(
            part(
                "WGANGP",
                **UNROLLED_GENERATOR,
                **WGAN_GP_TRAINING,
                discriminator=of_unrolled(norm="layer"),
            ),
            128,
        ),
        "pacgan": unrolled(packed(of_unrolled()), 256),
        "r3gan": Setup(
            part(
                "R3GAN",
                **UNROLLED_GENERATOR,
                **R3GAN_RATES,
                gamma=1.0,
                discriminator=of_unrolled(norm="none"),
            ),
            128,
        ),
    },
}
SIZES = {"dcgan": 32, "pacgan": 28}

# modes and KL to equal shares; PacGAN: arXiv:1712.04086, tables 2 (DCGAN's networks 64 wide, 28
# pixels, 100,000 updates) and 3 (D a quarter of G, 500,000 updates), ± standard errors; R3GAN:
# arXiv:2501.05441
PUBLISHED = {
    ("dcgan", "gan"): "99.0, 3.40; PacGAN's own 78.9 ± 6.5, 4.50 ± 0.13",
    ("dcgan", "pacgan"): "1000 ± 0, 0.06 ± 0.003",
    ("dcgan", "r3gan"): "1000, 0.029 (larger networks)",
    ("pacgan", "gan"): "78.5 ± 17.6, 5.21 ± 0.19",
    ("pacgan", "pacgan"): "484.5 ± 33.0, 2.61 ± 0.22",
}


def divergence(counts: Tensor, shares: Tensor) -> float:
    """KL divergence in nats of counted triples, ``(1000,)``, to shares; inf where these are 0."""
    found = counts.double() / counts.sum()
    there = found > 0
    return float((found[there] * (found[there] / shares.double()[there]).log()).sum())


def score_triples(triples: Tensor, shares: Tensor) -> dict[str, float]:
    """Modes and divergences of triples, integers ``(N,)``, and of the training images' shares."""
    counts = triples.cpu().bincount(minlength=MODES)
    return {
        "modes": int((counts > 0).sum()),
        "kl_uniform": divergence(counts, torch.full((MODES,), 1 / MODES)),
        "kl_training": divergence(counts, shares),
    }


class Judge(NamedTuple):
    """Who tells digits, what is known of it, and the shares of the training images' triples."""

    classifier: Classifier
    facts: dict[str, Any]
    shares: Tensor

    def score(self, batches: Iterator[Tensor]) -> dict[str, float]:
        """Scores of images ``(N, 3, H, W)`` in [-1, 1]."""
        found, sure = [], []
        with torch.no_grad():
            for images in batches:
                # as bytes and back, as the digits were that it has learnt from
                channels = ((images.flatten(0, 1)[:, None] + 1) * 127.5).round() / 127.5 - 1
                chances = self.classifier(channels)[1].softmax(1)
                most, digits = chances.max(1)
                places = torch.tensor([100, 10, 1], device=digits.device)
                found.append((digits.view(-1, 3) * places).sum(1).cpu())
                sure.append(most.cpu())
        scores = score_triples(torch.cat(found), self.shares)
        return {**scores, "classifier_is_sure": torch.cat(sure).mean().item()}


def floats(images: Tensor, device: str) -> Tensor:
    return images.to(device) / 127.5 - 1


def new_judge(options: argparse.Namespace, image_size: int) -> Judge:
    """Train the classifier on all training digits, and say how good it is on test digits."""
    data = MNISTDataModule(root=options.mnist, image_size=image_size, val_size=0)
    data.setup()
    train_digits, test_digits = data.splits["train"], data.splits["test"]
    classifier = train_classifier(
        floats(train_digits.images, options.device),
        train_digits.labels.to(options.device),
        epochs=options.judge_epochs,
        num_features=128,
        width=16,
    )
    right = accuracy(
        classifier,
        floats(test_digits.images, options.device),
        test_digits.labels.to(options.device),
    )
    stacked = StackedMNISTDataModule(
        root=options.mnist, image_size=image_size, val_size=0, n_held_out=options.samples
    )
    counts = stacked.load("train")[1].bincount(minlength=MODES)
    judge = Judge(classifier, {"accuracy": right}, counts / counts.sum())
    real = stacked.make_split("test").images.split(1000)
    judge.facts["real"] = judge.score(floats(images, options.device) for images in real)
    judge.facts["fewest_of_a_triple"] = int(counts.min())
    return judge


def file_of(options: argparse.Namespace) -> Path:
    kind = f"{SIZES[options.networks]}px_{options.judge_epochs}_{options.samples}"
    return Path(options.runs, f"judge_{kind}.pt")


@cache
def judge_in(path: Path, device: str) -> Judge:
    """The judge that another process has trained."""
    weights, facts, shares = torch.load(path, weights_only=True)
    facts = json.loads(facts)
    classifier = Classifier(1, 10, num_features=128, width=16)
    classifier.load_state_dict(weights)
    return Judge(classifier.to(device).eval().requires_grad_(False), facts, shares)


def make_judge(options: argparse.Namespace) -> dict[str, Any]:
    """Leave the judge in a file, unless it is there; return what is known of it."""
    torch.set_num_threads(1)
    path = file_of(options)
    if path.is_file():
        return judge_in(path, options.device).facts
    judge = new_judge(options, SIZES[options.networks])
    judge.facts["conditions"] = conditions(options.device)
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.cpu() for name, tensor in judge.classifier.state_dict().items()}
    torch.save((weights, json.dumps(judge.facts), judge.shares), path)
    return judge.facts


def config_of(options: argparse.Namespace, model: str) -> Path:
    """Write the recipe with another model; return its file."""
    setup = MODELS[options.networks][model]
    config: dict[str, Any] = yaml.safe_load(RECIPE.read_text())
    config["trainer"].update(
        max_steps=options.updates, limit_val_batches=0, val_check_interval=NEVER
    )
    config["model"] = setup.model
    config["data"]["init_args"].update(
        root=options.mnist, image_size=SIZES[options.networks], batch_size=setup.batch_size
    )
    config["checkpoint"]["every_n_train_steps"] = options.updates
    config["samples"]["every_n_steps"] = options.updates
    path = Path(options.runs, options.networks, f"{model}.yaml").resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


GPU_OPTIONS = [
    *("--trainer.accelerator", "gpu", "--trainer.devices", "1"),
    *("--data.on_device", "true", "--model.cuda_graphs", "true"),
]
CPU_OPTIONS = ["--trainer.accelerator", "cpu"]


def train_and_judge(
    options: argparse.Namespace, configs: dict[str, Path], job: Job
) -> dict[str, Any]:
    """Scores of the last checkpoint of a training."""
    more = GPU_OPTIONS if options.device == "cuda" else CPU_OPTIONS
    config = configs[job["model"]]
    begun = time.perf_counter()
    folder, cpu_seconds = train(str(config), job["seed"], config.parent, more)
    trained = time.perf_counter()
    (path,) = folder.glob("checkpoints/step_*.ckpt")
    generator = GenerativeModule.load_from_checkpoint(path, map_location=options.device)
    assert isinstance(generator, LatentModel)
    generator.eval()
    judge = judge_in(file_of(options), options.device)
    starts = range(0, options.samples, 1000)
    sizes = [min(1000, options.samples - start) for start in starts]
    images = (generator.sample(n, seed=10**6 + i) for i, n in enumerate(sizes))
    return {
        **judge.score(images),
        "seconds": trained - begun,
        "cpu_seconds": cpu_seconds,
        "judging_seconds": time.perf_counter() - trained,
        "run": str(folder),
    }


def rows(results: Sequence[dict[str, Any]], real: dict[str, Any]) -> Iterator[str]:
    """Lines of a table in markdown."""
    names = ["model", "runs", "modes", "KL to equal shares", "KL to training", "sure", "wall s"]
    names += ["CPU s", "published modes, KL"]
    yield f"| {' | '.join(names)} |"
    yield "| --- " * len(names) + "|"
    yield (
        f"| real | | {real['modes']} | {real['kl_uniform']:.3f} | {real['kl_training']:.3f} | "
        f"{real['classifier_is_sure']:.3f} | | | |"
    )
    columns = {"modes": 1, "kl_uniform": 3, "kl_training": 3, "classifier_is_sure": 3}
    columns |= {"seconds": 0, "cpu_seconds": 0}
    for networks, model in dict.fromkeys((r["networks"], r["model"]) for r in results):
        runs = [r for r in results if r["model"] == model]
        cells = [spread([each[name] for each in runs], n) for name, n in columns.items()]
        published = PUBLISHED.get((networks, model), "")
        yield f"| {model} | {len(runs)} | {' | '.join(cells)} | {published} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, judge, write results as they come, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser, "stacked_mnist", updates=3000)
    parser.add_argument("--mnist", required=True, help="root of MNIST")
    parser.add_argument("--networks", choices=list(MODELS), default="dcgan")
    parser.add_argument("--models", nargs="+", help="by default all of these networks")
    parser.add_argument("--samples", type=int, default=26_000, help="that are judged")
    parser.add_argument("--judge_epochs", type=int, default=6)
    options = parser.parse_args(arguments)
    models = options.models or list(MODELS[options.networks])
    unknown = {*models} - {*MODELS[options.networks]}
    if unknown:
        parser.error(f"--models {' '.join(unknown)}: choose from {[*MODELS[options.networks]]}")
    options.mnist = str(Path(options.mnist).resolve())
    options.runs = options.runs.resolve()
    MNISTDataModule(root=options.mnist).prepare_data()
    judges = {}
    if options.output.is_file():
        judges = json.loads(options.output.read_text())["judges"]
    # CUDA wants processes that are no copies
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        judges[options.networks] = pool.submit(make_judge, options).result()
    common = {name: getattr(options, name) for name in ("networks", "updates", "samples", "device")}
    # all models with the first seed before the next
    jobs: list[Job] = [
        {**common, "model": model, "seed": seed}
        for seed, model in product(range(options.seeds), models)
    ]
    configs = {model: config_of(options, model) for model in models}
    work = partial(train_and_judge, options, configs)
    results = run_all(work, jobs, options, {"judges": judges})
    facts = judges[options.networks]
    print(f"the classifier is right on {facts['accuracy']:.2%} of test digits")
    print("\n".join(rows(results, facts["real"])))


if __name__ == "__main__":
    main()
