"""CelebA, decoded once into a cache file."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torchvision.datasets import CelebA

from datamodules.base import Split
from datamodules.downloads import download_or_explain, unpack
from datamodules.images import AugmentedDataModule
from datamodules.mapped import MappedDataset
from datamodules.resizing import Size
from datamodules.store import ImageStore

__all__ = ["CelebADataModule"]

# as the header of list_attr_celeba.txt names them
ATTRIBUTES = """
    5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose
    Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee
    Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes
    No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling
    Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace
    Wearing_Necktie Young
""".split()  # noqa: SIM905  (forty lines otherwise)


class CelebADataModule(AugmentedDataModule):
    """202,599 aligned faces of celebrities with 40 attributes (Liu et al. 2015, arXiv:1411.7766).

    The official partition into training, validation and test. Images of 178x218 pixels are cropped
    in the middle, for squares to 178x178, and resized; decoded once, a byte per pixel and channel,
    into a file that is mapped.

    Args:
        root: folder that holds, or will hold, ``celeba/``; downloaded, with ``gdown`` if that is
            installed, only where it is missing.
        image_size: side of the images that the model sees, or their height and width.
        attribute: one of the 40, which makes two classes: 0 without it and 1 with it; None for no
            classes.
        cache_dir: where the decoded images are kept; None for ``gan_modules`` in
            ``$XDG_CACHE_HOME``, or in ``~/.cache`` where that is not set.
        **kwargs: options of :class:`AugmentedDataModule`.

    Raises:
        ValueError: if an option is out of its range or there is no such attribute.
        FileNotFoundError: if files are missing or damaged and cannot be downloaded.
    """

    channels = 3

    def __init__(
        self,
        *,
        root: str = "data",
        image_size: Size = 64,
        attribute: str | None = None,
        cache_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        if attribute is not None and attribute not in ATTRIBUTES:
            lowered = {name.lower(): name for name in ATTRIBUTES}
            near = [lowered[m] for m in get_close_matches(attribute.lower(), lowered, 3, 0.5)]
            choices = f"nearest: {', '.join(near)}" if near else f"one of {', '.join(ATTRIBUTES)}"
            raise ValueError(f"attribute={attribute!r} is not one of CelebA's 40; {choices}")
        super().__init__(image_size=image_size, **kwargs)
        self.root = root
        self.attribute = attribute
        self.cache_dir = cache_dir
        self.num_classes = 0 if attribute is None else 2
        self.classes = () if attribute is None else (f"not {attribute}", attribute)
        self._store: ImageStore | None = None

    def prepare_data(self) -> None:
        """Unpack an archive that is there, download only what is missing, decode all images."""
        folder = Path(self.root, CelebA.base_folder)
        unpack(folder / "img_align_celeba.zip", folder / "img_align_celeba")
        files = ", ".join(name for _, _, name in CelebA.file_list)
        download_or_explain(
            "CelebA", self.root, lambda: CelebA(self.root, download=True), files, folder
        )
        self._open()

    def make_split(self, split: Split) -> MappedDataset:
        """The images of a split of the official partition, mapped from the cache file."""
        store = self._open()
        number = {"train": 0, "val": 1, "test": 2}[split]
        rows = (self._partition == number).nonzero().flatten()
        return store.dataset(rows, self._labels[rows])

    def _open(self) -> ImageStore:
        """Read the lists and open the decoded images, once."""
        if self._store is None:
            whole = CelebA(self.root, split="all")
            folder = Path(self.root, CelebA.base_folder)
            lines = (folder / "list_eval_partition.txt").read_text().splitlines()
            partition = dict(line.split() for line in lines if line.strip())
            self._partition = torch.tensor([int(partition[name]) for name in whole.filename])
            if self.attribute is None:
                self._labels = torch.zeros(len(whole.filename), dtype=torch.long)
            else:
                self._labels = whole.attr[:, whole.attr_names.index(self.attribute)].long()
            self._store = ImageStore(
                folder / "img_align_celeba",
                whole.filename,
                self.load_size,
                self.channels,
                self.cache_dir,
                resize=self.resize,
            )
        self._store.open()
        return self._store
