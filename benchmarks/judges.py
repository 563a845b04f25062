"""Judges of generated digits: classifiers trained on the spot on the real ones."""

from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance

from gan_modules.metrics import classifier
from gan_modules.metrics.classifier import BATCH_SIZE, Classifier, accuracy

__all__ = ["Classifier", "accuracy", "frechet_distance", "train_classifier"]


def train_classifier(
    images: Tensor, labels: Tensor, epochs: int, num_features: int = 64, width: int = 32
) -> Classifier:
    """Fit a classifier to images in [-1, 1], for so many epochs."""
    steps = epochs * len(images) // BATCH_SIZE
    return classifier.train_classifier(images, labels, steps, num_features, width)


def frechet_distance(model: Classifier, reference: Tensor, images: Tensor) -> float:
    """Distance between the Gaussians of the features of two sets of images in [-1, 1]."""
    _, channels, height, width = images.shape
    metric = FrechetInceptionDistance(
        feature=model.features, normalize=True, input_img_size=(channels, height, width)
    )
    for part in reference.split(1000):
        metric.update(part, real=True)
    for part in images.split(1000):
        metric.update(part, real=False)
    return metric.compute().item()
