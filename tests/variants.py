"""Every variant that the package exports, and a small version of each."""

import inspect
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import gan_modules
from gan_modules import (
    ACGAN,
    R3GAN,
    SAGAN,
    BigGAN,
    GANModule,
    GenerativeModule,
    LatentModel,
    NoiseGAN,
    TranslationGAN,
)
from gan_modules.checkpoints.rebuilding import _defaults
from gan_modules.families.diffusion import DiffusionModel
from gan_modules.networks import (
    BigGANDiscriminator,
    BigGANGenerator,
    CycleGANGenerator,
    DenoiserHead,
    MLPDenoiser,
    MLPDiscriminator,
    MLPGenerator,
    PatchGANDiscriminator,
    R3GANDiscriminator,
    R3GANGenerator,
    SAGANDiscriminator,
    SAGANGenerator,
)
from gan_modules.networks.judgement import Judgement
from gan_modules.networks.layers.conditioning import append_labels
from gan_modules.networks.vae import MLPEncoder
from gan_modules.training.optimizers import adam

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


class ClassDiscriminator(MLPDiscriminator):
    """Tells classes from the features of its last hidden layer."""

    def __init__(self, image_shape: Any, num_classes: int, hidden: Any = (16,)) -> None:
        super().__init__(image_shape, 0, hidden)
        self.classifier = torch.nn.Linear(hidden[-1], num_classes)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Any:  # type: ignore[override]
        features = self.layers[:-1](images.flatten(1))
        return Judgement(self.layers[-1](features).squeeze(1), classes=self.classifier(features))


class Recognizer(torch.nn.Linear):
    def __init__(self, num_features: int, num_outputs: int) -> None:
        super().__init__(num_features, num_outputs)


# what models are made of here, by the names of their networks: none mixes samples or drops units
LATENT_NETWORKS: dict[str, Any] = {
    "generator": partial(MLPGenerator, hidden=(16,)),
    "discriminator": partial(MLPDiscriminator, hidden=(16,)),
    "encoder": partial(MLPEncoder, hidden=(16,)),
    "recognizer": Recognizer,
    "head": partial(DenoiserHead, hidden=16),
}
TRANSLATION_NETWORKS: dict[str, Any] = {
    "generator": partial(CycleGANGenerator, width=2, n_blocks=1, n_downsampling=1),
    "discriminator": partial(PatchGANDiscriminator, width=2, n_layers=1),
}


def translates(model: Any) -> bool:
    """Whether a model, or its class, pairs images with images."""
    return issubclass(model if inspect.isclass(model) else type(model), TranslationGAN)


def makes(variant: Any, width: int, batch_norm: bool = False) -> Any:
    """A generator of one hidden layer; what removes noise has no batch normalisation."""
    if issubclass(variant, DiffusionModel):
        return partial(MLPDenoiser, hidden=(width,))
    return partial(MLPGenerator, hidden=(width,), batch_norm=batch_norm)


def small_options(variant: Any) -> dict[str, Any]:
    """Networks of one hidden layer, one for every name that the variant has a network of."""
    names = [name for networks in variant.players.values() for name in networks]
    if translates(variant):
        return {name: TRANSLATION_NETWORKS[name] for name in names}
    options = {name: LATENT_NETWORKS[name] for name in names if name in LATENT_NETWORKS}
    if issubclass(variant, DiffusionModel):
        # the latent is the noise, of the images' size
        options |= {"generator": makes(variant, 16), "num_classes": 10}
        return options | untaught(variant)
    if "recognizer" in names:
        options["discriminator"] = FeatureDiscriminator
    if issubclass(variant, ACGAN):
        options["discriminator"] = ClassDiscriminator
    # room for codes among the latents
    return {**options, "latent_dim": 16, "num_classes": 10}


def untaught(variant: Any) -> dict[str, Any]:
    """Random networks in place of a teacher's, and rates that move them in a few updates."""
    if "teacher" not in _defaults(variant):
        return {}
    return {"teacher": "random", **for_each_player(variant, "optimizer", adam)}


def small(variant: Any, **kwargs: Any) -> Any:
    """A variant with these networks."""
    return variant(**{**small_options(variant), **kwargs})


def for_each_player(variant: Any, option: str, value: Any) -> dict[str, Any]:
    """An option that every player has, such as ``optimizer``, under the names of its players."""
    return {f"{player}_{option}": value for player in variant.players}


def critics(variant: Any, n: int) -> dict[str, int]:
    """``n_critic`` where there is a critic, or what is updated as one."""
    return {"n_critic": n} if "n_critic" in _defaults(variant) else {}


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
    # grouped convolutions in half precision, hundreds of channels
    narrow: dict[Any, tuple[Any, Any, int]] = {
        R3GAN: (R3GANGenerator, R3GANDiscriminator, 32),
        SAGAN: (SAGANGenerator, SAGANDiscriminator, 4),
        BigGAN: (BigGANGenerator, BigGANDiscriminator, 4),
    }
    if variant not in narrow:
        return untaught(variant)
    generator, discriminator, width = narrow[variant]
    return {
        "generator": partial(generator, width=width),
        "discriminator": partial(discriminator, width=width),
    }
