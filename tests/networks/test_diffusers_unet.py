"""U-Nets of diffusers as denoisers: a stand-in, and a real one where diffusers is installed."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_modules import DMD2, EDM
from gan_modules.networks import DiffusersUNet


class Output(NamedTuple):
    sample: Tensor


class StandIn(nn.Module):
    def __init__(self, num_classes: int = 0) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, 2, 1)
        self.mid_block = nn.Conv2d(4, 4, 3, 1, 1)
        self.last = nn.ConvTranspose2d(4, 1, 4, 2, 1)
        self.classes = nn.Embedding(num_classes, 4) if num_classes else None

    def forward(self, sample: Tensor, timestep: Tensor, class_labels: Any = None) -> Output:
        x = self.first(sample) + timestep[:, None, None, None]
        if self.classes is not None:
            x = x + self.classes(class_labels)[:, :, None, None]
        return Output(self.last(self.mid_block(x)))


def test_it_is_called_as_diffusers_calls_it() -> None:
    unet = StandIn(3)
    network = DiffusersUNet(unet, (1, 8, 8), 3)
    x, level, labels = torch.randn(2, 1, 8, 8), torch.tensor([-1.0, 1.0]), torch.tensor([0, 2])
    assert_close(network(x, level, labels), unet(x, level, labels).sample)
    noted: Any = unet.first(x) + level[:, None, None, None]
    noted = unet.mid_block(noted + unet.classes(labels)[:, :, None, None])  # type: ignore[misc]
    assert_close(network.features(x, level, labels), noted.flatten(1))
    assert network.num_features == 4 * 4 * 4
    assert not unet.mid_block._forward_hooks


def distils(unet: nn.Module, shape: tuple[int, int, int], make_trainer: Any, loader: Any) -> None:
    teacher = EDM(image_shape=shape, generator=DiffusersUNet(unet, shape), steps=2)
    make_trainer(max_steps=1).fit(teacher, loader)
    model = DMD2(image_shape=shape, teacher=teacher, n_critic=1)
    make_trainer(max_steps=1, log_every_n_steps=1).fit(model, loader)
    assert model.sample(2, seed=0).isfinite().all()


def test_it_teaches(make_trainer: Any, make_loader: Any) -> None:
    distils(StandIn(), (1, 8, 8), make_trainer, make_loader(4))


def test_a_real_one_teaches(make_trainer: Any, make_loader: Any) -> None:
    diffusers = pytest.importorskip("diffusers")
    unet = diffusers.UNet2DModel(
        sample_size=16, in_channels=1, out_channels=1, block_out_channels=(8, 8),
        down_block_types=("DownBlock2D", "DownBlock2D"), layers_per_block=1, norm_num_groups=4,
        up_block_types=("UpBlock2D", "UpBlock2D"), attention_head_dim=4,
    )  # fmt: skip
    distils(unet, (1, 16, 16), make_trainer, make_loader(4, shape=(1, 16, 16)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bottom": "middle"}, "^bottom='middle' must be the name of a module of StandIn"),
        ({"image_shape": (3, 8, 8)}, r"^image_shape=\(3, 8, 8\) and num_classes=0 must be those"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiffusersUNet(**{"unet": StandIn(), "image_shape": (1, 8, 8), **options})
