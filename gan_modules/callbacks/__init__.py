"""Everything optional around training: pictures, checkpoints, progress."""

from gan_modules.callbacks.best_checkpoint import BestCheckpoint
from gan_modules.callbacks.budget import TrainingBudget
from gan_modules.callbacks.checkpoint import StepCheckpoint
from gan_modules.callbacks.diagnostics import Diagnostics
from gan_modules.callbacks.examples import RealExamples
from gan_modules.callbacks.loss_plot import LossPlot
from gan_modules.callbacks.metrics import GenerativeMetrics
from gan_modules.callbacks.modes import ModeCount
from gan_modules.callbacks.nearest import NearestNeighbours
from gan_modules.callbacks.progress import GANProgressBar
from gan_modules.callbacks.real_and_fake import RealAgainstFake
from gan_modules.callbacks.reconstructions import RealInterpolation, Reconstructions
from gan_modules.callbacks.samples import SampleGrid
from gan_modules.callbacks.table import SampleTable
from gan_modules.callbacks.walks import (
    CodeTraversal,
    LatentInterpolation,
    StyleMixing,
    TruncationGrid,
)
from gan_modules.callbacks.watch import NetworkWatch

__all__ = [
    "BestCheckpoint",
    "CodeTraversal",
    "Diagnostics",
    "GANProgressBar",
    "GenerativeMetrics",
    "LatentInterpolation",
    "LossPlot",
    "ModeCount",
    "NearestNeighbours",
    "NetworkWatch",
    "RealAgainstFake",
    "RealExamples",
    "RealInterpolation",
    "Reconstructions",
    "SampleGrid",
    "SampleTable",
    "StepCheckpoint",
    "StyleMixing",
    "TrainingBudget",
    "TruncationGrid",
]
