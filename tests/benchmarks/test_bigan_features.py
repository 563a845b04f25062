"""Nearest neighbours by hand; the same networks in every training; points that come back."""

from typing import Any

import pytest
import torch
import yaml
from bigan_features import RECIPE, nearest_accuracy, variants_of
from toy_modes import reconstruction

from datamodules import ToyDataModule


def test_the_nearest_neighbour_is_counted() -> None:
    train, labels = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]), torch.tensor([0, 1, 2])
    test = torch.tensor([[0.4, 0.1], [1.9, 0.0], [2.1, 0.0], [0.0, 9.0]])
    # the third is nearer to 1 than to 0
    assert nearest_accuracy(train, labels, test, torch.tensor([0, 0, 0, 2])) == 0.75


def test_the_autoencoder_has_the_networks_of_bigan() -> None:
    found = variants_of(yaml.safe_load(RECIPE.read_text()), 7)
    given, ali, other = (found[n]["model"]["init_args"] for n in ("bigan", "ali", "autoencoder"))
    assert other["encoder"] == given["encoder"]
    assert other["decoder"] == given["generator"]
    assert other["code_dim"] == given["latent_dim"]
    assert other["autoencoder_steps"] == found["autoencoder"]["trainer"]["max_steps"] == 7
    assert "gaussian" not in given["encoder"]["init_args"]
    assert ali["encoder"]["init_args"]["gaussian"]


def test_points_that_come_back() -> None:
    data = ToyDataModule(name="grid", n=1000)

    class Shifts:
        """Three sigmas to one side, four upwards."""

        def reconstruct(self, points: torch.Tensor) -> torch.Tensor:
            return points + data.sigma * torch.tensor([3.0, 4.0])

    model: Any = Shifts()
    found = reconstruction(model, data)
    assert found["sigmas_away"] == pytest.approx(5)
    # neighbours are 40 sigmas apart
    assert found["mode_kept"] == 1
