"""Files that this package wrote when all its modules lay flat: what people have on their disks."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

import cli
import gan_modules
from gan_modules import GANModule, NoiseGAN

FILES = Path(__file__).parents[1] / "files" / "before_packages"
NAMES = {
    "gan": "GAN",
    "cgan": "CGAN",
    "dcgan": "DCGAN",
    "wgan": "WGAN",
    "wgangp": "WGANGP",
    "cyclegan": "CycleGAN",
}


@pytest.fixture(params=sorted(NAMES))
def folder(request: pytest.FixtureRequest) -> Path:
    return FILES / str(request.param)


def outputs(model: Any) -> torch.Tensor:
    model.eval()
    if isinstance(model, NoiseGAN):
        # latents were drawn by one seed then
        z = torch.empty(2, model.latent_dim)
        z = model.latent.fill(z, torch.Generator().manual_seed(0))
        return model(z, model.sample_labels(2)).detach()
    n = model.image_shape[0] * 256
    return model.translate(torch.linspace(-1, 1, n).reshape(1, *model.image_shape), "a_to_b")


def test_a_checkpoint_loads_and_samples_as_then(folder: Path) -> None:
    model = GANModule.load_from_checkpoint(folder / "step_000002.ckpt")
    assert type(model) is getattr(gan_modules, NAMES[folder.name])
    assert_close(outputs(model), torch.load(folder / "outputs.pt")["sample"])


def test_a_hub_folder_loads_and_samples_as_then(folder: Path) -> None:
    model = GANModule.from_pretrained(folder / "pretrained")
    assert_close(outputs(model), torch.load(folder / "outputs.pt")["sample"])


@pytest.mark.thorough
def test_a_run_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["cli.py"])
    Path("runs/old/0/checkpoints").mkdir(parents=True)
    shutil.copy(folder / "config.yaml", "runs/old/0")
    shutil.copy(folder / "step_000002.ckpt", "runs/old/0/checkpoints")
    found = cli.main(
        [
            "fit",
            "--config",
            "runs/old/0/config.yaml",
            "--ckpt_path",
            "last",
            "--trainer.max_steps=4",
        ]
    )
    assert found is not None
    assert found.trainer.global_step == 4
    # Adam went on where it was
    steps = {
        int(state["step"])
        for optimizer in found.trainer.optimizers[:1]
        for state in optimizer.state.values()
        if "step" in state
    }
    assert steps == {4}
