"""Networks passed as modules are the model's own once, under their own names."""

from copy import deepcopy

from gan_modules import DCGAN, GAN, CycleGAN
from gan_modules.networks import MLPDiscriminator, MLPGenerator


def test_modules_passed_are_registered_once() -> None:
    generator, discriminator = MLPGenerator((1, 8, 8), 4), MLPDiscriminator((1, 8, 8))
    model = GAN(image_shape=(1, 8, 8), latent_dim=4, generator=generator, discriminator=discriminator)  # fmt: skip  # noqa: E501
    assert model.generator is generator
    assert model.discriminator is discriminator
    names = {name.partition(".")[0] for name in model.state_dict()}
    assert names == {"generator", "discriminator", "averaged_generator"}


def test_nothing_that_was_passed_is_kept_beside_the_networks() -> None:
    """A lambda could not be copied to other processes."""
    for cls in (DCGAN, CycleGAN):
        model = cls(image_shape=(1, 8, 8))
        assert not any(vars(deepcopy(model)).get("_given") or ())
