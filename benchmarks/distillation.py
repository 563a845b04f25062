"""What is left of a diffusion model when it makes points in one step: EDM and DMD2 on the grid.

    python benchmarks/distillation.py --seeds 0

Trains ``toy/edm_grid.yaml``, and ``toy/dmd2_grid.yaml`` from its last checkpoint: as it is, with as
many guidance updates as generator updates, and without the GAN. A mode counts with at least 20 of
2,500 samples within 3 sigma of its centre; KL is that of the modes' shares to equal ones, in nats.
Seconds are CPU time on one thread. Every training's result is written as soon as it is there.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from training import train

from datamodules import ToyDataModule
from gan_modules import EDM
from gan_modules.families.sampling import Sampling
from gan_modules.networks.diffusion import HeunGenerator

TEACHER, STUDENT = "toy/edm_grid.yaml", "toy/dmd2_grid.yaml"
STUDENTS = {
    "5:1": [],
    "1:1": ["--model.n_critic", "1"],
    "5:1 without GAN": ["--model.gan_weight", "0"],
}


def judged(model: Sampling, n: int = 2_500) -> dict[str, float]:
    """What there is to say of ``n`` samples."""
    toy = ToyDataModule(name="grid").toy
    model.sample(n, seed=1)
    start = time.process_time()
    points = model.sample(n, seed=0)
    seconds = (time.process_time() - start) / n * 1_000
    modes, share = toy.count_modes(points)
    kl = toy.kl_to_uniform(points)
    return {"modes": modes, "share": share, "kl": kl, "seconds_per_1000": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--students", nargs="*", default=[*STUDENTS], choices=STUDENTS)
    parser.add_argument("--runs", type=Path, default=Path("runs", "distillation"))
    parser.add_argument("--output", type=Path, default=Path("distillation.json"))
    parser.add_argument("--teacher", type=Path, help="a checkpoint in place of a training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: list[dict[str, Any]] = []

    def note(**result: Any) -> None:
        results.append(result)
        print(result, flush=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n")

    for seed in options.seeds:
        last, seconds = options.teacher, math.nan
        if last is None:
            folder, seconds = train(TEACHER, seed, options.runs / "teacher")
            last = folder / "checkpoints" / "last.ckpt"
        teacher = EDM.load_from_checkpoint(last)
        for steps in (18, 9, 5, 3, 2, 1):
            for generator in (teacher.generator, teacher.averaged_generator):
                assert isinstance(generator, HeunGenerator)
                generator.sigmas = tuple(teacher.karras_sigmas(steps))
            calls = 2 * steps - 1
            scores = judged(teacher)
            note(model="EDM", seed=seed, calls=calls, cpu_seconds=seconds, **scores)
        for name in options.students:
            runs = options.runs / name.replace(" ", "_").replace(":", "_")
            arguments = ["--model.teacher", str(last.resolve()), *STUDENTS[name]]
            folder, seconds = train(STUDENT, seed, runs, arguments)
            model = Sampling.load_from_checkpoint(folder / "checkpoints" / "last.ckpt")
            note(model=f"DMD2 {name}", seed=seed, calls=1, cpu_seconds=seconds, **judged(model))


if __name__ == "__main__":
    main()
