"""Two processes measure together what one measures alone."""

import sys
from pathlib import Path

import pytest
import torch
from processes import run_together

SCRIPT = """
import sys

import torch
from lightning.pytorch import Trainer
from torch import nn

from datamodules import DigitsDataModule, UnpairedDigitsDataModule
from gan_modules import CGAN, CycleGAN
from gan_modules.callbacks import BestCheckpoint, GenerativeMetrics
from gan_modules.metrics import ClassifierFeatures, ModuleFeatures

NAMES = ("fid", "kid", "is", "precision", "recall", "density", "coverage")


class Projection(nn.Module):
    def __init__(self):
        super().__init__()
        weight = torch.randn(768, 6, generator=torch.Generator().manual_seed(0))
        self.register_buffer("weight", weight / 768**0.5)

    def forward(self, images):
        features = images.flatten(1) @ self.weight
        return features, features


def trainer(metrics, **kwargs):
    return Trainer(
        accelerator="cpu", devices=processes, logger=False, enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False, limit_val_batches=2,
        callbacks=[metrics, BestCheckpoint(dirpath=f"best_{processes}")], **kwargs,
    )


if __name__ == "__main__":
    processes = int(sys.argv[1])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    options = {"cache_dir": f"cache_{processes}", "batch_size": 32}
    model = CGAN(image_shape=(1, 16, 16), num_classes=10, latent_dim=4)
    cycle = CycleGAN(image_shape=(3, 16, 16))
    # 7 batches, of which the last is smaller: the two ranks have unequal shares
    metrics = GenerativeMetrics(NAMES, 210, ClassifierFeatures(steps=30), **options)
    values = trainer(metrics).validate(model, DigitsDataModule(), verbose=False)[0]
    metrics = GenerativeMetrics(NAMES, 77, ModuleFeatures(Projection()), **options)
    values |= trainer(metrics).validate(cycle, UnpairedDigitsDataModule(), verbose=False)[0]
    fitting = trainer(GenerativeMetrics(NAMES, 100, ClassifierFeatures(30), **options), max_steps=2,
                      val_check_interval=1, num_sanity_val_steps=0)
    fitting.fit(model, DigitsDataModule(batch_size=32))
    fitted = {k: v.item() for k, v in fitting.callback_metrics.items() if "classifier" in k}
    own = {k: v for k, v in values.items() if "projection" in k or "classifier" in k}
    torch.save((own, fitted), f"{processes}_{fitting.global_rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_measure_what_one_measures() -> None:
    Path("measure.py").write_text(SCRIPT)
    for processes in (1, 2):
        run_together([sys.executable, "measure.py", str(processes)])
    (one, _), (first, fitted), (second, fitted_too) = (
        torch.load(f"{name}.pt") for name in ("1_0", "2_0", "2_1")
    )
    assert len(one) == 7 + 3 * 7
    assert first == second
    assert fitted == fitted_too
    assert len(fitted) == 7
    assert first == pytest.approx(one, rel=1e-6)
    # the real statistics are kept once, by a key that does not know the number of processes
    kept = [sorted(p.name for p in Path(f"cache_{n}").iterdir()) for n in (1, 2)]
    assert kept[0] == kept[1]
    assert [p.name for p in Path("best_2").iterdir()] == ["best_fid_digits_classifier_100.ckpt"]
