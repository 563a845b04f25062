"""What a model's metrics compare: which fakes, with which real images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial, singledispatch
from typing import Protocol

import torch
from torch import Tensor

from gan_modules.families.latent_model import LatentModel
from gan_modules.families.translation_model import Direction, TranslationModel
from gan_modules.metrics.data import RealData, Split, subset_rows
from gan_modules.metrics.features import full_precision
from gan_modules.metrics.path_length import EPSILON
from gan_modules.metrics.randomness import seed_generators
from gan_modules.seeding import derive_seed
from gan_modules.training.module import GenerativeModule

__all__ = ["Comparison", "Plan", "comparisons"]


@dataclass(frozen=True)
class Plan:
    """How the fakes of a measurement are to be made.

    Attributes:
        n: number of fakes, at most.
        batch_size: fakes that are made at a time.
        seed: of whatever is drawn.
        held_out: the split that is at hand, ``val`` or ``test``.
        reference: the split of the real images, where it was chosen.
    """

    n: int
    batch_size: int
    seed: int
    held_out: Split
    reference: Split | None = None


class Draw(Protocol):
    """Makes one process's share of the fakes."""

    def __call__(self, label_counts: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the numbers ``(N,)`` of some fakes, each once among all processes, and these.

        Args:
            label_counts: real images of each class, shape ``(C,)``; of none without labels.
        """
        ...


class Steps(Protocol):
    """Makes one process's share of the images on ways between random ones."""

    def __call__(
        self, space: str, full: bool, label_counts: Tensor
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the numbers ``(N,)`` of some ways, and two images ``(2 N, C, H, W)`` of each.

        They are a small step apart: first come the images before it, then those after it.

        Args:
            space: name of the space of the ways.
            full: take the step anywhere on a way; otherwise at its beginning.
            label_counts: real images of each class, shape ``(C,)``; of none without labels.
        """
        ...


@dataclass(frozen=True)
class Comparison:
    """A set of fakes, and the real images it is held against.

    Attributes:
        direction: of translation, which goes into the metrics' names; empty for the only one.
        n: number of fakes.
        reference: the split of the real images.
        member: of each real batch, a pair, the one that the images are.
        draw: makes the fakes, float in [-1, 1], on the model's device. The same ones for any
            number of processes.
        step: makes pairs of fakes that are a small step apart, for path lengths; None where there
            are no ways between fakes.
        spaces: names of the spaces that have ways.
    """

    direction: str
    n: int
    reference: Split
    member: int
    draw: Draw
    step: Steps | None = None
    spaces: Sequence[str] = ()


@singledispatch
def comparisons(model: GenerativeModule, data: RealData, plan: Plan) -> Sequence[Comparison]:
    """What there is to compare of a model; another family registers its own answer.

    Raises:
        ValueError: for a family that has not.
    """
    raise ValueError(
        f"GenerativeMetrics cannot draw from a {type(model).__name__}: it knows LatentModel and "
        "TranslationModel; register what it shall compare with "
        "gan_modules.metrics.comparisons.register"
    )


@comparisons.register
def _of_noise(model: LatentModel, data: RealData, plan: Plan) -> Sequence[Comparison]:
    """Samples, against the training images, as in the papers."""
    return [
        Comparison(
            direction="",
            n=plan.n,
            reference=plan.reference or "train",
            member=0,
            draw=partial(_samples, model, plan),
            step=partial(_steps, model, plan),
            spaces=[space.name for space in model.spaces],
        )
    ]


def _samples(
    model: LatentModel, plan: Plan, label_counts: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples by the batch, each batch a function of the seed and its place."""
    labels = _in_proportion(label_counts, plan) if model.num_classes else None
    batches = torch.arange(plan.n).split(plan.batch_size)
    for rows in batches[model.global_rank :: model.trainer.world_size]:
        seed = derive_seed(plan.seed, int(rows[0]))
        # for a generator that draws noise of its own
        seed_generators(seed, model.device)
        images = model.sample(len(rows), None if labels is None else labels[rows], seed)
        yield rows, images


def _steps(
    model: LatentModel, plan: Plan, space: str, full: bool, label_counts: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images on ways by the batch, both ends of a way of one class."""
    labels = _in_proportion(label_counts, plan) if model.num_classes else None
    there = model.space(space)
    batches = torch.arange(plan.n).split(plan.batch_size)
    for rows in batches[model.global_rank :: model.trainer.world_size]:
        n, seed = len(rows), derive_seed(plan.seed, "ways", int(rows[0]))
        seed_generators(seed, model.device)
        classes = model.sample_labels(n, None if labels is None else labels[rows])
        both = None if classes is None else classes.repeat(2)
        first, second = there.points(model.latents(2 * n, seed), both).chunk(2)
        places = torch.rand(n) if full else torch.zeros(n)
        at = places.to(first).reshape(n, *[1] * len(there.shape))
        steps = [there.between(first, second, weight) for weight in (at, at + EPSILON)]
        # products of ten bits would round such a step away
        with full_precision(model.device):
            images = there.images(torch.cat(steps), both)
        yield rows, images


def _in_proportion(label_counts: Tensor, plan: Plan) -> Tensor:
    """Labels for all samples, mixed, as many of each class as its share of the data says."""
    if not label_counts.sum():
        raise ValueError("the model is conditional, but the real images have no labels")
    generator = torch.Generator().manual_seed(derive_seed(plan.seed, -1))
    places = (torch.randperm(plan.n, generator=generator) + 0.5) / plan.n
    ends = label_counts.double().cumsum(0).cpu() / label_counts.sum().item()
    return torch.searchsorted(ends, places.double(), right=True)


@comparisons.register
def _of_translation(model: TranslationModel, data: RealData, plan: Plan) -> Sequence[Comparison]:
    """Translated held-out images of one domain, against held-out ones of the other."""
    places: dict[Direction, tuple[int, int]] = {"a_to_b": (0, 1), "b_to_a": (1, 0)}
    several = len(model.directions) > 1
    return [
        Comparison(
            direction=direction if several else "",
            n=min(plan.n, data.index(plan.held_out, source).count),
            reference=plan.reference or plan.held_out,
            member=target,
            draw=partial(_translations, model, data, plan, direction, source),
        )
        for direction in model.directions
        for source, target in (places[direction],)
    ]


def _translations(
    model: TranslationModel,
    data: RealData,
    plan: Plan,
    direction: Direction,
    source: int,
    label_counts: Tensor,
) -> Iterator[tuple[Tensor, Tensor]]:
    rows = subset_rows(data.index(plan.held_out, source).count, plan.n)
    for positions, batch in data.batches(plan.held_out, source):
        images, row = batch[source], rows[positions.cpu()]
        assert images is not None
        chosen = row >= 0
        if chosen.any():
            seed = derive_seed(plan.seed, int(positions[0]))
            yield row[chosen], model.translate(images[chosen], direction, seed)
