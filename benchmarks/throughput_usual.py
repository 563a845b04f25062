"""The usual scripts: training loops the way tutorials write them.

Images are turned into tensors one by one, those stored in another size resized as well; all losses
are printed at every step; the discriminator learns from fakes with their graph, and the generator
through a discriminator that is not frozen, so that gradients are computed which nobody uses; real
and fake images go through the discriminator apart; optimizers are plain. No average of the
generator is kept.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any

import torch
from PIL import Image
from throughput_cases import Case
from torch import Tensor, nn
from torch.optim import Adam, RMSprop
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from gan_modules.networks.layers.convolutions import DoublingConvTranspose2d, HalvingConv2d
from gan_modules.networks.layers.resampling import DownsampleConv2d, UpsampleConv2d

__all__ = ["LOOPS", "PILImages", "as_usual", "usual_loader"]

Batches = Iterable[tuple[Tensor, Tensor]]


class PILImages(Dataset[tuple[Any, Any]]):
    """What ``torchvision.datasets.MNIST`` does: each image by itself, from array to PIL to tensor.

    The transforms are those of PyTorch-GAN's scripts, such as ``implementations/dcgan/dcgan.py`` of
    github.com/eriklindernoren/PyTorch-GAN, where MNIST's 28 pixels become 32.

    Args:
        images: uint8, shape ``(N, C, H, W)``.
        others: labels ``(N,)``, or images of another domain, which are transformed, too.
        side: of the images afterwards.
    """

    def __init__(self, images: Tensor, others: Tensor, side: int) -> None:
        self.images, self.others = images, others
        channels = images.shape[1]
        self.transform = transforms.Compose(
            [
                transforms.Resize(side),
                transforms.ToTensor(),
                transforms.Normalize([0.5] * channels, [0.5] * channels),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if self.others.ndim == 4:
            other = random.randrange(len(self.others))
            return self._image(self.images[index]), self._image(self.others[other])
        return self._image(self.images[index]), int(self.others[index])

    def _image(self, image: Tensor) -> Any:
        array = image.squeeze(0).numpy() if len(image) == 1 else image.permute(1, 2, 0).numpy()
        return self.transform(Image.fromarray(array))


def usual_loader(images: Tensor, others: Tensor, batch_size: int, side: int) -> DataLoader[Any]:
    """Shuffled batches of float images in [-1, 1], one batch per update."""
    return DataLoader(PILImages(images, others, side), batch_size, shuffle=True, drop_last=True)


def as_usual(network: nn.Module) -> nn.Module:
    """A copy with the same weights whose layers are written, and lie in memory, the usual way."""
    copy = deepcopy(network).to(memory_format=torch.contiguous_format)
    for parent in list(copy.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, UpsampleConv2d | DownsampleConv2d):
                bias = layer.bias is not None
                conv = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1, bias=bias)
                conv.load_state_dict(layer.state_dict())
                conv.to(layer.weight)
                up = isinstance(layer, UpsampleConv2d)
                pair = (nn.Upsample(scale_factor=2), conv) if up else (conv, nn.AvgPool2d(2))
                setattr(parent, name, nn.Sequential(*pair))
            elif isinstance(layer, HalvingConv2d | DoublingConvTranspose2d):
                kind = nn.Conv2d if isinstance(layer, HalvingConv2d) else nn.ConvTranspose2d
                bias = layer.bias is not None
                usual = kind(layer.in_channels, layer.out_channels, 4, 2, 1, bias=bias)
                usual.load_state_dict(layer.state_dict())
                setattr(parent, name, usual.to(layer.weight))
    return copy


def latents(case: Case, like: Tensor) -> Tensor:
    z = torch.empty(len(like), case.latent_dim, dtype=like.dtype, device=like.device)
    return z.normal_() if case.latents == "normal" else z.uniform_(-1, 1)


def cross_entropy(
    case: Case, generator: nn.Module, discriminator: nn.Module, batches: Batches
) -> Iterator[None]:
    """GAN, DCGAN and conditional GAN."""
    criterion = nn.BCEWithLogitsLoss()
    optimizer_g = Adam(generator.parameters(), lr=case.rate, betas=case.betas)
    optimizer_d = Adam(discriminator.parameters(), lr=case.rate, betas=case.betas)
    for i, (images, labels) in enumerate(batches):
        conditions = (labels,) if case.conditional else ()
        valid, fake = images.new_ones(len(images)), images.new_zeros(len(images))

        optimizer_d.zero_grad()
        fakes = generator(latents(case, images), *conditions)
        real_loss = criterion(discriminator(images, *conditions), valid)
        fake_loss = criterion(discriminator(fakes, *conditions), fake)
        d_loss = real_loss + fake_loss
        d_loss.backward()
        optimizer_d.step()

        optimizer_g.zero_grad()
        fakes = generator(latents(case, images), *conditions)
        g_loss = criterion(discriminator(fakes, *conditions), valid)
        g_loss.backward()
        optimizer_g.step()
        print(f"[Batch {i}] [D loss: {d_loss.item():f}] [G loss: {g_loss.item():f}]")
        yield


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    alpha = torch.rand(len(real), 1, 1, 1, dtype=real.dtype, device=real.device)
    interpolates = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(interpolates)
    (gradients,) = torch.autograd.grad(
        outputs=scores,
        inputs=interpolates,
        grad_outputs=torch.ones_like(scores),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )
    gradients = gradients.view(len(gradients), -1)
    penalty: Tensor = ((gradients.norm(2, dim=1) - 1) ** 2).mean()
    return penalty


def wasserstein(
    case: Case, generator: nn.Module, critic: nn.Module, batches: Batches
) -> Iterator[None]:
    """WGAN, with weight clipping, and WGAN-GP."""
    clips = case.objective == "weight_clipping"
    optimizer_g: Any
    optimizer_d: Any
    if clips:
        optimizer_g = RMSprop(generator.parameters(), lr=case.rate)
        optimizer_d = RMSprop(critic.parameters(), lr=case.rate)
    else:
        optimizer_g = Adam(generator.parameters(), lr=case.rate, betas=case.betas)
        optimizer_d = Adam(critic.parameters(), lr=case.rate, betas=case.betas)
    for i, (images, _) in enumerate(batches):
        optimizer_d.zero_grad()
        fakes = generator(latents(case, images))
        d_loss = -torch.mean(critic(images)) + torch.mean(critic(fakes))
        if not clips:
            d_loss = d_loss + 10.0 * gradient_penalty(critic, images.data, fakes.data)
        d_loss.backward()
        optimizer_d.step()
        if clips:
            for p in critic.parameters():
                p.data.clamp_(-0.01, 0.01)
        print(f"[Batch {i}] [D loss: {d_loss.item():f}]")

        if (i + 1) % case.n_critic == 0:
            optimizer_g.zero_grad()
            g_loss = -torch.mean(critic(generator(latents(case, images))))
            g_loss.backward()
            optimizer_g.step()
            print(f"[Batch {i}] [G loss: {g_loss.item():f}]")
            yield


class Pool:
    """A history of 50 fakes, for batches of one image."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def query(self, image: Tensor) -> Tensor:
        image = image.detach()
        if len(self.images) < 50:
            self.images.append(image)
            return image
        if random.random() < 0.5:
            return image
        slot = random.randrange(50)
        old, self.images[slot] = self.images[slot], image
        return old


def cycle(
    case: Case, generator: nn.Module, discriminator: nn.Module, batches: Batches
) -> Iterator[None]:
    """CycleGAN, discriminators first as in this project."""
    assert isinstance(generator, nn.ModuleDict)
    assert isinstance(discriminator, nn.ModuleDict)
    a_to_b, b_to_a = generator["a_to_b"], generator["b_to_a"]
    d_a, d_b = discriminator["a"], discriminator["b"]
    mse, l1, pool_a, pool_b = nn.MSELoss(), nn.L1Loss(), Pool(), Pool()
    optimizer_g = Adam(generator.parameters(), lr=case.rate, betas=case.betas)
    optimizer_d = Adam(discriminator.parameters(), lr=case.rate, betas=case.betas)

    def d_loss(network: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        on_real, on_fake = network(real), network(fake)
        real_loss = mse(on_real, torch.ones_like(on_real))
        loss: Tensor = (real_loss + mse(on_fake, torch.zeros_like(on_fake))) * 0.5
        return loss

    def fools(logits: Tensor) -> Tensor:
        loss: Tensor = mse(logits, torch.ones_like(logits))
        return loss

    for i, (real_a, real_b) in enumerate(batches):
        optimizer_d.zero_grad()
        fake_a, fake_b = b_to_a(real_b), a_to_b(real_a)
        loss_a = d_loss(d_a, real_a, pool_a.query(fake_a))
        loss_b = d_loss(d_b, real_b, pool_b.query(fake_b))
        loss_a.backward()
        loss_b.backward()
        optimizer_d.step()

        optimizer_g.zero_grad()
        identity = (l1(b_to_a(real_a), real_a) + l1(a_to_b(real_b), real_b)) * 5.0
        fake_a, fake_b = b_to_a(real_b), a_to_b(real_a)
        adversarial = fools(d_b(fake_b)) + fools(d_a(fake_a))
        back = (l1(b_to_a(fake_b), real_a) + l1(a_to_b(fake_a), real_b)) * 10.0
        g_loss = identity + adversarial + back
        g_loss.backward()
        optimizer_g.step()
        print(
            f"[Batch {i}] [D loss: {(loss_a + loss_b).item():f}] [G loss: {g_loss.item():f}, "
            f"adv: {adversarial.item():f}, cycle: {back.item():f}, identity: {identity.item():f}]"
        )
        yield


LOOPS: dict[str, Callable[[Case, nn.Module, nn.Module, Batches], Iterator[None]]] = {
    "cross_entropy": cross_entropy,
    "weight_clipping": wasserstein,
    "gradient_penalty": wasserstein,
    "cycle": cycle,
}
"""By a case's objective; each yields after a whole iteration."""
