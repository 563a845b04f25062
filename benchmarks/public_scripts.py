"""What public scripts do in a training step, and how they load images, written anew.

``gan``, ``dcgan``, ``wgan``, ``wgan_gp`` and ``cyclegan`` follow the scripts of those names in
github.com/eriklindernoren/PyTorch-GAN, ``examples`` follows ``dcgan/main.py`` in
github.com/pytorch/examples: the order of the updates, noise drawn by NumPy or by torch, which fakes
carry a graph, what is printed and when. GAN and DCGAN make fakes once per step and detach them for
the discriminator; WGAN detaches; WGAN-GP does not, and its critic's loss goes back through the
generator. Nothing is frozen, optimizers are plain, and no average is kept. Left out are the
pictures and files that the scripts write now and then.

Each loop yields after as many batches as belong to one update of the generator.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, RMSprop
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

__all__ = ["LOOPS", "Files", "Pictures", "endless", "gradient_penalty", "load_pictures"]

LATENT_DIM = 100
N_CRITIC = 5


class Pictures(Dataset[tuple[Any, int]]):
    """As torchvision's MNIST and CIFAR-10: an array in memory, a PIL image and its transform.

    Args:
        images: uint8, shape ``(N, C, S, S)``.
        side: to which each image is resized, every time it is asked for.
    """

    def __init__(self, images: Tensor, side: int) -> None:
        grey = images.shape[1] == 1
        self.arrays = (images[:, 0] if grey else images.permute(0, 2, 3, 1)).contiguous()
        middle = [0.5] * images.shape[1]
        self.transform = transforms.Compose(
            [transforms.Resize(side), transforms.ToTensor(), transforms.Normalize(middle, middle)]
        )

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.arrays[index].numpy())), index % 10


class Files(Dataset[dict[str, Any]]):
    """cyclegan.py's: both files opened for each pair, the second any; resized, cropped, flipped.

    Args:
        root: holds ``trainA`` and ``trainB``.
        side: of the crop.
    """

    def __init__(self, root: Path, side: int) -> None:
        self.files = [sorted((root / f"train{domain}").iterdir()) for domain in "AB"]
        self.transform = transforms.Compose(
            [
                transforms.Resize(int(side * 1.12), transforms.InterpolationMode.BICUBIC),
                transforms.RandomCrop((side, side)),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize([0.5] * 3, [0.5] * 3),
            ]
        )

    def __len__(self) -> int:
        return max(len(files) for files in self.files)

    def __getitem__(self, index: int) -> dict[str, Any]:
        a, b = self.files
        paths = {"A": a[index % len(a)], "B": random.choice(b)}
        return {name: self.transform(Image.open(path)) for name, path in paths.items()}


def load_pictures(
    images: Tensor, side: int, batch_size: int, workers: int = 0, device: str = "cpu"
) -> Iterator[Tensor]:
    """Batches without end, sent to a device one by one."""
    loader = DataLoader(Pictures(images, side), batch_size, shuffle=True, num_workers=workers)
    return (batch.to(device) for batch, _ in endless(loader))


def endless(loader: Any) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from loader


def _noise(like: Tensor) -> Tensor:
    z = torch.FloatTensor(np.random.normal(0, 1, (len(like), LATENT_DIM)))  # noqa: NPY002
    return z.to(like.device)


def _adam(network: nn.Module) -> Adam:
    return Adam(network.parameters(), lr=0.0002, betas=(0.5, 0.999))


def gan(g: nn.Module, d: nn.Module, batches: Iterable[Tensor]) -> Iterator[None]:
    """gan.py and dcgan.py: the generator first, then the discriminator with the same fakes."""
    loss = nn.BCELoss()
    of_g, of_d = _adam(g), _adam(d)
    for i, images in enumerate(batches):
        shape, place = (len(images), 1), images.device
        ones, zeros = (torch.full(shape, float(target), device=place) for target in (1, 0))
        of_g.zero_grad()
        fakes = g(_noise(images))
        g_loss = loss(d(fakes), ones)
        g_loss.backward()
        of_g.step()
        of_d.zero_grad()
        d_loss = (loss(d(images), ones) + loss(d(fakes.detach()), zeros)) / 2
        d_loss.backward()
        of_d.step()
        print(f"batch {i} D loss {d_loss.item():f} G loss {g_loss.item():f}")
        yield


def examples(g: nn.Module, d: nn.Module, batches: Iterable[Tensor]) -> Iterator[None]:
    """pytorch/examples: the discriminator first, two backward passes, the same fakes after it."""
    loss = nn.BCELoss()
    of_g, of_d = _adam(g), _adam(d)
    for i, images in enumerate(batches):
        d.zero_grad()
        target = torch.full((len(images),), 1.0, device=images.device)
        output = d(images).squeeze(1)
        on_real = loss(output, target)
        on_real.backward()
        judged_real = output.mean().item()
        fakes = g(torch.randn(len(images), LATENT_DIM, 1, 1, device=images.device))
        target.fill_(0.0)
        output = d(fakes.detach()).squeeze(1)
        on_fake = loss(output, target)
        on_fake.backward()
        before = output.mean().item()
        d_loss = on_real + on_fake
        of_d.step()
        g.zero_grad()
        target.fill_(1.0)
        output = d(fakes).squeeze(1)
        g_loss = loss(output, target)
        g_loss.backward()
        after = output.mean().item()
        of_g.step()
        print(
            f"batch {i} D loss {d_loss.item():f} G loss {g_loss.item():f} "
            f"D(x) {judged_real:f} D(G(z)) {before:f} / {after:f}"
        )
        yield


def wgan(g: nn.Module, d: nn.Module, batches: Iterable[Tensor]) -> Iterator[None]:
    """wgan.py: after every fifth critic update, the first one's, one of the generator."""
    of_g, of_d = (RMSprop(network.parameters(), lr=0.00005) for network in (g, d))

    def critic_loss(images: Tensor, z: Tensor) -> Tensor:
        fakes = g(z).detach()
        loss: Tensor = -torch.mean(d(images)) + torch.mean(d(fakes))
        return loss

    def clip() -> None:
        for weight in d.parameters():
            weight.data.clamp_(-0.01, 0.01)

    return _critics(g, d, batches, critic_loss, clip, (of_g, of_d))


def gradient_penalty(d: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """wgan_gp.py's, with positions drawn by NumPy."""
    shape = (len(real), *[1] * (real.ndim - 1))
    share = torch.FloatTensor(np.random.random(shape)).to(real.device)  # noqa: NPY002
    between = (share * real + (1 - share) * fake).requires_grad_(True)
    scores = d(between)
    (slopes,) = torch.autograd.grad(
        scores, between, torch.ones_like(scores), create_graph=True, retain_graph=True
    )
    penalty: Tensor = ((slopes.reshape(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()
    return penalty


def wgan_gp(g: nn.Module, d: nn.Module, batches: Iterable[Tensor]) -> Iterator[None]:
    """wgan_gp.py: likewise; the critic's loss keeps the graph of the fakes."""

    def critic_loss(images: Tensor, z: Tensor) -> Tensor:
        fakes = g(z)
        real_scores, fake_scores = d(images), d(fakes)
        penalty = gradient_penalty(d, images.data, fakes.data)
        loss: Tensor = -torch.mean(real_scores) + torch.mean(fake_scores) + 10 * penalty
        return loss

    return _critics(g, d, batches, critic_loss, lambda: None, (_adam(g), _adam(d)))


def _critics(
    g: nn.Module,
    d: nn.Module,
    batches: Iterable[Tensor],
    critic_loss: Callable[[Tensor, Tensor], Tensor],
    after: Callable[[], None],
    optimizers: tuple[Optimizer, Optimizer],
) -> Iterator[None]:
    of_g, of_d = optimizers
    for i, images in enumerate(batches):
        of_d.zero_grad()
        z = _noise(images)
        d_loss = critic_loss(images, z)
        d_loss.backward()
        of_d.step()
        after()
        of_g.zero_grad()
        if i % N_CRITIC == 0:
            g_loss = -torch.mean(d(g(z)))
            g_loss.backward()
            of_g.step()
            print(f"batch {i} D loss {d_loss.item():f} G loss {g_loss.item():f}")
        if i % N_CRITIC == N_CRITIC - 1:
            yield


class Buffer:
    """The last 50 fakes or so: half of what is shown comes from it."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []

    def swap(self, images: Tensor) -> Tensor:
        shown = []
        for image in images.data.split(1):
            if len(self.kept) < 50:
                self.kept.append(image)
            elif random.uniform(0, 1) > 0.5:
                place = random.randrange(50)
                image, self.kept[place] = self.kept[place].clone(), image
            shown.append(image)
        return torch.cat(shown)


def cyclegan(g: nn.ModuleDict, d: nn.ModuleDict, batches: Iterable[Any]) -> Iterator[None]:
    """cyclegan.py: both generators at once, then one discriminator after the other."""
    squares, distance = nn.MSELoss(), nn.L1Loss()
    of_g = Adam(chain(g["a_to_b"].parameters(), g["b_to_a"].parameters()), 2e-4, (0.5, 0.999))
    of_d = {name: _adam(d[name]) for name in "ab"}
    buffers = {name: Buffer() for name in "ab"}
    for i, batch in enumerate(batches):
        a, b = batch["A"], batch["B"]
        patches = len(a), 1, a.shape[2] // 16, a.shape[3] // 16
        ones, zeros = torch.Tensor(np.ones(patches)), torch.Tensor(np.zeros(patches))
        of_g.zero_grad()
        same = (distance(g["b_to_a"](a), a) + distance(g["a_to_b"](b), b)) / 2
        fakes = {"b": g["a_to_b"](a), "a": g["b_to_a"](b)}
        fooled = (squares(d["b"](fakes["b"]), ones) + squares(d["a"](fakes["a"]), ones)) / 2
        back = distance(g["b_to_a"](fakes["b"]), a) + distance(g["a_to_b"](fakes["a"]), b)
        back = back / 2
        g_loss = fooled + 10 * back + 5 * same
        g_loss.backward()
        of_g.step()
        d_losses = []
        for name, real in (("a", a), ("b", b)):
            of_d[name].zero_grad()
            on_real = squares(d[name](real), ones)
            on_fake = squares(d[name](buffers[name].swap(fakes[name]).detach()), zeros)
            d_losses.append((on_real + on_fake) / 2)
            d_losses[-1].backward()
            of_d[name].step()
        d_loss = (d_losses[0] + d_losses[1]) / 2
        print(
            f"batch {i} D loss {d_loss.item():f} G loss {g_loss.item():f} adv {fooled.item():f} "
            f"cycle {back.item():f} identity {same.item():f}"
        )
        yield


LOOPS: dict[str, Callable[..., Iterator[None]]] = {
    "gan": gan,
    "dcgan": gan,
    "examples": examples,
    "wgan": wgan,
    "wgan_gp": wgan_gp,
    "cyclegan": cyclegan,
}
"""By the name of the script."""
