"""Networks can be recorded by torch's tools."""

import pytest
import torch
from torch.testing import assert_close

from gan_modules.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    ResNetDiscriminator,
    ResNetGenerator,
)

NETWORKS = {
    "dcgan_generator": lambda: DCGANGenerator((3, 32, 32), 5),
    "dcgan_discriminator": lambda: DCGANDiscriminator((3, 32, 32)),
    "mlp_discriminator": lambda: MLPDiscriminator((3, 32, 32), hidden=[4]),
    "resnet_generator": lambda: ResNetGenerator((3, 32, 32), 5, width=4),
    "resnet_discriminator": lambda: ResNetDiscriminator((3, 32, 32), width=4),
}


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_can_be_traced_and_saved(name: str, double: None) -> None:
    # in training, torch's own batch normalisation warns
    network = NETWORKS[name]().eval()
    one, other = (
        torch.randn(n, 5) if "generator" in name else torch.randn(n, 3, 32, 32) for n in (2, 3)
    )
    torch.jit.trace(network, one, check_trace=False).save("traced.pt")
    assert_close(torch.jit.load("traced.pt")(other), network(other))


@pytest.mark.parametrize("name", NETWORKS)
def test_features_can_be_taken_from_networks(name: str) -> None:
    network = NETWORKS[name]()
    inputs = torch.randn(2, 5) if "generator" in name else torch.randn(2, 3, 32, 32)
    traced = torch.fx.symbolic_trace(network)
    assert_close(traced(inputs), network(inputs), rtol=0, atol=0)
