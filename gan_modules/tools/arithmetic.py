"""Latent arithmetic: ``glasses - none + woman``, with latents in the place of words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_modules.errors import require
from gan_modules.families.encoding import EncodingModel
from gan_modules.families.latent_model import LatentModel
from gan_modules.tools.inversion import invert

__all__ = [
    "Operand",
    "Term",
    "Through",
    "images_of",
    "operand_of_class",
    "operand_of_images",
    "terms_of",
    "way_of",
]

Through = Literal["encode", "invert"]
"""How latents of images are found."""

SIGNS = {"+": 1, "-": -1, "\N{MINUS SIGN}": -1}
SIGNED = re.escape("".join(SIGNS))
WEIGHTED = re.compile(r"(?:(\d+\.?\d*|\.\d+)\s*\*)?\s*(.*)", re.DOTALL)


class Term(NamedTuple):
    """A name in an expression, and its weight: 1 or -1 where none is written."""

    weight: float
    name: str

    def __str__(self) -> str:
        """``- 0.5*thin``."""
        size = abs(self.weight)
        return f"{'-' if self.weight < 0 else '+'} {'' if size == 1 else f'{size:g}*'}{self.name}"


def terms_of(expression: str) -> list[Term]:
    """The terms of ``glasses - none + woman``, or ``0.5*glasses - 0.5*none + woman``, in order.

    Signs have space around them, so that names may have hyphens; a name may be several words. A
    weight is a decimal number and ``*``, behind the sign.

    Raises:
        ValueError: if there are not two names at least, or names and signs do not alternate.
    """
    text = expression.strip()
    if text[:1] not in SIGNS:
        text = f"+ {text}"
    rest, *parts = re.split(rf"(?:^|\s)([{SIGNED}])(?=\s|$)", text)
    terms = []
    for sign, part in zip(parts[::2], parts[1::2], strict=True):
        size, name = WEIGHTED.fullmatch(part.strip()).groups()  # type: ignore[union-attr]
        terms.append(Term(SIGNS[sign] * float(size or 1), " ".join(name.split())))
    right = (
        "names with + or - between them, and spaces around these: glasses - none + woman; "
        "weights are 0.5*glasses"
    )
    alternate = not rest and all(term.name for term in terms)
    require(alternate and len(terms) >= 2, "expression", expression, right)
    return terms


@dataclass(frozen=True, eq=False)
class Operand:
    """What is added or taken away: ``thick - thin + seven`` is an operand like each of its terms.

    Of one vector, it is added to every vector of another operand.

    Args:
        vectors: latents, or codes, shape ``(N, D)``.
        classes: of a conditional model, the weight of each class, shape ``(N, num_classes)``: of an
            image 1 for its own. None for other models.
        are_codes: vectors are codes of a model whose codes are no latents.
    """

    vectors: Tensor
    classes: Tensor | None = None
    are_codes: bool = False

    def __mul__(self, weight: float) -> "Operand":
        """Every vector times a weight."""
        classes = None if self.classes is None else self.classes * weight
        return Operand(self.vectors * weight, classes, self.are_codes)

    __rmul__ = __mul__

    def __neg__(self) -> "Operand":
        """Every sign turned."""
        return self * -1

    def __sub__(self, other: "Operand") -> "Operand":
        """The difference."""
        return self + -other

    def __add__(self, other: "Operand") -> "Operand":
        """The sum.

        Raises:
            ValueError: if the two are not of one model, one way to find them, and one number of
                vectors (or 1).
        """
        shapes = tuple(self.vectors.shape), tuple(other.vectors.shape)
        alike = shapes[0][1:] == shapes[1][1:] and self.are_codes == other.are_codes
        alike = alike and (self.classes is None) == (other.classes is None)
        right = "both latents or both codes of one model, found in one way"
        require(alike, "operands", shapes, right)
        numbers = {len(self.vectors), len(other.vectors)} - {1}
        require(len(numbers) <= 1, "operands", shapes, "as many vectors, or one")
        classes = None
        if self.classes is not None and other.classes is not None:
            classes = self.classes + other.classes
        return Operand(self.vectors + other.vectors, classes, self.are_codes)

    def averaged(self) -> "Operand":
        """Of one vector, the mean of all."""
        classes = None if self.classes is None else self.classes.mean(0, keepdim=True)
        return Operand(self.vectors.mean(0, keepdim=True), classes, self.are_codes)


def way_of(model: LatentModel, through: Through | None = None) -> Through:
    """How a model's latents of images are found: by its encoder if it has one, unless said.

    Raises:
        ValueError: if there is no such way, or a model without an encoder is to encode.
    """
    encodes = isinstance(model, EncodingModel)
    if through is None:
        return "encode" if encodes else "invert"
    ways = ("encode", "invert") if encodes else ("invert",)
    why = "" if encodes else f": {type(model).__name__} has no encoder"
    require(through in ways, "through", through, " or ".join(ways) + why)
    return through


def operand_of_images(
    model: LatentModel,
    images: Tensor,
    labels: Tensor | Sequence[int | str] | None = None,
    *,
    through: Through | None = None,
    **options: Any,
) -> Operand:
    """The latents of images, for :meth:`Operand.averaged` or each by itself.

    Codes of an encoder are latents; where they are not (:class:`~gan_modules.AEGAN`), codes.

    Args:
        model: averaged networks are used, in evaluation mode; it is left as it is.
        images: float in [-1, 1], shape ``(N, C, H, W)``.
        labels: their classes, for a conditional model, by number or by the data's name.
        through: ``"encode"`` by the encoder, ``"invert"`` by optimisation; None for the encoder if
            there is one.
        **options: of :func:`~gan_modules.tools.inversion.invert`.

    Raises:
        ValueError: if a model without an encoder is to encode, options of an inversion are given to
            an encoder, images have the wrong shape, or labels are missing or not wanted.
    """
    if way_of(model, through) == "invert":
        vectors = invert(model, images, labels, **options).latents
        return Operand(vectors, _weights(model, len(vectors), labels))
    assert isinstance(model, EncodingModel)
    for name, value in options.items():
        right = "left out: it is for through='invert', and the encoder is asked"
        require(False, name, value, right)
    require(len(images) >= 1, "images", tuple(images.shape), "at least one")
    if not model.codes_are_latents:
        right = f"left out: codes of {type(model).__name__} have no classes"
        require(labels is None, "labels", labels, right)
        return Operand(model.encode(images), None, are_codes=True)
    given = labels is not None or not model.num_classes
    require(given, "labels", labels, "the classes of the images: the model is conditional")
    weights = _weights(model, len(images), labels)
    return Operand(model.encode(images), weights)


def operand_of_class(model: LatentModel, label: int | str, n: int = 8, seed: int = 0) -> Operand:
    """A class of a conditional model: random latents, the same for every class of one seed.

    In ``a - b + c`` latents remain those of all three, and the classes' vectors in the generator
    are added up.

    Args:
        model: a conditional model.
        label: the class, by number or by the data's name.
        n: number of latents, each of which is one of the vectors.
        seed: of the latents.

    Raises:
        ValueError: if the model is not conditional or has no such class, or ``n`` is below 1.
    """
    vectors = model.latents(n, seed)
    return Operand(vectors, _weights(model, n, [label] * n))


def _weights(
    model: LatentModel, n: int, labels: Tensor | Sequence[int | str] | None
) -> Tensor | None:
    chosen = model.sample_labels(n, labels)
    return None if chosen is None else F.one_hot(chosen, model.num_classes).to(model.dtype)


@torch.no_grad()
def images_of(model: LatentModel, operand: Operand) -> Tensor:
    """What a model makes of an operand, or of a sum (Radford et al. 2016, arXiv:1511.06434, 6.3.2).

    Latents that are never drawn are put back: uniform ones into their cube, those of a sphere onto
    it. Classes that do not cancel make a mixture, which networks of this package take.

    Args:
        model: of which the operand is.
        operand: what is to be shown.

    Returns:
        Float images in [-1, 1], shape ``(N, C, H, W)``, on the model's device.

    Raises:
        ValueError: if the weights of the classes do not add up to 1.
    """
    if operand.are_codes:
        assert isinstance(model, EncodingModel)
        return model.decode(operand.vectors)
    z = model.latent.within(operand.vectors)
    weights = operand.classes
    if weights is None:
        return model.images_of(z, None)
    sums = weights.sum(1)
    wrong = sums[(sums - 1).abs() > 1e-4].tolist()
    right = "1: the weights of a conditional model's operands add up to 1"
    require(not wrong, "sum of classes", round(wrong[0], 4) if wrong else 1, right)
    weights = weights.expand(len(z), -1)
    # a class alone is told as any network takes it
    whole = F.one_hot(weights.argmax(1), model.num_classes).to(weights)
    alone = torch.allclose(weights, whole, atol=1e-4)
    return model.images_of(z, weights.argmax(1) if alone else weights)
