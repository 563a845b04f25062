"""Latents, or styles, of images that a model did not make, or whose own are lost."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, cast

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim import Adam

from gan_modules.errors import require
from gan_modules.families.latent_model import LatentModel
from gan_modules.families.spaces import Space
from gan_modules.seeding import derive_seed

__all__ = ["Inversion", "SpaceName", "invert", "noise_at", "rate_at"]

SpaceName = Literal["z", "w", "w+"]


class Inversion(NamedTuple):
    """What was found for ``N`` images.

    Args:
        latents: shape ``(N, latent_dim)``; or styles, ``(N, style_dim)`` or ``(N, layers,
            style_dim)``.
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
    space: SpaceName = "z",
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

    Appendix D of that paper: Adam moves each point, from the mean of all, down the squared
    difference between images; noise on the points, less and less of it, looks around at first, and
    the rate rises and falls. With the space ``"w"`` points are styles, as there; by default they
    are latents, which all models have: uniform ones are kept in their cube, those of a sphere on
    it. In ``"w+"`` (Abdal et al. 2019, arXiv:1904.03189) every layer has a style of its own, with
    which images are met more closely than any sample is.

    Deviations: the difference is of pixels unless ``features`` are given, there of LPIPS; noise
    maps are each layer's own, and not optimised. The mean of styles is that of the image's class.
    One point moves independently of the others.

    Args:
        model: its averaged generator is used, in evaluation mode; it is left as it is.
        images: float in [-1, 1], shape ``(N, C, H, W)``.
        labels: their classes, for a conditional model, by number or by the data's name.
        space: of the points, ``"z"``, or of models with styles ``"w"`` or ``"w+"``.
        steps: of Adam, for each attempt.
        restarts: attempts, the best of which counts for each image: the first from the mean of all
            points, all others from random ones.
        features: maps images to what is compared, each by itself; used in evaluation mode.
        learning_rate: the highest; see :func:`rate_at`.
        noise: the deviation at first, over that of points; see :func:`noise_at`.
        start: where the first attempt begins in place of the mean, such as codes of an encoder,
            shape ``(N, latent_dim)``, or styles, as :class:`Inversion` has them.
        batch_size: images at a time.
        seed: of the noise and of random starts; the global random state is left alone.
        progress: show a bar.

    Returns:
        Latents, images and errors, on the model's device.

    Raises:
        ValueError: if an option is out of its range, the model has no such space, images or starts
            have the wrong shape, or labels are missing or not wanted.
    """
    there = model.space(space)
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
    mean, spread = _middles(there, n, classes, derive_seed(seed, "mean"))
    start = mean if start is None else start
    wanted = (n, *there.shape)
    require(tuple(start.shape) == wanted, "start", tuple(start.shape), f"of shape {wanted}")
    starts = [start.to(images)]
    for attempt in range(1, restarts):
        starts.append(there.points(model.latents(n, derive_seed(seed, "start", attempt)), classes))
    network = nn.Identity() if features is None else features
    search = _Search(there, network.to(model.device), steps, learning_rate)
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
                    sigma = noise * spread[places]
                    points = search.run(
                        begin[places], sigma, images[places], chosen, generator,
                        lambda: bar.advance(task),
                    )  # fmt: skip
                    attempts.append(search.judged(points, images[places], chosen))
                found.append(_best(attempts))
    finally:
        network.train(training)
    return Inversion(*(torch.cat(part) for part in zip(*found, strict=True)))


def _middles(space: Space, n: int, classes: Tensor | None, seed: int) -> tuple[Tensor, Tensor]:
    """The mean of points for each of so many images, and their spread, see :meth:`Space.middle`."""
    if classes is None:
        mean, spread = space.middle(None, seed)
        return mean.expand(n, *mean.shape[1:]), spread.expand(n, *spread.shape[1:])
    known, which = classes.unique(return_inverse=True)
    found = [space.middle(label, seed) for label in known[:, None]]
    means, spreads = (torch.cat(part) for part in zip(*found, strict=True))
    return means[which], spreads[which]


def _best(attempts: Sequence[Inversion]) -> Inversion:
    """Of each image the attempt with the least error."""
    latents, images, errors = (torch.stack(part) for part in zip(*attempts, strict=True))
    best = errors.argmin(0)
    place = torch.arange(len(best), device=best.device)
    return Inversion(latents[best, place], images[best, place], errors[best, place])


class _Search:
    """One attempt after another, of a batch at a time."""

    def __init__(self, space: Space, features: nn.Module, steps: int, rate: float) -> None:
        self.space, self.features = space, features.eval()
        self.steps, self.rate = steps, rate

    def errors(
        self, points: Tensor, wanted: Tensor, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Images of points, and of each the mean squared difference from what is wanted."""
        images = self.space.images(points, labels)
        found: Tensor = self.features(images)
        return images, (found - wanted).flatten(1).square().mean(1)

    @torch.no_grad()
    def judged(self, points: Tensor, images: Tensor, labels: Tensor | None) -> Inversion:
        """What has been found."""
        made, errors = self.errors(points, self.features(images), labels)
        return Inversion(points, made, errors)

    def run(
        self,
        start: Tensor,
        sigma: Tensor,
        images: Tensor,
        labels: Tensor | None,
        generator: torch.Generator,
        after_step: Callable[[], None],
    ) -> Tensor:
        """Where points end; sigma is the deviation of the noise at first."""
        with torch.no_grad():
            wanted = self.features(images)
        points = self.space.within(start.detach().clone())
        optimizer = Adam([points], lr=self.rate)
        for step in range(self.steps):
            t = step / self.steps
            optimizer.param_groups[0]["lr"] = rate_at(t, self.rate)
            drawn = torch.randn(points.shape, generator=generator).to(points)
            with torch.enable_grad():
                moved = (points + drawn * noise_at(t, 1.0) * sigma).requires_grad_()
                _, errors = self.errors(moved, wanted, labels)
                (points.grad,) = torch.autograd.grad(errors.sum(), moved)
            optimizer.step()
            points.copy_(self.space.within(points))
            after_step()
        return points
