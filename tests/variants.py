"""Every variant that the package exports, and a small version of each."""

import inspect
from functools import partial
from typing import Any

import torch
from small_networks import (
    ClassDiscriminator,
    FeatureDiscriminator,
    GrowingMLP,
    LongProjector,
    Recognizer,
    StyledMLP,
)
from torch.utils.data import DataLoader, TensorDataset

import gan_modules
from gan_modules import (
    ACGAN,
    AEGAN,
    CUT,
    DMD2,
    R3GAN,
    SAGAN,
    VAEGAN,
    BiGAN,
    BigGAN,
    GANModule,
    GenerativeModule,
    InfoGAN,
    LatentModel,
    NoiseGAN,
    Pix2Pix,
    ProGAN,
    StyleGAN2,
    TranslationModel,
)
from gan_modules.families.diffusion import DiffusionModel
from gan_modules.networks import (
    AEGANGenerator,
    BiGANDiscriminator,
    BigGANDiscriminator,
    BigGANGenerator,
    CycleGANGenerator,
    DenoiserHead,
    MLPDenoiser,
    MLPDiscriminator,
    MLPGenerator,
    PatchGANDiscriminator,
    ProGANDiscriminator,
    ProGANGenerator,
    R3GANDiscriminator,
    R3GANGenerator,
    SAGANDiscriminator,
    SAGANGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    UNetGenerator,
    VAEGANDiscriminator,
    VAEGANEncoder,
    VAEGANGenerator,
)
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
FIRST_OF_ALL = {"GAN", "CGAN", "WGANGP", "VAE", "BiGAN", "EDM", "Pix2Pix"}
"""One of each family: the quick tests take these of what is tested for every variant."""

OWN_STEPS: dict[Any, dict[str, int]] = {StyleGAN2: {"discriminator": 16, "generator": 4}}
"""Iterations from one step for a lazy term alone to the next."""
FIRST_PHASE = 1
"""Iterations of a first phase, where there is one."""


def for_a(variant: Any, table: dict[Any, Any]) -> Any:
    """What a table by classes has for a variant or the nearest of its bases, or nothing."""
    return next((table[kind] for kind in variant.__mro__ if kind in table), {})


def mlp_generator(variant: Any, **options: Any) -> Any:
    """What builds a generator of linear layers that suits the variant."""
    kinds = {StyleGAN2: StyledMLP, ProGAN: GrowingMLP, DiffusionModel: MLPDenoiser}
    if issubclass(variant, DiffusionModel):
        # what removes noise has no running statistics
        options.pop("batch_norm", None)
    return partial(for_a(variant, kinds) or MLPGenerator, **options)


# what models are made of here, by the names of their networks: none mixes samples or drops units
LATENT_NETWORKS: dict[str, Any] = {
    "discriminator": partial(MLPDiscriminator, hidden=(16,)),
    "encoder": partial(MLPEncoder, hidden=(16,)),
    "decoder": partial(MLPGenerator, hidden=(16,)),
    "recognizer": Recognizer,
    "head": partial(DenoiserHead, hidden=16),
}
TRANSLATION_NETWORKS: dict[str, Any] = {
    "generator": partial(CycleGANGenerator, width=2, n_blocks=1, n_downsampling=1),
    "discriminator": partial(PatchGANDiscriminator, width=2, n_layers=1),
    "projector": LongProjector,
}
# in their place, for papers that need others
OWN_NETWORKS: dict[Any, dict[str, Any]] = {
    InfoGAN: {"discriminator": FeatureDiscriminator},
    VAEGAN: {"discriminator": FeatureDiscriminator},
    ACGAN: {"discriminator": ClassDiscriminator},
    BiGAN: {"discriminator": partial(BiGANDiscriminator, hidden=(16,), batch_norm=False)},
    AEGAN: {
        "generator": partial(AEGANGenerator, hidden=(16,)),
        "encoder": partial(MLPEncoder, hidden=(16,), gaussian=False),
    },
    Pix2Pix: {"generator": partial(UNetGenerator, width=2, n_layers=2)},
}
OWN_OPTIONS: dict[Any, dict[str, Any]] = {
    AEGAN: {"code_dim": 16, "autoencoder_steps": FIRST_PHASE},
    # a fade from the third update of four images to the tenth
    ProGAN: {"stable_images": 8, "fade_images": 32},
    # rates that move random networks in a few updates
    DMD2: {"teacher": "random", "guidance_optimizer": adam, "generator_optimizer": adam},
}
# in place of the paper's where these would take minutes on a processor
NARROW: dict[Any, dict[str, Any]] = {
    # grouped convolutions in half precision
    R3GAN: {
        "generator": partial(R3GANGenerator, width=32),
        "discriminator": partial(R3GANDiscriminator, width=32),
    },
    # hundreds of channels
    SAGAN: {
        "generator": partial(SAGANGenerator, width=4),
        "discriminator": partial(SAGANDiscriminator, width=4),
    },
    BigGAN: {
        "generator": partial(BigGANGenerator, width=4),
        "discriminator": partial(BigGANDiscriminator, width=4),
    },
    VAEGAN: {
        "generator": partial(VAEGANGenerator, width=2),
        "discriminator": partial(VAEGANDiscriminator, width=2, hidden=8),
        "encoder": partial(VAEGANEncoder, width=4, hidden=8),
    },
    AEGAN: {"autoencoder_steps": FIRST_PHASE},
    DMD2: OWN_OPTIONS[DMD2],
    StyleGAN2: {
        "generator": partial(StyleGAN2Generator, style_dim=16, channel_base=128),
        "discriminator": partial(StyleGAN2Discriminator, channel_base=128),
    },
    ProGAN: {
        "generator": partial(ProGANGenerator, channel_base=128),
        "discriminator": partial(ProGANDiscriminator, channel_base=128),
    },
    Pix2Pix: {"generator": partial(UNetGenerator, width=16)},
    CUT: {"generator": partial(CycleGANGenerator, width=8, n_blocks=5)},
}


def translates(model: Any) -> bool:
    """Whether a model, or its class, pairs images with images."""
    return issubclass(model if inspect.isclass(model) else type(model), TranslationModel)


def translator(model: Any, direction: str = "a_to_b") -> torch.nn.Module:
    """The generator in training of a direction."""
    network: torch.nn.Module = model.generator
    return network[direction] if isinstance(network, torch.nn.ModuleDict) else network


def pools(variant: Any, size: int) -> dict[str, int]:
    """``pool_size`` where there is a history of fakes."""
    return {"pool_size": size} if "pool_size" in inspect.signature(variant).parameters else {}


def small_options(variant: Any) -> dict[str, Any]:
    """Networks of one hidden layer, one for every name that the variant has a network of."""
    latent = {"generator": mlp_generator(variant, hidden=(16,)), **LATENT_NETWORKS}
    usual = TRANSLATION_NETWORKS if translates(variant) else latent
    found = usual | for_a(variant, OWN_NETWORKS)
    names = [name for networks in variant.players.values() for name in networks]
    options = {name: found[name] for name in names if name in found} | for_a(variant, OWN_OPTIONS)
    if issubclass(variant, DiffusionModel):
        # the latent is the noise, of the images' size
        return {**options, "generator": mlp_generator(variant, hidden=(16,)), "num_classes": 10}
    # room for codes among the latents
    return options if translates(variant) else {**options, "latent_dim": 16, "num_classes": 10}


def small(variant: Any, **kwargs: Any) -> Any:
    """A variant with these networks."""
    return variant(**{**small_options(variant), **kwargs})


def for_each_player(variant: Any, option: str, value: Any) -> dict[str, Any]:
    """An option that every player has, such as ``optimizer``, under the names of its players."""
    return {f"{player}_{option}": value for player in variant.players}


def maker_of_images(variant: Any) -> str:
    """Name of the network whose output images are."""
    return "decoder" if "decoder" in small_options(variant) else "generator"


def turns_of(variant: Any, n_critic: int = 1, step: int | None = None) -> list[str]:
    """Who plays in an iteration, one after the other; without ``step``, in the last phase."""
    if issubclass(variant, DMD2):
        return [*["guidance"] * n_critic, "generator"]
    if not issubclass(variant, GANModule):
        return [*variant.players]
    if issubclass(variant, AEGAN) and step is not None and step < FIRST_PHASE:
        return ["autoencoder"] * n_critic
    first = ["encoder"] if issubclass(variant, VAEGAN) else []
    return [*first, *["discriminator"] * n_critic, "generator"]


def steps_in(variant: Any, turns: list[str], step: int) -> list[str]:
    """Who makes the steps of an iteration with these turns: lazy terms have further ones."""
    own = for_a(variant, OWN_STEPS)
    return [
        player
        for player in turns
        for _ in range(2 if player in own and step % own[player] == 0 else 1)
    ]


def all_steps(variant: Any, n_critic: int, iterations: int) -> list[str]:
    """Who makes the steps of several iterations, from the first."""
    return [
        player
        for step in range(iterations)
        for player in steps_in(variant, turns_of(variant, n_critic, step), step)
    ]


def corrected(variant: Any, player: str, rate: float) -> float:
    """What becomes of a learning rate where there are further steps."""
    every = for_a(variant, OWN_STEPS).get(player)
    return rate if every is None else rate * every / (every + 1)


def in_phase_of(variant: Any, player: str) -> dict[str, int]:
    """What has a player play in the first iteration, if there are phases."""
    return {"autoencoder_steps": int(player == "autoencoder")} if issubclass(variant, AEGAN) else {}


def critics(variant: Any, n: int) -> dict[str, int]:
    """``n_critic`` where there is a critic, or what is updated as one."""
    return {"n_critic": n} if issubclass(variant, (GANModule, DMD2)) else {}


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
    """What stands in :data:`NARROW`."""
    return for_a(variant, NARROW)
