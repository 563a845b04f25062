"""Likelihood blurs, adversaries sharpen: a VAE, a GAN and a VAE/GAN alike in size on MNIST.

    python benchmarks/vae_and_gan.py --mnist DIR                          # hours of CPU time
    python benchmarks/vae_and_gan.py --mnist DIR --device cuda --jobs 9

``mnist/vae.yaml``, ``mnist/dcgan.yaml`` and ``mnist/vae_gan.yaml``, which have the same generator
but for the size of the latent, with seeds 0, 1 and 2, for the same number of updates. Judged is the
last checkpoint of each, on the 10,000 test images:

reconstruction   mean squared error of pixels in [-1, 1], from the means of the encoder
Frechet          distance of 10,000 samples in the features of a classifier of the real training
                 images, as in ``quality.py``
sharpness        variance of the Laplacian of samples: of pixels, less their four neighbours
precision, recall  in those features, 5,000 of each

The picture is of seed 0: real test images, their reconstructions by both, and samples of all three.
"""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from judges import frechet_distance
from matplotlib.figure import Figure
from side_by_side import Job, add_options, load_kept, prepare_judge, run_all, spread, train_on
from torch import Tensor
from torch.nn import functional as F

from gan_modules import GenerativeModule, LatentModel
from gan_modules.families.encoding import EncodingModel
from gan_modules.metrics import compute_prdc

__all__ = ["laplacian_variance"]

MODELS = {"vae": "VAE", "dcgan": "DCGAN", "vae_gan": "VAE/GAN"}
NEIGHBOURS = 5_000
SHOWN = 12


def laplacian_variance(images: Tensor) -> float:
    """Mean over images ``(N, 1, H, W)`` of the variance over pixels of their Laplacian."""
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    return F.conv2d(images, kernel[None, None]).flatten(1).var(dim=1).mean().item()


def score(model: LatentModel, runs: Path) -> tuple[dict[str, float], Tensor, Tensor | None]:
    """What a model reaches, some of its samples, and of its reconstructions, if it makes any."""
    digits = load_kept(runs / "judge.pt")
    real = digits.held_out
    samples = torch.cat([model.sample(1000, seed=seed) for seed in range(len(real) // 1000)])
    found = {
        "frechet": frechet_distance(digits.judge, real, samples),
        "sharpness": laplacian_variance(samples),
    }
    with torch.no_grad():
        features = [digits.judge.features(each[:NEIGHBOURS]) for each in (real, samples)]
    nearby = compute_prdc(*features)
    found |= {"precision": float(nearby.precision), "recall": float(nearby.recall)}
    if not isinstance(model, EncodingModel):
        return found, samples[:SHOWN], None
    again = torch.cat([model.reconstruct(part) for part in real.split(1000)])
    found["reconstruction"] = F.mse_loss(again, real).item()
    found["sharpness_of_reconstructions"] = laplacian_variance(again)
    return found, samples[:SHOWN], again[:SHOWN]


def train_and_judge(runs: Path, device: str, mnist: str, job: Job) -> dict[str, Any]:
    """Scores of the last checkpoint of a training; its images stay in the folder of runs."""
    name, seed = job["model"], job["seed"]
    updates = str(job["updates"])
    options = ["--data.root", mnist, "--trainer.max_steps", updates]
    options += ["--checkpoint.every_n_train_steps", updates]
    took = train_on(device, f"mnist/{name}.yaml", seed, runs, options)
    run = took.pop("run")
    (checkpoint,) = run.glob("checkpoints/step_*.ckpt")
    model = GenerativeModule.load_from_checkpoint(checkpoint, map_location="cpu")
    assert isinstance(model, LatentModel)
    networks = {
        each: sum(p.numel() for p in getattr(model, each).parameters())
        for each in ("generator", "encoder", "discriminator")
        if hasattr(model, each)
    }
    found, samples, again = score(model, runs)
    if seed == 0:
        torch.save({"samples": samples, "reconstructions": again}, runs / f"{name}.pt")
    shutil.rmtree(run / "checkpoints")
    return {**took, "run": f"{name}/{run.name}", "parameters": networks, "scores": found}


def rows(results: list[dict[str, Any]], real: dict[str, float]) -> Iterator[str]:
    """Lines of a table in markdown."""
    columns = {"reconstruction": 4, "frechet": 1, "sharpness": 3, "precision": 3, "recall": 3}
    yield "| model | reconstruction | Fréchet | sharpness | precision | recall | seconds |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    cells = [f"{real[name]:.{n}f}" if name in real else "" for name, n in columns.items()]
    yield f"| real images | {' | '.join(cells)} | |"
    for name, label in MODELS.items():
        runs = [r for r in results if r["model"] == name]
        if runs:
            scores = [run["scores"] for run in runs]
            cells = [
                spread([s[column] for s in scores], n) if column in scores[0] else "–"  # noqa: RUF001
                for column, n in columns.items()
            ]
            yield f"| {label} | {' | '.join(cells)} | {mean(r['seconds'] for r in runs):.0f} |"


def draw(runs: Path, real: Tensor, path: Path) -> None:
    """Rows of real images, reconstructions and samples, of those that are there."""
    kept = {
        name: torch.load(runs / f"{name}.pt") for name in MODELS if (runs / f"{name}.pt").is_file()
    }
    lines = {"test images": real[:SHOWN]}
    for name in ("vae", "vae_gan"):
        if name in kept:
            lines[f"{MODELS[name]} of them"] = kept[name]["reconstructions"]
    lines |= {f"{MODELS[name]} samples": kept[name]["samples"] for name in kept}
    figure = Figure(figsize=(8, 0.62 * len(lines)), layout="constrained")
    for axes, (label, images) in zip(
        np.atleast_1d(figure.subplots(len(lines), 1)), lines.items(), strict=True
    ):
        axes.imshow(torch.cat([*images[:, 0]], dim=1), cmap="gray", vmin=-1, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(label, rotation=0, ha="right", va="center")
        axes.spines[:].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser, "vae_and_gan", updates=10_000)
    parser.add_argument("--picture", type=Path, default=Path("runs/vae_and_gan/vae_and_gan.png"))
    parser.add_argument("--mnist", required=True, help="root of MNIST")
    options = parser.parse_args(arguments)
    mnist = str(Path(options.mnist).resolve())
    torch.set_num_threads(1)
    jobs: list[Job] = [
        {"model": name, "seed": seed, "updates": options.updates, "device": options.device}
        for seed, name in product(range(options.seeds), reversed(MODELS))
    ]
    digits = prepare_judge(options.runs / "judge.pt", 32, mnist, options.device)
    real = {"frechet": digits.floor, "sharpness": laplacian_variance(digits.held_out)}
    facts = {"accuracy": digits.accuracy, "real": real}
    work = partial(train_and_judge, options.runs, options.device, mnist)
    results = run_all(work, jobs, options, facts)
    print(f"judge {digits.accuracy:.1%} on test images; real images: 10,000 of the training images")
    print("\n".join(rows(results, real)))
    draw(options.runs, digits.held_out, options.picture)


if __name__ == "__main__":
    main()
