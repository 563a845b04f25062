"""The small networks with which unrolled GANs and PacGAN are tried on stacked MNIST.

Those of Metz et al. 2016 (arXiv:1611.02163, appendix D), sizes as in PacGAN's official code
(``stacked_MNIST_experiments/unrolled_GAN_experiment``), for images of 28 pixels.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_modules.networks.layers.blocks import ConvNorm, init_normal, make_norm

__all__ = ["UnrolledDiscriminator", "UnrolledGenerator"]

SIZE = 28


def check_shape(image_shape: Sequence[int]) -> None:
    if tuple(image_shape[1:]) != (SIZE, SIZE):
        raise ValueError(f"image_shape={tuple(image_shape)} must be of {SIZE}x{SIZE} pixels")


class UnrolledGenerator(nn.Module):
    """Latent to 64 channels at 4x4, 3x3 transposed convolutions to 8 at 28x28, one convolution."""

    def __init__(self, image_shape: Sequence[int], latent_dim: int, num_classes: int = 0) -> None:
        super().__init__()
        check_shape(image_shape)
        layers: list[nn.Module] = [
            nn.Linear(latent_dim, 64 * 4 * 4, bias=False),
            nn.Unflatten(1, (64, 4, 4)),
            make_norm("batch", 64),
            nn.ReLU(inplace=True),
        ]
        channels = 64
        for output_padding in (0, 1, 1):  # 7, 14, 28 pixels
            layers += [
                nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, output_padding, bias=False),
                make_norm("batch", channels // 2),
                nn.ReLU(inplace=True),
            ]
            channels //= 2
        layers += [nn.Conv2d(channels, image_shape[0], 3, 1, 1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(init_normal)

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.layers(z)
        return images


class UnrolledDiscriminator(nn.Module):
    """Three 3x3 convolutions of stride 2, a norm behind each, LeakyReLU(0.3), one linear layer.

    Args:
        image_shape: ``(C, 28, 28)``.
        num_classes: there are none.
        width: channels of the first: 2 for a discriminator of a quarter of the generator's size, 4
            for one of half of it.
        norm: the code's is ``"batch"``.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int = 0,
        width: int = 2,
        norm: ConvNorm = "batch",
    ) -> None:
        super().__init__()
        check_shape(image_shape)
        layers: list[nn.Module] = []
        channels = image_shape[0]
        for out in (width, 2 * width, 4 * width):
            layers += [
                nn.Conv2d(channels, out, 3, 2, 1, bias=norm == "none"),
                make_norm(norm, out),
                nn.LeakyReLU(0.3, inplace=True),
            ]
            channels = out
        layers += [nn.Flatten(), nn.Linear(channels * 4 * 4, 1), nn.Flatten(0)]
        self.layers = nn.Sequential(*layers)
        self.apply(init_normal)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits
