"""Recipes on random images, and how ``cli.py`` trains them, for ``scaling.py`` and ``gpu.py``.

What is in the images does not change how long training takes.
"""

import io
import json
import tempfile
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor

from datamodules.base import Split
from datamodules.images import ImageDataModule
from gan_modules.command_line import run

__all__ = ["CASES", "Case", "NoiseImages", "command", "fit", "random_images", "run_line"]


@dataclass(frozen=True)
class Case:
    """A recipe on random images.

    Attributes:
        model: class and arguments, as in a config file.
        image_shape: ``(C, S, S)``.
        batch_size: images per update.
        rate: learning rate of the variant's default optimizer.
        betas: of Adam.
        latent_dim: size of the latent vector, normal.
        n_critic: discriminator updates per generator update.
    """

    model: dict[str, Any]
    image_shape: tuple[int, int, int] = (1, 32, 32)
    batch_size: int = 64
    rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    latent_dim: int = 100
    n_critic: int = 1

    @property
    def images(self) -> int:
        """Real images that one iteration takes."""
        return self.batch_size * self.n_critic

    def config(self, size: int) -> dict[str, Any]:
        """Model and data as in a config file, with so many images of data."""
        channels, side, _ = self.image_shape
        data = {"channels": channels, "image_size": side, "batch_size": self.batch_size}
        return {
            "model": self.model,
            "data": {"class_path": f"{__name__}.NoiseImages", "init_args": {**data, "size": size}},
        }


class NoiseImages(ImageDataModule):
    """Random images of 10 classes.

    Args:
        channels: of the images.
        image_size: side of the images.
        size: number of images.
        stored_size: side of the images before they are resized to ``image_size``; None for that.
        **kwargs: options of :class:`ImageDataModule`.
    """

    num_classes = 10

    def __init__(
        self,
        *,
        channels: int,
        image_size: int,
        size: int,
        stored_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_size=image_size, **kwargs)
        self.channels = channels
        self.size = size
        self.stored_size = stored_size or image_size

    def load(self, split: Split) -> tuple[Tensor, Tensor]:
        """Images ``(N, C, S, S)`` and labels of any split."""
        return random_images(self.size, (self.channels, self.stored_size, self.stored_size))


def random_images(n: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Images ``(n, *shape)``, uint8, and labels of 10 classes."""
    images = torch.randint(256, (n, *shape), dtype=torch.uint8)
    return images, torch.randint(10, (n,))


def _model(name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": name, "init_args": arguments}


def _fully_connected(name: str, **arguments: Any) -> dict[str, Any]:
    # 512 x 3 layers, the defaults of these networks
    networks = {"generator": "MLPGenerator", "discriminator": "MLPDiscriminator"}
    return _model(name, **{player: _model(each) for player, each in networks.items()}, **arguments)


CASES = {
    "mlp_wgan_gp": Case(
        _fully_connected("WGANGP"), rate=1e-4, betas=(0.0, 0.9), latent_dim=128, n_critic=5
    ),
    "dcgan": Case(_model("DCGAN")),
}
"""What ``scaling.py`` varies, by name."""


def command(case: Case, folder: Path, precision: str, steps: int, size: int) -> list[str]:
    """The command line of a training; pictures and checkpoints come at its end only."""
    config = folder / "case.yaml"
    # JSON is YAML, too
    config.write_text(json.dumps(case.config(size)))
    never = str(10**9)
    return [
        "fit", "--config", str(config), "--seed_everything", "0", "--torch_threads", "1",
        "--trainer.default_root_dir", str(folder), "--trainer.logger", "false",
        "--trainer.precision", precision, "--trainer.max_steps", str(steps),
        "--trainer.limit_val_batches", "0", "--checkpoint.every_n_train_steps", never,
        "--samples.every_n_steps", never,
    ]  # fmt: skip


def run_line(line: list[str], *callbacks: Callback) -> Any:
    """Run the command line with some callbacks more."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LightningCLI's args parameter")
        return run(line, trainer_defaults={"callbacks": [*callbacks]})


def fit(case: Case, callback: Callback, precision: str, steps: int, size: int, *more: str) -> Any:
    """Train by the command line, with one callback more, in a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        line = command(case, Path(folder), precision, steps, size)
        return run_line([*line, *more], callback)
