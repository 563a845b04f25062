"""What ``gpu_speed.py`` measures: three tasks, and the ways of training them."""

from collections.abc import Iterator
from itertools import islice, repeat
from typing import Any

import gpu_best as best
import public_networks
import torch
from public_scripts import LOOPS, load_pictures
from recipes import Case as Recipe
from throughput import Case
from torch import nn
from torch.optim import Adam

from gan_modules import DCGAN, WGANGP
from gan_modules.networks import ResNetDiscriminator, ResNetGenerator

__all__ = ["WARMUP", "Bench", "Loop", "advance", "make_cases"]

WARMUP = 8
"""Iterations ahead of the first window: of compilation, and ahead of a capture."""
LATENT_DIM = 100
Loop = Iterator[None]


def make_cases(small: bool) -> dict[str, tuple[str, Case]]:
    """The tasks, and the script of each; small ones show that the benchmark works."""
    side, width, batch, n_critic = (16, 2, 4, 2) if small else (32, 128, 64, 5)

    def linear(shape: Any) -> Any:
        return public_networks.linear_pair(shape, sigmoid=False)

    def residual(shape: Any) -> Any:
        generator = ResNetGenerator(shape, LATENT_DIM, width=width)
        return generator, ResNetDiscriminator(shape, width=width)

    def convolutions(shape: Any) -> Any:
        return public_networks.examples_pair(shape, width=2 if small else 64)

    critics = {"batch_size": batch, "n_critic": n_critic}
    colour, large = (3, side, side), (3, 64, 64)
    return {
        "wgan_gp": ("wgan_gp", Case(WGANGP, colour, side, linear, linear, 1, **critics)),
        "resnet": ("wgan_gp", Case(WGANGP, colour, side, residual, residual, 1, **critics)),
        "dcgan": ("examples", Case(DCGAN, large, side, convolutions, convolutions, 1, batch)),
    }


class Bench:
    """Builds the loops of one task, all from networks of one size and the same images.

    Args:
        script: name of the public script.
        case: the task.
        device: "cpu" or "cuda".
        size: images of data.
    """

    def __init__(self, script: str, case: Case, device: str, size: int) -> None:
        self.script, self.case, self.device, self.size = script, case, device, size
        rate, betas = (1e-4, (0.0, 0.9)) if case.n_critic > 1 else (2e-4, (0.5, 0.999))
        self.recipe = Recipe(
            {}, case.shape, case.batch_size, rate, betas, LATENT_DIM, case.n_critic
        )
        channels = case.shape[0]
        self.stored = torch.randint(
            256, (size, channels, case.stored, case.stored), dtype=torch.uint8
        )
        self.images = torch.randint(256, (size, *case.shape), dtype=torch.uint8)
        self.labels = torch.zeros(size, dtype=torch.int64)

    @property
    def images_per_iteration(self) -> int:
        """Real images that one update of the generator takes."""
        return self.recipe.images

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """New ones, on the device."""
        generator, judge = self.case.script(self.case.shape)
        return generator.to(self.device), judge.to(self.device)

    def batches(self, size: int) -> Iterator[Any]:
        """Batches from images that lie on the device."""
        return best.batches_in_memory(self.images, self.labels, size, self.device)

    # ---- the public script's -------------------------------------------------------------------

    def script_loop(self, workers: int | None = None) -> Loop:
        """The script's loop, with its loader or, without workers, images from the device."""
        size = self.case.batch_size
        if workers is None:
            batches: Iterator[Any] = (images for images, _ in self.batches(size))
        else:
            side = self.case.shape[-1]
            batches = load_pictures(self.stored, side, size, workers, self.device)
        return LOOPS[self.script](*self.networks(), batches)

    # ---- the best ones -------------------------------------------------------------------------

    def _best(self, bf16: bool) -> best.Loop:
        generator, judge = self.networks()
        if isinstance(judge, nn.Sequential):
            judge = public_networks.logits(judge)
        return best.Loop(self.recipe, generator, judge, bf16)

    def _iterate(self, loop: best.Loop, batches: Any, compiles: bool = False) -> Loop:
        objective = best.WASSERSTEIN if self.case.n_critic > 1 else best.STANDARD
        return best.train(loop, batches, objective, compiles)

    def best_loop(self, bf16: bool) -> Loop:
        """The best loop without graph."""
        return self._iterate(self._best(bf16), self.batches(self.recipe.images))

    def graph(self, bf16: bool, compiles: bool = False) -> Loop:
        """One iteration captured; only the images change from one replay to the next.

        The decay of the averaged generator stays that of the captured iteration.
        """
        loop = self._best(bf16)
        loop.optimizers = [
            Adam(w, lr=self.recipe.rate, betas=self.recipe.betas, fused=True, capturable=True)
            for w in loop.weights
        ]
        batches = self.batches(self.recipe.images)
        images, labels = next(batches)
        iterations = self._iterate(loop, repeat((images, labels)), compiles)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            advance(iterations, WARMUP)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            next(iterations)
        for batch, _ in batches:
            images.copy_(batch)
            graph.replay()
            yield


def advance(loop: Loop, steps: int) -> None:
    """Make so many iterations."""
    for _ in islice(loop, steps):
        pass
