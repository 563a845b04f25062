"""The best hand-written loops: the opponents that the module must keep up with.

Every trick of which this project knows: images stay uint8 in memory, are indexed by the batch and
normalised on the device; nothing is printed and nothing waits for the device; the discriminator's
fakes carry no graph; in the generator's step no gradient of the discriminator's weights is
computed; real and fake images go through the discriminator together where it has no batch
normalisation; the penalty carries no zeros back, and an MLP gives its scores and gradients at
once, both by the library's own functions; optimizers are fused; networks of convolutions lie
channels last in memory. The generator is averaged as the module does it, and in bfloat16 weights
are cast once per update.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from recipes import Case
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim import Adam

from gan_modules.networks.layers.blocks import has_batch_norm
from gan_modules.objectives.penalties import gradient_penalty

__all__ = ["STANDARD", "WASSERSTEIN", "Averaged", "Loop", "batches_in_memory", "train"]

Batches = Iterable[tuple[Tensor, Tensor]]


def batches_in_memory(images: Tensor, others: Tensor, size: int, device: str) -> Iterator[Any]:
    """Endless shuffled batches, float in [-1, 1], of a whole iteration, made on the device.

    Args:
        images: uint8, shape ``(N, C, H, W)``.
        others: labels ``(N,)``, or images of another domain.
        size: images per batch.
        device: where to make them.
    """
    images, others = images.to(device), others.to(device)
    while True:
        order = torch.randperm(len(images)).to(device)
        other = torch.randperm(len(others)).to(device) if others.ndim == 4 else order
        for start in range(0, len(order) - size + 1, size):
            rows = slice(start, start + size)
            second = others.index_select(0, other[rows])
            yield (
                _float(images.index_select(0, order[rows])),
                _float(second) if second.ndim == 4 else second,
            )


def _float(images: Tensor) -> Tensor:
    return images.float().div_(127.5).sub_(1.0)


class Averaged:
    """The average of a generator that the module keeps, updated by one call for all tensors.

    Args:
        generator: whose weights and running statistics are averaged.
        decay: what it rises to, as ``(1 + t) / (10 + t)``.
    """

    def __init__(self, generator: nn.Module, decay: float = 0.999) -> None:
        self.network = deepcopy(generator).requires_grad_(False)
        self.decay, self.step = decay, 0
        pairs = list(zip(_tensors(self.network), _tensors(generator), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self.floats = [averaged for averaged, _ in floats], [live for _, live in floats]
        self.counters = [p for p in pairs if not p[0].is_floating_point()]

    def update(self) -> None:
        self.step += 1
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(*self.floats, 1 - decay)
        for averaged, live in self.counters:
            averaged.copy_(live)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]


class Loop:
    """What all loops share.

    Args:
        case: what is trained.
        generator: one network, or a ``ModuleDict`` of two.
        discriminator: likewise.
        bf16: compute in bfloat16.
    """

    def __init__(
        self, case: Case, generator: nn.Module, discriminator: nn.Module, bf16: bool = False
    ) -> None:
        if any(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in generator.modules()):
            generator.to(memory_format=torch.channels_last)
            discriminator.to(memory_format=torch.channels_last)
        self.case, self.generator, self.discriminator = case, generator, discriminator
        self.weights: tuple[list[Tensor], list[Tensor]] = (
            [*generator.parameters()],
            [*discriminator.parameters()],
        )
        self.device = self.weights[0][0].device.type
        self.bf16 = bf16
        self.averaged = Averaged(generator)
        self.together = not has_batch_norm(discriminator)
        self.optimizers: list[Any] = [
            Adam(w, lr=case.rate, betas=case.betas, fused=True) for w in self.weights
        ]

    def autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device, torch.bfloat16, enabled=self.bf16)

    def latents(self, like: Tensor) -> Tensor:
        z = torch.empty(len(like), self.case.latent_dim, dtype=like.dtype, device=like.device)
        return z.normal_()

    def step(self, player: int, loss: Tensor) -> None:
        # names whose gradients are wanted: the other network's are not computed
        loss.backward(inputs=self.weights[player])
        self.optimizers[player].step()
        self.optimizers[player].zero_grad()

    def fakes(self, like: Tensor, conditions: Sequence[Tensor] = ()) -> Tensor:
        z = self.latents(like)
        with torch.no_grad():
            fakes: Tensor = self.generator(z, *conditions)
        return fakes

    def judge_both(
        self, real: Tensor, fake: Tensor, conditions: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor]:
        if self.together:
            both = [condition.repeat(2) for condition in conditions]
            one, other = self.discriminator(torch.cat([real, fake]), *both).chunk(2)
            return one, other
        return self.discriminator(real, *conditions), self.discriminator(fake, *conditions)


Objective = tuple[Callable[[Loop, Tensor], Tensor], Callable[[Loop, Tensor], Tensor]]
"""The losses of the generator and of the discriminator."""


def _critic_loss(loop: Loop, images: Tensor) -> Tensor:
    fakes = loop.fakes(images)
    real, fake = loop.judge_both(images, fakes)
    return fake.mean() - real.mean() + 10.0 * gradient_penalty(loop.discriminator, images, fakes)


def _generator_loss(loop: Loop, images: Tensor) -> Tensor:
    score: Tensor = loop.discriminator(loop.generator(loop.latents(images))).mean()
    return -score


WASSERSTEIN: Objective = (_generator_loss, _critic_loss)
"""WGAN-GP's."""


def _binary_loss(loop: Loop, images: Tensor) -> Tensor:
    real, fake = loop.judge_both(images, loop.fakes(images))
    return softplus(-real).mean() + softplus(fake).mean()


def _fooling_loss(loop: Loop, images: Tensor) -> Tensor:
    return softplus(-loop.discriminator(loop.generator(loop.latents(images)))).mean()


STANDARD: Objective = (_fooling_loss, _binary_loss)
"""DCGAN's."""


def train(
    loop: Loop, batches: Batches, objective: Objective, compiles: bool = False
) -> Iterator[None]:
    """Yields after every update of the generator.

    Args:
        loop: networks and optimizers.
        batches: each of the images of a whole iteration.
        objective: both losses.
        compiles: compile either loss whole.
    """
    losses: list[Callable[[Tensor], Tensor]] = [partial(loss, loop) for loss in objective]
    if compiles:
        losses = [torch.compile(loss, fullgraph=True) for loss in losses]

    def update(player: int, images: Tensor) -> None:
        for other in loop.weights[1 - player]:
            other.requires_grad_(False)
        with loop.autocast():
            loss = losses[player](images)
        loop.step(player, loss)
        for other in loop.weights[1 - player]:
            other.requires_grad_(True)

    for whole, _ in batches:
        for images in whole.split(loop.case.batch_size):
            update(1, images)
        update(0, images)
        loop.averaged.update()
        yield
