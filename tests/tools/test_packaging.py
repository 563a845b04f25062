"""The built wheel, used from a folder that has nothing to do with this repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

SUBCLASS = """
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader
from torchvision.datasets import FakeData
from torchvision.transforms import v2

from gan_modules import WGANGP, GANModule


class SmoothWGANGP(WGANGP):
    def __init__(self, smoothness: float = 0.1, **kwargs):
        super().__init__(**kwargs)

    def generator_losses(self, batch):
        images = self.generate(batch)
        roughness = images.diff(dim=-1).abs().mean() + images.diff(dim=-2).abs().mean()
        terms = super().generator_losses(batch)
        return {**terms, "roughness": self.hparams.smoothness * roughness}


if __name__ == "__main__":
    transform = v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True),
                            v2.Normalize([0.5], [0.5])])
    images = FakeData(40, (3, 8, 8), transform=transform)
    loader = DataLoader(images, batch_size=20, shuffle=True, drop_last=True)
    trainer = Trainer(max_steps=3, accelerator="cpu", logger=False, enable_progress_bar=False,
                      log_every_n_steps=1)
    trainer.fit(SmoothWGANGP(image_shape=(3, 8, 8), smoothness=0.5), loader)
    assert trainer.callback_metrics["g/roughness"] > 0
    trainer.save_checkpoint("smooth.ckpt")
    model = GANModule.load_from_checkpoint("smooth.ckpt", weights_only=True)
    assert type(model) is SmoothWGANGP and model.hparams.smoothness == 0.5
    print(tuple(model.sample(4).shape))
"""


# what takes a wheel to be built
built = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing in it but the installed wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    for name in tracked:
        if (REPOSITORY / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((REPOSITORY / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, source],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def python(site: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site), "WANDB_MODE": "offline"}
    result = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@built
def test_contents(site: Path) -> None:
    names = {path.name for path in site.iterdir() if path.suffix != ".dist-info"}
    assert names == {"gan_modules", "datamodules", "cli.py"}
    for name in (
        "gan_modules/py.typed",
        "datamodules/py.typed",
        "gan_modules/configs/wgan_gp.yaml",
        "gan_modules/configs/sweeps/wgan_gp.yaml",
    ):
        assert (site / name).is_file()


@built
def test_subclass_from_an_unrelated_folder(site: Path) -> None:
    Path("mine.py").write_text(SUBCLASS)
    assert python(site, "mine.py").splitlines()[-1] == "(4, 3, 8, 8)"
    # the checkpoint was written by __main__; here the class has another module
    reload = "import mine; from gan_modules import GANModule as G; print(type(G.load_from_checkpoint('smooth.ckpt')).__name__)"  # noqa: E501
    assert python(site, "-c", reload).splitlines()[-1] == "SmoothWGANGP"


@built
def test_command_line_and_its_recipes_come_with_the_wheel(site: Path) -> None:
    # a user's own folder called datamodules must not get in the way of subclassing
    Path("datamodules").mkdir()
    Path("datamodules/__init__.py").write_text("")
    assert python(site, "-c", "import gan_modules, datamodules; print(datamodules.__file__)").strip() == str(Path("datamodules/__init__.py").resolve())  # fmt: skip  # noqa: E501
    Path("datamodules/__init__.py").unlink()
    Path("datamodules").rmdir()
    python(
        site, "-m", "cli", "fit", "--config", "wgan_gp.yaml", "--trainer.max_steps", "2",
        "--trainer.logger", "false", "--trainer.accelerator", "cpu",
    )  # fmt: skip
    assert Path("runs/wgan_gp/0/samples/step_000002.png").is_file()


OPTIONAL = """
import os, sys, warnings
import gan_modules, gan_modules.callbacks

def found(*names):
    print(sorted({name.split(".")[0] for name in sys.modules} & {*names}))

found("datamodules", "cli", "jsonargparse", "wandb", "sklearn", "pandas")
import cli
OPTIONAL = [
    "huggingface_hub", "safetensors", "onnx", "onnxscript", "onnxruntime", "gradio",
    "tensorboard", "wandb",
]
found(*OPTIONAL, "sklearn", "pandas", "joblib")
from lightning.pytorch import Callback

class Leave(Callback):
    def on_train_batch_end(self, *args):
        found(*OPTIONAL)
        sys.stdout.flush()
        os._exit(0)

warnings.filterwarnings("ignore", "LightningCLI's args parameter")
cli.run(
    ["fit", "--config", "wgan_gp.yaml", "--trainer.accelerator", "cpu",
     "--trainer.logger", "false", "--trainer.enable_progress_bar", "false"],
    trainer_defaults={"callbacks": [Leave()]},
)
"""


@pytest.mark.thorough
def test_nothing_is_imported_that_is_not_used() -> None:
    # the package knows neither the data nor the command line; the command line and a training do
    # without what exports, the Hub, the demo and other loggers need
    output = python(REPOSITORY, "-c", OPTIONAL).splitlines()
    assert [line for line in output if line.startswith("[")] == ["[]", "[]", "[]"]
