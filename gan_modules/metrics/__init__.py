"""How good generated images are: scores, and the networks in whose features they are taken."""

from gan_modules.metrics.classifier import ClassifierFeatures
from gan_modules.metrics.features import (
    FeatureNetwork,
    Features,
    MissingWeightsError,
    ModuleFeatures,
)
from gan_modules.metrics.inception import InceptionFeatures
from gan_modules.metrics.kernel import kernel_distance
from gan_modules.metrics.path_length import perceptual_path_length
from gan_modules.metrics.prdc import PRDC, compute_prdc
from gan_modules.metrics.scores import frechet_distance
from gan_modules.metrics.statistics import FeatureStatistics, InceptionStatistics
from gan_modules.metrics.torchvision_models import TorchvisionFeatures

__all__ = [
    "PRDC",
    "ClassifierFeatures",
    "FeatureNetwork",
    "FeatureStatistics",
    "Features",
    "InceptionFeatures",
    "InceptionStatistics",
    "MissingWeightsError",
    "ModuleFeatures",
    "TorchvisionFeatures",
    "compute_prdc",
    "frechet_distance",
    "kernel_distance",
    "perceptual_path_length",
]
