"""The GPU's benchmark, very small and on the CPU: all but graphs."""

import json
from pathlib import Path
from typing import Any

import gpu
import gpu_best as best
import gpu_loops
import gpu_speed
import pytest
import torch
from torch.testing import assert_close
from torchvision.utils import save_image

compile_ = torch.compile


@pytest.fixture(autouse=True)
def _run_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_eager(function: Any, options: Any = None, **kwargs: Any) -> Any:
        return compile_(function, backend="eager", **kwargs)

    monkeypatch.setattr(torch, "compile", as_eager)


@pytest.mark.slow
def test_it_measures_each_way(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = tmp_path / "speed.json"
    sizes = "--rounds", "2", "--steps", "1", "--size", "64"
    gpu.main(["--part", "2", "--device", "cpu", *sizes, "--output", str(output)])
    found = json.loads(output.read_text())
    ways = ("script", "script_memory", "best", "best_bf16", "ours_loader", "ours", "ours_bf16")
    assert found["peak_flops_per_s"] > 0
    assert [*found["tasks"]] == ["wgan_gp", "resnet", "dcgan"]
    for task in found["tasks"].values():
        assert task["errors"] == {}
        assert tuple(task["seconds_per_iteration"]) == (*ways, "ours_compiled_bf16")
        assert all(len(s) == 2 and min(s) > 0 for s in task["seconds_per_iteration"].values())
        shares = [share for _, share in task["kernels"]]
        assert shares == sorted(shares, reverse=True)
        assert 0.5 < sum(shares) <= 1
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in ways)


@pytest.mark.slow
def test_it_checks_variants(tmp_path: Path) -> None:
    output = tmp_path / "variants.json"
    chosen = "--recipes", "wgan_gp", "--ways", "float32", "on_device", "--processes", "1"
    sizes = "--updates", "4", "--output", str(output)
    gpu.main(["--part", "1", "--device", "cpu", *chosen, *sizes])
    rows = {(row["recipe"], row["way"]): row for row in json.loads(output.read_text())["rows"]}
    assert not [row["error"] for row in rows.values() if "error" in row]
    float32 = rows["wgan_gp", "float32"]
    assert [float32[name] for name in ("again", "resumed", "samples")] == [0, 0, 0]
    # the last row of a way is the one that compares its weights
    assert rows["wgan_gp", "on_device"]["difference"] == 0
    assert rows["exports", ""]["found"].count("as the model") == 4


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["sngan", "wgan_gp", "sagan", "biggan"])
def test_it_trains_on_a_folder(recipe: str, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    for split, n in (("train", 40), ("test", 4)):
        for name in "ab":
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for i in range(n):
                # a dark class and a bright one, which the classifier of the metrics tells apart
                image = torch.rand(3, 32, 32, generator=generator) / 2 + (name == "b") / 2
                save_image(image, tmp_path / "data" / split / name / f"{i}.png")
    output = tmp_path / "output"
    paths = "--data", str(tmp_path / "data"), "--output", str(output)
    gpu.main(["--part", "3", "--device", "cpu", *paths, "--cifar", recipe])
    output /= recipe
    result = json.loads((output / "result.json").read_text())
    assert result["steps"] == 4
    assert result["measured"][-1]["step"] == 4
    assert sum("classifier" in name for name in result["measured"][-1]) == 6
    assert 0 <= result["accuracy_image_folder_classifier"] <= 1
    assert {path.name for path in output.iterdir()} == {
        "result.json", "samples.png", "classes.png", "generator_half.pt"
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("objective", [best.WASSERSTEIN, best.STANDARD])
def test_the_compiled_loop_trains_as_the_best_one(double: None, objective: Any) -> None:
    bench = gpu_loops.Bench(*gpu_loops.make_cases(small=True)["resnet"], "cpu", 64)
    shape = bench.case.shape
    batches = [
        (torch.rand(bench.images_per_iteration, *shape) * 2 - 1, torch.zeros(1)) for _ in range(3)
    ]
    ends = []
    for compiles in (False, True):
        torch.manual_seed(0)
        loop = best.Loop(bench.recipe, *bench.networks())
        torch.manual_seed(1)
        assert len(list(best.train(loop, batches, objective, compiles))) == 3
        ends.append([loop.generator.state_dict(), loop.discriminator.state_dict()])
        ends[-1].append(loop.averaged.network.state_dict())
    assert_close(ends[0], ends[1], rtol=0, atol=1e-9)


def test_operations_of_a_gradient_of_a_gradient() -> None:
    weight = torch.ones(3, 5, requires_grad=True)
    inputs = torch.ones(2, 3, requires_grad=True)
    with gpu_speed.Operations() as operations:
        product = inputs.mm(weight)
        one = operations.count
        (slope,) = torch.autograd.grad(product.sum(), inputs, create_graph=True)
        two = operations.count
        slope.sum().backward(inputs=[weight])
    # each multiplies and adds 2 x 3 x 5 pairs
    assert [one, two, operations.count] == [60, 120, 180]
