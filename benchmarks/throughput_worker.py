"""One hand-written loop in a process of its own, run by ``throughput.py``.

So the usual script has neither what Lightning sets in its process nor what the command line does.
The process reads numbers of iterations, a line each, and answers each with the seconds they took.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

__all__ = ["Stopwatch", "Worker"]


class Stopwatch:
    """Seconds of this process and of the wall since it was started, or of the device.

    Args:
        device: "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        self.on_gpu = device == "cuda"
        self.start()

    def start(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize()
            self.begun = torch.cuda.Event(enable_timing=True)
            self.begun.record()
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def stop(self) -> dict[str, float]:
        seconds = {}
        if self.on_gpu:
            ended = torch.cuda.Event(enable_timing=True)
            ended.record()
            torch.cuda.synchronize()
            seconds["device"] = self.begun.elapsed_time(ended) / 1000
        return seconds | {
            "cpu": time.process_time() - self.cpu,
            "wall": time.perf_counter() - self.wall,
        }


class Worker:
    """Starts the process of a loop and talks with it.

    Args:
        which: of the two loops.
        case: what is trained.
        generator: to start from.
        discriminator: likewise.
        images: uint8, shape ``(N, C, H, W)``, as that loop has them.
        others: labels, or images of another domain.
        device: "cpu" or "cuda".
        bf16: whether the best loop computes in bfloat16.
    """

    def __init__(
        self,
        which: Literal["usual", "best"],
        case: Any,
        generator: nn.Module,
        discriminator: nn.Module,
        images: Tensor,
        others: Tensor,
        device: str,
        bf16: bool,
    ) -> None:
        with tempfile.NamedTemporaryFile(suffix=".pt") as file:
            torch.save((case, generator, discriminator, images, others, device, bf16), file.name)
            self.process = subprocess.Popen(
                [sys.executable, __file__, which, file.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.advance(0)  # it has read the file

    def advance(self, steps: int) -> dict[str, float]:
        """Seconds that so many more iterations take."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(steps, file=self.process.stdin, flush=True)
        seconds: dict[str, float] = json.loads(self.process.stdout.readline())
        return seconds

    def end(self) -> None:
        """End the process."""
        self.process.communicate()


def _loop(which: str, file: str) -> tuple[Iterator[None], str]:
    import throughput_best as best
    import throughput_usual as usual

    loaded = torch.load(file, weights_only=False)
    case, generator, discriminator, images, others, device, bf16 = loaded
    generator, discriminator = generator.to(device), discriminator.to(device)
    if which == "best":
        from gan_modules.command_line.memory import keep_freed_memory

        keep_freed_memory()
        loop = best.Loop(case, generator, discriminator, bf16)
        batches = best.batches_in_memory(images, others, case.images, device)
        return best.LOOPS[case.objective](loop, batches), device
    networks = usual.as_usual(generator), usual.as_usual(discriminator)
    loader = usual.usual_loader(images, others, case.batch_size, case.image_shape[-1])
    return usual.LOOPS[case.objective](case, *networks, _endless(loader, device)), device


def _endless(loader: Any, device: str) -> Iterator[Any]:
    while True:
        for batch in loader:
            yield tuple(part.to(device) for part in batch)


def main() -> None:
    """Do as told until there is nothing more to read."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    answers = sys.stdout
    loop, device = _loop(*sys.argv[1:])
    # Lightning sets it, and Adam then looks for a GPU at every step, at 0.1 ms on a CPU
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    stopwatch = Stopwatch(device)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        for line in sys.stdin:
            stopwatch.start()
            for _ in range(int(line)):
                next(loop)
            print(json.dumps(stopwatch.stop()), file=answers, flush=True)


if __name__ == "__main__":
    main()
