"""The order of the training images follows the run's seed, and a resumed run keeps it."""

from typing import Any

import pytest
import torch
from lightning import seed_everything
from recorder import Recorder
from torch import Tensor
from torch.testing import assert_close

from datamodules import ImageDataModule


class Numbers(ImageDataModule):
    """40 images whose classes are their numbers."""

    channels, num_classes = 1, 40

    def load(self, split: str) -> tuple[Tensor, Tensor]:
        return torch.zeros(40, 1, 4, 4, dtype=torch.uint8), torch.arange(40)


class Reseeding(Recorder):
    """Seeds torch in validation, as metrics do."""

    def on_validation_start(self) -> None:
        torch.manual_seed(99)


@pytest.fixture
def met(make_trainer: Any) -> Any:
    """Train for some iterations of 10 images, 4 of them an epoch; the numbers that were met."""

    def met(
        run: int, steps: int = 6, seed: int | None = None, saved: str | None = None, **kwargs: Any
    ) -> list[list[int]]:
        seed_everything(run, verbose=False)
        model = Reseeding()
        trainer = make_trainer(max_steps=steps, limit_val_batches=1, num_sanity_val_steps=1)
        data = Numbers(image_size=4, batch_size=10, seed=seed)
        trainer.fit(model, data, weights_only=True, **kwargs)
        if saved is not None:
            trainer.save_checkpoint(saved)
        return [labels.tolist() for _, labels in model.batches]

    return met


def test_the_order_is_the_runs(met: Any) -> None:
    first = met(1)
    assert first == met(1)
    assert first != met(2)
    # what a run of this seed meets is what a data module of this seed gives
    assert first == met(2, seed=1)
    assert met(1, seed=5) == met(2, seed=5)


def test_a_data_module_follows_each_run_that_it_serves(make_trainer: Any) -> None:
    data, orders = Numbers(image_size=4, batch_size=40), []
    for run in (1, 2, 1):
        seed_everything(run, verbose=False)
        model = Recorder()
        trainer = make_trainer(max_steps=1)
        trainer.fit(model, data)
        orders.append(model.batches[0][1].tolist())
    assert orders[0] == orders[2] != orders[1]
    # a run that goes on keeps its own
    torch.manual_seed(8)
    trainer.fit_loop.epoch_loop.max_steps = 2
    trainer.fit(model, data)
    assert data.order_seed == 1


@pytest.mark.parametrize("seed", [None, 5])
def test_a_resumed_run_keeps_its_order(seed: int | None, met: Any) -> None:
    whole = met(1, seed=seed)
    first = met(1, 3, seed, "now.ckpt")
    assert torch.load("now.ckpt", weights_only=True)["Numbers"] == {"seed": seed or 1}
    # without the seed
    assert first + met(2, ckpt_path="now.ckpt") == whole
    # a seed that is given is not the checkpoint's
    assert met(2, seed=6, ckpt_path="now.ckpt") == met(3, seed=6)[3:]


def test_checkpoints_without_the_seed_of_the_order_load(met: Any) -> None:
    met(1, 3, 0, "now.ckpt")
    checkpoint = torch.load("now.ckpt", weights_only=True)
    del checkpoint["Numbers"]
    torch.save(checkpoint, "old.ckpt")
    assert met(2, seed=0, ckpt_path="old.ckpt") == met(0)[3:]
    assert met(2, ckpt_path="old.ckpt") == met(2)[3:]


def test_all_ranks_have_the_seed_of_the_first(
    make_trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, model = make_trainer(max_steps=1), Recorder()
    monkeypatch.setattr(trainer.strategy, "broadcast", lambda value: 7)
    trainer.fit(model, Numbers(image_size=4, batch_size=40))
    data = Numbers(image_size=4, batch_size=40, seed=7)
    data.setup("fit")
    assert_close(model.batches[0][1], next(iter(data.train_dataloader()))[1])
