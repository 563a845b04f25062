"""A module that keeps what a data module gives it."""

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

__all__ = ["Recorder"]


class Recorder(LightningModule):
    """Keep what comes to the model; needs no training.

    Args:
        n_critic: what data modules ask models for.
    """

    def __init__(self, n_critic: int = 1) -> None:
        super().__init__()
        self.n_critic = n_critic
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.batches: list[Any] = []
        self.held_out: list[Any] = []

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.batches.append(batch)
        return self.weight * 1

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.held_out.append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)
