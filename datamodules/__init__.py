"""Data modules that feed GANs: images in memory as uint8, converted on the device."""

from datamodules.base import ImageDataModule
from datamodules.digits import DigitsDataModule
from datamodules.mnist import MNISTDataModule

__all__ = ["DigitsDataModule", "ImageDataModule", "MNISTDataModule"]
