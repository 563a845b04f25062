"""How many modes of the toys a recipe covers, over several seeds.

    python benchmarks/toy_modes.py               # WGAN-GP, GAN, PacGAN, D2GAN and ALI, 5 seeds

A mode counts with at least 20 of 2,500 samples within 3 sigma of its centre; the share is that of
the samples within 3 sigma of any. Each training is one process with one thread, run through the
command line; what is judged is its last checkpoint. Of models that encode, 10,000 held-out points
are reconstructed, too: how many stay nearest to their mode, and how far away they are, the root
mean square in sigmas.
"""

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean

import torch
import yaml
from training import train

from datamodules import ToyDataModule
from gan_modules import LatentModel
from gan_modules.families.encoding import EncodingModel

RECIPES = [
    *(f"toy/{model}_{toy}.yaml" for model in ("wgan_gp", "gan") for toy in ("grid", "ring")),
    "toy/pacgan_grid.yaml",
    "toy/d2gan_grid.yaml",
    "toy/ali_grid.yaml",
    "d2gan.yaml",
]


def reconstruction(model: EncodingModel, data: ToyDataModule) -> dict[str, float]:
    """How held-out points come back."""
    points = data.make_split("test").images
    again = model.reconstruct(points)
    modes = [torch.cdist(each, data.centers).argmin(1) for each in (points, again)]
    away = (again - points).square().sum(1).mean().sqrt() / data.sigma
    return {"mode_kept": (modes[0] == modes[1]).float().mean().item(), "sigmas_away": away.item()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    parser.add_argument("--runs", type=Path, default=Path("runs", "toy_modes"))
    parser.add_argument("--output", type=Path, help="JSON file of all results")
    options = parser.parse_args()
    wanted = [(recipe, seed) for recipe in options.recipes for seed in options.seeds]

    def run(job: tuple[str, int]) -> dict[str, float | str]:
        recipe, seed = job
        folder, seconds = train(recipe, seed, options.runs)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        toy = config["data"]["init_args"]["name"]
        data = ToyDataModule(name=toy)
        model = LatentModel.load_from_checkpoint(folder / "checkpoints" / "last.ckpt")
        modes, share = data.count_modes(model.sample(2_500, seed=0))
        print(job, f"{modes} modes, {share:.1%} within 3 sigma, {seconds:.0f} s", flush=True)
        scores = {"cpu_seconds": seconds, "modes": modes, "share": share}
        if isinstance(model, EncodingModel):
            scores |= reconstruction(model, data)
        return {"recipe": recipe, "seed": seed, **scores}

    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(run, wanted))
    print("| recipe | modes, fewest to most | within 3 sigma, mean and least | CPU seconds |")
    print("| --- | --- | --- | --- |")
    for recipe in dict.fromkeys(result["recipe"] for result in results):
        rows = [result for result in results if result["recipe"] == recipe]
        modes, shares, seconds = (
            [float(row[key]) for row in rows] for key in ("modes", "share", "cpu_seconds")
        )
        print(
            f"| `{recipe}` | {min(modes):.0f} to {max(modes):.0f} | "
            f"{mean(shares):.1%}, {min(shares):.1%} | {mean(seconds):.0f} |"
        )
        if "mode_kept" in rows[0]:
            kept, away = ([float(row[key]) for row in rows] for key in ("mode_kept", "sigmas_away"))
            print(
                f"reconstructions: {mean(kept):.1%} in their mode, at least {min(kept):.1%}; "
                f"{min(away):.1f} to {max(away):.1f} sigma away"
            )
    if options.output is not None:
        options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
