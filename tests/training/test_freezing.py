import pytest
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_modules.training.freezing import freeze_first_layers


def network() -> nn.Sequential:
    inner = nn.Sequential(spectral_norm(nn.Linear(3, 3)), nn.ReLU())
    return nn.Sequential(inner, nn.BatchNorm1d(3), nn.Linear(3, 1))


@pytest.mark.parametrize(
    ("number", "trained"),
    [
        (0, ["0.0.bias", "0.0.parametrizations.weight.original", "1.weight", "1.bias", "2.weight"]),
        (1, ["1.weight", "1.bias", "2.weight"]),
        (2, ["2.weight"]),
    ],
)
def test_layers_are_frozen_whole_and_in_order(number: int, trained: list[str]) -> None:
    model = network()
    freeze_first_layers(model, number, "n")
    found = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert [name for name in found if name != "2.bias"] == trained


@pytest.mark.parametrize("number", [-1, 3])
def test_one_layer_at_least_is_trained(number: int) -> None:
    with pytest.raises(ValueError, match=rf"n={number} must be in \[0, 2\]: Sequential has 3"):
        freeze_first_layers(network(), number, "n")
