"""Data modules that feed GANs: images as uint8, converted in batches on the device."""

from datamodules.arrays import ArrayFolderDataModule
from datamodules.base import InMemoryDataModule
from datamodules.celeba import CelebADataModule
from datamodules.cifar10 import CIFAR10DataModule
from datamodules.digits import DigitsDataModule
from datamodules.folder import ImageFolderDataModule
from datamodules.images import ImageDataModule
from datamodules.mnist import FashionMNISTDataModule, MNISTDataModule, StackedMNISTDataModule
from datamodules.paired import PairedDataModule, PairedFolderDataModule
from datamodules.paired_digits import PairedDigitsDataModule, PairedMNISTDataModule
from datamodules.toy import ToyDataModule
from datamodules.unpaired import UnpairedDataModule, UnpairedFolderDataModule
from datamodules.unpaired_digits import UnpairedDigitsDataModule

__all__ = [
    "ArrayFolderDataModule",
    "CIFAR10DataModule",
    "CelebADataModule",
    "DigitsDataModule",
    "FashionMNISTDataModule",
    "ImageDataModule",
    "ImageFolderDataModule",
    "InMemoryDataModule",
    "MNISTDataModule",
    "PairedDataModule",
    "PairedDigitsDataModule",
    "PairedFolderDataModule",
    "PairedMNISTDataModule",
    "StackedMNISTDataModule",
    "ToyDataModule",
    "UnpairedDataModule",
    "UnpairedDigitsDataModule",
    "UnpairedFolderDataModule",
]
