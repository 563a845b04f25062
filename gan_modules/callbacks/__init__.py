"""Everything optional around training: pictures, checkpoints, progress."""

from gan_modules.callbacks.best_checkpoint import BestCheckpoint
from gan_modules.callbacks.checkpoint import StepCheckpoint
from gan_modules.callbacks.loss_plot import LossPlot
from gan_modules.callbacks.metrics import GenerativeMetrics
from gan_modules.callbacks.progress import GANProgressBar
from gan_modules.callbacks.samples import SampleGrid

__all__ = [
    "BestCheckpoint",
    "GANProgressBar",
    "GenerativeMetrics",
    "LossPlot",
    "SampleGrid",
    "StepCheckpoint",
]
