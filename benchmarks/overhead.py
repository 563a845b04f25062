"""What Lightning costs per iteration, and what we add to it.

    OMP_NUM_THREADS=1 python benchmarks/overhead.py

The MLP GAN of ``throughput.py`` is trained in two ways, one after the other in one process. Printed
are CPU milliseconds per iteration within ``training_step`` and outside of it, medians:

bare    a ``Trainer`` without callbacks, logger, progress bar or counted optimizer, whose
        ``training_step`` is one iteration of the best hand-written loop
ours    the command line as ``throughput.py`` has it

and what loading a batch and converting it takes, which is part of both.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import throughput_best as best
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from throughput import SIZE, fit
from throughput_cases import CASES, NoiseImages

from gan_modules.command_line.memory import keep_freed_memory
from gan_modules.networks import MLPDiscriminator, MLPGenerator

__all__ = ["main"]

CASE = CASES["mlp_gan"]


class Clock:
    """CPU seconds within each ``training_step`` and from one to the next."""

    def __init__(self) -> None:
        self.within: list[float] = []
        self.outside: list[float] = []
        self.ended = 0.0

    def time(self, module: LightningModule) -> None:
        """Replace the module's ``training_step`` by one that is timed."""
        step = module.training_step

        def timed(*args: Any) -> Any:
            start = time.process_time()
            if self.ended:
                self.outside.append(start - self.ended)
            output = step(*args)
            self.ended = time.process_time()
            self.within.append(self.ended - start)
            return output

        module.training_step = timed  # type: ignore[method-assign]

    def medians(self) -> tuple[float, float]:
        """Milliseconds within and outside."""
        return 1e3 * statistics.median(self.within), 1e3 * statistics.median(self.outside)


class Timed(Callback):
    """Has the module of a fit timed."""

    def __init__(self) -> None:
        self.clock = Clock()

    def on_train_start(self, trainer: Any, pl_module: LightningModule) -> None:
        """Begin."""
        self.clock.time(pl_module)


class Bare(LightningModule):
    """The best loop, an iteration per batch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        networks = (
            MLPGenerator(CASE.image_shape, CASE.latent_dim),
            MLPDiscriminator(CASE.image_shape),
        )
        self.generator, self.discriminator = networks
        self.batches: list[Any] = []
        self.iterations = best.LOOPS[CASE.objective](best.Loop(CASE, *networks), self._received())

    def _received(self) -> Iterator[Any]:
        while True:
            yield self.batches.pop()

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """One iteration."""
        self.batches.append(batch)
        next(self.iterations)

    def configure_optimizers(self) -> None:
        """None that Lightning knows of."""


def images() -> NoiseImages:
    """The images of the case, in their final size."""
    channels, side, _ = CASE.image_shape
    return NoiseImages(channels=channels, image_size=side, size=SIZE, batch_size=CASE.batch_size)


def loading(steps: int) -> float:
    """Milliseconds to load and convert a batch."""
    data, seconds = images(), []
    data.setup("fit")
    batches = iter(data.train_dataloader())
    for _ in range(steps):
        start = time.process_time()
        data.on_after_batch_transfer(next(batches), 0)
        seconds.append(time.process_time() - start)
    return 1e3 * statistics.median(seconds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    steps = parser.parse_args(arguments).steps
    torch.set_num_threads(1)
    keep_freed_memory()
    bare, clock = Bare(), Clock()
    clock.time(bare)
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_train_batches=steps, limit_val_batches=0, max_epochs=1,
    )  # fmt: skip
    trainer.fit(bare, images())
    ours = Timed()
    fit(CASE, ours, "32-true", steps, SIZE, "--trainer.accelerator", "cpu")
    print(f"{'ms per iteration':<20}{'training_step':>15}{'outside':>10}")
    for name, each in (("bare Lightning", clock), ("ours", ours.clock)):
        within, outside = each.medians()
        print(f"{name:<20}{within:>15.2f}{outside:>10.2f}")
    print(f"{'loading a batch':<20}{'':>15}{loading(steps):>10.2f}")


if __name__ == "__main__":
    main()
