"""Strategies that would train something else are refused before anything is built."""

from typing import Any

import pytest
from lightning.pytorch.strategies import (
    DDPStrategy,
    DeepSpeedStrategy,
    FSDPStrategy,
    ModelParallelStrategy,
    SingleDeviceStrategy,
)

from gan_modules import WGANGP
from gan_modules.training.trainer_checks import check_strategy


class Sharding(FSDPStrategy):
    """Lightning lets FSDP itself only near a GPU."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning's launcher writes into it."""
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "0")
        monkeypatch.delenv(name)


@pytest.mark.parametrize("strategy", [Sharding, ModelParallelStrategy])
@pytest.mark.parametrize("command", ["fit", "validate"])
def test_sharding_is_refused(
    strategy: Any, command: str, make_model: Any, make_trainer: Any, make_loader: Any
) -> None:
    called: list[str] = []

    class Own(WGANGP):
        """Overrides every hook that comes before training, and passes none of them on."""

        def setup(self, stage: str) -> None:
            called.append("setup")

        def configure_model(self) -> None:
            called.append("configure_model")

        def configure_callbacks(self) -> Any:
            called.append("configure_callbacks")
            return []

    trainer = make_trainer(strategy=strategy(), devices=1)
    line = f"strategy={strategy.__name__} shards networks .*: use strategy=ddp"
    with pytest.raises(ValueError, match=line):
        getattr(trainer, command)(make_model(Own, n_critic=1), make_loader(2))
    assert called == []


def test_deepspeed_is_refused() -> None:
    # it is DDP to Lightning, and is not installed here
    strategy = DeepSpeedStrategy.__new__(DeepSpeedStrategy)
    with pytest.raises(ValueError, match="strategy=DeepSpeedStrategy shards networks or takes"):
        check_strategy(strategy)


def test_static_graph_is_refused(make_model: Any, make_trainer: Any, make_loader: Any) -> None:
    trainer = make_trainer(strategy=DDPStrategy(static_graph=True), devices=1)
    with pytest.raises(ValueError, match="strategy=DDPStrategy must be without static_graph"):
        trainer.fit(make_model(n_critic=1), make_loader(2))


def test_what_keeps_networks_whole_is_not_refused() -> None:
    for strategy in (SingleDeviceStrategy(), DDPStrategy(), DDPStrategy(static_graph=False)):
        check_strategy(strategy)
