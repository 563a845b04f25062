"""StyleGAN2: Analyzing and Improving the Image Quality of StyleGAN (2020, arXiv:1912.04958)."""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from gan_modules.errors import require
from gan_modules.families.styled import StyledGAN
from gan_modules.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from gan_modules.objectives.losses import adversarial_loss
from gan_modules.objectives.regularizers import R1, Regularizer
from gan_modules.training.batches import Batch
from gan_modules.training.players import OptimizerFactory

__all__ = ["PathLength", "StyleGAN2", "with_lazy_steps"]


def stylegan2_adam(parameters: Iterable[nn.Parameter]) -> Adam:
    """Adam with learning rate 2e-3 and betas (0, 0.99), the paper's."""
    return Adam(parameters, lr=2e-3, betas=(0.0, 0.99), fused=True)


def with_lazy_steps(
    parameters: Iterable[nn.Parameter], factory: OptimizerFactory, every: int
) -> Optimizer:
    """An optimizer that takes one step more in every so many, and goes as far as without it.

    Appendix B of the paper: with ``c = every / (every + 1)`` the learning rate is multiplied by c,
    and Adam's betas are raised to its power. Other optimizers than those with ``betas`` keep what
    they have of the kind.

    Args:
        parameters: what is optimised.
        factory: builds the optimizer, with its rates as if there were no further steps.
        every: steps between two further ones.
    """
    c = every / (every + 1)
    optimizer = factory(parameters)
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * c
        if "betas" in group:
            group["betas"] = tuple(beta**c for beta in group["betas"])
    return optimizer


class PathLength(Regularizer):
    """``E[(||J_w^T y||_2 - a)^2]``: a step in W changes the image by a fixed amount.

    Section 3.2 of the paper: y is a normal image divided by the root of its number of pixels, the
    norm is the root of the mean over layers, and a follows the mean of the norms, from 0. It is
    taken of the first half of the latents seen, in float32. The norms of one update are compared
    with a as it was before it, so that several processes do what one does; with an accumulated
    gradient a moves after each piece.

    Args:
        weight: 2 in the official code, with which the term has the paper's weight.
        every: iterations from one that is due to the next.
        decay: how much of the way to the mean of an update's norms a moves.

    Raises:
        ValueError: if an option is out of its range.
    """

    player = "generator"
    name = "path_length"
    needs: ClassVar = ("z",)

    mean: Tensor

    def __init__(self, weight: float = 2.0, every: int = 4, decay: float = 0.01) -> None:
        super().__init__(weight, every)
        require(0 < decay <= 1, "path_decay", decay, "in (0, 1]")
        self.decay = decay
        self.register_buffer("mean", torch.zeros(()))

    def to_average(self) -> Sequence[Tensor]:
        """What a is on every rank."""
        return (self.mean,)

    def forward(self, model: Any, seen: Any) -> Tensor:
        """The unweighted value."""
        n = max(1, len(seen.z) // 2)
        labels = None if seen.labels is None else seen.labels[:n]
        with torch.autocast(seen.z.device.type, enabled=False):
            w = model.generator.mapping(seen.z[:n], *model.condition(labels))
            ws = model.mixed(w, labels)
            norms = path_lengths(model.generator.synthesis, ws)
            value = (norms - self.mean).square().mean()
        self.mean.lerp_(norms.detach().mean().to(self.mean.dtype), self.decay)
        return value


def path_lengths(synthesis: nn.Module, ws: Tensor) -> Tensor:
    """``||J_w^T y||_2`` for one random y each, shape ``(N,)``, with graph.

    Args:
        synthesis: maps styles to images.
        ws: styles ``(N, layers, style_dim)`` with a graph.
    """
    images = synthesis(ws)
    y = torch.randn_like(images) / math.sqrt(images[0, 0].numel())
    (gradients,) = torch.autograd.grad((images * y).sum(), ws, create_graph=True)
    lengths: Tensor = gradients.square().sum(2).mean(1).sqrt()
    return lengths


class StyleGAN2(StyledGAN):
    """A mapping network turns the latent into a style, which modulates every convolution.

    The logistic non-saturating loss; R1 at real images; path length regularisation; style mixing,
    with which layers learn to stand for themselves. With :class:`AdaptiveAugment` as
    ``augmentation`` it is StyleGAN2-ADA (arXiv:2006.06676). Samples are drawn in towards the mean
    style by :meth:`sample` with ``psi``.

    As in appendix B, a term that is taken every k iterations, k > 1, is minimised k times heavier
    by a step of its own, after the player's other step. For these steps the rate and the betas of
    an optimizer, the paper's or one given, are corrected by :func:`with_lazy_steps`: they are
    stated as if there were no such steps.

    Deviations: the discriminator's turn comes before the generator's. The crossover of style mixing
    is each image's own. The half-life of the average is ``ema_decay``'s, 10,000 images in batches
    of 32, or is given as ``ema_half_life``.

    Args:
        latent_dim: size of the latent vector.
        gamma: weight of R1, halved as in the paper, 10 there for 1024 pixels; 0 for none.
            StyleGAN2-ADA sets 0.0002 times the number of pixels, divided by the batch size.
        gamma_every: iterations from one update with R1 to the next.
        path_weight: of path length regularisation, see :class:`PathLength`; 0 for none.
        path_every: iterations from one update with it to the next.
        path_decay: of its mean.
        ema_decay: of the averaged generator.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the discriminator's parameters.
        **kwargs: options of :class:`StyledGAN`: ``mixing``, ``w_decay`` and those of all GANs.

    Raises:
        ValueError: if an option is out of its range or the networks do not fit the images.
    """

    def __init__(
        self,
        *,
        latent_dim: int = 512,
        gamma: float = 10.0,
        gamma_every: int = 16,
        path_weight: float = 2.0,
        path_every: int = 4,
        path_decay: float = 0.01,
        ema_decay: float = 0.5 ** (32 / 10_000),
        generator_optimizer: OptimizerFactory = stylegan2_adam,
        discriminator_optimizer: OptimizerFactory = stylegan2_adam,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            latent_dim=latent_dim,
            ema_decay=ema_decay,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            **kwargs,
        )
        for name, weight in (("gamma", gamma), ("path_weight", path_weight)):
            require(0 <= weight < math.inf, name, weight, "at least 0 and finite")
        for name, every in (("gamma_every", gamma_every), ("path_every", path_every)):
            require(every >= 1, name, every, "at least 1")
        self.loss = adversarial_loss("non_saturating")
        own: list[Regularizer] = [R1(gamma, gamma_every)] if gamma else []
        if path_weight:
            own.append(PathLength(path_weight, path_every, path_decay))
        for term in own:
            if term.every > 1:
                self._take_apart(term)
        self.regularizers = nn.ModuleList([*own, *self.regularizers])

    def _take_apart(self, term: Regularizer) -> None:
        """Give a lazy term steps of its own, and correct the rates of all."""
        term.own_step = True
        options = self._options[term.player]
        corrected = partial(with_lazy_steps, factory=options.optimizer, every=term.every)
        self._options[term.player] = options._replace(optimizer=corrected)

    def build_generator(self) -> nn.Module:
        """Configuration F: 32768 / size channels, 512 at most."""
        return StyleGAN2Generator(self.image_shape, self.latent_dim, self.num_classes)

    def build_discriminator(self) -> nn.Module:
        """Residual, of the same widths."""
        return StyleGAN2Discriminator(self.image_shape, self.num_classes)

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[softplus(-D(x))] + E[softplus(D(G(z)))]``, to which R1 is added."""
        logits = self.discriminate_both(batch[0], self.generate(batch), batch[1])
        return {"adversarial": self.loss.discriminator(*logits)}

    def generator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """``E[softplus(-D(G(z)))]``, to which path length regularisation is added."""
        return {"adversarial": self.loss.generator(*self.generator_logits(self.loss, batch))}
