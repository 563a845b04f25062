"""``GANCLI``: LightningCLI for adversarial training."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import torch
from jsonargparse.typing import PositiveInt
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_warn
from rich.console import Console

from gan_modules.callbacks.paths import is_trial
from gan_modules.checkpoints.reading import check_weights, read_checkpoint
from gan_modules.command_line.checkpoint_checks import check_more_to_do, check_same_options
from gan_modules.command_line.checks import check_options, image_shape, num_classes
from gan_modules.command_line.class_help import list_of_classes, with_model_for_help
from gan_modules.command_line.config_files import ConfigFile
from gan_modules.command_line.descriptions import descriptions
from gan_modules.command_line.initial import start_from
from gan_modules.command_line.memory import keep_freed_memory
from gan_modules.command_line.messages import explain_exception, with_full_name
from gan_modules.command_line.other_classes import (
    check_nothing_typed_is_lost,
    say_what_is_left_out,
)
from gan_modules.command_line.parsing import GANArgumentParser, with_subparsers
from gan_modules.command_line.predict import PredictCommand
from gan_modules.command_line.results import require_measured, results_table, write_results
from gan_modules.command_line.resume import run_name, typed_anew, with_checkpoint
from gan_modules.command_line.runs import (
    RunConfig,
    new_run_folder,
    plain_values,
    run_loggers,
)
from gan_modules.command_line.trainer_parts import CALLBACKS, switched_off, with_own_callbacks
from gan_modules.command_line.without_trainer import WITHOUT_TRAINER
from gan_modules.command_line.words import configs_first, files_first, with_null, with_switches
from gan_modules.training.module import GenerativeModule

__all__ = ["GANCLI"]


COMMANDS = {
    "fit": "Train a model; everything it makes goes into one new folder under runs/.",
    "validate": "Evaluate a checkpoint's objective on the validation images.",
    "test": "Evaluate a checkpoint's objective on the test images.",
    "predict": "Write images: samples of a checkpoint, or a folder of images translated by it.",
}


class GANCLI(PredictCommand):
    """Fit, validate, test and use GANs from config files and options.

    Fitting makes a run folder ``runs/<config name>/<version>/`` with ``config.yaml``,
    ``checkpoints/``, ``samples/``, ``metrics.csv``, ``losses.png``, ``diagnostics.png`` and the
    loggers' files; with ``--trainer.default_root_dir`` it lies there instead of in ``runs``. The
    shape of the images and the number of classes go from the data to the model.

    Args:
        args: the command line; by default the process's own.
        **kwargs: options of ``LightningCLI``.
    """

    def __init__(self, args: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(
            **{
                "model_class": GenerativeModule,
                "datamodule_class": LightningDataModule,
                "subclass_mode_model": True,
                "subclass_mode_data": True,
                "save_config_callback": RunConfig,
                "save_config_kwargs": {"save_to_log_dir": False},
                "parser_class": GANArgumentParser,
                "parser_kwargs": descriptions(COMMANDS),
                "seed_everything_default": 0,
                "auto_configure_optimizers": False,
                "args": args,
                **kwargs,
            }
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The trainer's methods that are commands, and their arguments that are not options."""
        commands = LightningCLI.subcommands()
        for name, hidden in (
            ("validate", "verbose"),
            ("test", "verbose"),
            ("predict", "return_predictions"),
        ):
            commands[name] |= {hidden}
        return {name: commands[name] for name in COMMANDS}

    def setup_parser(self, add_subcommands: bool, *args: Any, **kwargs: Any) -> None:
        """List what is no method of the trainer, too: ``run`` runs it."""
        super().setup_parser(add_subcommands, *args, **kwargs)
        commands = self.parser._subcommands_action
        if commands is not None:
            for name, command in WITHOUT_TRAINER.items():
                commands.add_subcommand(name, command.parser(), help=command.help)

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Make a parser whose ``--config`` finds bare names."""
        parser = self.parser_class(**kwargs)
        parser.add_argument(
            "-c",
            "--config",
            action=ConfigFile,
            help="Config file, or the bare name of one here or in configs/.",
        )
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Keep the command line, so that errors can quote it, and check what needs no objects."""
        typed = sys.argv[1:] if args is None else args
        for known in with_subparsers(parser):
            known.arguments, known.contents = typed, {}
        if (classes := list_of_classes(typed)) is not None:
            print(classes)
            raise SystemExit(0)
        words = files_first(configs_first(with_model_for_help(with_switches(with_null(typed)))))
        if words and (words[0] in COMMANDS or words[0].startswith("-")):
            words = with_checkpoint(words, partial(ConfigFile.find, parser))
        if words == [*typed]:
            super().parse_arguments(parser, args)
        else:
            self.config = parser.parse_args(words)
        if (command := self.config["subcommand"]) not in COMMANDS:
            raise ValueError(f"{command} must be the first word of the command line, for run")
        check_options(typed, self.config[command])
        contents = cast(GANArgumentParser, self._parser(command)).contents
        check_nothing_typed_is_lost(typed, self.config[command])
        say_what_is_left_out(typed, contents, self.config[command])

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add model and data ahead of the trainer, whose help fills pages."""
        for base, key, mode in (
            (self._model_class, "model", self.subclass_mode_model),
            (self._datamodule_class, "data", self.subclass_mode_data),
        ):
            parser.add_lightning_class_args(base, key, mode, required=self.needs_classes)
        parser.add_lightning_class_args(self.trainer_class, "trainer")
        # callbacks among them are added when the trainer is built
        defaults = {f"trainer.{k}": v for k, v in self.trainer_defaults.items() if k != "callbacks"}
        parser.set_defaults(defaults)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add this project's callbacks, and let the data tell the model about the images."""
        parser.add_argument(
            "--torch_threads",
            type=PositiveInt | None,
            default=None,
            help="CPU threads of each process; by default as many as torch likes.",
        )
        parser.add_argument(
            "--float32_matmul_precision",
            type=Literal["highest", "high", "medium"] | None,
            default=None,
            help="how float32 matrices are multiplied, on GPUs and CPUs that can: high and medium "
            "round factors, for speed; by default torch's own choice, which is highest.",
        )
        for name, callback in CALLBACKS.items():
            parser.add_lightning_class_args(callback, name)
        # measuring and watching take time: on request
        parser.set_defaults({"metrics.names": [], "watch.what": None})
        for attribute in (image_shape, num_classes):
            parser.link_arguments(
                "data", f"model.init_args.{attribute.__name__}", attribute, apply_on="instantiate"
            )

    def instantiate_classes(self) -> None:
        """Build everything; where an option is wrong, say which by its full name."""
        try:
            super().instantiate_classes()
        except Exception as error:
            line = explain_exception(error)
            if line is None:
                raise
            options = self.config[self.subcommand]
            raise ValueError(with_full_name(line, options)) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Give a fit its run folder; other commands write nothing."""
        self._check_checkpoint()
        chosen = self._get(self.config_init, "trainer")
        kwargs |= {"callbacks": with_own_callbacks(chosen), "logger": False}
        if self.subcommand == "fit" and not chosen["fast_dev_run"]:
            root, name = Path(chosen["default_root_dir"] or "runs"), self.run_name()
            self.run_folder = new_run_folder(root, name)
            kwargs["default_root_dir"] = self.run_folder
            resumed = self._get(self.config, "ckpt_path")
            kwargs["logger"] = run_loggers(chosen["logger"], self.run_folder, name, resumed)
        return super().instantiate_trainer(**kwargs)

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> Trainer:
        """Leave our checkpoints, metrics and histograms out where they are switched off."""
        unwanted = switched_off(self.config[self.subcommand], config["enable_checkpointing"])
        callbacks = [c for c in callbacks if not isinstance(c, unwanted)]
        return super()._instantiate_trainer(config, callbacks)

    def run_name(self) -> str:
        """Name of the last config file, or of the model where there is none."""
        configs = [str(config) for config in self._get(self.config, "config") or ()]
        if not configs or not Path(configs[-1]).is_file():
            return type(self.model).__name__
        return run_name(configs[-1])

    def before_instantiate_classes(self) -> None:
        """Settle how torch computes; check what depends on the command before anything is built."""
        threads = self._get(self.config, "torch_threads")
        if threads is not None:
            torch.set_num_threads(threads)
        precision = self._get(self.config, "float32_matmul_precision")
        if precision is not None:
            torch.set_float32_matmul_precision(precision)
        if self.subcommand == "fit":
            keep_freed_memory()
        path = self._get(self.config, "ckpt_path")
        if path is None and self.subcommand != "fit":
            raise ValueError(f"{self.subcommand} needs --ckpt_path, the weights to use")
        if path is not None and not Path(path).is_file():
            raise ValueError(f"ckpt_path={path} must be a checkpoint file")

    def _parse_ckpt_path(self) -> None:
        """Leave the options as given: LightningCLI would replace them by the checkpoint's."""

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Have checkpoints read as data, whatever torch's default is, and the table left to us."""
        kwargs = {**super()._prepare_subcommand_kwargs(subcommand), "weights_only": True}
        return kwargs | ({"verbose": False} if subcommand in ("validate", "test") else {})

    def _dump_config(self) -> None:
        """Keep the options as plain values, as LightningCLI does, but not check them once more."""
        if not hasattr(self, "config_dump"):
            values = plain_values(self.parser, self.config, skip_link_targets=False)
            self.config_dump = values[self.config["subcommand"]]

    def _check_checkpoint(self) -> None:
        """Refuse a checkpoint that does not go with the options given."""
        seed, path = (self._get(self.config, name) for name in ("seed_everything", "ckpt_path"))
        if seed is not False:
            self.model.noise_seed = seed
        training = self.subcommand == "fit"
        if path is None:
            source = self._get(self.config, "init_from") if training else None
            if source is not None:
                start_from(self.model, source)
            elif training and getattr(self.model, "freeze_discriminator", 0):
                rank_zero_warn("freeze_discriminator without --init_from freezes what is untrained")
            return
        checkpoint = read_checkpoint(path)
        typed = cast(GANArgumentParser, self._parser(self.subcommand)).arguments
        anew = typed_anew(self.model.players, typed) if training else {}
        self.model.renewed_players = frozenset(anew)
        given = self.given_options()
        check_same_options(path, checkpoint, self.model, given, training, anew.values())
        check_weights(path, checkpoint, self.model)
        if training:
            check_more_to_do(path, checkpoint, self._get(self.config_init, "trainer"))

    def after_validate(self) -> None:
        """Print what was found, and leave it beside the checkpoint."""
        self._write_results()

    def after_test(self) -> None:
        """Print what was found, and leave it beside the checkpoint."""
        self._write_results()

    def _write_results(self) -> None:
        trainer, path = self.trainer, self._get(self.config, "ckpt_path")
        if not trainer.is_global_zero:
            return
        command, metrics = str(self.subcommand), trainer.callback_metrics
        if command == "test":
            batches, limit = trainer.num_test_batches, trainer.limit_test_batches
        else:
            batches, limit = trainer.num_val_batches, trainer.limit_val_batches
        require_measured(command, metrics, sum(batches), limit)
        Console().print(results_table(command, metrics))
        if not is_trial(trainer):
            step = read_checkpoint(path)["global_step"]
            print(write_results(command, path, step, metrics))

    def after_fit(self) -> None:
        """Say where everything is."""
        if self.trainer.is_global_zero and hasattr(self, "run_folder"):
            print(f"Run folder: {self.run_folder}")
