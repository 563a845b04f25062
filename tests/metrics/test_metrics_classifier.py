"""A classifier's accuracy beside the metrics in its features."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

import cli
from gan_modules import GAN
from gan_modules.callbacks import GenerativeMetrics
from gan_modules.metrics import ClassifierFeatures

pytestmark = pytest.mark.thorough


class Labelled(LightningDataModule):
    """Images that tell their labels, or do not, and held-out ones with labels of one's own."""

    def __init__(self, held_out: Tensor, n: int = 60, tells: bool = True) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.labels = torch.arange(n) % 3
        self.images = torch.rand(n, 1, 8, 8, generator=generator) - 0.5
        if tells:
            self.images += (self.labels - 1)[:, None, None, None] / 2
        self.held_out = held_out

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(self.images, self.labels), 20)

    def val_dataloader(self) -> DataLoader[Any]:
        n = len(self.held_out)
        return DataLoader(TensorDataset(self.images[:n], self.held_out), 5)


def measured(make_trainer: Any, data: Labelled) -> tuple[ClassifierFeatures, dict[str, Any]]:
    classifier = ClassifierFeatures(steps=150)
    metrics = GenerativeMetrics(["fid"], n=20, features=classifier, cache_dir="cache")
    trainer = make_trainer(callbacks=[metrics], limit_val_batches=1.0)
    trainer.validate(GAN(image_shape=(1, 8, 8), latent_dim=4), data, verbose=False)
    return classifier, trainer.callback_metrics


def test_the_accuracy_stands_beside_the_metric(make_trainer: Any, recwarn: Any) -> None:
    # the last two of twelve labels are wrong on purpose
    labels = torch.arange(12) % 3
    labels[10:] = (labels[10:] + 1) % 3
    classifier, found = measured(make_trainer, Labelled(labels))
    assert_close(classifier.accuracy, 10 / 12)
    assert_close(found["val/accuracy_labelled_classifier"].item(), 10 / 12, rtol=1e-6, atol=0)
    assert "val/fid_labelled_classifier_20" in found
    assert not [w for w in recwarn if "learnt nothing" in str(w.message)]


def test_data_without_classes_are_refused_before_training(make_trainer: Any) -> None:
    data = Labelled(torch.zeros(12, dtype=torch.long))
    data.num_classes = 0  # type: ignore[attr-defined]
    metrics = GenerativeMetrics(["fid"], n=20, features=ClassifierFeatures(), cache_dir="cache")
    trainer = make_trainer(callbacks=[metrics], max_steps=3, limit_val_batches=1.0)
    line = "needs images of two classes at least, Labelled has num_classes=0: choose InceptionFeat"
    with pytest.raises(ValueError, match=line):
        trainer.fit(GAN(image_shape=(1, 8, 8), latent_dim=4), data)
    assert trainer.global_step == 0


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        # never the right one
        ((torch.arange(12) + 1) % 3, r"0.0% of 12 .* alone would give \(33.3%\).*learnt nothing"),
        # half of them, where the most frequent label alone would have ten of twelve
        (
            torch.tensor([0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            r"50.0% of 12 .* alone would give \(83.3%\).*learnt nothing",
        ),
        # labels that no training image has
        (torch.full((12,), 7), r"0.0% of 12 .* alone would give \(100.0%\)"),
    ],
)
def test_one_that_learnt_nothing_is_told(labels: Tensor, line: str, make_trainer: Any) -> None:
    with pytest.warns(UserWarning, match=line):
        measured(make_trainer, Labelled(labels))


def test_table_and_json_have_the_accuracy(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    Path("small.yaml").write_text("""
trainer: {max_steps: 1, accelerator: cpu, num_sanity_val_steps: 0, logger: false,
          check_val_every_n_epoch: null, val_check_interval: 1, enable_progress_bar: false,
          enable_model_summary: false}
model:
  class_path: GAN
  init_args:
    latent_dim: 4
    generator: {class_path: MLPGenerator, init_args: {hidden: [8]}}
    discriminator: {class_path: MLPDiscriminator, init_args: {hidden: [8]}}
data: {class_path: DigitsDataModule, init_args: {batch_size: 8}}
metrics:
  names: [fid]
  n: 20
  features: {class_path: ClassifierFeatures, init_args: {steps: 100}}
""")
    cli.main(["fit", "--config", "small.yaml"])
    run = Path("runs/small/0")
    # a constant is no curve
    assert "accuracy" not in (run / "metrics.csv").read_text().splitlines()[0]
    last = str(run / "checkpoints/last.ckpt")
    capsys.readouterr()
    cli.main(["validate", "--config", str(run / "config.yaml"), "--ckpt_path", last])
    written = json.loads((run / "validate_step_000001.json").read_text())["metrics"]
    value = written["val/accuracy_digits_classifier"]
    assert 0.5 < value < 1
    assert f"{value:.6g}" in capsys.readouterr().out


def test_all_right_is_no_failure_even_of_one_label(make_trainer: Any, recwarn: Any) -> None:
    data = Labelled(torch.zeros(4, dtype=torch.long))
    # two kinds of images, the held-out ones all of the first
    data.labels = (torch.arange(60) >= 30).long()
    data.images = (data.images * 0.1) + (data.labels - 0.5)[:, None, None, None]
    classifier, _ = measured(make_trainer, data)
    assert classifier.accuracy == 1
    assert not [w for w in recwarn if "learnt nothing" in str(w.message)]
