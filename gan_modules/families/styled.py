"""The family of GANs whose generator maps a latent to a style, and styles to an image."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from gan_modules.errors import require
from gan_modules.families.noise import NoiseGAN
from gan_modules.families.sampling import TOGETHER
from gan_modules.families.spaces import ExtendedStyleSpace, LatentSpace, StyleSpace
from gan_modules.networks.layers.styled import StyledGenerator
from gan_modules.training.batches import Batch

__all__ = ["StyledGAN"]


class StyledGAN(NoiseGAN):
    """A GAN with styles: fakes with styles of two latents, samples near the mean style.

    Args:
        mixing: share of fakes that have styles of two latents.
        w_decay: of the mean style, per update in which fakes are made.
        **kwargs: options of :class:`NoiseGAN`; ``generator`` must be a :class:`StyledGenerator`.

    Raises:
        ValueError: if an option is out of its range or the networks do not fit the images.
    """

    generator: StyledGenerator

    spaces: ClassVar = (LatentSpace, StyleSpace, ExtendedStyleSpace)

    def __init__(self, *, mixing: float = 0.9, w_decay: float = 0.995, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(0 <= mixing <= 1, "mixing", mixing, "in [0, 1]")
        require(0 <= w_decay < 1, "w_decay", w_decay, "in [0, 1)")
        self.mixing, self.w_decay = mixing, w_decay

    def build_networks(self) -> None:
        """Refuse a generator without styles."""
        super().build_networks()
        right = "a StyledGenerator, such as StyleGAN2Generator: latent to style, styles to image"
        kind = type(self.generator).__name__
        require(isinstance(self.generator, StyledGenerator), "generator", kind, right)

    def draw(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Latents and fakes, of which a share has styles of further latents, too."""
        images, labels = batch
        z = self.sample_noise(len(images))
        w = self.generator.mapping(z, *self.condition(labels))
        if self.training:
            self.generator.follow(w, self.w_decay)
        return z, self.generator.synthesis(self.mixed(w, labels))

    def mixed(self, w: Tensor, labels: Tensor | None) -> Tensor:
        """Styles of all layers ``(N, layers, style_dim)``, in training some of two latents.

        From a layer on that is drawn for every image, the first excepted, the style is another's.
        """
        layers = self.generator.num_layers
        ws = w[:, None].expand(-1, layers, -1)
        if not (self.training and self.mixing and layers > 1):
            return ws
        other = self.generator.mapping(self.sample_noise(len(w)), *self.condition(labels))
        drawn = torch.rand(len(w), 2, device=w.device)
        start = 1 + (drawn[:, :1] * (layers - 1)).long()
        own = torch.arange(layers, device=w.device) < start  # (N, layers)
        own = own | (drawn[:, 1:] >= self.mixing)
        return torch.where(own[..., None], ws, other[:, None])

    def to_average(self) -> list[Tensor]:
        """The mean style, too: each rank has latents of its own."""
        return [*super().to_average(), self.generator.w_avg]

    # ---- samples -------------------------------------------------------------------------------

    @torch.no_grad()
    def styles(self, z: Tensor, labels: Tensor | None = None, psi: float = 1.0) -> Tensor:
        """Styles ``(N, style_dim)`` of latents by the averaged generator, drawn in by ``psi``.

        Raises:
            ValueError: if ``psi`` is not in [-1, 1].
        """
        require(-1 <= psi <= 1, "psi", psi, "in [-1, 1]")
        generator = self._sampler()
        with self.evaluating():
            return generator.truncate(generator.mapping(z, *self.condition(labels)), psi)

    @torch.no_grad()
    def images_of_styles(self, ws: Tensor) -> Tensor:
        """Images of styles ``(N, style_dim)``, or ``(N, layers, style_dim)``, one per layer."""
        return torch.cat([self.synthesised(part) for part in ws.split(TOGETHER)])

    def synthesised(self, ws: Tensor) -> Tensor:
        """As :meth:`images_of_styles`, all at once, with a graph if wanted."""
        generator = self._sampler()
        if ws.ndim == 2:
            ws = ws[:, None].expand(-1, generator.num_layers, -1)
        with self.evaluating():
            images: Tensor = generator.synthesis(ws)
        return images

    def _sampler(self) -> StyledGenerator:
        generator = self.sampler
        assert isinstance(generator, StyledGenerator)
        return generator

    def sample(
        self,
        n: int,
        labels: Tensor | Sequence[int | str] | None = None,
        seed: int | None = None,
        truncation: float | None = None,
        psi: float = 1.0,
    ) -> Tensor:
        """As :meth:`Sampling.sample`, with styles drawn in towards their mean.

        Args:
            n: number of images.
            labels: ``n`` classes, for a conditional model.
            seed: fixes the latents.
            truncation: of the latents, which the mapping network normalises.
            psi: how much of their distance from the mean style styles keep: 1 for all, 0 for the
                image of the mean style. The paper's figures have 0.5 or so.

        Returns:
            Float images in [-1, 1], shape ``(n, C, H, W)``, on the model's device.

        Raises:
            ValueError: if an option is out of its range, or labels as in :meth:`Sampling.sample`.
        """
        z = self.latents(n, seed, truncation)
        return self.images_of_styles(self.styles(z, self.sample_labels(n, labels), psi))

    def images_truncated(self, z: Tensor, labels: Tensor | None, threshold: float) -> Tensor:
        """Images of latents, whose styles are drawn in towards their mean by ``threshold``, psi."""
        return self.images_of_styles(self.styles(z, labels, threshold))

    def check_threshold(self, threshold: float) -> None:
        """Raise ``ValueError`` for a ``psi`` outside [-1, 1]."""
        require(-1 <= threshold <= 1, "truncation", threshold, "psi, in [-1, 1]")

    @property
    def least_truncation(self) -> float:
        """Where styles are left as they are."""
        return 1.0

    def mix(
        self,
        rows: int,
        columns: int,
        seed: int | None = None,
        first: int = 0,
        last: int | None = None,
        psi: float = 1.0,
    ) -> Tensor:
        """Images of one latent each, with some layers' styles of another (arXiv:1812.04948).

        Args:
            rows: latents whose styles are replaced.
            columns: latents whose styles are put in.
            seed: fixes the latents.
            first: first layer that is replaced.
            last: where to stop; by default half of the layers.
            psi: see :meth:`sample`.

        Returns:
            Float images in [-1, 1], shape ``(1 + rows, 1 + columns, C, H, W)``: in the first row
            and the first column the latents' own, at their corner the mean style's.

        Raises:
            ValueError: if an option is out of its range.
        """
        layers = self.generator.num_layers
        last = (layers + 1) // 2 if last is None else last
        for name, number in (("rows", rows), ("columns", columns)):
            require(number >= 1, name, number, "at least 1")
        require(
            0 <= first < last <= layers, "first", first, f"below last={last}, of {layers} layers"
        )
        n = rows + columns
        labels = self.sample_labels(n)
        w = self.styles(self.latents(n, seed), labels, psi)
        mean = self._sampler().w_avg[None].to(w)
        down, across = (torch.cat([mean, part]) for part in w.split([rows, columns]))
        ws = down[:, None, None].expand(-1, len(across), layers, -1).clone()
        ws[:, 1:, first:last] = across[None, 1:, None]
        # what is at the top are the others themselves
        ws[0, 1:] = across[1:, None]
        grid: Tensor = self.images_of_styles(ws.flatten(0, 1)).unflatten(0, (1 + rows, -1))
        return grid
