import torch
from torch.testing import assert_close

from gan_modules.losses import wasserstein_discriminator_loss, wasserstein_generator_loss


def test_wasserstein_by_hand() -> None:
    real = torch.tensor([1.0, 2.0, 6.0])
    fake = torch.tensor([-1.0, 0.0, 4.0])
    assert_close(wasserstein_discriminator_loss(real, fake), torch.tensor(1.0 - 3.0))
    assert_close(wasserstein_generator_loss(fake), torch.tensor(-1.0))


def test_wasserstein_gradients_by_hand() -> None:
    real = torch.zeros(4, requires_grad=True)
    fake = torch.zeros(2, requires_grad=True)
    wasserstein_discriminator_loss(real, fake).backward()
    assert_close(real.grad, torch.full((4,), -0.25))
    assert_close(fake.grad, torch.full((2,), 0.5))


def test_critic_loss_of_two_points_is_their_distance() -> None:
    # D(x) = x is the optimal 1-Lipschitz critic between point masses at 3 and at 0.5
    real, fake = torch.full((5,), 3.0), torch.full((5,), 0.5)
    assert_close(-wasserstein_discriminator_loss(real, fake), torch.tensor(2.5))
