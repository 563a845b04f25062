"""Which of Lightning's strategies can train two networks in turn."""

from lightning.pytorch.strategies import (
    DeepSpeedStrategy,
    FSDPStrategy,
    ModelParallelStrategy,
    Strategy,
)

__all__ = ["check_strategy"]


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
