"""Judges of generated digits: classifiers trained on the spot on the real ones."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.image.fid import FrechetInceptionDistance

__all__ = ["Classifier", "accuracy", "frechet_distance", "train_classifier"]


class Classifier(nn.Module):
    """Two convolutions, one hidden layer of features, one logit per class.

    Args:
        channels: of the images, which may have any size.
        num_classes: number of classes.
        num_features: size of the hidden layer, in which Frechet distances are taken.
        width: channels of the first convolution; the second has twice as many.
    """

    def __init__(
        self, channels: int, num_classes: int, num_features: int = 64, width: int = 32
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(4),
            nn.Flatten(),
            nn.Dropout(0.25),
            nn.Linear(2 * width * 4 * 4, num_features),
            nn.ReLU(),
        )
        self.logits = nn.Linear(num_features, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(N, num_features)`` of images in [-1, 1]."""
        features: Tensor = self.features(images)
        return features

    @torch.no_grad()
    def classify(self, images: Tensor) -> Tensor:
        """Classes ``(N,)``."""
        return torch.cat([self.logits(self(part)).argmax(1) for part in images.split(1000)])


def train_classifier(
    images: Tensor, labels: Tensor, epochs: int, num_features: int = 64, width: int = 32
) -> Classifier:
    """Fit a classifier to images in [-1, 1], with batches of 64 and one cycle of the rate."""
    torch.manual_seed(0)
    model = Classifier(images.shape[1], int(labels.max()) + 1, num_features, width)
    steps = epochs * len(images) // 64
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        batch = torch.randint(len(images), (64,))
        loss = F.cross_entropy(model.logits(model(images[batch])), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval().requires_grad_(False)


def accuracy(model: Classifier, images: Tensor, labels: Tensor) -> float:
    """Share of images that the classifier gives their label."""
    return (model.classify(images) == labels).double().mean().item()


def frechet_distance(model: Classifier, reference: Tensor, images: Tensor) -> float:
    """Distance between the Gaussians of the features of two sets of images in [-1, 1]."""
    _, channels, height, width = images.shape
    metric = FrechetInceptionDistance(
        feature=model, normalize=True, input_img_size=(channels, height, width)
    )
    for part in reference.split(1000):
        metric.update(part, real=True)
    for part in images.split(1000):
        metric.update(part, real=False)
    return metric.compute().item()
