"""What ``gpu.py`` measures: one recipe, and the loops that train it."""

from collections.abc import Iterator
from itertools import islice, repeat
from typing import Any

import gpu_best as best
import torch
from recipes import Case
from torch import Tensor
from torch.optim import Adam

from gan_modules.networks import ResNetDiscriminator, ResNetGenerator
from gan_modules.objectives.penalties import gradient_penalty

__all__ = ["WARMUP", "Bench", "Loop", "advance", "compiled"]

WARMUP = 5
"""Iterations ahead of the first window: of compilation, and ahead of a capture."""
Loop = Iterator[None]


def make_case(device: str) -> Case:
    """The recipe; on a CPU a very small one."""
    small = device == "cpu"
    width, side, n_critic = (2, 8, 2) if small else (128, 32, 5)
    networks = {
        player: {"class_path": f"ResNet{player.capitalize()}", "init_args": {"width": width}}
        for player in ("generator", "discriminator")
    }
    return Case(
        {"class_path": "WGANGP", "init_args": {"n_critic": n_critic, **networks}},
        image_shape=(3, side, side), batch_size=4 if small else 64,
        rate=1e-4, betas=(0.0, 0.9), latent_dim=128, n_critic=n_critic,
    )  # fmt: skip


class Bench:
    """Builds the loops, all from the same networks' sizes and the same images.

    Args:
        device: "cpu" or "cuda".
        size: images of data.
    """

    def __init__(self, device: str, size: int) -> None:
        self.device, self.size, self.case = device, size, make_case(device)
        self.images = torch.randint(256, (size, *self.case.image_shape), dtype=torch.uint8)
        self.labels = torch.zeros(size, dtype=torch.int64)

    def networks(self) -> tuple[Any, Any]:
        shape, arguments = self.case.image_shape, self.case.model["init_args"]
        width = arguments["generator"]["init_args"]["width"]
        generator = ResNetGenerator(shape, self.case.latent_dim, width=width)
        discriminator = ResNetDiscriminator(shape, width=width)
        return generator.to(self.device), discriminator.to(self.device)

    def batches(self) -> Iterator[Any]:
        """Batches of whole iterations, from images that lie on the device."""
        return best.batches_in_memory(self.images, self.labels, self.case.images, self.device)

    def best_loop(self, bf16: bool) -> Loop:
        return best.wasserstein(best.Loop(self.case, *self.networks(), bf16), self.batches())

    def graph(self, compiles: bool) -> Loop:
        """One iteration captured; only the images change from one replay to the next.

        The decay of the averaged generator stays that of the captured iteration.
        """
        loop = best.Loop(self.case, *self.networks(), bf16=True)
        betas = self.case.betas
        loop.optimizers = [
            Adam(w, lr=self.case.rate, betas=betas, fused=True, capturable=True)
            for w in loop.weights
        ]
        batches = self.batches()
        images, labels = next(batches)
        iterations = (compiled if compiles else best.wasserstein)(loop, repeat((images, labels)))
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


def compiled(loop: best.Loop, batches: best.Batches) -> Loop:
    """The best loop, with either player's loss compiled whole."""

    def critic_loss(images: Tensor) -> Tensor:
        fakes = loop.fakes(images)
        real, fake = loop.judge_both(images, fakes)
        return fake.mean() - real.mean() + 10 * gradient_penalty(loop.discriminator, images, fakes)

    def generator_loss(images: Tensor) -> Tensor:
        score: Tensor = loop.discriminator(loop.generator(loop.latents(images))).mean()
        return -score

    losses = [torch.compile(f, fullgraph=True) for f in (generator_loss, critic_loss)]

    def update(player: int, images: Tensor) -> None:
        for weight in loop.weights[1]:
            weight.requires_grad_(player == 1)
        with loop.autocast():
            loss = losses[player](images)
        loop.step(player, loss)

    for whole, _ in batches:
        for images in whole.split(loop.case.batch_size):
            update(1, images)
        update(0, images)
        loop.averaged.update()
        yield


def advance(loop: Loop, steps: int) -> None:
    for _ in islice(loop, steps):
        pass
