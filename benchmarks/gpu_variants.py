"""Does every variant train on a GPU? Each recipe for some updates, in every way of training.

    python benchmarks/gpu.py --part 1 --output variants.json

float32       three trainings: one, the same again, and one that stops half way and is resumed; the
              average's samples on the CPU and on the device
bf16, fp16    mixed precision, the second with a loss scaler
on_device     images in the memory of the device
graphs        with these, iterations as CUDA graphs, in float32 and in bfloat16
compiled      losses compiled, in bfloat16

Trainings end with their weights, and differences are ``||a - b|| / ||b||`` of all of them. A last
table compares metrics and exported files with the CPU's.
"""

import contextlib
import io
import json
import math
import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from recipes import run_line
from torch import Tensor, nn

from gan_modules import GenerativeModule, LatentModel
from gan_modules.metrics import compute_prdc, kernel_distance
from gan_modules.metrics.features import ModuleFeatures
from gan_modules.tools.export import to_exported_program, to_onnx

__all__ = ["WAYS", "check_variants"]

CONFIGS = Path(__file__).parent.parent / "configs"


def _regularizer(name: str, option: str, value: int) -> tuple[str, str]:
    entry = {"class_path": name, "init_args": {option: value}}
    return "--model.regularizers", json.dumps([entry])


FURTHER = {
    "dcgan + ADA": ("dcgan", "--model.augmentation", "AdaptiveAugment"),
    "dcgan + DiffAugment": ("dcgan", "--model.augmentation", "DiffAugment"),
    "gan + R1": ("gan", *_regularizer("R1", "every", 4)),
    "gan + LeCam": ("gan", *_regularizer("LeCam", "start", 10)),
    # of a teacher that has learnt nothing: another run's file is what it is shipped with
    "dmd2": ("dmd2", "--model.teacher", "random"),
}
"""Recipes with something that they are not shipped with."""
ON_DEVICE = ("--data.on_device", "true")
GRAPHS = ("--model.cuda_graphs", "true")
WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "float32": ("32-true", ()),
    "bf16": ("bf16-mixed", ()),
    "fp16": ("16-mixed", ()),
    "on_device": ("32-true", ON_DEVICE),
    "graphs": ("32-true", (*ON_DEVICE, *GRAPHS)),
    "graphs_bf16": ("bf16-mixed", (*ON_DEVICE, *GRAPHS)),
    "compiled": ("bf16-mixed", ("--model.compile", "true")),
}
"""Precision, and options of the command line."""


class Ends(Callback):
    """Keeps the weights at the end, and saves a checkpoint half way."""

    def __init__(self, half: int, path: Path | None = None) -> None:
        self.half, self.path = half, path
        self.weights: dict[str, Tensor] = {}
        self.scale: float | None = None

    def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
        """Save where it is half of the training."""
        if self.path is not None and trainer.global_step == self.half:
            trainer.save_checkpoint(self.path)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep what was learnt."""
        state = pl_module.state_dict()
        self.weights = {name: value.detach().cpu().clone() for name, value in state.items()}
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        self.scale = None if scaler is None else scaler.get_scale()


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Relative difference of two sets of weights."""
    names = [name for name, value in other.items() if value.is_floating_point()]
    apart = sum(float((one[name] - other[name]).double().square().sum()) for name in names)
    size = sum(float(other[name].double().square().sum()) for name in names)
    return math.sqrt(apart / size)


def arguments_of(recipe: str) -> list[str]:
    """The command line of a recipe."""
    config, *more = FURTHER.get(recipe, (recipe,))
    return ["--config", str(CONFIGS / f"{config}.yaml"), *more]


def train(recipe: str, way: str, device: str, steps: int, folder: Path, *more: str) -> Ends:
    """Train a recipe for so many iterations by the command line."""
    precision, options = WAYS[way]
    ends = Ends(steps // 2, folder / "half.ckpt" if way == "float32" else None)
    never = str(10**9)
    line = [
        "fit", *arguments_of(recipe), *options,
        "--trainer.accelerator", "gpu" if device == "cuda" else "cpu", "--trainer.devices", "1",
        "--trainer.precision", precision, "--trainer.max_steps", str(steps),
        "--trainer.default_root_dir", str(folder), "--trainer.logger", "false",
        "--trainer.val_check_interval", str(steps), "--trainer.limit_val_batches", "2",
        "--checkpoint.every_n_train_steps", never, "--samples.every_n_steps", never,
        "--metrics.names", "[]", *more,
    ]  # fmt: skip
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            run_line(line, ends)
    except SystemExit:
        raise RuntimeError(said.getvalue().strip().splitlines()[-1]) from None
    wrong = [k for k, v in ends.weights.items() if v.is_floating_point() and not v.isfinite().all()]
    if wrong:
        raise RuntimeError(f"weights of {wrong[0]} are no finite numbers")
    return ends


def check(recipe: str, way: str, device: str, steps: int, keep: Path) -> dict[str, Any]:
    """Train a recipe in one way; what was seen, or the error."""
    begun = time.perf_counter()
    found: dict[str, Any] = {"recipe": recipe, "way": way}
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            ends = train(recipe, way, device, steps, folder)
            torch.save(ends.weights, keep / f"{recipe}-{way}.pt")
            if ends.scale is not None:
                found["scale"] = ends.scale
            if way == "float32":
                half = folder / "half.ckpt"
                again = train(recipe, way, device, steps, folder)
                resumed = train(recipe, way, device, steps, folder, "--ckpt_path", str(half))
                found["again"] = difference(again.weights, ends.weights)
                found["resumed"] = difference(resumed.weights, ends.weights)
                found["samples"] = compare_samples(half, device)
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"
        # not into the results, which are kept: it names folders of the machine
        traceback.print_exc()
    found["seconds"] = time.perf_counter() - begun
    return found


def compare_samples(checkpoint: Path, device: str) -> float:
    """Largest difference between samples of one model on the CPU and on the device."""
    model = GenerativeModule.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    if not isinstance(model, LatentModel):
        return math.nan
    labels = torch.arange(64) % model.num_classes if model.num_classes else None
    with torch.no_grad():
        z = model.latents(64, seed=0)
        ours = model(z, labels)
        model.to(device)
        others = model(z.to(device), None if labels is None else labels.to(device)).cpu()
    return float((ours - others).abs().max())


def compare_metrics(device: str) -> dict[str, float]:
    """Relative differences between the CPU's metrics and the device's, of the same images."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 64, 4, 2, 1), nn.ReLU(), nn.Conv2d(64, 64, 4, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(4096, 64),
    )  # fmt: skip
    real, fake = torch.rand(2000, 3, 32, 32) * 2 - 1, torch.rand(2000, 3, 32, 32) ** 1.1 * 2 - 1
    values: list[dict[str, float]] = []
    for place in ("cpu", device):
        extractor = ModuleFeatures(network.to(place).eval())
        extractor.load(None)  # type: ignore[arg-type]
        features = [
            torch.cat([extractor.extract(part.to(place)).features for part in images.split(500)])
            for images in (real, fake)
        ]
        values.append({"kid": float(kernel_distance(*features))})
        prdc = compute_prdc(*features)
        values[-1] |= {name: float(getattr(prdc, name)) for name in prdc._fields}
    cpus, devices = values
    return {name: abs(devices[name] - cpus[name]) / abs(cpus[name]) for name in cpus}


def compare_exports(device: str, steps: int) -> dict[str, str]:
    """Whether a generator that lies on the device can be exported; both ways check their files."""
    found: dict[str, str] = {}
    for recipe in ("wgan_gp", "sngan"):
        with tempfile.TemporaryDirectory() as name:
            train(recipe, "float32", device, steps, Path(name))
            half = Path(name) / "half.ckpt"
            for way, export in (("onnx", to_onnx), ("pt2", to_exported_program)):
                model = GenerativeModule.load_from_checkpoint(half).to(device)
                try:
                    export(model, Path(name) / f"generator.{way}")
                    found[f"{recipe} {way}"] = "as the model, to 1e-5"
                except Exception as error:
                    found[f"{recipe} {way}"] = f"{type(error).__name__}: {error}"
    return found


def check_variants(
    device: str, steps: int, recipes: list[str], ways: list[str], processes: int
) -> Iterator[dict[str, Any]]:
    """Each recipe in each way, as they end; differences from float32's weights come last."""
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    wanted = [(recipe, way) for way in sorted(ways, key=_longest_first) for recipe in recipes]
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        keep = Path(name)
        with ProcessPoolExecutor(processes, context, torch.set_num_threads, (1,)) as pool:
            jobs: list[Any] = [pool.submit(check, *each, device, steps, keep) for each in wanted]
            others: dict[str, Callable[[], Any]] = {
                "metrics": lambda: pool.submit(compare_metrics, device),
                "exports": lambda: pool.submit(compare_exports, device, steps),
            }
            more = {submit(): what for what, submit in others.items()}
            for job in as_completed([*jobs, *more]):
                if job in more:
                    error = job.exception()
                    yield {"recipe": more[job], "way": "", "found": str(error or job.result())}
                else:
                    yield job.result()
        for recipe in recipes:
            for one, other in (("on_device", "float32"), ("graphs", "float32"),
                               ("graphs_bf16", "bf16"), ("compiled", "bf16")):  # fmt: skip
                paths = [keep / f"{recipe}-{way}.pt" for way in (one, other)]
                if all(path.exists() for path in paths):
                    value = difference(*(torch.load(path) for path in paths))
                    yield {"recipe": recipe, "way": one, "from": other, "difference": value}


def _longest_first(way: str) -> int:
    return {"compiled": 0, "float32": 1}.get(way, 2)


def all_recipes() -> list[str]:
    """Every recipe on data that comes with the package, and those with something more."""
    return [*dict.fromkeys([*(path.stem for path in sorted(CONFIGS.glob("*.yaml"))), *FURTHER])]
