"""Every variant that the package exports, and a small version of each."""

import inspect
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import gan_modules
from gan_modules import (
    R3GAN,
    GANModule,
    GenerativeModule,
    LatentModel,
    NoiseGAN,
    ProGAN,
    StyleGAN2,
    TranslationGAN,
)
from gan_modules.networks import (
    CycleGANGenerator,
    Growing,
    MLPDiscriminator,
    MLPGenerator,
    PatchGANDiscriminator,
    ProGANDiscriminator,
    ProGANGenerator,
    R3GANDiscriminator,
    R3GANGenerator,
    StyledGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from gan_modules.networks.layers.conditioning import append_labels
from gan_modules.networks.layers.growing import repeated
from gan_modules.networks.vae import MLPEncoder

MODELS = [
    model
    for model in (getattr(gan_modules, name) for name in gan_modules.__all__)
    if inspect.isclass(model)
    and issubclass(model, GenerativeModule)
    and not inspect.isabstract(model)
]
LATENT_MODELS = [model for model in MODELS if issubclass(model, LatentModel)]
# a generator against a discriminator
VARIANTS = [model for model in MODELS if issubclass(model, GANModule)]
NOISE_VARIANTS = [model for model in VARIANTS if issubclass(model, NoiseGAN)]


class FeatureDiscriminator(MLPDiscriminator):
    """Gives the features of its last hidden layer, too."""

    def __init__(self, image_shape: Any, num_classes: int = 0, hidden: Any = (16,)) -> None:
        super().__init__(image_shape, num_classes, hidden)
        self.num_features = hidden[-1]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Any:  # type: ignore[override]
        x = append_labels(images.flatten(1), labels, self.num_classes)
        features = self.layers[:-1](x)
        return self.layers[-1](features).squeeze(1), features


class Recognizer(torch.nn.Linear):
    def __init__(self, num_features: int, num_outputs: int) -> None:
        super().__init__(num_features, num_outputs)


class StyledMLP(StyledGenerator):
    """A style of one layer, and two styles to an image."""

    def __init__(
        self, image_shape: Any, latent_dim: int, num_classes: int = 0, **options: Any
    ) -> None:
        super().__init__(8, 2)
        self.num_classes = num_classes
        self.map = torch.nn.Linear(latent_dim + num_classes, 8)
        generator = MLPGenerator(image_shape, 2 * 8, **options)
        self.synthesis = torch.nn.Sequential(torch.nn.Flatten(), generator)

    def mapping(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.tanh(self.map(append_labels(z, labels, self.num_classes)))


class GrowingMLP(Growing):
    """Images of 8 pixels or more in two stages."""

    def __init__(
        self, image_shape: Any, latent_dim: int, num_classes: int = 0, **options: Any
    ) -> None:
        super().__init__(2)
        self.generator = MLPGenerator(image_shape, latent_dim, num_classes, **options)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return repeated(self.at_level(self.generator(z, labels)), self.factor)


def mlp_generator(variant: Any, **options: Any) -> Any:
    """What builds a generator of linear layers that suits the variant."""
    own = {StyleGAN2: StyledMLP, ProGAN: GrowingMLP}
    kinds = [kind for paper, kind in own.items() if issubclass(variant, paper)]
    return partial(*kinds or [MLPGenerator], **options)


# what models are made of here, by the names of their networks: none mixes samples or drops units
LATENT_NETWORKS: dict[str, Any] = {
    "discriminator": partial(MLPDiscriminator, hidden=(16,)),
    "encoder": partial(MLPEncoder, hidden=(16,)),
    "recognizer": Recognizer,
}
TRANSLATION_NETWORKS: dict[str, Any] = {
    "generator": partial(CycleGANGenerator, width=2, n_blocks=1, n_downsampling=1),
    "discriminator": partial(PatchGANDiscriminator, width=2, n_layers=1),
}


def translates(model: Any) -> bool:
    """Whether a model, or its class, pairs images with images."""
    return issubclass(model if inspect.isclass(model) else type(model), TranslationGAN)


def small_options(variant: Any) -> dict[str, Any]:
    """Networks of one hidden layer, one for every name that the variant has a network of."""
    names = [name for networks in variant.players.values() for name in networks]
    if translates(variant):
        return {name: TRANSLATION_NETWORKS[name] for name in names}
    generator = {"generator": mlp_generator(variant, hidden=(16,))}
    options = {name: (LATENT_NETWORKS | generator)[name] for name in names}
    if "recognizer" in names:
        options["discriminator"] = FeatureDiscriminator
    if issubclass(variant, ProGAN):
        # a fade from the third update of four images to the tenth
        options |= {"stable_images": 8, "fade_images": 32}
    # room for codes among the latents
    return {**options, "latent_dim": 16, "num_classes": 10}


def small(variant: Any, **kwargs: Any) -> Any:
    """A variant with these networks."""
    return variant(**{**small_options(variant), **kwargs})


def for_each_player(variant: Any, option: str, value: Any) -> dict[str, Any]:
    """An option that every player has, such as ``optimizer``, under the names of its players."""
    return {f"{player}_{option}": value for player in variant.players}


def critics(variant: Any, n: int) -> dict[str, int]:
    """``n_critic`` where there is a critic."""
    return {"n_critic": n} if issubclass(variant, GANModule) else {}


def player_of(model: Any, optimizer: Any) -> str:
    """Whose optimizer it is."""
    first = optimizer.param_groups[0]["params"][0]
    (player,) = (
        player
        for player, networks in model.players.items()
        if any(first is p for name in networks for p in getattr(model, name).parameters())
    )
    return str(player)


def batches(model: Any, size: int, n: int, classes: int = 3) -> DataLoader[Any]:
    """``n`` random images for the model's family, in batches of ``size`` per update."""
    generator = torch.Generator().manual_seed(1)
    first, second = torch.rand(2, n, *model.image_shape, generator=generator) * 2 - 1
    other = second if translates(model) else torch.arange(n) % classes
    return DataLoader(TensorDataset(first, other), size * model.parts_per_iteration, drop_last=True)


def narrower(variant: Any) -> dict[str, Any]:
    """Networks in place of the paper's where these would take minutes on a processor."""
    # grouped convolutions in half precision
    if variant is R3GAN:
        return {
            "generator": partial(R3GANGenerator, width=32),
            "discriminator": partial(R3GANDiscriminator, width=32),
        }
    # 512 channels
    if issubclass(variant, StyleGAN2):
        return {
            "generator": partial(StyleGAN2Generator, style_dim=16, channel_base=128),
            "discriminator": partial(StyleGAN2Discriminator, channel_base=128),
        }
    if issubclass(variant, ProGAN):
        return {
            "generator": partial(ProGANGenerator, channel_base=128),
            "discriminator": partial(ProGANDiscriminator, channel_base=128),
        }
    return {}
