"""Latents of images that a model did not make, or whose latents are lost, by optimisation."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim import Adam

from gan_modules.errors import require
from gan_modules.families.latent_model import LatentModel
from gan_modules.seeding import derive_seed

__all__ = ["Inversion", "invert", "noise_at", "rate_at"]

LATENTS = 10_000
"""Random latents whose mean and spread are taken, as in the paper."""


class Inversion(NamedTuple):
    """What was found for ``N`` images.

    Args:
        latents: shape ``(N, latent_dim)``.
        images: what the model makes of them, in [-1, 1], shape ``(N, C, H, W)``.
        errors: mean squared difference of each from the image wanted, pixels or features,
            shape ``(N,)``.
    """

    latents: Tensor
    images: Tensor
    errors: Tensor


def rate_at(t: float, rate: float = 0.1) -> float:
    """The learning rate at a share ``t`` of all steps, in [0, 1).

    It rises in a straight line over the first 5 % and falls as half a cosine over the last 25 %.
    """
    falling = (1 - math.cos(math.pi * min(1.0, (1 - t) / 0.25))) / 2
    return rate * falling * min(1.0, t / 0.05)


def noise_at(t: float, noise: float = 0.05) -> float:
    """Deviation of the noise on latents at a share ``t`` of all steps, over that of latents.

    It falls as a square over the first 75 %.
    """
    return noise * max(0.0, 1 - t / 0.75) ** 2


def invert(
    model: LatentModel,
    images: Tensor,
    labels: Tensor | Sequence[int | str] | None = None,
    *,
    steps: int = 1000,
    restarts: int = 1,
    features: nn.Module | None = None,
    learning_rate: float = 0.1,
    noise: float = 0.05,
    start: Tensor | None = None,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = False,
) -> Inversion:
    """Find latents whose images are most like given ones (Karras et al. 2019, arXiv:1912.04958).

    Appendix D of that paper: Adam moves each latent, from the mean of all, down the squared
    difference between images; noise on the latents, less and less of it, looks around at first, and
    the rate rises and falls. Uniform latents are kept in their cube, those of a sphere on it.

    Deviations: latents are those that the model samples from, where StyleGAN has a space between;
    the difference is of pixels unless ``features`` are given, there of LPIPS; there are no noise
    maps to optimise. One latent moves independently of the others.

    Args:
        model: its averaged generator is used, in evaluation mode; it is left as it is.
        images: float in [-1, 1], shape ``(N, C, H, W)``.
        labels: their classes, for a conditional model, by number or by the data's name.
        steps: of Adam, for each attempt.
        restarts: attempts, the best of which counts for each image: the first from the mean of all
            latents, all others from random latents.
        features: maps images to what is compared, each by itself; used in evaluation mode.
        learning_rate: the highest; see :func:`rate_at`.
        noise: the deviation at first, over that of latents; see :func:`noise_at`.
        start: where the first attempt begins in place of the mean, such as codes of an encoder,
            shape ``(N, latent_dim)``.
        batch_size: images at a time.
        seed: of the noise and of random starts; the global random state is left alone.
        progress: show a bar.

    Returns:
        Latents, images and errors, on the model's device.

    Raises:
        ValueError: if an option is out of its range, images or starts have the wrong shape, or
            labels are missing or not wanted.
    """
    for name, value in (("steps", steps), ("restarts", restarts), ("batch_size", batch_size)):
        require(value >= 1, name, value, "at least 1")
    require(0 < learning_rate < math.inf, "learning_rate", learning_rate, "positive and finite")
    require(0 <= noise < math.inf, "noise", noise, "at least 0 and finite")
    n, shape = len(images), tuple(images.shape)
    right = f"(N, *{model.image_shape}), with N at least 1"
    require(n >= 1 and shape[1:] == model.image_shape, "images", shape, right)
    given = labels is not None or not model.num_classes
    require(given, "labels", labels, "the classes of the images: the model is conditional")
    classes = model.sample_labels(n, labels)
    dtype = cast(torch.dtype, model.dtype)
    images = images.to(model.device, dtype)
    sample = model.latents(LATENTS, derive_seed(seed, "mean"))
    mean = sample.mean(0)
    spread = (sample - mean).square().sum(1).mean().sqrt().item()
    if start is None:
        start = mean.expand(n, -1)
    wanted = (n, model.latent_dim)
    require(tuple(start.shape) == wanted, "start", tuple(start.shape), f"of shape {wanted}")
    starts = [start.to(images)]
    starts += [model.latents(n, derive_seed(seed, "start", i)) for i in range(1, restarts)]
    network = nn.Identity() if features is None else features
    search = _Search(model, network.to(model.device), steps, learning_rate, noise * spread)
    columns = TextColumn("inverting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    parts = list(torch.arange(n, device=images.device).split(batch_size))
    training = network.training
    try:
        with Progress(*columns, disable=not progress, transient=True) as bar:
            task = bar.add_task("", total=len(parts) * restarts * steps)
            found = []
            for number, places in enumerate(parts):
                chosen = None if classes is None else classes[places]
                attempts = []
                for attempt, begin in enumerate(starts):
                    generator = torch.Generator()
                    generator.manual_seed(derive_seed(seed, "noise", number, attempt))
                    z = search.run(
                        begin[places], images[places], chosen, generator, lambda: bar.advance(task)
                    )
                    attempts.append(search.judged(z, images[places], chosen))
                found.append(_best(attempts))
    finally:
        network.train(training)
    return Inversion(*(torch.cat(part) for part in zip(*found, strict=True)))


def _best(attempts: Sequence[Inversion]) -> Inversion:
    """Of each image the attempt with the least error."""
    latents, images, errors = (torch.stack(part) for part in zip(*attempts, strict=True))
    best = errors.argmin(0)
    place = torch.arange(len(best), device=best.device)
    return Inversion(latents[best, place], images[best, place], errors[best, place])


class _Search:
    """One attempt after another, of a batch at a time."""

    def __init__(
        self, model: LatentModel, features: nn.Module, steps: int, rate: float, sigma: float
    ) -> None:
        self.model, self.features = model, features.eval()
        self.steps, self.rate, self.sigma = steps, rate, sigma

    def errors(self, z: Tensor, wanted: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Images of latents, and of each the mean squared difference from what is wanted."""
        images = self.model(z) if labels is None else self.model(z, labels)
        found: Tensor = self.features(images)
        return images, (found - wanted).flatten(1).square().mean(1)

    @torch.no_grad()
    def judged(self, z: Tensor, images: Tensor, labels: Tensor | None) -> Inversion:
        """What has been found."""
        made, errors = self.errors(z, self.features(images), labels)
        return Inversion(z, made, errors)

    def run(
        self,
        start: Tensor,
        images: Tensor,
        labels: Tensor | None,
        generator: torch.Generator,
        after_step: Callable[[], None],
    ) -> Tensor:
        """Where latents end."""
        with torch.no_grad():
            wanted = self.features(images)
        z = self.model.latent.within(start.detach().clone())
        optimizer = Adam([z], lr=self.rate)
        for step in range(self.steps):
            t = step / self.steps
            optimizer.param_groups[0]["lr"] = rate_at(t, self.rate)
            shaken = torch.randn(z.shape, generator=generator).to(z) * noise_at(t, self.sigma)
            with torch.enable_grad():
                moved = (z + shaken).requires_grad_()
                _, errors = self.errors(moved, wanted, labels)
                (z.grad,) = torch.autograd.grad(errors.sum(), moved)
            optimizer.step()
            z.copy_(self.model.latent.within(z))
            after_step()
        return z
