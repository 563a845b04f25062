"""Does the generator repeat the training images?"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from gan_modules.callbacks.pictures import Picture, rule
from gan_modules.errors import require
from gan_modules.families.noise import NoiseGAN
from gan_modules.training.batches import Batch, as_batch

__all__ = ["NearestNeighbours", "nearest"]


class NearestNeighbours(Picture):
    """Save ``nearest/step_XXXXXX.png``: samples, each followed by the training images most like it.

    One sample per row, leftmost; the nearer its nearest neighbour, the higher the row. A generator
    that repeats its training images shows the same image twice. The search is over all training
    images, as the data set gives them, block by block: memory does not grow with the data.

    Logged beside it, as ``nearest/samples`` and ``nearest/held_out``: the distance to the nearest
    training image, averaged over the samples, and over as many held-out images (where there is
    validation data). It is the root mean square difference of the pixels, or of the features.
    Samples much nearer to the training images than real images that were not trained on are
    memorised.

    Args:
        every_n_steps: generator updates between two pictures; the end of training is always drawn,
            with None it alone: each time, all training images are read.
        n: samples.
        neighbours: training images beside each sample.
        features: network that maps images ``(N, C, H, W)`` in [-1, 1] to what is compared, by
            default the pixels. Distances of pixels miss a copy that is shifted or mirrored.
        block: training images that are compared at a time.
        seed: of the latents.
        width: images are enlarged by a whole factor until the picture has about this many pixels.
        dirpath: folder; by default ``nearest`` in the trainer's ``default_root_dir``. Where it
            exists, ``-v1`` and so on is appended.

    Raises:
        ValueError: if an option is out of its range, the model has no ``sample`` or makes points,
            or the training data cannot be gone through in order.
    """

    name = "nearest"

    def __init__(
        self,
        every_n_steps: int | None = None,
        n: int = 10,
        neighbours: int = 5,
        features: nn.Module | None = None,
        block: int = 256,
        seed: int = 0,
        width: int = 512,
        dirpath: str | None = None,
    ) -> None:
        super().__init__(every_n_steps, n, seed, width, dirpath, neighbours=neighbours, block=block)
        self.neighbours = neighbours
        self.features = nn.Flatten() if features is None else features
        self.block = block

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Settle folder and held-out batch; check that the training images can be searched."""
        super().on_train_start(trainer, pl_module)
        loader: Any = trainer.train_dataloader
        dataset: Any = getattr(loader, "dataset", None)
        if not isinstance(loader, DataLoader) or isinstance(dataset, IterableDataset):
            raise ValueError(
                "NearestNeighbours goes through the training images in order, which needs a "
                "single DataLoader of a data set that can be indexed"
            )
        require(
            self.neighbours <= len(dataset),
            "neighbours",
            self.neighbours,
            f"at most {len(dataset)}, the number of training images",
        )

    def draw(self, model: NoiseGAN, batch: Batch) -> Tensor:
        """Samples and neighbours, shape ``(n, 1 + neighbours, C, H, W)``; logs the distances."""
        samples = model.sample(self.n, seed=self.seed)
        real = batch[0][: self.n].to(samples) if self._held_out else samples[:0]
        self.features.to(samples.device).eval()
        trainer = model.trainer
        images = _training_images(trainer, self.block)
        queries = torch.cat([samples, real])
        distances, found = nearest(queries, images, self.neighbours, self.features)
        means = {"nearest/samples": distances[: self.n, 0].mean().item()}
        if len(real):
            means["nearest/held_out"] = distances[self.n :, 0].mean().item()
        for logger in trainer.loggers:
            logger.log_metrics(means, step=trainer.global_step)
        order = distances[: self.n, 0].argsort()
        return torch.cat([samples[:, None], found[: self.n]], dim=1)[order]

    def grid(self, images: Tensor) -> Tensor:
        """A page with a line between the samples and their neighbours."""
        return rule(super().grid(images), images, 1, [1])


@torch.no_grad()
def nearest(
    queries: Tensor, images: Iterable[Tensor], k: int, features: nn.Module
) -> tuple[Tensor, Tensor]:
    """The images most like each query, found by comparing it with every one.

    Args:
        queries: shape ``(Q, C, H, W)``.
        images: blocks of shape ``(N, C, H, W)``, at least ``k`` images in all.
        k: how many to find.
        features: maps both to what is compared.

    Returns:
        Root mean square differences, shape ``(Q, k)``, from the least, and the images that they
        belong to, shape ``(Q, k, C, H, W)``.

    """
    wanted = features(queries).flatten(1).float()
    distances = wanted.new_empty(len(queries), 0)
    found = queries.new_empty(len(queries), 0, *queries.shape[1:])
    rows = torch.arange(len(queries), device=queries.device)[:, None]
    for block in images:
        images_here = block.to(queries)
        seen = features(images_here).flatten(1).float()
        # not by a matrix product, whose rounding errors would hide the nearest of near ones
        here = torch.cdist(wanted, seen, compute_mode="donot_use_mm_for_euclid_dist")
        here, columns = here.topk(min(k, len(block)), largest=False)
        distances = torch.cat([distances, here], dim=1)
        candidates = torch.cat([found, images_here[columns]], dim=1)
        distances, columns = distances.topk(min(k, distances.shape[1]), largest=False)
        found = candidates[rows, columns]
    return distances / wanted.shape[1] ** 0.5, found


def _training_images(trainer: Trainer, size: int) -> Iterator[Tensor]:
    """Every training image once, block by block, on the model's device."""
    loader: Any = trainer.train_dataloader
    # neither the global random state nor the loader's own place may change
    with torch.random.fork_rng(devices=[]):
        for batch in _in_order(loader, size):
            yield as_batch(trainer.strategy.batch_to_device(batch))[0]


def _in_order(loader: DataLoader[Any], size: int) -> DataLoader[Any]:
    dataset: Any = loader.dataset
    if loader.batch_size is not None or loader.batch_sampler is not None:
        return DataLoader(dataset, size, collate_fn=loader.collate_fn)
    item = next(iter(loader.sampler))
    item = item[0] if isinstance(item, tuple) else item
    if isinstance(item, (Tensor, list)):
        # a data set that is indexed by a batch of indices at once, as those of this project are
        blocks: Any = torch.arange(len(dataset)).split(size)
    else:
        blocks = range(len(dataset))
    return DataLoader(dataset, batch_size=None, sampler=blocks, collate_fn=loader.collate_fn)
