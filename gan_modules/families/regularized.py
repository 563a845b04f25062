"""What GANs have in common whose objective takes further terms, its regularisers."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.families.gates import Judgement, Seen
from gan_modules.families.judging import ImageJudging
from gan_modules.networks.packed import in_packs, packing_of
from gan_modules.objectives.losses import AdversarialLoss
from gan_modules.objectives.regularizers import Regularizer
from gan_modules.training.batches import Batch
from gan_modules.training.reporting import whole_name

__all__ = ["Judge", "OneJudge", "Regularized"]


class Judge:
    """One discriminator of a model's, as penalties and regularisers see it."""

    discriminator: Any
    judged_shape: Any
    training: bool

    def judge(self, images: Tensor, labels: Tensor | None = None) -> Judgement:
        """Pass images through the augmentation, in training, and then to the discriminator."""
        raise NotImplementedError

    def against_real(self, loss: AdversarialLoss, fake: Tensor, batch: Batch) -> tuple[Tensor, ...]:
        """Logits of fakes, and of real images with their labels if the loss is relativistic.

        The generator's loss is taken of them; nothing of the second depends on the generator.
        """
        if not loss.relativistic:
            return (fake,)
        with torch.no_grad():
            return fake, self.judge(*batch).logits

    @property
    def packing(self) -> int:
        """How many images the discriminator gives one logit, more than one if it judges packs."""
        return packing_of(self.discriminator)

    def packs(self, images: Tensor) -> Tensor:
        """Images as what gets one logit, ``(N / packing, packing * C, H, W)``.

        It is one sample to a penalty. In evaluation the last pack is filled up with the first
        images.
        """
        return in_packs(images, self.packing, fill=not self.training).flatten(1, 2)

    def judge_packs(self, labels: Tensor | None) -> Callable[[Tensor], Tensor]:
        """What maps packs of images, whose labels these are, to logits."""
        given = None
        if labels is not None:
            given = in_packs(labels, self.packing, fill=not self.training).flatten(0, 1)

        def judge(packs: Tensor) -> Tensor:
            return self.judge(packs.reshape(-1, *self.judged_shape), given).logits

        return judge


class OneJudge(Judge):
    """One of the discriminators that a model has in an ``nn.ModuleDict``; all else is the model's.

    Args:
        model: the model.
        name: of the discriminator.
    """

    def __init__(self, model: Any, name: str) -> None:
        self._model, self.discriminator = model, model.discriminator[name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def judge(self, images: Tensor, labels: Tensor | None = None) -> Judgement:
        """By this discriminator alone."""
        given = () if labels is None else self._model.condition(labels)
        return Judgement(self.discriminator(self._model.augmented(images), *given))


class Regularized(Judge, ImageJudging):
    """A GAN whose players' objectives take further terms by configuration.

    With several discriminators each has its own copy of a regulariser of theirs, whose term is
    named after it.

    Args:
        regularizers: further terms of the objective.
        **kwargs: options of :class:`ImageJudging`.

    Raises:
        ValueError: if the model cannot have such a term.
    """

    takes_own_steps: ClassVar[bool] = False
    """Whether a regulariser may have steps of its own, see :attr:`Regularizer.own_step`."""

    def __init__(self, *, regularizers: list[Regularizer] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.regularizers = nn.ModuleList(regularizers or ())

    def judges(self) -> Mapping[str, Judge]:
        """Discriminators, by what :meth:`note_seen` calls them: by default the model's only one."""
        return {"": self}

    def settle_regularizers(self) -> None:
        """Once networks are there: one of each for each discriminator; they look at these."""
        judges = self.judges()
        settled: list[Regularizer] = []
        self._judge_of: list[str] = []
        for regularizer in self._regularizers():
            right = f"False: {type(self).__name__} takes no steps for a regulariser alone"
            name = f"{type(regularizer).__name__}.own_step"
            require(self.takes_own_steps or not regularizer.own_step, name, True, right)
            names = [*judges] if regularizer.player == "discriminator" else [""]
            copies = [regularizer, *(deepcopy(regularizer) for _ in names[1:])]
            for judge, copy in zip(names, copies, strict=True):
                copy.check(judges.get(judge, self))
                settled.append(copy)
                self._judge_of.append(judge)
        self.regularizers = nn.ModuleList(settled)

    def _regularizers(self) -> list[Regularizer]:
        return cast(list[Regularizer], [*self.regularizers])

    def names_in_training(self) -> list[str]:
        """Those of regularisers."""
        return [
            whole_name(player, _named(regularizer, judge))
            for player in self.players
            for regularizer, judge in self.regularizers_of(player)
        ]

    def regularizers_of(self, player: str) -> list[tuple[Regularizer, str]]:
        """A player's, each with the name of the discriminator that it looks at."""
        pairs = zip(self._regularizers(), self._judge_of, strict=True)
        return [(one, judge) for one, judge in pairs if one.player == player]

    def is_noting(self) -> bool:
        """Whether there are regularisers or an augmentation."""
        return super().is_noting() or len(self.regularizers) > 0

    def on_iteration(self, step: int, images: int) -> None:
        """Set what of the augmentation and of regularisers changes with time."""
        super().on_iteration(step, images)
        for regularizer in self._regularizers():
            regularizer.schedule(step, images)

    def to_average(self) -> list[Tensor]:
        """What the augmentation and regularisers have observed, too."""
        observed = [t for r in self._regularizers() for t in r.to_average()]
        return [*super().to_average(), *observed]

    def further_terms(
        self, player: str, seen: Mapping[str, Seen], terms: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Those of the player's regularisers that have no steps of their own."""
        its = self.regularizers_of(player)
        apart = {_named(r, judge) for r, judge in its if r.own_step}
        found: dict[str, Tensor] = {}
        for regularizer, judge in its:
            if not regularizer.own_step:
                noted = seen.get(judge, Seen())
                found |= self.regularized(regularizer, noted, {*terms, *found, *apart}, judge)
        return found

    def regularized(
        self, regularizer: Regularizer, seen: Seen, taken: set[str], judge: str = ""
    ) -> dict[str, Tensor]:
        """A regulariser's term, if it is due, under a name that is not taken."""
        player, name = regularizer.player, _named(regularizer, judge)
        missing = [need for need in regularizer.needs if getattr(seen, need) is None]
        if missing or name in taken:
            noted = f"{' and '.join(missing)} must be noted, as judge_both and generate do"
            why = noted if missing else "it is there"
            raise ValueError(
                f"regularizers={type(regularizer).__name__} cannot add the term {name!r} to "
                f"{type(self).__name__}.{player}_losses: {why}"
            )
        regularizer.observe(seen)
        if not regularizer.is_due(self.global_step):
            return {}
        model = self.judges().get(judge, self)
        return {name: regularizer.every * regularizer.weight * regularizer(model, seen)}


def _named(regularizer: Regularizer, judge: str) -> str:
    return f"{regularizer.name}_{judge}" if judge else regularizer.name
