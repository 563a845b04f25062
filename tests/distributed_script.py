"""Train every variant on as many processes as asked: ``python distributed_script.py devices=2``.

Each process leaves what it ends with in ``<rank>.pt``. Lightning starts the other processes.
"""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, TensorDataset
from variants import (
    LATENT_MODELS,
    MODELS,
    critics,
    for_each_player,
    mlp_generator,
    pools,
    small,
    translates,
)

from datamodules import (
    DigitsDataModule,
    ImageDataModule,
    UnpairedDataModule,
    UnpairedDigitsDataModule,
)
from gan_modules import (
    GAN,
    R1,
    R2,
    AdaptiveAugment,
    Consistency,
    CycleGAN,
    GradientPenalty,
    LatentConsistency,
    LatentDiversity,
    LeCam,
    Orthogonal,
    RandomShift,
)
from gan_modules.callbacks import SampleGrid, StepCheckpoint
from gan_modules.networks import MLPGenerator


def normalised(variant: Any) -> dict[str, Any]:
    """A generator with running statistics."""
    return {"generator": mlp_generator(variant, hidden=(16,), batch_norm=True)}


FILLED_BY = {"rand": "uniform_", "rand_like": "uniform_"}
FILLED_BY |= {"randn": "normal_", "randn_like": "normal_"}
FILLED_BY |= {name: name for name in ("normal_", "uniform_", "bernoulli_", "random_")}
FILLED_BY["randint"] = "random_"


class Draws(TorchFunctionMode):
    """Notes every draw of random numbers; a shared one is this rank's part of a larger draw.

    What one process would draw for the whole batch is drawn alike on every rank, which takes the
    rows of its own images.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.rank, self.ranks = model.global_rank, model.trainer.world_size
        self.generator = torch.Generator().manual_seed(model.global_step)
        self.shared = model.shared_noise
        self.drawn: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        own = func(*args, **kwargs or {})
        fill = FILLED_BY.get(getattr(func, "__name__", ""))
        if fill is not None:
            if self.shared:
                limits = args[1:] if fill == func.__name__ else ()
                if func.__name__ == "randint":
                    limits = (0, args[0])
                whole = own.new_empty(len(own) * self.ranks, *own.shape[1:])
                getattr(whole, fill)(*limits, generator=self.generator)
                own.copy_(whole[self.rank :: self.ranks])
            self.drawn.append(own.clone())
        return own


class NotingDraws:
    """Trains under :class:`Draws`."""

    def training_step(self, batch: Any, batch_idx: int) -> None:
        with Draws(self) as draws:
            super().training_step(batch, batch_idx)  # type: ignore[misc]
        self.draws = draws.drawn


class NotingBrightness:
    """Its last player has a term that is a plain mean over the real images."""

    def terms_of(self, player: str, batch: Any) -> dict[str, Tensor]:
        terms = super().terms_of(player, batch)  # type: ignore[misc]
        brightness = {"brightness": batch[0].mean()} if player == [*self.players][-1] else {}
        return {**terms, **brightness}


def build(variant: Any, mixin: Any, channels: int, **options: Any) -> Any:
    # every process starts from other weights, as without seed_everything: rank 0's are to count
    torch.manual_seed(int(os.environ.get("LOCAL_RANK", 0)) + int(os.environ.get("NODE_RANK", 0)))
    cls = type(f"Shared{variant.__name__}", (mixin, variant), {})
    return small(cls, image_shape=(channels, 16, 16), **options)


def make_trainer(**options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


# ---- what one process does -------------------------------------------------------------------


def fit(
    variant: Any,
    steps: int,
    shared_noise: bool,
    precision: str,
    optimizer: Any = None,
    ckpt_path: str | None = None,
    batch_norm: bool = False,
    save_at: int | None = None,
    gates: Any = None,
    **processes: int,
) -> tuple[Trainer, dict[str, Any]]:
    options: dict[str, Any] = critics(variant, 2)
    if translates(variant):
        # a pool that is not full yet takes all fakes and gives them back
        options |= pools(variant, 1000 if shared_noise else 5)
    if optimizer is not None:
        options |= for_each_player(variant, "optimizer", optimizer)
    options |= gates or {}
    if batch_norm and not translates(variant):
        # whose running statistics each process would have of its own
        options |= normalised(variant)
    model = build(variant, NotingDraws, 3 if translates(variant) else 1, **options)
    model.shared_noise = shared_noise
    start = [weight.detach().clone() for weight in model.generator.parameters()]
    trainer = make_trainer(
        max_steps=steps,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=save_at is not None,
        callbacks=[StepCheckpoint(save_at, dirpath=f"half_{variant.__name__}")] if save_at else [],
        precision=precision,
        **processes,
    )
    data = UnpairedDigitsDataModule if translates(variant) else DigitsDataModule
    # an iteration takes as many images, whoever plays
    size = 32 // model.parts_per_iteration // trainer.world_size
    trainer.fit(model, data(batch_size=size), ckpt_path=ckpt_path)
    moved = [
        (weight.detach() - old).abs().max().item()
        for weight, old in zip(model.generator.parameters(), start, strict=True)
    ]
    return trainer, {
        "state": model.state_dict(),
        "pools": {name: pool.state_dict() for name, pool in getattr(model, "pools", {}).items()},
        "draws": model.draws,
        "metrics": dict(trainer.callback_metrics),
        "moved": max(moved),
    }


def equivalence(variant: Any, **processes: int) -> dict[str, Any]:
    """Six steps with shared noise; with several processes six of their own, too, and resumed."""
    # the papers' optimizers divide by the size of a gradient, also where it is rounding alone:
    # to tell them from errors takes many digits
    trainer, result = fit(variant, 6, True, "64-true", **processes)
    results = {"float64": result}
    if variant in LATENT_MODELS:
        # instance normalisation of few pixels makes much of the last digits, too
        sgd = partial(torch.optim.SGD, lr=0.01)
        results["float32"] = fit(variant, 6, True, "32-true", sgd, **processes)[1]
    if trainer.world_size > 1:
        own = {"batch_norm": True, **processes}
        results["own"] = fit(variant, 6, False, "32-true", save_at=3, **own)[1]
        path = f"half_{variant.__name__}/step_000003.ckpt"
        results["resumed"] = fit(variant, 6, False, "32-true", ckpt_path=path, **own)[1]
    return results


def adaptive(**processes: int) -> dict[str, Any]:
    """Six steps under augmentation whose strength follows the images of all ranks."""
    augmentation = AdaptiveAugment(p=0.5, target=0.0, speed=1000, every=2)
    return fit(GAN, 6, True, "64-true", gates={"augmentation": augmentation}, **processes)[1]


def regularized(**processes: int) -> dict[str, Any]:
    """Six steps under every regulariser, one of which follows the logits of all ranks."""
    shift = RandomShift(1, flip=True)
    regularizers = [
        R1(), R2(every=2), GradientPenalty(), LeCam(decay=0.5), Consistency(augmentation=shift),
        LatentConsistency(), LatentDiversity(), Orthogonal(weight=0.1),
    ]  # fmt: skip
    return fit(GAN, 6, True, "64-true", gates={"regularizers": regularizers}, **processes)[1]


# ---- gradients that some ranks lack ----------------------------------------------------------


class Lopsided(GAN):
    """Of two more weights of its generator one moves the loss of rank 0 alone, one nobody's."""

    def generator_losses(self, batch: Any) -> dict[str, Tensor]:
        some = 3 * self.generator.some.sum() if self.global_rank == 0 else torch.zeros(())
        return {**super().generator_losses(batch), "some": some}


class Gradients(Callback):
    """Keeps those of the generator's further weights, as its optimizer gets them."""

    def on_before_optimizer_step(self, trainer: Any, model: Any, optimizer: Any) -> None:
        if any(model.generator.some is p for p in optimizer.param_groups[0]["params"]):
            self.found = {name: getattr(model.generator, name).grad for name in ("some", "never")}
            self.found = {k: None if g is None else g.clone() for k, g in self.found.items()}


def lopsided(**processes: int) -> dict[str, Any]:
    generator = MLPGenerator((1, 16, 16), 16, hidden=(16,))
    for name in ("some", "never"):
        generator.register_parameter(name, torch.nn.Parameter(torch.ones(2)))
    sgd = partial(torch.optim.SGD, lr=0.1)
    model = small(
        Lopsided, image_shape=(1, 16, 16), generator=generator,
        **for_each_player(Lopsided, "optimizer", sgd),
    )  # fmt: skip
    gradients = Gradients()
    trainer = make_trainer(
        max_steps=1, limit_val_batches=0, logger=False, enable_checkpointing=False,
        callbacks=[gradients], **processes,
    )  # fmt: skip
    trainer.fit(model, DigitsDataModule(batch_size=4))
    weights = {name: getattr(generator, name).detach() for name in ("some", "never")}
    return {"gradients": gradients.found, "weights": weights}


# ---- ranks with unequal numbers of images ----------------------------------------------------


def few(n: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (16, 1, 16, 16), generator=generator, dtype=torch.uint8)
    return images[:n], torch.arange(n) % 10


class Few(ImageDataModule):
    """Sixteen images to train on, nine to validate on."""

    channels, num_classes = 1, 10

    def load(self, split: Any) -> tuple[Tensor, Tensor]:
        return few(16 if split == "train" else 9, 0)


class FewPairs(UnpairedDataModule):
    """The same and, as the second domain, fewer."""

    channels = 1

    def load(self, split: Any) -> Any:
        return few(16 if split == "train" else 9, 0), few(16 if split == "train" else 7, 1)


def loader(n: int, pairs: bool) -> DataLoader[Any]:
    """What a user who knows nothing of this package's data modules writes."""
    first, labels = few(n, 0)
    second = few(n, 1)[0] / 127.5 - 1 if pairs else labels
    return DataLoader(TensorDataset(first / 127.5 - 1, second), batch_size=4)


def uneven(variant: Any, loaders: bool, n: int, **processes: int) -> dict[str, Tensor]:
    """Two steps, each followed by validation, with everything that a run writes."""
    pairs = translates(variant)
    # running statistics are what ranks could wait for each other over
    options = {**critics(variant, 2), **({} if pairs else normalised(variant))}
    model = build(variant, NotingBrightness, 1, **options)
    folder = Path(f"{variant.__name__}_{'loaders' if loaders else 'module'}_{n}")
    callbacks: list[Callback] = [
        SampleGrid(every_n_steps=1, n=6, dirpath=str(folder / "samples")),
        StepCheckpoint(every_n_train_steps=1, dirpath=str(folder / "checkpoints")),
    ]
    trainer = make_trainer(
        max_steps=2,
        check_val_every_n_epoch=None,
        val_check_interval=1,
        callbacks=callbacks,
        logger=CSVLogger(folder, name="", version="log"),
        **processes,
    )
    if loaders:
        trainer.fit(model, loader(16, pairs), loader(n, pairs))
    else:
        trainer.fit(model, (FewPairs if pairs else Few)(image_size=16, batch_size=4))
    return dict(trainer.callback_metrics)


if __name__ == "__main__":
    torch.set_num_threads(1)
    processes = {name: int(value) for name, value in (o.split("=") for o in sys.argv[1:])}
    results = {variant.__name__: equivalence(variant, **processes) for variant in MODELS}
    results["adaptive"] = adaptive(**processes)
    results["regularized"] = regularized(**processes)
    if processes["devices"] > 1:
        results["lopsided"] = lopsided(**processes)
        # on two ranks of 9 images: 4 + 1 and 4; of 10 images: 4 + 1 each
        for variant in MODELS:
            result = results[variant.__name__]
            result["module, 9"] = uneven(variant, False, 9, **processes)
            if variant in (GAN, CycleGAN):
                result["loaders, 9"] = uneven(variant, True, 9, **processes)
                result["loaders, 10"] = uneven(variant, True, 10, **processes)
    rank = int(os.environ.get("LOCAL_RANK", 0)) + int(os.environ.get("NODE_RANK", 0))
    torch.save(results, f"{rank}.pt")
