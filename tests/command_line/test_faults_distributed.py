"""Two processes that are stopped, run out of disk or of numbers end together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from gan_modules.checkpoints.newest import newest_checkpoint

pytestmark = pytest.mark.slow

CONFIG = """
trainer: {max_steps: 100000, log_every_n_steps: 5, accelerator: cpu, devices: 2, logger: false,
          check_val_every_n_epoch: null, val_check_interval: 50, num_sanity_val_steps: 0,
          enable_progress_bar: false, enable_model_summary: false}
model:
  class_path: WGANGP
  init_args:
    latent_dim: 4
    n_critic: 2
    generator: {class_path: MLPGenerator, init_args: {hidden: [8], batch_norm: true}}
    discriminator: {class_path: MLPDiscriminator, init_args: {hidden: [8]}}
data: {class_path: DigitsDataModule, init_args: {batch_size: 16}}
checkpoint: {every_n_train_steps: 20}
samples: {every_n_steps: 1000, n: 9, width: 96}
"""

COMMAND = [sys.executable, "-m", "cli", "fit", "--config", "two.yaml"]


@pytest.fixture(autouse=True)
def _config() -> None:
    Path("two.yaml").write_text(CONFIG)


@pytest.mark.parametrize(
    ("number", "everyone"), [(signal.SIGTERM, False), (signal.SIGINT, True), (signal.SIGTERM, True)]
)
def test_stopped_together_and_gone_on_with(number: int, everyone: bool) -> None:
    with subprocess.Popen(
        COMMAND, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 120
        while newest_checkpoint("runs/two/0/checkpoints") is None and time.monotonic() < deadline:
            time.sleep(0.05)
        (os.killpg if everyone else os.kill)(process.pid, number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    stopped = newest_checkpoint("runs/two/0/checkpoints")
    assert stopped is not None
    assert f"the last good checkpoint is {stopped}" in errors
    step = int(stopped.stem.removeprefix("step_"))
    # processes ask each other at every tenth iteration
    assert step % 10 == 0
    end = ["--trainer.max_steps", str(step + 15)]
    subprocess.run([*COMMAND, "--ckpt_path", "last", *end], check=True, timeout=200)
    subprocess.run([*COMMAND, *end], check=True, timeout=200)
    resumed, whole = (
        torch.load(f"runs/two/{n}/checkpoints/step_{step + 15:06d}.ckpt") for n in (1, 2)
    )
    for key in ("state_dict", "optimizer_states", "epoch", "noise_seed"):
        assert_close(resumed[key], whole[key], rtol=0, atol=0)


SCRIPT = """
import os, resource
import torch
import cli
from gan_modules import WGANGP


class BreaksOnOneRank(WGANGP):
    def generator_losses(self, batch):
        terms = super().generator_losses(batch)
        if self.trainer.training and self.global_step == 24 and self.global_rank == 1:
            terms["adversarial"] = terms["adversarial"] * float("nan")
        return terms


if __name__ == "__main__":
    if os.environ["BROKEN"] == "disk":
        # less than a checkpoint takes
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    cli.main()
"""


def broken(what: str, *options: str) -> str:
    Path("broken.py").write_text(SCRIPT)
    command: list[Any] = [sys.executable, "broken.py", "fit", "--config", "two.yaml"]
    run = subprocess.run(
        [*command, *options], stderr=subprocess.PIPE, text=True, timeout=200, check=False,
        env=os.environ | {"BROKEN": what},
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert "Traceback" not in run.stderr
    lines = {line for line in run.stderr.splitlines() if line.startswith("error: ")}
    assert len(lines) == 1, run.stderr
    return f"{lines.pop()}\n{run.stderr}"


def test_a_loss_that_is_no_number_on_one_rank() -> None:
    errors = broken("numbers", "--model", "broken.BreaksOnOneRank")
    assert errors.startswith("error: g/adversarial was nan at generator update 25")
    good = "runs/two/0/checkpoints/step_000020.ckpt"
    assert f"the last good checkpoint is {good}" in errors
    assert newest_checkpoint(Path(good).parent) == Path(good)


def test_a_full_disk() -> None:
    errors = broken("disk")
    assert "step_000020.ckpt cannot be written (File too large); no older file" in errors
