"""The truncation trick: samples near the middle of the latents (Brock et al. 2018, 1809.11096)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gan_modules.errors import require
from gan_modules.families.sampling import Sampling
from gan_modules.networks.layers.blocks import new_statistics
from gan_modules.seeding import derive_seed
from gan_modules.training.batches import as_batch

__all__ = ["Truncating"]


class Truncating(Sampling):
    """A model whose samples can give up variety for, it is hoped, fidelity."""

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Images of a batch of latents ``(N, latent_dim)``, or of a pair of latents and labels.

        A threshold may follow these, for :meth:`images_truncated`.
        """
        z, labels = as_batch(batch)
        threshold = None if isinstance(batch, Tensor) or len(batch) < 3 else batch[2]
        if isinstance(threshold, float):
            return self.images_truncated(z, labels, threshold)
        images: Tensor = self(z, labels)
        return images

    def images_truncated(self, z: Tensor, labels: Tensor | None, threshold: float) -> Tensor:
        """Images of latents ``(N, latent_dim)``, truncated as is usual for the model.

        By default its latents are: none of their components is beyond the threshold.
        """
        return self.images_of(self.latent.truncate(z, threshold), labels)

    @torch.no_grad()
    def truncated(
        self,
        n: int,
        threshold: float,
        labels: Tensor | Sequence[int | str] | None = None,
        seed: int | None = None,
    ) -> Tensor:
        """As :meth:`sample`, of :meth:`images_truncated`."""
        self.check_threshold(threshold)
        z = self.latents(n, seed)
        return self.images_truncated(z, self.sample_labels(n, labels), threshold)

    def check_threshold(self, threshold: float) -> None:
        """Raise ``ValueError`` if :meth:`truncated` cannot have this threshold."""
        self.latents(1, 0, threshold)

    @property
    def least_truncation(self) -> float:
        """Threshold that leaves samples as they are, or, of normal latents, almost all."""
        return 1.0 if self.latent_distribution == "uniform" else 3.0

    @torch.no_grad()
    def standing_statistics(
        self,
        batches: int = 100,
        batch_size: int = 64,
        seed: int | None = None,
        truncation: float | None = None,
    ) -> None:
        """Take new statistics of batch normalisation for sampling (Brock et al. 2018, 1809.11096).

        What is sampled, the averaged generator, makes that many batches of random latents and
        classes; the means over them of each batch's mean and variance take the place of the running
        statistics, which training left for latents that are not truncated. Without averaging these
        are those of the generator in training.

        Args:
            batches: forward passes; the paper's are typically 100.
            batch_size: images in each, at least 2.
            seed: fixes latents and classes, see :meth:`latents`.
            truncation: of the latents, likewise; that of the samples to come.

        Raises:
            ValueError: if an option is out of its range, or the generator has no batch
                normalisation.
        """
        require(batches >= 1, "batches", batches, "at least 1")
        require(batch_size >= 2, "batch_size", batch_size, "at least 2: one image has no spread")
        latents = self.latents(batches * batch_size, seed, truncation).split(batch_size)
        source = torch.initial_seed() if seed is None else seed
        generator = torch.Generator().manual_seed(derive_seed(source, "classes"))
        with self.evaluating(), new_statistics(self.sampler):
            for z in latents:
                classes = torch.randint(max(1, self.num_classes), (len(z),), generator=generator)
                self.sampler(z, *self.condition(classes.to(self.device)))
