"""CycleGAN: Unpaired Image-to-Image Translation (Zhu et al. 2017, arXiv:1703.10593)."""

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.errors import require
from gan_modules.families.image_pool import ImagePool
from gan_modules.families.translation import TranslationGAN
from gan_modules.networks.cyclegan import CycleGANGenerator
from gan_modules.networks.patchgan import PatchGANDiscriminator, deepest_patchgan
from gan_modules.objectives.losses import AdversarialLossName, adversarial_loss
from gan_modules.training.batches import Batch

__all__ = ["CycleGAN"]


class _Translations(NamedTuple):
    """Fakes for each domain and, for the identity loss, what becomes of its own images."""

    fake_a: Tensor
    fake_b: Tensor
    same_a: Tensor | None = None
    same_b: Tensor | None = None

    @property
    def fakes(self) -> tuple[Tensor, Tensor]:
        """For the discriminators: without graph."""
        return self.fake_a.detach(), self.fake_b.detach()


class CycleGAN(TranslationGAN):
    """Two generators that undo each other, each against a discriminator of its target domain.

    The objective of sections 3 and 4 of the paper; training is meant for a batch size of 1, and for
    100 epochs at the initial learning rate and 100 more in which it goes down to zero: for 1,000
    images, ``generator_scheduler`` and ``discriminator_scheduler`` are
    :class:`~gan_modules.training.schedulers.ConstantThenLinearLR` with ``constant_steps`` and
    ``decay_steps`` of 100,000.

    Deviations: the discriminators are updated first in each iteration, and shown the fakes that the
    generators' losses are taken of right afterwards; the official code updates the generators first
    and then shows those fakes to the discriminators. What translates is the averaged generator
    (``ema_decay=0`` gives the paper's). The identity loss, which the paper adds for paintings and
    the official code always, is on. Several inputs of one network go through it together, which
    changes nothing without batch normalisation.

    Args:
        cycle_weight: weight of both cycle losses, lambda in the paper.
        identity_weight: weight of both identity losses, 0.5 lambda in the paper; 0 saves their
            computation.
        pool_size: fakes kept per domain to show the discriminators again; 0 shows the newest only.
        loss: adversarial loss. The paper's is ``"least_squares"``, for a discriminator half the
            sum over real and fake images; the other losses are whole sums.
        **kwargs: options of :class:`TranslationGAN`.

    Raises:
        ValueError: if an option is out of its range or the default networks do not fit
            ``image_shape``.
    """

    # the history of fakes, and what both players use, lie outside
    compilable = ("generate", "shared", "_discriminator_terms", "_generator_terms")

    def __init__(
        self,
        *,
        cycle_weight: float = 10.0,
        identity_weight: float = 5.0,
        pool_size: int = 50,
        loss: AdversarialLossName = "least_squares",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            **kwargs,
        )
        for name, weight in (("cycle_weight", cycle_weight), ("identity_weight", identity_weight)):
            require(0 <= weight < math.inf, name, weight, "at least 0 and finite")
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight
        self.loss = adversarial_loss(loss)
        self.pools = {"a": ImagePool(pool_size), "b": ImagePool(pool_size)}

    def build_generator(self) -> nn.Module:
        """The paper's residual generator: 6 blocks up to 128 pixels, 9 above."""
        return CycleGANGenerator(self.image_shape)

    def build_discriminator(self) -> nn.Module:
        """The paper's 70x70 PatchGAN; below 24 pixels the deepest one that fits."""
        return PatchGANDiscriminator(
            self.image_shape, n_layers=min(3, deepest_patchgan(self.image_shape))
        )

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``(E[(D(x) - 1)^2] + E[D(fake)^2]) / 2`` per domain, with fakes from its history."""
        real_a, real_b = self.domains(batch)
        translated: _Translations | None = self._shared_now
        fake_a, fake_b = (
            self.compiled("generate")(batch) if translated is None else translated.fakes
        )
        if self.training:
            fake_a, fake_b = self.pools["a"].query(fake_a), self.pools["b"].query(fake_b)
        terms: dict[str, Tensor] = self.compiled("_discriminator_terms")(
            real_a, fake_a, real_b, fake_b
        )
        return terms

    def _discriminator_terms(
        self, real_a: Tensor, fake_a: Tensor, real_b: Tensor, fake_b: Tensor
    ) -> dict[str, Tensor]:
        return {
            "a": self.loss.discriminator(*self.judge_both("a", real_a, fake_a)),
            "b": self.loss.discriminator(*self.judge_both("b", real_b, fake_b)),
        }

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Per direction ``E[(D(G(x)) - 1)^2]``; per domain ``|F(G(x)) - x|`` and ``|F(x) - x|``."""
        translated = self._shared_now or self.compiled("shared")(batch)
        terms: dict[str, Tensor] = self.compiled("_generator_terms")(batch, translated)
        return terms

    def _generator_terms(self, batch: Batch, translated: _Translations) -> dict[str, Tensor]:
        a, b = self.domains(batch)
        fake_a, fake_b = translated.fake_a, translated.fake_b
        terms: dict[str, Tensor] = {}
        if translated.same_a is not None and translated.same_b is not None:
            terms["identity_a"] = self.identity_weight * F.l1_loss(translated.same_a, a)
            terms["identity_b"] = self.identity_weight * F.l1_loss(translated.same_b, b)
        back_a, back_b = self.generator["b_to_a"](fake_b), self.generator["a_to_b"](fake_a)
        terms["cycle_a"] = self.cycle_weight * F.l1_loss(back_a, a)
        terms["cycle_b"] = self.cycle_weight * F.l1_loss(back_b, b)
        terms["a_to_b"] = self.loss.generator(*self._generator_logits("b", fake_b, b))
        terms["b_to_a"] = self.loss.generator(*self._generator_logits("a", fake_a, a))
        return terms

    def _generator_logits(
        self, domain: Literal["a", "b"], fake: Tensor, real: Tensor
    ) -> tuple[Tensor, ...]:
        """Logits of fakes, and of real images if the loss compares them with these."""
        if not self.loss.relativistic:
            return (self.judge_of(domain, fake),)
        with torch.no_grad():
            compared = self.judge_of(domain, real)
        return self.judge_of(domain, fake), compared

    def shared(self, batch: Batch) -> _Translations:
        """Translate once for both players: the discriminators' step leaves the generators alone."""
        a, b = self.domains(batch)
        if not self.identity_weight:
            return _Translations(*self.generate(batch))
        fake_a, same_a = self.apply_to_both("b_to_a", b, a)
        fake_b, same_b = self.apply_to_both("a_to_b", a, b)
        return _Translations(fake_a, fake_b, same_a, same_b)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the history of fakes of every rank, for exact resuming."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["image_pools"] = {
            name: self._gather(pool.state_dict()["images"]) for name, pool in self.pools.items()
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue with this rank's history of fakes, where training continues."""
        super().on_load_checkpoint(checkpoint)
        if self._trainer is None:
            return
        for name, saved in checkpoint["image_pools"].items():
            rank = self.global_rank % len(saved["counts"])
            images = saved["images"][rank, : int(saved["counts"][rank])]
            self.pools[name].load_state_dict({"images": images})

    def _gather(self, images: Tensor) -> dict[str, Tensor]:
        """Images of all ranks, filled up to as many on each, and how many there are on each."""
        images = images.reshape(-1, *self.image_shape).to(self.device)
        counts = self._of_all_ranks(torch.tensor(len(images), device=self.device))
        missing = int(counts.max()) - len(images)
        filled = torch.cat([images, images.new_zeros(missing, *self.image_shape)])
        return {"images": self._of_all_ranks(filled).cpu(), "counts": counts.cpu()}

    def _of_all_ranks(self, tensor: Tensor) -> Tensor:
        """Stack the ranks' tensors, of one shape on all of them."""
        gathered = [torch.empty_like(tensor) for _ in range(self.trainer.world_size)]
        if len(gathered) == 1:
            return tensor[None]
        torch.distributed.all_gather(gathered, tensor)
        return torch.stack(gathered)
