"""Statistics of batch normalisation, taken anew for sampling."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from gan_modules import GAN, BigGAN
from gan_modules.networks import BigGANDiscriminator, BigGANGenerator, MLPGenerator


def model(**kwargs: Any) -> Any:
    return BigGAN(
        image_shape=(1, 8, 8), latent_dim=5, conditional=True, num_classes=3,
        generator=partial(BigGANGenerator, width=2, shared_dim=4),
        discriminator=partial(BigGANDiscriminator, width=2), **kwargs,
    )  # fmt: skip


def first_norm(network: Any) -> Any:
    return network.blocks[0].norm1.norm


def test_statistics_are_means_over_batches(double: None) -> None:
    gan = model()
    norm = first_norm(gan.averaged_generator)
    norm.running_mean.fill_(100.0)
    inputs = []
    hook = norm.register_forward_pre_hook(lambda _, given: inputs.append(given[0].clone()))
    gan.standing_statistics(batches=5, batch_size=6, seed=1, truncation=0.7)
    hook.remove()
    assert [len(x) for x in inputs] == [6] * 5
    each = [x.transpose(0, 1).flatten(1) for x in inputs]
    assert_close(norm.running_mean, torch.stack([x.mean(1) for x in each]).mean(0))
    assert_close(norm.running_var, torch.stack([x.var(1) for x in each]).mean(0))
    # of truncated latents: what the first block is given is linear in the first chunk
    z = gan.latents(30, 1, 0.7)
    assert z.abs().max() <= 0.7
    maps = gan.averaged_generator.linear(z[:, : gan.averaged_generator.chunks[0]])
    assert_close(torch.cat(inputs).flatten(1), maps)


def test_nothing_else_changes() -> None:
    gan = model().train()
    names = {
        f"averaged_generator.{name}"
        for name, _ in gan.averaged_generator.named_buffers()
        if "running" in name or "num_batches" in name
    }
    before = {name: value.clone() for name, value in gan.state_dict().items()}
    momenta = [m.momentum for m in gan.modules() if isinstance(m, nn.BatchNorm2d)]
    global_state = torch.get_rng_state()
    gan.standing_statistics(batches=2, batch_size=4, seed=0)
    assert torch.equal(torch.get_rng_state(), global_state)
    after = gan.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    # power iterations among what stays
    assert changed
    assert changed <= names
    assert [m.momentum for m in gan.modules() if isinstance(m, nn.BatchNorm2d)] == momenta
    assert all(module.training for module in gan.modules())
    assert not torch.equal(gan.sample(2, seed=0), model().sample(2, seed=0))


def test_the_same_seed_takes_the_same_statistics() -> None:
    gan = model()
    found = []
    for seed in (3, 3, 4):
        gan.standing_statistics(batches=2, batch_size=4, seed=seed)
        found.append(first_norm(gan.averaged_generator).running_mean.clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"batches": 0}, "batches=0 must be at least 1"),
        ({"batch_size": 1}, "batch_size=1 must be at least 2: one image has no spread"),
        ({"truncation": -1.0}, "truncation=-1.0 must be"),
    ],
)
def test_what_statistics_cannot_be_taken_of(options: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        model().standing_statistics(**options)


def test_a_generator_without_batch_normalisation() -> None:
    gan = GAN(image_shape=(1, 8, 8), generator=MLPGenerator)
    with pytest.raises(ValueError, match="MLPGenerator has no batch normalisation with running"):
        gan.standing_statistics()
