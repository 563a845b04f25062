"""What of Lightning's trainer does not go with players that take turns."""

from collections.abc import Iterable

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import (
    Callback,
    GradientAccumulationScheduler,
    LearningRateFinder,
)
from lightning.pytorch.strategies import (
    DeepSpeedStrategy,
    FSDPStrategy,
    ModelParallelStrategy,
    Strategy,
)

__all__ = ["check_any_batch", "check_strategy", "check_trainer"]


def check_trainer(trainer: Trainer, players: Iterable[str]) -> None:
    """Refuse options that know one optimizer or one loss only.

    Args:
        trainer: that is about to be used.
        players: of the model.

    Raises:
        ValueError: in one line that says what to use instead.
    """
    check_strategy(trainer.strategy)
    for name, neutral in (("gradient_clip_val", None), ("accumulate_grad_batches", 1)):
        value = getattr(trainer, name)
        if value != neutral:
            raise ValueError(
                f"{name}={value} of the trainer knows one optimizer, each player has its own: set "
                f"the model's {_options(players, name)}"
            )
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, GradientAccumulationScheduler):
            raise ValueError(
                "GradientAccumulationScheduler knows one optimizer, each player has its own: set "
                f"the model's {_options(players, 'accumulate_grad_batches')}"
            )
        if isinstance(callback, LearningRateFinder):
            raise ValueError(
                "LearningRateFinder takes the rate at which one loss falls fastest, which says "
                "nothing of players that take turns: try rates of "
                f"{_options(players, 'optimizer')} by a metric of the samples"
            )


def _options(players: Iterable[str], name: str) -> str:
    return " and ".join(f"{player}_{name}" for player in players)


def check_strategy(strategy: Strategy) -> None:
    """Refuse strategies that shard networks or take over the optimizers.

    Every process keeps both networks whole, and the gradients of the one that is stepped are
    averaged over processes: what shards them, or knows one optimizer only, would train something
    else.

    Raises:
        ValueError: if the strategy is one of these, or DDP with ``static_graph``.
    """
    name = type(strategy).__name__
    if isinstance(strategy, (FSDPStrategy, ModelParallelStrategy, DeepSpeedStrategy)):
        raise ValueError(
            f"strategy={name} shards networks or takes over optimizers, which does not go with two "
            "players that take turns: use strategy=ddp, under which each process holds both whole"
        )
    # each player's backward pass has a graph of its own
    if getattr(strategy, "_ddp_kwargs", {}).get("static_graph"):
        raise ValueError(f"strategy={name} must be without static_graph: two players have two")


def check_any_batch(trainer: Trainer) -> None:
    """Raise ``ValueError`` if there was nothing to train on, over which Lightning passes."""
    if trainer.num_training_batches == 0 and trainer.limit_train_batches != 0:
        raise ValueError(
            "the DataLoader gives no batches: its data set is empty, or smaller than "
            "batch_size with drop_last=True"
        )
