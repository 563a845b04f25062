from functools import partial

import pytest
from torch.optim import SGD, Adam

from gan_modules.lab.games import game
from gan_modules.lab.rmsprop_or_adam import OPTIMIZERS, REAL, Cosines
from gan_modules.lab.training import Lab
from gan_modules.models.wgan import WGAN


def cosines(optimizer: object, updates: int = 6) -> list[float]:
    lab, seen = Lab(), Cosines()
    model = game(
        lab,
        WGAN,
        n_critic=2,
        clip_value=0.01,
        discriminator=(4,),
        generator=(4,),
        discriminator_optimizer=optimizer,
    )
    lab.fit(model, REAL, updates, 16, [seen])
    return seen.values


def test_gradient_descent_goes_down_whatever_is_clipped_afterwards() -> None:
    assert cosines(partial(SGD, lr=1.0)) == pytest.approx([1.0] * 12, abs=1e-3)


def test_ascent_goes_up() -> None:
    assert cosines(partial(SGD, lr=1.0, maximize=True)) == pytest.approx([-1.0] * 12, abs=1e-3)


@pytest.mark.parametrize("name", ["RMSprop", "Adam, beta_1 = 0"])
def test_without_momentum_no_step_goes_uphill(name: str) -> None:
    assert min(cosines(OPTIMIZERS[name])) > 0


def test_the_last_step_of_momentum_alone_is_not_the_gradients() -> None:
    # nearly all of the first gradient for ever
    assert min(cosines(partial(Adam, lr=1e-3, betas=(0.999, 0.999)))) < 0.999
