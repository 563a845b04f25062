"""SNGAN with projection on CIFAR-10 for the same seconds: ours, and mimicry's, which people run.

    pip install tensorboard scikit-image && pip install --no-deps torch-mimicry
    python benchmarks/beside_mimicry.py --data cifar10-jpeg --budget 600 --width 32
    python benchmarks/beside_mimicry.py --data cifar10-jpeg --budget 540 --device cuda

Both (github.com/kwotsin/mimicry, ``cgan_pd``, its networks, training step, trainer and transforms)
follow Miyato & Koyama, with ``--width`` channels in the generator and half of them in the
discriminator (256 and 128 there); Adam 2e-4 with betas (0, 0.9), constant; five discriminator
updates of batches of 64, no flips. Mimicry upsamples bilinearly and updates its generator with 64
fakes; ours repeats pixels and has 128, as the official code. Neither prints, draws or saves on the
way. Ours is judged twice: by its last weights, as mimicry is, and by their average, which is what
it ships. Data are a folder ``train/<class>/*``, ``test/<class>/*``, which mimicry gets as
torchvision's CIFAR-10 would give them, from memory.

On a CPU seconds are CPU seconds of training on one thread; on a GPU, by the clock and one training
at a time, mimicry as its example is, with four workers, ours with images on the device, CUDA graphs
and bfloat16. Frechet distances are of 10,000 samples, classes in turn, to the 10,000 test images,
in the features of a classifier of the training images: they cannot be compared with the
literature's.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
import yaml
from judges import Classifier, accuracy, frechet_distance, train_classifier
from PIL import Image
from quality import ends_of
from side_by_side import Job, add_options, kept, load_kept, run_all, spread
from throughput import conditions
from torch import Tensor
from torch.optim import Adam
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from training import train

from datamodules import ImageFolderDataModule
from gan_modules import SNGAN, GenerativeModule

RECIPE = Path(__file__).parents[1] / "configs" / "cifar10" / "sngan.yaml"
SAMPLES, TOGETHER = 10_000, 500
NEVER = 10**9


class LikeCIFAR10(Dataset[tuple[Any, int]]):
    """Arrays in memory, a PIL image and mimicry's transform for each that is asked for."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.arrays, self.labels = images.permute(0, 2, 3, 1).contiguous().numpy(), labels.tolist()
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.arrays[index])), self.labels[index]


@cache
def cifar(folder: str, split: Any) -> tuple[Tensor, Tensor]:
    """Images as bytes, and labels."""
    data = ImageFolderDataModule(root=folder, image_size=32, val_fraction=0.01)
    data.prepare_data()
    chosen = data.make_split(split)
    return chosen.images, chosen.labels


def floats(images: Tensor) -> Tensor:
    return images / 127.5 - 1


def by_mimicry(options: argparse.Namespace, seed: int, folder: Path) -> dict[str, Any]:
    """Train mimicry's; its samples and updates."""
    # want TensorFlow and a torch of 2019, and nothing here calls them
    for name in ("torch_mimicry.metrics", "torch_mimicry.datasets"):
        sys.modules[name] = ModuleType(name)
    import torch_mimicry
    from torch_mimicry.nets import cgan_pd

    torch.manual_seed(seed)
    device = torch.device(options.device)
    on_gpu = options.device == "cuda"
    clock: Callable[[], float] = time.perf_counter if on_gpu else time.process_time
    generator = cgan_pd.CGANPDGenerator32(num_classes=10, ngf=options.width)
    discriminator = cgan_pd.CGANPDDiscriminator32(num_classes=10, ndf=options.width // 2)
    adam = partial(Adam, lr=2e-4, betas=(0.0, 0.9))
    generator, discriminator = generator.to(device), discriminator.to(device)
    trainer = torch_mimicry.training.Trainer(
        netD=discriminator,
        netG=generator,
        optD=adam(discriminator.parameters()),
        optG=adam(generator.parameters()),
        n_dis=5,
        num_steps=NEVER,
        dataloader=DataLoader(
            LikeCIFAR10(*cifar(options.data, "train")),
            batch_size=64,
            shuffle=True,
            num_workers=4 if on_gpu else 0,
        ),
        log_dir=str(folder),
        device=device,
        print_steps=NEVER,
        vis_steps=NEVER,
        log_steps=NEVER,
        save_steps=NEVER,
    )
    schedule, updates = trainer.scheduler.step, 0
    begun = clock()

    def step(log_data: Any, global_step: int) -> Any:
        nonlocal updates
        updates = global_step
        if clock() - begun >= options.budget:
            trainer.num_steps = global_step
        return schedule(log_data=log_data, global_step=global_step)

    trainer.scheduler.step = step
    trainer.train()
    generator.eval()
    labels = torch.arange(TOGETHER, device=device) % 10
    with torch.no_grad():
        latents = torch.randn(SAMPLES, generator.nz, device=device).split(TOGETHER)
        images = torch.cat([generator(z, labels).cpu() for z in latents])
    return {"samples": {"last": images}, "updates": updates}


def by_us(options: argparse.Namespace, seed: int, folder: Path) -> dict[str, Any]:
    """Train ours through the command line; samples and updates."""
    config: dict[str, Any] = yaml.safe_load(RECIPE.read_text())
    model = config["model"]["init_args"]
    for player in ("generator", "discriminator"):
        del model[f"{player}_scheduler"]
        width = options.width // (1 if player == "generator" else 2)
        name = f"SNGAN{player.capitalize()}"
        model[player] = {"class_path": name, "init_args": {"width": width}}
    config["data"] = {
        "class_path": "ImageFolderDataModule",
        "init_args": {
            "root": options.data,
            "image_size": 32,
            "val_fraction": 0.01,
            "batch_size": 64,
        },
    }
    path = folder / "sngan.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    ends = ends_of(options.budget)
    if options.device == "cuda":
        ends = [each for each in ends if "callbacks" not in each]
        ends[ends.index("--trainer.max_time") + 1] = clock_of(options.budget)
        ends += ["--trainer.accelerator", "gpu", "--trainer.devices", "1"]
        ends += ["--trainer.precision", "bf16-mixed", "--data.on_device", "true"]
        ends += ["--model.cuda_graphs", "true"]
    else:
        ends += ["--trainer.accelerator", "cpu"]
    ends += ["--checkpoint.every_n_train_steps", str(NEVER)]
    run, _ = train(str(path), seed, folder, ends)
    (checkpoint,) = run.glob("checkpoints/step_*.ckpt")
    trained = GenerativeModule.load_from_checkpoint(checkpoint, map_location=options.device)
    assert isinstance(trained, SNGAN)
    trained.eval()
    labels = torch.arange(TOGETHER, device=trained.device) % 10
    samples: dict[str, list[Tensor]] = {"last": [], "averaged": []}
    with torch.no_grad():
        for number in range(SAMPLES // TOGETHER):
            z = trained.latents(TOGETHER, seed=number)
            samples["last"].append(trained.generator(z, labels).cpu())
            samples["averaged"].append(trained(z, labels).cpu())
    return {
        "samples": {name: torch.cat(parts) for name, parts in samples.items()},
        "updates": int(checkpoint.stem.split("_")[1]),
    }


def clock_of(seconds: float) -> str:
    """As the trainer reads times: days, hours, minutes, seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"00:{hours:02}:{minutes:02}:{rest:02}"


WHO = {"mimicry": by_mimicry, "gan_modules": by_us}


class Judge(NamedTuple):
    """Who tells things apart, its accuracy on test images, and the distance of real images."""

    classifier: Classifier
    accuracy: float
    floor: float


def file_of(options: argparse.Namespace) -> Path:
    return Path(options.runs, f"judge_{Path(options.data).name}.pt")


def new_judge(options: argparse.Namespace) -> tuple[Any, ...]:
    """What a judge is made of: a file has no classes of the script that is run."""
    images, labels = cifar(options.data, "train")
    test, test_labels = cifar(options.data, "test")
    classifier = train_classifier(
        images.to(options.device),
        labels.to(options.device),
        epochs=10,
        num_features=128,
        width=32,
    ).cpu()
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:SAMPLES]
    floor = frechet_distance(classifier, floats(test), floats(images[chosen]))
    return classifier, accuracy(classifier, floats(test), test_labels), floor


def train_and_judge(options: argparse.Namespace, job: Job) -> dict[str, Any]:
    """Distances of samples of one training."""
    folder = Path(options.runs, f"{job['who']}_{job['seed']}_{time.strftime('%H%M%S')}").resolve()
    begun = time.perf_counter()
    found = WHO[job["who"]](options, job["seed"], folder)
    test = floats(cifar(options.data, "test")[0])
    judge = Judge(*load_kept(file_of(options))).classifier
    samples = found.pop("samples")
    distances = {name: frechet_distance(judge, test, images) for name, images in samples.items()}
    took = {"seconds": time.perf_counter() - begun, "conditions": conditions(options.device)}
    return {**found, **distances, **took, "run": folder.name}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser, "beside_mimicry")
    parser.add_argument("--data", required=True, help="folder of CIFAR-10's images")
    parser.add_argument("--budget", type=float, default=600, help="seconds of each training")
    parser.add_argument("--width", type=int, default=256, help="channels of the generator")
    parser.set_defaults(jobs=1)
    options = parser.parse_args()
    options.data = str(Path(options.data).resolve())
    torch.set_num_threads(1)
    if options.device == "cuda" and options.jobs > 1:
        parser.error(f"--jobs {options.jobs} must be 1 on a GPU: trainings would share the clock")
    judge = Judge(*kept(file_of(options), partial(new_judge, options)))
    facts = {"accuracy": judge.accuracy, "floor": judge.floor}
    common = {name: getattr(options, name) for name in ("budget", "width", "device")}
    common["data"] = Path(options.data).name
    jobs: list[Job] = [
        {**common, "who": who, "seed": seed} for seed, who in product(range(options.seeds), WHO)
    ]
    results = run_all(partial(train_and_judge, options), jobs, options, facts)
    print(f"the classifier is right on {judge.accuracy:.1%}; floor {judge.floor:.1f}")
    print("| who | runs | updates | FD, last weights | FD, averaged |")
    print("| --- | --- | --- | --- | --- |")
    for who in WHO:
        runs = [result for result in results if result["who"] == who]
        if not runs:
            continue
        averaged = [result["averaged"] for result in runs if "averaged" in result]
        print(
            f"| {who} | {len(runs)} | {spread([r['updates'] for r in runs], 0)} | "
            f"{spread([r['last'] for r in runs])} | {spread(averaged) if averaged else ''} |"
        )


if __name__ == "__main__":
    main()
