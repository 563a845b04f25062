"""The classifiers that torchvision carries."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_modules.metrics.data import RealData
from gan_modules.metrics.features import (
    FeatureNetwork,
    MissingWeightsError,
    in_colour,
    snake_case,
)

__all__ = ["TorchvisionFeatures"]


class TorchvisionFeatures(FeatureNetwork):
    """What a classifier of torchvision feeds into its last linear layer, and its logits.

    Images are resized, bilinearly with antialiasing and without cropping, to the size that the
    weights were trained for, and normalised as they were. The figures cannot be compared with those
    in Inception-v3's features.

    Args:
        model: a classifier by torchvision's name, such as ``resnet50`` or ``vit_b_16``.
        weights: its weights by torchvision's name, such as ``IMAGENET1K_V1``.
        weights_path: file that holds them; by default they are downloaded once into torch's hub
            folder.

    Raises:
        ValueError: if there is no such model, it has no such weights, or no linear layer.
        FileNotFoundError: if there is no such file.
    """

    def __init__(
        self, model: str = "resnet50", weights: str = "DEFAULT", weights_path: str | None = None
    ) -> None:
        from torchvision import models

        if model not in models.list_models(models):
            raise ValueError(f"model={model!r} must be a classifier of torchvision's")
        known = models.get_model_weights(model)
        if weights not in known.__members__:
            choices = ", ".join(known.__members__)
            raise ValueError(f"weights={weights!r} must be one of {model}'s: {choices}")
        if weights_path is not None and not Path(weights_path).is_file():
            raise FileNotFoundError(f"weights_path={weights_path!r} must be a file; none there")
        self.model = model
        self.weights = known[weights]
        self.weights_path = weights_path

    @property
    def name(self) -> str:
        """Of the model."""
        return snake_case(self.model)

    def load(self, data: RealData) -> None:
        """Read the weights, or download them."""
        if self.module is None:
            self._use(_Penultimate(self._network(), self.weights.transforms(), self.name))

    def _network(self) -> nn.Module:
        from torchvision import models

        network: nn.Module
        try:
            if self.weights_path is None:
                network = models.get_model(self.model, weights=self.weights)
                return network
            network = models.get_model(self.model)
            network.load_state_dict(torch.load(self.weights_path, "cpu", weights_only=True))
        except Exception as error:  # of the network, the disk, or a wrong file
            reason = str(error).strip().splitlines()[0][:200]
            if self.weights_path is not None:
                raise ValueError(
                    f"weights_path={self.weights_path!r} must hold the weights of {self.model} "
                    f"({reason})"
                ) from error
            raise MissingWeightsError(
                f"the weights of {self.model} cannot be downloaded ({reason}): get "
                f"{self.weights.url} and name it as weights_path, or choose "
                "features=ClassifierFeatures"
            ) from error
        return network


class _Penultimate(nn.Module):
    """A classifier that also gives what goes into its last linear layer."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, preset: Any, name: str) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.size = preset.crop_size[0]
        self.register_buffer("mean", torch.tensor(preset.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(preset.std)[:, None, None])
        linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        if not linear:
            raise ValueError(f"model={name!r} must have a linear layer at its end")
        linear[-1].register_forward_pre_hook(self._note)

    def _note(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._features = inputs[0]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        images = (in_colour(images, self.name) + 1) / 2
        images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        logits = self.network((images - self.mean) / self.std)
        features = self._features
        del self._features
        return features, logits
