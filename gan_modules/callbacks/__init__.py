"""Everything optional around training: pictures, checkpoints, progress."""

from gan_modules.callbacks.checkpoint import StepCheckpoint
from gan_modules.callbacks.loss_plot import LossPlot
from gan_modules.callbacks.progress import GANProgressBar
from gan_modules.callbacks.samples import SampleGrid

__all__ = ["GANProgressBar", "LossPlot", "SampleGrid", "StepCheckpoint"]
