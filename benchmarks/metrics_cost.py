"""What metrics cost, beside what they cannot do without: making the samples and their features.

    python benchmarks/metrics_cost.py --mnist DIR

A generator of MNIST's recipe ``mnist/dcgan.yaml``, untrained, is measured in the features of a
classifier, whose real statistics are known already. The ratio is of CPU time on one thread:
measuring 10,000 samples, over what of that time goes into sampling them and extracting their
features, so that both see the same neighbours; median, least and largest of several rounds. Peak
memory is what measuring 2,000, 10,000 or 50,000 samples adds at most to a process that has measured
100 (Linux). For Inception-v3, with random weights, 10,000 samples would take too long here: the
time of making them and their features is that of 100, times 100, and the scores are computed of
10,000 random features.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import nn

from datamodules import MNISTDataModule
from gan_modules import DCGAN
from gan_modules.callbacks import GenerativeMetrics
from gan_modules.metrics import ClassifierFeatures, FeatureStatistics, InceptionFeatures
from gan_modules.metrics.path_length import PATHS
from gan_modules.metrics.scores import METRICS, MetricName, RealStatistics, scores
from gan_modules.networks import DCGANGenerator

# those that compare samples with real images
COMPARED = tuple(name for name in METRICS if name not in PATHS)
SIZES = [2_000, 10_000, 50_000]
ROUNDS = 15


class Measured(GenerativeMetrics):
    """Metrics that can be measured again and again within one validation."""

    def __init__(self, look: Callable[[Any, Any, Any], Any], **kwargs: Any) -> None:
        super().__init__(features=ClassifierFeatures(), **kwargs)
        self.look = look

    def measure(self, *stage: Any) -> dict[str, float]:
        values = super().measure(*stage)  # real statistics are known from now on
        self.result = self.look(self, stage[0], stage[1])
        return values

    def again(self, trainer: Any, model: Any) -> None:
        super().measure(trainer, model, "val")


def validate(root: str, look: Callable[[Any, Any, Any], Any], **kwargs: Any) -> Any:
    """What a function returns that is called while the model is validated."""
    torch.manual_seed(0)
    model = DCGAN(image_shape=(1, 32, 32), latent_dim=100, generator=small_generator)
    metrics = Measured(look, **kwargs)
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, limit_val_batches=1,
        callbacks=[metrics], enable_checkpointing=False,
    )  # fmt: skip
    trainer.validate(model, MNISTDataModule(root=root, image_size=32), verbose=False)
    return metrics.result


def small_generator(**kwargs: Any) -> nn.Module:
    return DCGANGenerator(width=32, **kwargs)


def seconds(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def ratio(root: str, names: tuple[MetricName, ...]) -> dict[str, Any]:
    """CPU seconds of measuring 10,000 samples, and of what cannot be left out, by rounds."""

    def look(metrics: Measured, trainer: Any, model: Any) -> list[tuple[float, float]]:
        spent = 0.0

        def timed(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal spent
                start = time.process_time()
                result = function(*args, **kwargs)
                spent += time.process_time() - start
                return result

            return call

        model.sample = timed(model.sample)
        metrics.features.extract = timed(metrics.features.extract)  # type: ignore[method-assign]
        times = []
        for _ in range(ROUNDS):
            spent = 0.0
            whole = seconds(lambda: metrics.again(trainer, model))
            times.append((whole, spent))
        return times

    times = validate(root, look, names=names)
    ratios = sorted(whole / least for whole, least in times)
    return {
        "measuring": statistics.median(whole for whole, _ in times),
        "samples_and_features": statistics.median(least for _, least in times),
        "ratio": statistics.median(ratios),
        "ratio_extent": [ratios[0], ratios[-1]],
    }


def memory(root: str, n: int) -> float:
    """MiB that measuring so many samples adds to the peak, in this process."""

    def look(metrics: Measured, trainer: Any, model: Any) -> float:
        metrics.n = n
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = kilobytes("VmRSS")
        metrics.again(trainer, model)
        return (kilobytes("VmHWM") - before) / 1024

    found: float = validate(root, look, names=COMPARED, n=100)
    return found


def pair_products() -> float:
    """CPU seconds of the inner products that all scores of 10,000 features of 64 numbers need.

    The least that pairs can cost: each with each between real and fake and within the fakes, for
    distances, and the same with half of the fakes' for the kernel, which is symmetric.
    """
    x, y = torch.randn(10_000, 64), torch.randn(64, 10_000)
    room = torch.empty(256, 10_000)

    def product() -> None:
        for block in x.split(256):
            torch.mm(block, y, out=room[: len(block)])

    return 3.5 * min(seconds(product) for _ in range(ROUNDS))


def kilobytes(field: str) -> int:
    """A figure of this process that Linux keeps."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def inception() -> dict[str, float]:
    """Ratio of measuring 10,000 samples in Inception-v3's features, put together of parts."""
    features = InceptionFeatures()
    features._use(random_inception())
    model = DCGAN(image_shape=(1, 32, 32), latent_dim=100, generator=small_generator)
    bare = 100 * min(seconds(lambda: features.extract(model.sample(100, seed=0))) for _ in range(2))
    drawn = [torch.randn(10_000, 2048).relu() for _ in range(2)]
    rows = torch.arange(10_000)

    def summed(images: torch.Tensor) -> FeatureStatistics:
        found = FeatureStatistics(2048, 10_000, torch.device("cpu"))
        for some in rows.split(100):
            found.add(images[some], some)
        return found

    real = RealStatistics.of(summed(drawn[0]), torch.zeros(0))
    names: tuple[MetricName, ...] = tuple(name for name in COMPARED if name != "is")
    times = {
        "fid_kid": seconds(lambda: scores(("fid", "kid"), real, summed(drawn[1]), None)),
        "all_but_is": seconds(lambda: scores(names, real, summed(drawn[1]), None)),
    }
    return {"samples_and_features": bare} | {
        f"ratio_{name}": 1 + extra / bare for name, extra in times.items()
    }


def random_inception() -> nn.Module:
    from torch_fidelity import feature_extractor_inceptionv3 as reference

    from gan_modules.metrics.inception import LAYERS, _Rounded

    class Untrained(reference.FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, state_dict: Any) -> None:
            pass

    reference.load_state_dict_from_url = lambda *_, **__: {}
    return _Rounded(Untrained("inception-v3-compat", LAYERS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", required=True, help="root of MNIST")
    parser.add_argument("--memory", type=int, help="only measure memory, of so many samples")
    parser.add_argument("--output", type=Path, help="JSON file of all results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory is not None:
        print(memory(options.mnist, options.memory))
        return
    report: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "classifier_fid_kid": ratio(options.mnist, ("fid", "kid")),
        "classifier_all": ratio(options.mnist, COMPARED),
        "classifier_pair_products": pair_products(),
        "inception_random_weights": inception(),
        "peak_memory_mib": {},
    }
    # memory that is given back at once, or else the allocator's habits are measured
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
    for n in SIZES:
        command = [sys.executable, __file__, "--mnist", options.mnist, "--memory", str(n)]
        out = subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout
        report["peak_memory_mib"][n] = float(out.splitlines()[-1])
    print(json.dumps(report, indent=1))
    if options.output is not None:
        options.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
