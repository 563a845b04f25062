"""A stopwatch for CPU, wall and GPU."""

import time

import torch

__all__ = ["Stopwatch"]


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
