"""The objectives on held-out images."""

from typing import Any

from gan_modules.training.fitting import tried
from gan_modules.training.player_terms import PlayerTerms
from gan_modules.training.receiving import Receiving
from gan_modules.training.reporting import Reporting

__all__ = ["Evaluation"]


class Evaluation(PlayerTerms, Reporting, Receiving):
    """A module that can be validated and tested."""

    def on_validation_epoch_start(self) -> None:
        """Draw noise of its own on every rank; check the first batch."""
        self._seed_noise()
        self._batch_is_checked = False

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_epoch_end(self) -> None:
        """Raise ``ValueError`` if a batch has left its range."""
        self._ranges.check(self.trainer)

    on_test_epoch_end = on_validation_epoch_end

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Evaluate the objectives on held-out images, as ``val/d/...`` and ``val/g/...``."""
        self._evaluate("val/", batch)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Evaluate the objectives on test images, as ``test/d/...`` and ``test/g/...``."""
        self._evaluate("test/", batch)

    def _evaluate(self, prefix: str, batch: Any) -> None:
        is_first = not self._batch_is_checked
        received = self._receive(batch)
        self._ranges.note(self.ranges(received))
        with self._ranges.explaining(), tried(self.checks(received[0]) if is_first else {}):
            terms = self._terms_of_all(received)
        self.report_evaluation(prefix, terms, len(received[0]))
