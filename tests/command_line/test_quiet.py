"""What a run keeps quiet about is heard again after it."""

import logging
import warnings

import pytest

import cli

LOGGERS = [
    logging.getLogger(f"lightning.{name}.utilities.rank_zero") for name in ("pytorch", "fabric")
]


def filters() -> list[int]:
    return [len(warnings.filters), *(len(logger.filters) for logger in LOGGERS)]


@pytest.mark.thorough
@pytest.mark.usefixtures("small_config")
def test_filters_do_not_pile_up() -> None:
    before = [len(logger.filters) for logger in LOGGERS]
    counts = []
    for _ in range(2):
        cli.main(["fit", "--config", "small.yaml", "--trainer.fast_dev_run", "true"])
        counts.append(filters())
    assert counts[0] == counts[1]
    assert counts[0][1:] == before


@pytest.mark.usefixtures("small_config")
def test_nor_after_a_run_that_failed() -> None:
    before = filters()
    with pytest.raises(SystemExit):
        cli.main(["fit", "--config", "small.yaml", "--data.batch_size", "0"])
    assert filters() == before
