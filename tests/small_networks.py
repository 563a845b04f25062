"""Networks that suit the papers and take no time."""

from typing import Any

import torch
from torch import Tensor

from gan_modules.networks import (
    Growing,
    MLPDiscriminator,
    MLPGenerator,
    PatchProjector,
    StyledGenerator,
)
from gan_modules.networks.judgement import Judgement
from gan_modules.networks.layers.conditioning import append_labels
from gan_modules.networks.layers.growing import repeated


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


class LongProjector(PatchProjector):
    """Its vectors are long before they are normalised: SGD's steps are small to them."""

    def __init__(self, channels: Any, width: int = 8) -> None:
        super().__init__(channels, width)
        for parameter in self.parameters():
            torch.nn.init.normal_(parameter, 0.0, 0.5)


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
