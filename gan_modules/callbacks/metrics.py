"""Metrics of generated images, while fitting and in ``validate`` and ``test``."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from gan_modules.callbacks.paths import check_writable, is_trial
from gan_modules.errors import require
from gan_modules.metrics.cache import TensorCache
from gan_modules.metrics.comparisons import Comparison, Plan, comparisons
from gan_modules.metrics.data import RealData, Split
from gan_modules.metrics.evaluator import Evaluator
from gan_modules.metrics.features import FeatureNetwork, MissingWeightsError
from gan_modules.metrics.inception import InceptionFeatures
from gan_modules.metrics.randomness import without_trace
from gan_modules.metrics.scores import HIGHER_IS_BETTER, METRICS, NEEDS_KEPT, MetricName
from gan_modules.training.module import GenerativeModule
from gan_modules.training.monitors import wait_for_measurements

__all__ = ["GenerativeMetrics"]


class GenerativeMetrics(Callback):
    """Measure the averaged generator at the end of validation, and in ``validate`` and ``test``.

    Samples are compared with the real images in the features of a network. A metric's name states
    metric, features and number of samples: ``val/fid_inception_10k``. It goes to the loggers and to
    ``trainer.callback_metrics``, where ``ModelCheckpoint(monitor=...)`` finds it. Conditional
    models draw labels in the proportions of the data. Of models that translate, held-out images
    are translated and compared with held-out ones of the other domain, per direction
    (``val/fid_inception_120_a_to_b``); the name without a direction is the mean of both.

    Statistics of the real images are computed once and kept on disk. The samples are the same at
    every measurement and for any number of processes, which share the work. Training is left as it
    is, its random state too. Memory does not grow with the number of samples. A ``fast_dev_run``
    measures nothing.

    Args:
        names: of ``fid`` (Heusel et al. 2017, arXiv:1706.08500), ``kid`` (Bińkowski et al. 2018,
            arXiv:1801.01401), ``is`` (Salimans et al. 2016, arXiv:1606.03498), ``precision`` and
            ``recall`` (Kynkäänniemi et al. 2019, arXiv:1904.06991), ``density`` and ``coverage``
            (Naeem et al. 2020, arXiv:2002.09797), and perceptual path lengths (Karras et al. 2019,
            arXiv:1812.04948, section 4.1): ``ppl_zfull`` and ``ppl_zend`` of models with latents,
            anywhere on a way or at its beginning, ``ppl_wfull`` and ``ppl_wend`` of those with
            styles; none for no measurement at all.
        n: number of samples, and of ways, of which papers take 50,000 or 100,000.
        features: the network: Inception-v3 by default.
        reference: split of the real images, all of which are used. By default those for training,
            as in most papers, where a model that remembers them is not found out; and for
            translation the held-out ones. Where it is set, the names state it
            (``fid_inception_10k_vs_val``).
        batch_size: samples that are made at a time, and their features computed.
        every_n_validations: measure at every so manieth validation of a fit, and at the last one of
            a ``TrainingBudget``. ``EarlyStopping`` and ``ModelCheckpoint`` that monitor a metric
            pass over the others: patience counts measurements.
        n_kept: samples, and real images, that are kept for ``kid``, ``precision``, ``recall``,
            ``density`` and ``coverage`` at most: the first samples, and real images chosen at
            random once. It bounds their memory and time, which grows with its square.
        seed: of the samples.
        cache_dir: folder of what is kept on disk; None for ``gan_modules`` in ``$XDG_CACHE_HOME``,
            or in ``~/.cache`` where that is not set.
        on_missing_weights: what happens if weights of the network can't be downloaded: ``error``
            stops before training starts, ``skip`` goes on without these metrics.

    Raises:
        ValueError: if an option is out of its range; when training starts, if the model is not a
            :class:`GenerativeModule`, there is no validation, the features do not suit the data,
            weights are missing, or nothing can be written to ``cache_dir``.
    """

    def __init__(
        self,
        names: Sequence[MetricName] = ("fid", "kid"),
        n: int = 10_000,
        features: FeatureNetwork | None = None,
        reference: Split | None = None,
        batch_size: int = 100,
        every_n_validations: int = 1,
        n_kept: int = 10_000,
        seed: int = 0,
        cache_dir: str | None = None,
        on_missing_weights: Literal["error", "skip"] = "error",
    ) -> None:
        for name in names:
            require(name in METRICS, "names", name, f"of {', '.join(METRICS)}")
        for option, value, least in (
            ("n", n, 2),
            ("batch_size", batch_size, 1),
            ("every_n_validations", every_n_validations, 1),
            ("n_kept", n_kept, 2),
        ):
            require(value >= least, option, value, f"at least {least}")
        known = reference in (None, "train", "val", "test")
        require(known, "reference", reference, "train, val or test")
        choices = ("error", "skip")
        known = on_missing_weights in choices
        require(known, "on_missing_weights", on_missing_weights, "error or skip")
        self.names = [name for name in METRICS if name in names]
        self.n = n
        self.features = InceptionFeatures() if features is None else features
        self.reference = reference
        self.batch_size = batch_size
        self.every_n_validations = every_n_validations
        self.n_kept = n_kept
        self.seed = seed
        self.cache = TensorCache(cache_dir)
        self._evaluator = Evaluator(self.names, self.features, n_kept, batch_size, self.cache)
        self.on_missing_weights = on_missing_weights
        self._active = bool(self.names)
        self._state_key = self._generate_state_key(
            names=self.names, n=n, features=self.features.name, reference=reference
        )
        self._validations = 0
        self._logged: list[str] = []
        # what a monitor can name, known when training starts
        self.metric_names: list[str] = []

    @property
    def main_metric(self) -> str | None:
        """The metric that tells the best checkpoint; None before anything was measured.

        It is the first of ``names`` in the order above, by the name it has in validation.
        """
        return self._logged[0] if self._logged else None

    @property
    def mode(self) -> Literal["min", "max"]:
        """Which of its values is best."""
        return "max" if self.names[0] in HIGHER_IS_BETTER else "min"

    # ---- when ----------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Count validations anew; of a resumed training, their number is loaded after this."""
        if stage == "fit":
            self._validations = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Settle what could stop a measurement later."""
        if self.names and not is_trial(trainer) and not trainer.enable_validation:
            raise ValueError(
                "GenerativeMetrics measures at the end of validation, of which there is none: "
                "give the trainer validation images, and no limit_val_batches=0, or set "
                "metrics.names=[]"
            )
        self._begin(trainer, pl_module, "val")

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The same for ``validate``."""
        if trainer.state.fn != TrainerFn.FITTING:
            self._begin(trainer, pl_module, "val")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The same for ``test``."""
        self._begin(trainer, pl_module, "test")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, if it is due."""
        if trainer.sanity_checking or not self._active:
            return
        if trainer.state.fn == TrainerFn.FITTING:
            self._validations += 1
            # told to stop, the trainer will not validate again
            if self._validations % self.every_n_validations and not trainer.should_stop:
                self._forget(trainer)
                return
        self._measure_and_log(trainer, pl_module, "val")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure."""
        if self._active:
            self._measure_and_log(trainer, pl_module, "test")

    @property
    def state_key(self) -> str:
        """One for each of several such callbacks."""
        return self._state_key

    def state_dict(self) -> dict[str, Any]:
        """How many validations there were."""
        return {"validations": self._validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self._validations = state_dict["validations"]

    def _begin(self, trainer: Trainer, pl_module: LightningModule, held_out: Split) -> None:
        self._active = bool(self.names) and not is_trial(trainer)
        if not self._active:
            return
        if not isinstance(pl_module, GenerativeModule):
            raise ValueError(
                f"GenerativeMetrics draws from a GenerativeModule, not a {type(pl_module).__name__}"
            )
        check_writable("metrics.cache_dir", self.cache.folder / "*.pt")
        self._data = RealData(trainer)
        error: MissingWeightsError | None = None
        # what one process of a machine downloads is there for the others
        for turn in (True, False):
            if (trainer.local_rank == 0) == turn:
                try:
                    with without_trace(self.seed, pl_module.device):
                        self.features.load(self._data)
                except MissingWeightsError as missing:
                    error = missing
            trainer.strategy.barrier()
        if not trainer.strategy.reduce_boolean_decision(error is None):
            error = error or MissingWeightsError("weights are missing in another process")
            if self.on_missing_weights == "error":
                raise error
            self._active = False
            rank_zero_warn(f"no {', '.join(self.names)} in this run: {error}")
        if self._active:
            with without_trace(self.seed, pl_module.device):
                parts = self._parts(pl_module, held_out)
                for part in parts:
                    self._evaluator.check(self._data, part)
            self.metric_names = [f"{held_out}/{name}" for name in self._names(parts)]
            wait_for_measurements(trainer, self.metric_names)

    def _parts(self, model: GenerativeModule, held_out: Split) -> Sequence[Comparison]:
        plan = Plan(self.n, self.batch_size, self.seed, held_out, self.reference)
        return comparisons(model, self._data, plan)

    def _forget(self, trainer: Trainer) -> None:
        """Take the last measurement out of the metrics, which loggers would get again as new."""
        for name in self._logged:
            trainer.callback_metrics.pop(name, None)

    # ---- what ----------------------------------------------------------------------------------

    def _measure_and_log(
        self, trainer: Trainer, pl_module: LightningModule, held_out: Literal["val", "test"]
    ) -> None:
        assert isinstance(pl_module, GenerativeModule)
        measured = self.measure(trainer, pl_module, held_out)
        values = {f"{held_out}/{name}": value for name, value in measured.items()}
        if held_out == "val":
            self._logged = list(values)
        if trainer.state.fn != TrainerFn.FITTING:
            values |= {f"{held_out}/{name}": v for name, v in self.features.facts.items()}
        # while fitting, the module sends what begins with val/ to the loggers at its own steps
        logger = False if trainer.state.fn == TrainerFn.FITTING else None
        pl_module.log_dict(values, logger=logger, sync_dist=True)

    def measure(
        self, trainer: Trainer, model: GenerativeModule, held_out: Split
    ) -> dict[str, float]:
        """All metrics of a model, by name, without the split in front.

        Args:
            trainer: of the stage that is running.
            model: on its device.
            held_out: the split at hand.

        Returns:
            The same in every process; NaN where the generator's images are.
        """
        with without_trace(self.seed, model.device):
            self.features.train(self._data, self.cache)
            parts = self._parts(model, held_out)
            measured = [self._evaluator.scores(self._data, part) for part in parts]
            values = [[of_part[name] for name in self.names] for of_part in measured]
            if len(parts) > 1:
                values.insert(0, [sum(v) / len(parts) for v in zip(*values, strict=True)])
            found = dict(zip(self._names(parts), chain(*values), strict=True))
            shared: dict[str, float] = trainer.strategy.broadcast(found)
        return shared

    def _names(self, parts: Sequence[Comparison]) -> list[str]:
        """Of all figures, in their order: the means of several parts come first."""
        means = [(min(part.n for part in parts), "")] if len(parts) > 1 else []
        wanted = [*means, *((part.n, part.direction) for part in parts)]
        return [self._full_name(name, n, at) for n, at in wanted for name in self.names]

    def _full_name(self, name: MetricName, n: int, direction: str) -> str:
        n = min(n, self.n_kept) if name in NEEDS_KEPT else n
        samples = f"{n // 1000}k" if n % 1000 == 0 else str(n)
        versus = f"_vs_{self.reference}" if self.reference else ""
        return f"{name}_{self.features.name}_{samples}{versus}" + (direction and f"_{direction}")
