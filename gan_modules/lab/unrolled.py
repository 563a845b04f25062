"""Unrolled GAN (Metz et al. 2017, arXiv:1611.02163), for the laboratory."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from gan_modules.errors import require
from gan_modules.models.gan import GAN
from gan_modules.training.batches import Batch

__all__ = ["UnrolledGAN"]


class UnrolledGAN(GAN):
    """The generator plays against the discriminator as it will be some steps later.

    It minimises ``-L(D_k, G)``, where ``L`` is the discriminator's loss and ``D_k`` follows from
    the discriminator by ``k`` steps of gradient descent on it, through which gradients flow. The
    discriminator's own update is as ever.

    Deviation: the steps ahead are of plain gradient descent, in the official code of Adam.

    Args:
        steps: ``k``, 1 to 10 in the paper; 0 is the minimax GAN.
        step_size: of gradient descent.
        **kwargs: options of :class:`~gan_modules.GAN`.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(self, *, steps: int = 5, step_size: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(steps >= 0, "steps", steps, "at least 0")
        require(step_size > 0, "step_size", step_size, "positive")
        self.steps, self.step_size = steps, step_size

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[log D_k(x)] + E[log(1 - D_k(G(z)))]``."""
        fake = self.generate(batch)
        # of its own: the discriminator is frozen meanwhile
        weights = {
            name: weight.detach().requires_grad_()
            for name, weight in self.discriminator.named_parameters()
        }
        for _ in range(self.steps):
            loss = self._loss_with(weights, batch[0], fake)
            gradients = torch.autograd.grad(loss, [*weights.values()], create_graph=True)
            weights = {
                name: weight - self.step_size * gradient
                for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
            }
        return {"adversarial": -self._loss_with(weights, batch[0], fake)}

    def _loss_with(self, weights: Mapping[str, Tensor], real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss, had it these weights."""
        logits: Tensor = functional_call(
            self.discriminator, dict(weights), (torch.cat([real, fake]),)
        )
        return self.loss.discriminator(*logits.chunk(2))
