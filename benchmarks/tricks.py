"""What each trick of the best hand-written loop is worth, one on top of the other.

    OMP_NUM_THREADS=1 python benchmarks/tricks.py --output tricks.json

From the usual script (``throughput_usual.py``) to the best loop (``throughput_best.py``), in one
process and in turns; medians over rounds of CPU time. That the C library keeps freed memory cannot
be undone: it is switched on after all else is measured, and the last line is the best loop again.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from copy import deepcopy
from pathlib import Path
from typing import Any

import throughput_best as best
import throughput_usual as usual
import torch
from throughput import conditions
from throughput_cases import CASES, Case, UpsamplingGenerator, random_images
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from gan_modules.command_line.memory import keep_freed_memory
from gan_modules.networks import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPGenerator
from gan_modules.networks.layers.blocks import has_batch_norm
from gan_modules.objectives.penalties import gradient_penalty

__all__ = ["TRICKS", "loop"]

TRICKS = (
    "usual script",
    "images in memory, indexed by the batch",
    "nothing printed, no .item()",
    "the discriminator's fakes without graph",
    "discriminator frozen in the generator's step",
    "real and fake in one forward pass",
    "fused Adam",
    "no zeros carried back by the penalty",
    "channels last, rewritten convolutions",
)
NETWORKS = {
    "mlp_wgan_gp": (MLPGenerator, MLPDiscriminator),
    "dcgan": (DCGANGenerator, DCGANDiscriminator),
    "upsampling": (UpsamplingGenerator, DCGANDiscriminator),
}


def loop(
    case: Case, level: int, networks: tuple[nn.Module, nn.Module], images: Tensor, labels: Tensor
) -> Iterator[None]:
    """Train with the first ``level`` tricks; yields after every iteration.

    Args:
        case: with cross-entropy or with gradient penalty.
        level: 0 is the usual script.
        networks: generator and discriminator; they are copied.
        images: uint8, shape ``(N, C, H, W)``.
        labels: shape ``(N,)``.
    """
    last = level >= len(TRICKS) - 1
    generator, critic = (deepcopy(n) if last else usual.as_usual(n) for n in networks)
    wasserstein = case.objective == "gradient_penalty"
    optimizers = [
        Adam(n.parameters(), lr=case.rate, betas=case.betas, fused=level >= 6)
        for n in (generator, critic)
    ]
    if level >= 1:
        batches = best.batches_in_memory(images, labels, case.batch_size, "cpu")
    else:
        stored, _ = random_images(len(images), case.stored_shape)
        batches = _again(usual.usual_loader(stored, labels, case.batch_size, case.image_shape[-1]))
    together = level >= 5 and not has_batch_norm(critic)
    for number, (real, _) in enumerate(batches):
        optimizers[1].zero_grad()
        with torch.no_grad() if level >= 3 else nullcontext():
            fakes = generator(usual.latents(case, real))
        if together:
            on_real, on_fake = critic(torch.cat([real, fakes])).chunk(2)
        else:
            on_real, on_fake = critic(real), critic(fakes)
        if wasserstein:
            loss = on_fake.mean() - on_real.mean()
            penalty = gradient_penalty if level >= 7 else usual.gradient_penalty
            loss = loss + 10.0 * penalty(critic, real, fakes.detach())
        else:
            loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        loss.backward()
        optimizers[1].step()
        if level < 2:
            print(number, loss.item())
        if (number + 1) % case.n_critic:
            continue
        optimizers[0].zero_grad()
        critic.requires_grad_(level < 4)
        scores = critic(generator(usual.latents(case, real)))
        loss = -scores.mean() if wasserstein else F.softplus(-scores).mean()
        loss.backward()
        critic.requires_grad_(True)
        optimizers[0].step()
        if level < 2:
            print(number, loss.item())
        yield


def _again(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def seconds(loops: Sequence[Iterator[None]], rounds: int, steps: int) -> list[float]:
    """CPU seconds per iteration of each, taking turns."""
    times: list[list[float]] = [[] for _ in loops]
    for turn in range(rounds + 1):
        for each, found in zip(loops, times, strict=True):
            start = time.process_time()
            for _ in range(steps):
                next(each)
            if turn:  # the first round warms up
                found.append((time.process_time() - start) / steps)
    return [statistics.median(found) for found in times]


def measure(name: str, rounds: int) -> dict[str, float]:
    """CPU milliseconds per iteration of one case by what the loop has."""
    case = CASES[name]
    torch.manual_seed(0)
    make_generator, make_critic = NETWORKS[name]
    networks = (
        make_generator(case.image_shape, case.latent_dim),
        make_critic(case.image_shape),
    )
    images = torch.randint(256, (20_000, *case.image_shape), dtype=torch.uint8)
    labels = torch.randint(10, (20_000,))
    # without convolutions the last trick changes nothing
    levels = range(len(TRICKS) - (name == "mlp_wgan_gp"))
    loops = [loop(case, level, networks, images, labels) for level in levels]
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        found = seconds(loops, rounds, case.steps)
    return {TRICKS[level]: 1000 * s for level, s in zip(levels, found, strict=True)}


def main() -> None:
    """Measure, print the table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {"conditions": conditions("cpu"), "cases": {}}
    results["cases"] = {name: measure(name, options.rounds) for name in NETWORKS}
    if keep_freed_memory():
        for name, found in results["cases"].items():
            found["freed memory kept"] = list(measure(name, options.rounds).values())[-1]
    for name, found in results["cases"].items():
        print(f"{name}: CPU ms per iteration, ratio to the usual script")
        first = found[TRICKS[0]]
        for trick, ms in found.items():
            print(f"  {trick:<50}{ms:>9.1f}{first / ms:>7.2f}")
    if options.output:
        options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
