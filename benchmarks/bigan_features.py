"""What an encoder that has seen no labels knows of digits: nearest neighbours in its features.

    python benchmarks/bigan_features.py --mnist DIR

``mnist/bigan.yaml``, the same with a Gaussian encoder, which is ALI, and an autoencoder of the same
encoder and generator, trained for the squared difference and as many updates; seeds 0, 1 and 2.
Each of the 10,000 test images gets the label of the training image, of 60,000, whose code is
nearest; the paper's experiment (arXiv:1605.09782, table 1). Beside them stand the pixels.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import yaml
from side_by_side import spread
from torch import Tensor
from torch.nn import functional as F
from training import ROOT, train

from datamodules import MNISTDataModule
from gan_modules import GenerativeModule
from gan_modules.families.encoding import EncodingModel

__all__ = ["nearest_accuracy", "variants_of"]

RECIPE = ROOT / "configs" / "mnist" / "bigan.yaml"
NAMES = {"bigan": "BiGAN", "ali": "ALI", "autoencoder": "autoencoder"}


def variants_of(recipe: dict[str, Any], updates: int) -> dict[str, dict[str, Any]]:
    """Configs of the trainings, by their names."""
    recipe = deepcopy(recipe)
    recipe["trainer"] |= {"max_steps": updates, "val_check_interval": updates, "callbacks": []}
    recipe["checkpoint"]["every_n_train_steps"] = updates
    recipe["samples"]["every_n_steps"] = updates
    recipe["metrics"]["names"] = []
    found = {name: deepcopy(recipe) for name in NAMES}
    ali = found["ali"]["model"]["init_args"]
    ali["latent_distribution"] = "normal"
    ali["encoder"]["init_args"]["gaussian"] = True
    ali["encoder"]["init_args"].pop("code_std", None)
    # with it the codes' variance explodes, which the discriminator does not see
    ali["discriminator"]["init_args"]["batch_norm"] = False
    given = recipe["model"]["init_args"]
    found["autoencoder"]["model"] = {
        # whose first phase is an autoencoder's training
        "class_path": "AEGAN",
        "init_args": {
            "code_dim": given["latent_dim"],
            "autoencoder_steps": updates,
            "encoder": given["encoder"],
            "decoder": given["generator"],
        },
    }
    return found


def nearest_accuracy(train: Tensor, labels: Tensor, test: Tensor, wanted: Tensor) -> float:
    """Share of the features ``(N, D)`` whose nearest neighbour in training has their label."""
    found = torch.cat([labels[torch.cdist(part, train).argmin(1)] for part in test.split(1000)])
    return (found == wanted).float().mean().item()


class Digits:
    """MNIST as floats with labels, for training and for the test."""

    def __init__(self, root: str) -> None:
        data = MNISTDataModule(root=root, val_size=0)
        data.prepare_data()
        data.setup()
        parts = [data.splits[name] for name in ("train", "test")]
        self.images = [part.images / 127.5 - 1 for part in parts]
        self.labels = [part.labels for part in parts]

    def accuracy(self, features: Callable[[Tensor], Tensor]) -> float:
        """Of nearest neighbours in what a function makes of images."""
        train_features, test_features = (features(images) for images in self.images)
        return nearest_accuracy(train_features, self.labels[0], test_features, self.labels[1])

    def score(self, model: EncodingModel) -> dict[str, float]:
        """Accuracy, and the mean squared error of reconstructions of test images."""
        again = torch.cat([model.reconstruct(part) for part in self.images[1].split(1000)])
        error = F.mse_loss(again, self.images[1]).item()
        return {"accuracy": self.accuracy(model.encode), "reconstruction": error}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mnist", required=True, help="root of MNIST")
    parser.add_argument("--updates", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    parser.add_argument("--runs", type=Path, default=Path("runs", "bigan_features"))
    parser.add_argument("--output", type=Path, help="JSON file of all results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    root = str(Path(options.mnist).resolve())
    runs = options.runs.resolve()
    runs.mkdir(parents=True, exist_ok=True)
    configs = variants_of(yaml.safe_load(RECIPE.read_text()), options.updates)
    for name, config in configs.items():
        (runs / f"{name}.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    digits = Digits(root)

    def run(job: tuple[int, str]) -> dict[str, Any]:
        seed, name = job
        folder, seconds = train(str(runs / f"{name}.yaml"), seed, runs, ["--data.root", root])
        (checkpoint,) = folder.glob("checkpoints/step_*.ckpt")
        model = GenerativeModule.load_from_checkpoint(checkpoint)
        assert isinstance(model, EncodingModel)
        scores = digits.score(model)
        print(job, scores, f"{seconds:.0f} s", flush=True)
        return {"model": name, "seed": seed, "cpu_seconds": seconds, **scores}

    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(run, product(range(options.seeds), configs)))
    pixels = digits.accuracy(lambda images: images.flatten(1))
    print("| features | accuracy of the nearest neighbour | squared error of reconstructions | s |")
    print("| --- | --- | --- | --- |")
    print(f"| pixels | {pixels:.2%} | | |")
    for name, label in NAMES.items():
        rows = [result for result in results if result["model"] == name]
        accuracies = spread([100 * row["accuracy"] for row in rows], 2)
        errors = spread([row["reconstruction"] for row in rows], 4)
        print(
            f"| {label} | {accuracies} % | {errors} | {mean(r['cpu_seconds'] for r in rows):.0f} |"
        )
    if options.output is not None:
        date = time.strftime("%Y-%m-%d")
        report = {"date": date, "updates": options.updates, "pixels": pixels, "results": results}
        options.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
