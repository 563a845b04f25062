"""Memory that training frees is kept for its next step."""

import os
import subprocess
import sys

import pytest
import torch

from gan_modules.command_line.memory import keep_freed_memory
from gan_modules.training.optimizers import look_for_gpus_once

SCRIPT = """
import resource, torch
from gan_modules.command_line.memory import keep_freed_memory
def pages():
    # 32 MiB a step, 8,192 pages
    counts = []
    for _ in range(13):
        [torch.ones(2**21) for _ in range(4)]
        counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    return counts[-1] - counts[2]
print(pages(), keep_freed_memory(), pages())
"""


@pytest.mark.slow  # large pages, where the system makes them, change the counts
@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_pages_are_asked_for_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True
    )
    before, kept, after = done.stdout.split()
    assert kept == "True"
    assert int(after) < 500 < 5_000 < int(before)


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert not keep_freed_memory()


def test_without_a_gpu_torch_answers_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "PYTORCH_NVML_BASED_CUDA_CHECK"
    for found, then in ((False, "0"), (True, "1")):
        monkeypatch.setenv(name, "1")
        monkeypatch.setattr(torch.cuda, "is_available", lambda found=found: found)
        look_for_gpus_once()
        assert os.environ[name] == then
