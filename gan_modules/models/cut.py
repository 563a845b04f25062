"""CUT: Contrastive Learning for Unpaired Translation (Park et al. 2020, arXiv:2007.15651)."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.families.factories import build
from gan_modules.families.gates import apply_to_both
from gan_modules.families.one_way import OneWayTranslationGAN
from gan_modules.networks.cut import PatchProjector
from gan_modules.networks.cyclegan import CycleGANGenerator
from gan_modules.networks.patchgan import PatchGANDiscriminator, deepest_patchgan
from gan_modules.objectives.losses import AdversarialLossName, adversarial_loss
from gan_modules.objectives.patch_nce import draw_places, features_at, patch_nce
from gan_modules.training.batches import Batch

__all__ = ["CUT"]


class ProjectorFactory(Protocol):
    """A class or function that builds a projection head."""

    def __call__(self, *, channels: Sequence[int]) -> nn.Module:
        """Build it for features with so many channels in each layer."""
        ...


class CUT(OneWayTranslationGAN):
    """A generator each of whose patches must tell from which patch of the input it was made.

    The objective of section 3 of the paper, for unpaired domains and one direction: a cross entropy
    over patches of the same image, in features of the generator's own encoder
    (:func:`~gan_modules.objectives.patch_nce.patch_nce`), in place of a way back. The same is asked
    of what the generator makes of images of B, so that it leaves them alone. Training is meant for
    a batch size of 1, and for 200 epochs at the initial rate and 200 more in which it goes down to
    zero. FastCUT is ``nce_weight=10, identity=False, flip_equivariance=True``, 150 and 50 epochs.

    A generator that is passed has, beside ``forward``, ``features(images)``, a list of features
    ``(N, C, h, w)`` of some layers, and ``feature_channels``, C of each. The projection head is
    trained with the generator.

    Deviations: networks are CycleGAN's, without the official code's blur at halvings and doublings
    and with weights from N(0, 0.02); features of the first layer are those of the image without its
    reflected border; each image of a batch has places of its own, and a coin of its own decides
    whether it is mirrored. What translates is the averaged generator (``ema_decay=0`` gives the
    paper's).

    Args:
        nce_weight: weight of the contrastive loss, lambda in the paper.
        identity: take it of images of B, too; both are then halved, as in the official code.
        n_patches: patches of an image and layer; all where there are fewer.
        temperature: tau.
        flip_equivariance: mirror half of the inputs, whose features are mirrored back.
        loss: the adversarial loss. The paper's is ``"least_squares"``.
        projector: a projection head, or a class or function that builds one.
        **kwargs: options of :class:`OneWayTranslationGAN`.

    Raises:
        ValueError: if an option is out of its range, the default networks do not fit
            ``image_shape``, or a generator gives no features.
    """

    generator: Any
    projector: nn.Module

    players: ClassVar = {
        "generator": ("generator", "projector"),
        "discriminator": ("discriminator",),
    }

    def __init__(
        self,
        *,
        nce_weight: float = 1.0,
        identity: bool = True,
        n_patches: int = 256,
        temperature: float = 0.07,
        flip_equivariance: bool = False,
        loss: AdversarialLossName = "least_squares",
        projector: ProjectorFactory | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(0 <= nce_weight < math.inf, "nce_weight", nce_weight, "at least 0 and finite")
        require(n_patches >= 2, "n_patches", n_patches, "at least 2")
        require(0 < temperature < math.inf, "temperature", temperature, "above 0 and finite")
        self.nce_weight = nce_weight
        self.identity = identity
        self.n_patches = n_patches
        self.temperature = temperature
        self.flip_equivariance = flip_equivariance
        self.loss = adversarial_loss(loss)
        self._given["projector"] = projector

    def build_networks(self) -> None:
        """Generator and discriminator, and a projection head for the generator's features."""
        super().build_networks()
        channels = getattr(self.generator, "feature_channels", None)
        if channels is None or not hasattr(self.generator, "features"):
            raise ValueError(
                f"generator={type(self.generator).__name__} gives no features: CUT needs one with "
                "features(images) and feature_channels, as CycleGANGenerator has them"
            )
        given = self._given.pop("projector")
        self.projector = build(
            "projector", given, lambda: PatchProjector(channels), channels=channels
        )

    def build_generator(self) -> nn.Module:
        """CycleGAN's residual generator with 9 blocks."""
        return CycleGANGenerator(self.image_shape, n_blocks=9)

    def build_discriminator(self) -> nn.Module:
        """The 70x70 PatchGAN; below 24 pixels the deepest one that fits."""
        n_layers = min(3, deepest_patchgan(self.image_shape))
        return PatchGANDiscriminator(self.image_shape, n_layers=n_layers)

    def shared(self, batch: Batch) -> tuple[Tensor, ...]:
        """Translations, which images were mirrored ``(N,)``, and what becomes of those of B."""
        a, b = self.domains(batch)
        mirrored = torch.zeros(len(a), dtype=torch.bool, device=a.device)
        if self.flip_equivariance and self.training:
            mirrored = torch.rand(len(a), device=a.device) < 0.5
            a = _mirror(a, mirrored)
        if not self.identity:
            return self.generator(a), mirrored
        fake, same = apply_to_both(self.generator, a, b)
        return fake, mirrored, same

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``(E[(D(y) - 1)^2] + E[D(G(x))^2]) / 2``."""
        logits = self.judge_both(self.domains(batch)[1], self.generate(batch))
        return {"adversarial": self.loss.discriminator(*logits)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[(D(G(x)) - 1)^2] + nce_weight (NCE(x, G(x)) + NCE(y, G(y))) / 2``."""
        a, b = self.domains(batch)
        fake, mirrored, *same = self.made(batch)
        weight = self.nce_weight / (2 if self.identity else 1)
        terms = {
            "adversarial": self.generator_term(self.loss, fake, b),
            "nce": weight * self.contrast(a, fake, mirrored),
        }
        if self.identity:
            terms["identity"] = weight * self.contrast(b, *same)
        return terms

    def contrast(self, source: Tensor, made: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """The contrastive loss between images and what was made of them, the mean over layers.

        Args:
            source: images ``(N, C, H, W)``.
            made: of them or, where ``mirrored``, ``(N,)``, of their mirror images.
            mirrored: without it, none is.
        """
        queries = self.generator.features(made)
        if self.flip_equivariance and mirrored is not None:
            queries = [_mirror(x, mirrored) for x in queries]
        places = [draw_places(x, self.n_patches) for x in queries]
        with torch.no_grad():
            keys = self._project(places, self.generator.features(source))
        pairs = zip(self._project(places, queries), keys, strict=True)
        return torch.stack([patch_nce(q, k, self.temperature) for q, k in pairs]).mean()

    def _project(self, places: list[Tensor], features: list[Tensor]) -> list[Tensor]:
        chosen = [features_at(p, x) for p, x in zip(places, features, strict=True)]
        projected: list[Tensor] = self.projector(chosen)
        return projected


def _mirror(images: Tensor, chosen: Tensor) -> Tensor:
    """Mirror chosen images, or features, left to right."""
    return torch.where(chosen[:, None, None, None], images.flip(-1), images)
