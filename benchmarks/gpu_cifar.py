"""CIFAR-10 as far as some minutes carry it: SNGAN with the projection discriminator, or others.

    python benchmarks/gpu.py --part 3 --data cifar10-jpeg --seconds 480 --output cifar
    python benchmarks/gpu.py --part 3 ... --cifar sngan wgan_gp sagan biggan

The papers' recipes (``configs/cifar10``) in bfloat16, with images on the device and iterations as
CUDA graphs, on a folder ``train/<class>/*`` of images. A trial says how long an iteration takes;
rates that fall do so over as many as fit into the seconds, and BigGAN's average, which is made for
more, forgets with 0.999. Metrics are taken in the features of a classifier that is trained on the
real images, of 10,000 samples against all training images: they cannot be compared with the
literature's.

Beside ``result.json`` it leaves, for each, a picture and the averaged generator in half precision.
"""

import contextlib
import io
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from gpu_speed import Windows
from lightning.pytorch import Callback
from recipes import run_line
from throughput import conditions
from torchvision.utils import save_image

from gan_modules.callbacks import GenerativeMetrics

__all__ = ["train_cifar"]

CONFIGS = Path(__file__).parent.parent / "configs" / "cifar10"
SMALL = {"sngan": "SNGAN", "wgan_gp": "ResNet", "sagan": "SAGAN", "biggan": "BigGAN"}
"""Recipes, and whose networks are made narrow on a CPU."""
NEVER = 10**9


class Measured(Callback):
    """Keeps what was measured at each validation, with the seconds of training until then."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.begun = time.perf_counter()

    def on_train_start(self, *args: Any) -> None:
        """Start the clock."""
        self.begun = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        """Look whether there is something new."""
        found = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if "classifier" in name
        }
        if found and (not self.rows or found.items() - self.rows[-1].items()):
            seconds = time.perf_counter() - self.begun
            self.rows.append({"step": trainer.global_step, "seconds": seconds, **found})
            print(json.dumps(self.rows[-1]), flush=True)


def make_config(recipe: str, data: Path, steps: int, small: bool) -> dict[str, Any]:
    """The recipe, its rates falling over so many iterations."""
    config: dict[str, Any] = yaml.safe_load((CONFIGS / f"{recipe}.yaml").read_text())
    options = config["model"]["init_args"]
    for player in ("generator", "discriminator"):
        if small:
            name = f"{SMALL[recipe]}{player.capitalize()}"
            options[player] = {"class_path": name, "init_args": {"width": 4}}
        if f"{player}_scheduler" in options:
            options[f"{player}_scheduler"]["init_args"]["total_iters"] = steps
    if options.get("ema_decay", 0) > 0.999:
        options["ema_decay"] = 0.999
    batch_size = 4 if small else config["data"]["init_args"]["batch_size"]
    config["data"] = {
        "class_path": "ImageFolderDataModule",
        "init_args": {
            "root": str(data), "image_size": 32, "batch_size": batch_size, "flip": True,
            "val_fraction": 0.01, "on_device": True,
        },
    }  # fmt: skip
    config["trainer"].update(
        max_steps=steps, val_check_interval=max(1, steps // 4), limit_val_batches=1
    )
    config["checkpoint"]["every_n_train_steps"] = max(1, steps)
    config["samples"]["every_n_steps"] = max(1, steps // 4)
    config["metrics"] = {
        "names": ["fid", "kid", "precision", "recall", "density", "coverage"],
        "n": 100 if small else 10_000,
        # trained for long: ten kinds of things are harder to tell apart than ten digits
        "features": {
            "class_path": "ClassifierFeatures",
            "init_args": {"steps": 20, "n_images": 100}
            if small
            else {"steps": 10_000, "num_features": 128, "width": 96, "n_images": 49_500},
        },
    }
    return config


def fit(config: dict[str, Any], device: str, folder: Path, *callbacks: Callback) -> Any:
    """Train by the command line."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    line = [
        "fit", "--config", str(path), "--trainer.default_root_dir", str(folder),
        "--trainer.logger", "false", "--trainer.devices", "1",
        "--trainer.accelerator", "gpu" if device == "cuda" else "cpu",
        "--trainer.precision", "bf16-mixed", "--trainer.enable_progress_bar", "false",
    ]  # fmt: skip
    line += ["--model.cuda_graphs", "true"] if device == "cuda" else []
    return run_line(line, *callbacks)


def seconds_per_iteration(recipe: str, data: Path, device: str, small: bool) -> float:
    """Of a trial without metrics and pictures."""
    rounds, steps = (1, 1) if small else (2, 50)
    windows = Windows(device, steps)
    config = make_config(recipe, data, 10 + rounds * steps, small)
    config["metrics"] = {"names": []}
    config["samples"]["every_n_steps"] = NEVER
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        fit(config, device, Path(folder), windows)
    return statistics.median(windows.seconds)


def train_cifar(device: str, data: Path, seconds: float, output: Path, recipe: str) -> None:
    """Train, measure, and leave what can be looked at in a folder."""
    small = device == "cpu"
    output.mkdir(parents=True, exist_ok=True)
    each = seconds_per_iteration(recipe, data, device, small)
    paper = make_config(recipe, data, 1, small)
    most = yaml.safe_load((CONFIGS / f"{recipe}.yaml").read_text())["trainer"]["max_steps"]
    # a tenth is for metrics, pictures and checkpoints
    steps = 4 if small else min(most, int(0.9 * seconds / each))
    batch_size = paper["data"]["init_args"]["batch_size"]
    images = paper["model"]["init_args"].get("n_critic", 1) * batch_size
    print(f"{recipe}: {each * 1e3:.2f} ms an iteration, {images / each:,.0f} images/s: {steps}")
    measured = Measured()
    with tempfile.TemporaryDirectory() as name:
        cli = fit(make_config(recipe, data, steps, small), device, Path(name), measured)
        pictures = sorted(Path(name).rglob("samples/*.png"), key=lambda path: path.stat().st_mtime)
        for picture in pictures[-1:]:
            shutil.copy(picture, output / "samples.png")
    (facts,) = [
        one.features.facts for one in cli.trainer.callbacks if isinstance(one, GenerativeMetrics)
    ]
    model = cli.model.to(device).eval()
    with torch.no_grad():
        labels = torch.arange(100, device=device) % model.num_classes if model.num_classes else None
        images_made = model(model.latents(100, seed=1).to(device), labels)
    save_image(images_made.float() / 2 + 0.5, output / "classes.png", nrow=10)
    state = model.sampler.state_dict().items()
    torch.save({k: v.half().cpu() if v.is_floating_point() else v.cpu() for k, v in state},
               output / "generator_half.pt")  # fmt: skip
    result = {
        "conditions": conditions(device), "recipe": recipe, "precision": "bf16-mixed",
        "steps": steps, "seconds_per_iteration": each, "images_per_s": images / each,
        "hours_for_all": most * each / 3600, "measured": measured.rows, **facts,
    }  # fmt: skip
    (output / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["measured"]))
