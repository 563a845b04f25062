"""Networks in whose features images are compared."""

import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.metrics.cache import TensorCache, digest, weights_digest
from gan_modules.metrics.data import RealData

__all__ = [
    "FeatureNetwork",
    "Features",
    "MissingWeightsError",
    "ModuleFeatures",
    "as_bytes",
    "full_precision",
    "in_colour",
    "snake_case",
]


class MissingWeightsError(ValueError):
    """Weights that are not here and cannot be downloaded."""


class Features(NamedTuple):
    """What a network makes of images."""

    features: Tensor
    """Float32, shape ``(N, D)``."""
    logits: Tensor | None
    """Float32, shape ``(N, C)``, from a network that tells classes."""


class FeatureNetwork(ABC):
    """A network in whose features images are compared, always in float32 and evaluation mode.

    A subclass says how to :meth:`load` the network, or to :meth:`train` it on the real images.
    Creating one costs nothing: that is left until a metric needs it.

    Attributes:
        module: takes images, float32 in [-1, 1] of shape ``(N, C, H, W)``, and gives features
            ``(N, D)``, or ``(features, logits)``; None until it is loaded or trained.
    """

    module: nn.Module | None = None
    rounds: ClassVar[bool] = False
    """Whether images are rounded to 256 steps, which small differences do not outlive."""
    _fingerprint: str

    @property
    @abstractmethod
    def name(self) -> str:
        """What the metrics' names call it; known after :meth:`load`."""

    @abstractmethod
    def load(self, data: RealData) -> None:
        """Settle what can be settled before training starts, and fail if it cannot.

        Args:
            data: the real images; they are not to be gone through here.

        Raises:
            MissingWeightsError: if weights are not here and cannot be downloaded.
            ValueError: if the network does not suit the data.
        """

    def train(self, data: RealData, cache: TensorCache) -> None:  # noqa: B027  (most need none)
        """Fit the network to the real images, where it is one that is; called after :meth:`load`.

        Args:
            data: the real images.
            cache: where the result is kept for the next time.
        """

    @property
    def facts(self) -> dict[str, float]:
        """What is to stand beside the metrics to judge them by, such as an accuracy, by name."""
        return {}

    def fingerprint(self) -> str:
        """A short name for the network and its weights, by which cached statistics are found."""
        return self._fingerprint

    @torch.no_grad()
    def extract(self, images: Tensor) -> Features:
        """Features of images in [-1, 1], and logits where the network has them.

        Args:
            images: any float type, shape ``(N, C, H, W)``, on the device to compute on.

        Raises:
            ValueError: if the network gives anything but a vector of features per image.
        """
        module = self._loaded().to(images.device)
        with full_precision(images.device):
            output = module(images.float())
        features, logits = output if isinstance(output, (tuple, list)) else (output, None)
        if features.ndim < 2 or len(features) != len(images):
            raise ValueError(
                f"features={self.name} gives features of shape {tuple(features.shape)} for "
                f"{len(images)} images: they must be (N, D)"
            )
        return Features(features.float().flatten(1), None if logits is None else logits.float())

    def _loaded(self) -> nn.Module:
        assert self.module is not None
        return self.module

    def _use(self, module: nn.Module) -> None:
        self.module = module.float().eval()
        # one by one: TorchScript knows no other way
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        self._fingerprint = digest(type(self).__qualname__, weights_digest(module))


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute in float32 as such: without autocast, TF32 or their like."""
    products = torch.get_float32_matmul_precision()
    convolutions = torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


class ModuleFeatures(FeatureNetwork):
    """Any network of one's own: a module, or the path of a TorchScript file.

    It takes images, float32 in [-1, 1] of shape ``(N, C, H, W)`` (or points), and gives features
    ``(N, D)``, of which all dimensions but the first are flattened, or a pair
    ``(features, logits)``, with which there is an Inception Score, too. Cached statistics are
    found again by its structure and weights: delete them if only the code of its ``forward`` has
    changed.

    Args:
        module: the module, or the path of the file.
        name: what the metrics' names call it; by default the name of the class or file.

    Raises:
        ValueError: if the file is no TorchScript file, or the name is not one.
        FileNotFoundError: if there is no such file.
    """

    def __init__(self, module: nn.Module | str, name: str | None = None) -> None:
        if isinstance(module, str):
            if not Path(module).is_file():
                raise FileNotFoundError(f"module={module!r} must be a TorchScript file; none there")
            self._use(_torch_script(module))
            own = Path(module).stem
        else:
            # a copy: it may be a part of what is being trained
            self._use(deepcopy(module))
            own = type(module).__name__
        self._name = snake_case(own) if name is None else name
        fits = re.fullmatch(r"\w+", self._name) is not None
        require(fits, "name", self._name, "letters, digits and underscores")

    @property
    def name(self) -> str:
        """As given, or the name of the class or file."""
        return self._name

    def load(self, data: RealData) -> None:
        """Nothing: the module is there."""


def _torch_script(path: str) -> nn.Module:
    try:
        with warnings.catch_warnings():
            # newer versions of torch advise against making such files
            warnings.filterwarnings("ignore", ".*is deprecated", FutureWarning)
            warnings.filterwarnings("ignore", ".*is deprecated", DeprecationWarning)
            module: nn.Module = torch.jit.load(path, map_location="cpu")
    except RuntimeError as error:
        raise ValueError(f"module={path!r} must be a TorchScript file") from error
    return module


def snake_case(name: str) -> str:
    """``MyNetworkV2`` as ``my_network_v2``; ``MNIST`` as ``mnist``."""
    words = re.sub(r"([A-Z]+)([A-Z][a-z])|([a-z0-9])([A-Z])", r"\1\3_\2\4", name)
    return re.sub(r"\W+", "_", words).lower()


def in_colour(images: Tensor, name: str) -> Tensor:
    """Images ``(N, 3, H, W)`` of grey or coloured ones.

    Raises:
        ValueError: if they are neither.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            f"features={name} takes images of 1 or 3 channels, not of shape "
            f"{tuple(images.shape[1:])}: choose ModuleFeatures with a network that does"
        )
    return images.expand(-1, 3, -1, -1)


def as_bytes(images: Tensor) -> Tensor:
    """Images in [-1, 1] in 256 steps, uint8, as they would be in a file.

    Rounded, not cut off: a cast alone would darken every image by half a step.
    """
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
