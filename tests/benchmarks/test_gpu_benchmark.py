"""The GPU's benchmark, very small and on the CPU: all but the capture of graphs."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import gpu
import gpu_best as best
import gpu_loops
import pytest
import torch
from torch.testing import assert_close

compile_ = torch.compile


@pytest.fixture(autouse=True)
def _run_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_eager(function: Any, options: Any = None, **kwargs: Any) -> Any:
        return compile_(function, backend="eager", **kwargs)

    monkeypatch.setattr(torch, "compile", as_eager)


@pytest.mark.slow
def test_it_measures_each_way(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    sizes = "--rounds", "2", "--steps", "1", "--size", "64"
    gpu.main(["--device", "cpu", *sizes, "--output", str(output)])
    found = json.loads(output.read_text())
    ways = ("best", "best_bf16", "ours", "ours_bf16", "ours_compiled")
    assert tuple(found["seconds_per_iteration"]) == ways
    assert all(len(s) == 2 and min(s) > 0 for s in found["seconds_per_iteration"].values())
    assert found["peak_flops_per_s"] > 0
    shares = [share for _, share in found["kernels_of_best_bf16"]]
    assert shares == sorted(shares, reverse=True)
    assert 0.5 < sum(shares) <= 1
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in ways)


@pytest.mark.slow
def test_the_compiled_loop_trains_as_the_best_one(double: None) -> None:
    bench = gpu_loops.Bench("cpu", 64)
    batches = [
        (torch.rand(bench.case.images, 3, 8, 8) * 2 - 1, torch.zeros(bench.case.images))
        for _ in range(3)
    ]
    ends = []
    for iterate in (best.wasserstein, gpu_loops.compiled):
        torch.manual_seed(0)
        loop = best.Loop(bench.case, *bench.networks())
        torch.manual_seed(1)
        assert len(list(islice(iterate(loop, batches), 3))) == 3
        ends.append([loop.generator.state_dict(), loop.discriminator.state_dict()])
        ends[-1].append(loop.averaged.network.state_dict())
    assert_close(ends[0], ends[1], rtol=0, atol=1e-9)


def test_operations_of_a_gradient_of_a_gradient() -> None:
    weight = torch.ones(3, 5, requires_grad=True)
    inputs = torch.ones(2, 3, requires_grad=True)
    with gpu.Operations() as operations:
        product = inputs.mm(weight)
        one = operations.count
        (slope,) = torch.autograd.grad(product.sum(), inputs, create_graph=True)
        two = operations.count
        slope.sum().backward(inputs=[weight])
    # each multiplies and adds 2 x 3 x 5 pairs
    assert [one, two, operations.count] == [60, 120, 180]
