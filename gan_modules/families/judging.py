"""What GANs have in common whose discriminator judges images, alone or with something else."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gan_modules.families.adversarial import GANModule
from gan_modules.families.gates import Seen
from gan_modules.objectives.augmentations import Augmentation
from gan_modules.training.batches import Batch

__all__ = ["ImageJudging"]


class ImageJudging(GANModule):
    """A GAN whose discriminator sees images through an augmentation.

    Args:
        augmentation: what real images and fakes go through before they are judged, in training.
        **kwargs: options of the families.

    Raises:
        ValueError: if images cannot be augmented so.
    """

    image_shape: tuple[int, ...]

    def __init__(self, *, augmentation: Augmentation | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.augmentation = augmentation
        if augmentation is not None:
            augmentation.check(self.judged_shape)
        self._noted: dict[str, dict[str, Tensor | None]] = {}

    @property
    def judged_shape(self) -> tuple[int, ...]:
        """Shape of what the discriminator is given of one sample."""
        return self.image_shape

    def augmented(self, images: Tensor) -> Tensor:
        """Images as the discriminator sees them: augmented, in training."""
        if self.augmentation is None or not self.training:
            return images
        seen: Tensor = self.augmentation(images)
        return seen

    def is_noting(self) -> bool:
        """Whether anybody wants to know what was seen."""
        return self.augmentation is not None

    def note_seen(self, judge: str = "", **seen: Tensor | None) -> None:
        """Keep what :class:`Seen` has of this turn, for regularisers and for the augmentation.

        Args:
            judge: which discriminator has seen it, if there are several; by default each.
            **seen: fields of :class:`Seen`.
        """
        if self.is_noting():
            self._noted.setdefault(judge, {}).update(seen)

    def further_terms(
        self, player: str, seen: Mapping[str, Seen], terms: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """What is added in training to a player's terms; by default nothing."""
        return {}

    def terms_of(self, player: str, batch: Batch) -> dict[str, Tensor]:
        """The objective's terms and, in training, what is added to them.

        The augmentation observes the discriminator's updates.
        """
        self._noted.clear()
        terms = super().terms_of(player, batch)
        for_all = self._noted.get("", {})
        seen = {judge: Seen(**{**for_all, **noted}) for judge, noted in self._noted.items()}
        self._noted.clear()
        if not self.training:
            return terms
        if self.augmentation is not None and player == "discriminator":
            logits = [one.real_logits for one in seen.values() if one.real_logits is not None]
            if logits:
                self.augmentation.observe(torch.cat([x.flatten() for x in logits]).detach())
        further = self.further_terms(player, seen, terms)
        # without any, the loop says what is wrong with terms that are no mapping
        return {**terms, **further} if further else terms

    def on_iteration(self, step: int, images: int) -> None:
        """Set what of the augmentation changes with time."""
        super().on_iteration(step, images)
        if self.augmentation is not None:
            self.augmentation.schedule(step, images)

    def to_average(self) -> list[Tensor]:
        """What the augmentation has observed, too."""
        observed = [] if self.augmentation is None else [*self.augmentation.to_average()]
        return [*super().to_average(), *observed]

    def measures(self) -> dict[str, Tensor]:
        """The augmentation's."""
        found = {} if self.augmentation is None else self.augmentation.measures()
        return {f"augment/{name}": value for name, value in found.items()}
