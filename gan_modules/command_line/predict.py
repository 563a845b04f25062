"""``predict``: images made by a checkpoint, as files."""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from torch import Tensor

from gan_modules.callbacks.paths import is_trial, unused
from gan_modules.callbacks.pictures import grid
from gan_modules.checkpoints.class_paths import exported_path
from gan_modules.checkpoints.reading import read_checkpoint
from gan_modules.command_line.prediction import Prediction
from gan_modules.command_line.results import run_folder_of
from gan_modules.tools.image_files import write_image
from gan_modules.training.module import GenerativeModule

__all__ = ["ImageWriter", "PredictCommand"]


class PredictCommand(LightningCLI):
    """The part of the command line that predicts: it needs a checkpoint, neither model nor data."""

    def _prepare_subcommand_parser(
        self, klass: type, subcommand: str, **kwargs: Any
    ) -> LightningArgumentParser:
        """Note whose options are added next."""
        self.needs_classes = subcommand != "predict"
        return super()._prepare_subcommand_parser(klass, subcommand, **kwargs)

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what a training starts from, or what is to be made, ahead of all else."""
        super().add_default_arguments_to_parser(parser)
        # all commands read the config of a run
        parser.add_argument(
            "--init_from",
            type=str | None,
            default=None,
            help="Of fit: run, checkpoint or pretrained folder whose networks the training starts "
            "from; all else begins anew.",
        )
        if not self.needs_classes:
            self._options = parser.add_class_arguments(Prediction)

    def instantiate_classes(self) -> None:
        """Let the checkpoint say what the model is, and leave the data alone."""
        if self.subcommand != "predict":
            super().instantiate_classes()
            return
        config = self.config.clone()
        config.predict.model = config.predict.data = None
        self.config_init = self.parser.instantiate_classes(config)
        self.datamodule = None
        path = self._get(self.config, "ckpt_path")
        self.model = GenerativeModule.load_from_checkpoint(path, map_location="cpu")
        self.trainer = self.instantiate_trainer()

    def given_options(self) -> dict[str, Any]:
        """Class and hyper-parameters of the model as the options have them, if they do."""
        if self.subcommand != "predict":
            kind = type(self.model)
            return {**self.model.hparams, "class": exported_path(kind)}
        parser, config = self._parser("predict"), self.config.predict
        given = yaml.safe_load(parser.dump(config, skip_none=False))["model"]
        if given is None:
            return {}
        module, _, name = given["class_path"].rpartition(".")
        kind = getattr(import_module(module), name)
        return {**given["init_args"], "class": exported_path(kind)}

    def predict(self, model: GenerativeModule, **_: Any) -> None:
        """Make the images, write them and say where they are."""
        chosen = self.config_init.predict
        prediction = Prediction(**{name: chosen[name] for name in self._options})
        path = self._get(self.config, "ckpt_path")
        step = read_checkpoint(path)["global_step"]
        folder = run_folder_of(path) / "predictions" / f"step_{step:06d}"
        writer = ImageWriter(prediction, folder)
        self.trainer.callbacks.append(writer)  # type: ignore[attr-defined]
        self.trainer.predict(
            model, prediction.loader(model, self.trainer.world_size), return_predictions=False
        )
        if self.trainer.is_global_zero:
            print(f"{writer.folder}: {writer.written} file{'s' * (writer.written != 1)}")


class ImageWriter(Callback):
    """Write the images of each batch while the next is made.

    Args:
        prediction: the options.
        folder: where to, unless the options say so.
    """

    def __init__(self, prediction: Prediction, folder: Path) -> None:
        self.prediction = prediction
        self.folder = Path(prediction.out or folder)
        self.written = 0
        self._kept: list[Tensor] = []

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Settle the folder, the same for all processes."""
        self._writes = not is_trial(trainer)
        folder = self.folder
        if trainer.is_global_zero and self._writes:
            is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
            folder = folder if is_free else unused(folder)
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ValueError(f"{folder} cannot be made ({error.strerror})") from error
        self.folder = trainer.strategy.broadcast(folder)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the images, or keep them for the grid."""
        if self.prediction.grid:
            self._kept.append(outputs.float().cpu())
            return
        for image, name in zip(outputs, batch[-1], strict=True):
            self._write(image, self.folder / name)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the grid; count the files of all processes."""
        if self._kept:
            self._write_grid()
        self.written = int(trainer.strategy.reduce(torch.tensor(self.written), reduce_op="sum"))

    def _write_grid(self) -> None:
        images, ending = torch.cat(self._kept), self.prediction.format
        if ending in ("png", "jpg"):
            columns = self.prediction.columns
            missing = -len(images) % columns
            images = torch.cat([images, -torch.ones_like(images[:1]).repeat(missing, 1, 1, 1)])
            images = grid(images.unflatten(0, (-1, columns)), 512) * 2 - 1
        self._write(images, self.folder / f"samples.{ending}")

    def _write(self, image: Tensor, path: Path) -> None:
        if not self._writes:
            return
        try:
            write_image(image, path)
        except OSError as error:
            raise OSError(f"{path} cannot be written ({error.strerror or error})") from error
        self.written += 1
