"""What a command line does, and what it says where it cannot."""

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from gan_modules.command_line.app import GANCLI
from gan_modules.command_line.messages import explain_exception
from gan_modules.command_line.runs import end_failed_run, forget_run_folders
from gan_modules.command_line.without_trainer import WITHOUT_TRAINER

__all__ = ["run"]


def run(args: Sequence[str] | None = None, **kwargs: Any) -> GANCLI | None:
    """Run the command line, and report input that cannot work in one line, with status 1."""
    forget_run_folders()
    typed = sys.argv[1:] if args is None else args
    was_together = torch.distributed.is_initialized()
    try:
        with _quietly():
            if typed and typed[0] in WITHOUT_TRAINER:
                WITHOUT_TRAINER[typed[0]].run(typed[1:])
                return None
            return GANCLI(args, **kwargs)
    except Exception as error:
        end_failed_run()
        line = explain_exception(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        # threads of gloo's that outlive the interpreter end the process with a signal
        if torch.distributed.is_initialized() and not was_together:
            torch.distributed.destroy_process_group()


@contextmanager
def _quietly() -> Iterator[None]:
    """Drop what Lightning says that does not concern the user of a GAN, as long as a run lasts."""
    loggers = [
        logging.getLogger(f"lightning.{name}.utilities.rank_zero") for name in ("pytorch", "fabric")
    ]

    def is_no_tip(record: logging.LogRecord) -> bool:
        # advertisements, that a training of so many steps has ended after so many, and that our
        # table of networks stands in place of Lightning's
        dropped = ("Tip:", "`Trainer.fit` stopped", "already configured with model summary")
        return not any(words in record.getMessage() for words in dropped)

    with warnings.catch_warnings():
        # images in memory are indexed in the main process, faster than any worker could
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        # validation is counted in generator updates, not epochs; small data sets have short epochs
        warnings.filterwarnings("ignore", ".*smaller than the logging interval.*")
        # it counts megabytes, which our table of networks does not show
        warnings.filterwarnings("ignore", "Precision .* is not supported by the model summary")
        warnings.filterwarnings("ignore", ".*`isinstance\\(treespec, LeafSpec\\)`.*")
        for logger in loggers:
            logger.addFilter(is_no_tip)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(is_no_tip)
