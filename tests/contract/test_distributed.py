"""Several processes, each with its part of the batch, do what one does with the whole batch."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import run_together, two_nodes
from torch.testing import assert_close
from variants import MODELS, VARIANTS, turns_of

pytestmark = pytest.mark.thorough

SCRIPT = Path(__file__).parents[1] / "distributed_script.py"
NAMES = [variant.__name__ for variant in MODELS]
# who plays in a first phase only
FIRST = {v.__name__: {*turns_of(v, step=0)} - {*turns_of(v)} for v in MODELS}
PLAYERS = {variant.__name__: [*variant.players] for variant in MODELS}
ADVERSARIAL = {variant.__name__ for variant in VARIANTS}

Ranks = list[dict[str, Any]]
SHORT = {"generator": "g", "discriminator": "d"}


def losses(name: str, prefix: str = "") -> set[str]:
    (variant,) = (v for v in MODELS if v.__name__ == name)
    return {f"{prefix}{SHORT.get(player, player)}/loss" for player in variant.players}


def launch(folder: Path, nodes: int, devices: int) -> Ranks:
    """What every rank ends with."""
    command = [sys.executable, str(SCRIPT), f"devices={devices}", f"num_nodes={nodes}"]
    run_together(command, two_nodes() if nodes > 1 else [{}], folder)
    ranks = range(nodes * devices)
    return [{**torch.load(folder / f"{rank}.pt"), "folder": folder} for rank in ranks]


@pytest.fixture(scope="module")
def one() -> dict[str, Any]:
    """The whole batch in this process."""
    script, alone = runpy.run_path(str(SCRIPT)), {"devices": 1, "num_nodes": 1}
    results = {v.__name__: script["equivalence"](v, **alone) for v in MODELS}
    return {**results, **{name: script[name](**alone) for name in ("adaptive", "regularized")}}


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """Two processes that Lightning starts."""
    return launch(tmp_path_factory.mktemp("devices"), nodes=1, devices=2)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """Two processes that are two machines to each other."""
    return launch(tmp_path_factory.mktemp("nodes"), nodes=2, devices=1)


@pytest.fixture(params=["devices", pytest.param("nodes", marks=pytest.mark.slow)])
def ranks(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_equal_one(name: str, one: dict[str, Any], ranks: Ranks) -> None:
    for precision in {"float64", "float32"} & one[name].keys():
        whole, first, second = (results[name][precision] for results in (one, *ranks))
        # the averaged generator among them
        exact = precision == "float64"
        assert_close(first["state"], whole["state"], rtol=0, atol=1e-9 if exact else 1e-6)
        assert_close(first["state"], second["state"], rtol=0, atol=0)
        averaged = any(key.startswith("averaged_generator") for key in first["state"])
        # by default the VAE has no average
        assert averaged or name not in ADVERSARIAL
        # six steps of 5e-5 or more; DMD2 begins where plain descent has nearly no gradient
        least = 1e-6 if name == "DMD2" else 1e-5
        assert whole["moved"] > (3e-4 if exact else least)
        # what is logged is the mean over ranks
        assert_close(first["metrics"], whole["metrics"], rtol=1e-6, atol=1e-5)
        assert_close(first["metrics"], second["metrics"], rtol=0, atol=0)
        assert losses(name) <= first["metrics"].keys()


def test_the_strength_of_augmentation_follows_all_ranks(one: dict[str, Any], ranks: Ranks) -> None:
    whole, first, second = (results["adaptive"] for results in (one, *ranks))
    assert_close(first["state"], second["state"], rtol=0, atol=0)
    assert_close(first["state"], whole["state"], rtol=0, atol=1e-9)
    # by 64 images of 1000 after two and after four iterations
    metrics = [results["metrics"] for results in (whole, first, second)]
    assert all(m["augment/p"] == pytest.approx(0.628) for m in metrics)
    assert len({m["augment/r_t"].item() for m in metrics}) == 1


def test_regularizers_follow_all_ranks(one: dict[str, Any], ranks: Ranks) -> None:
    whole, first, second = (results["regularized"] for results in (one, *ranks))
    assert_close(first["state"], second["state"], rtol=0, atol=0)
    assert_close(first["state"], whole["state"], rtol=0, atol=1e-9)
    (anchors,) = (value for name, value in whole["state"].items() if name.endswith("anchors"))
    assert (anchors.abs() > 1e-4).all()
    terms = {name for name in whole["metrics"] if name.startswith(("d/", "g/"))}
    for name in terms:
        assert_close(first["metrics"][name], whole["metrics"][name], rtol=1e-6, atol=1e-5)
    assert {"d/lecam", "d/consistency", "d/latent_consistency", "g/latent_diversity"} <= terms


@pytest.mark.parametrize("name", NAMES)
def test_every_rank_draws_its_own_noise(name: str, ranks: Ranks) -> None:
    first, second = (results[name]["own"]["draws"] for results in ranks)
    assert len(first) == len(second) > 0
    for ours, theirs in zip(first, second, strict=True):
        assert ours.shape == theirs.shape
        assert not torch.equal(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_resume_is_bitwise_on_every_rank(name: str, devices: Ranks) -> None:
    for results in devices:
        whole, resumed = results[name]["own"], results[name]["resumed"]
        # a trainer keeps what was logged in a phase that has ended
        ended = whole["metrics"].keys() - resumed["metrics"].keys()
        assert {term.split("/")[0] for term in ended} <= FIRST[name]
        whole["metrics"] = {k: v for k, v in whole["metrics"].items() if k not in ended}
        for part in ("state", "pools", "draws", "metrics"):
            assert_close(resumed[part], whole[part], rtol=0, atol=0)
    # each has a history of its own fakes
    ours, theirs = (results[name]["own"]["pools"] for results in devices)
    assert all(not torch.equal(ours[k]["images"], theirs[k]["images"]) for k in ours)


def test_a_gradient_that_one_rank_lacks_is_zero_there(devices: Ranks) -> None:
    """One that all lack stays None: its weight rests."""
    for results in devices:
        found = results["lopsided"]
        # (3 + 0) / 2
        assert_close(found["gradients"]["some"], torch.full((2,), 1.5), rtol=0, atol=0)
        assert found["gradients"]["never"] is None
        assert_close(found["weights"]["some"], torch.full((2,), 1 - 0.1 * 1.5))
        assert_close(found["weights"]["never"], torch.ones(2), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_validation_of_uneven_ranks_is_the_mean_over_images(name: str, devices: Ranks) -> None:
    images, _ = runpy.run_path(str(SCRIPT))["few"](10, 0)
    brightness = images.flatten(1).double().mean(dim=1) / 127.5 - 1
    expected = {
        "module, 9": brightness[:9].mean(),
        # Lightning's own sampler shows the first image to both ranks
        "loaders, 9": (brightness[:9].sum() + brightness[0]) / 10,
        "loaders, 10": brightness.mean(),
    }
    for results in devices:
        found = {kind: results[name][kind] for kind in expected if kind in results[name]}
        assert "module, 9" in found
        for kind, metrics in found.items():
            (term,) = (term for term in metrics if term.endswith("/brightness") and "val/" in term)
            assert_close(metrics[term].double(), expected[kind], rtol=0, atol=1e-6)
            for loss in losses(name, "val/"):
                assert metrics[loss].isfinite()
                assert metrics[loss] == devices[0][name][kind][loss]


def test_uneven_ranks_leave_pictures_and_checkpoints(devices: Ranks) -> None:
    folders = sorted(devices[0]["folder"].glob("*_module_9"))
    assert len(folders) == len(NAMES)
    for folder in folders:
        found = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        steps = ("step_000001", "step_000002")
        assert found == [
            "checkpoints/last.ckpt", *(f"checkpoints/{step}.ckpt" for step in steps),
            "log/hparams.yaml", "log/metrics.csv", *(f"samples/{step}.png" for step in steps),
        ]  # fmt: skip
