"""Who has to be told about every single update."""

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy

__all__ = ["listeners", "overrides", "updates_are_plain"]

BACKWARD = ("on_before_backward", "on_after_backward")
STEP = "on_before_optimizer_step"


def listeners(trainer: Trainer, model: LightningModule) -> list[str]:
    """Methods of callbacks that take part in single updates, and of the model in going backward."""
    asked: list[tuple[object, type, str]] = [
        *((model, LightningModule, hook) for hook in (*BACKWARD, "backward"))
    ]
    asked += [
        (callback, Callback, hook)
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        for hook in (*BACKWARD, STEP)
    ]
    heard = [(one, hook) for one, base, hook in asked if overrides(one, base, hook)]
    return [f"{type(one).__name__}.{hook}" for one, hook in heard]


def updates_are_plain(trainer: Trainer, model: LightningModule) -> bool:
    """Whether all that Lightning adds to ``loss.backward()`` and ``optimizer.step()`` is nothing.

    It is if there is one device and full precision, and no callback, profiler or override takes
    part. Asking them all costs 0.1 ms and more per update, which is seen where networks are small.
    """
    return (
        type(trainer.strategy) is SingleDeviceStrategy
        and type(trainer.precision_plugin) is Precision
        and isinstance(trainer.profiler, PassThroughProfiler)  # type: ignore[attr-defined]
        and not listeners(trainer, model)
    )


def overrides(one: object, base: type, hook: str) -> bool:
    """Whether an object has another method of that name than its base class."""
    # an attribute of the instance counts, too: so does LambdaCallback
    return getattr(getattr(one, hook), "__func__", None) is not getattr(base, hook)
