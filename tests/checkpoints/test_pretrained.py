"""Models from run folders, and to and from the Hub, whose HTTP is answered here."""

import base64
import inspect
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import httpx2
import huggingface_hub
import pytest
import torch
from huggingface_hub.utils import set_client_factory
from lightning.pytorch import Callback
from safetensors.torch import load_file
from torch import nn
from torch.testing import assert_close

import gan_modules
from gan_modules import CGAN, WGANGP, CycleGAN, GANModule, LatentModel, NoiseGAN
from gan_modules.callbacks import StepCheckpoint
from gan_modules.command_line.wandb_run import RunWandbLogger
from gan_modules.networks import MLPDiscriminator, MLPGenerator

VARIANTS = [
    variant
    for variant in (getattr(gan_modules, name) for name in gan_modules.__all__)
    if inspect.isclass(variant)
    and issubclass(variant, GANModule)
    and not inspect.isabstract(variant)
]


class SavedWGANGP(WGANGP):
    """Networks that a checkpoint describes.

    Its second paragraph is not for the card.
    """

    def __init__(self, width: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build_generator(self) -> nn.Module:
        return MLPGenerator(self.image_shape, self.latent_dim, hidden=(self.hparams["width"],))

    def build_discriminator(self) -> nn.Module:
        return MLPDiscriminator(self.image_shape, hidden=(self.hparams["width"],))


def saved_wgan_gp(**kwargs: Any) -> SavedWGANGP:
    return SavedWGANGP(**{"image_shape": (1, 8, 8), "latent_dim": 3, "width": 6, **kwargs})


# ---- run folders -----------------------------------------------------------------------------


@pytest.fixture
def run(make_trainer: Any, make_loader: Any) -> Path:
    """A run with checkpoints after 1, 2 and 3 updates, whose generators differ."""
    model = saved_wgan_gp(n_critic=1)
    callback = StepCheckpoint(every_n_train_steps=1)
    folder = Path("runs/a/0")
    make_trainer(
        max_steps=3, callbacks=[callback], enable_checkpointing=True, default_root_dir=folder
    ).fit(model, make_loader(2))
    return folder


def weights(step: int) -> Any:
    path = f"runs/a/0/checkpoints/step_{step:06d}.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


def test_models_of_a_run(run: Path) -> None:
    model = GANModule.from_run(run)
    assert type(model) is SavedWGANGP
    assert_close(model.state_dict(), weights(3), rtol=0, atol=0)
    assert_close(NoiseGAN.from_run(str(run), 2).state_dict(), weights(2), rtol=0, atol=0)
    assert_close(GANModule.from_run(run / "checkpoints").state_dict(), weights(3), rtol=0, atol=0)
    # one that a full disk cut off is passed over
    newest = run / "checkpoints" / "step_000003.ckpt"
    newest.write_bytes(newest.read_bytes()[:1000])
    assert_close(GANModule.from_run(run).state_dict(), weights(2), rtol=0, atol=0)
    (run / "checkpoints" / "step_000001.ckpt").rename(run / "checkpoints" / "best_fid.ckpt")
    best = GANModule.from_run(run, "best")
    (run / "checkpoints" / "best_fid.ckpt").rename(run / "checkpoints" / "step_000001.ckpt")
    assert_close(best.state_dict(), weights(1), rtol=0, atol=0)
    # hyper-parameters can be replaced, as in load_from_checkpoint
    assert GANModule.from_run(run, 2, n_critic=4).n_critic == 4


def test_runs_without_what_is_asked_for(run: Path) -> None:
    there = "last.ckpt, step_000001.ckpt, step_000002.ckpt, step_000003.ckpt"
    with pytest.raises(ValueError, match=f"has no readable checkpoint for which=7; it has {there}"):
        GANModule.from_run(run, 7)
    with pytest.raises(ValueError, match=r"no readable checkpoint for which='best'"):
        GANModule.from_run(run, "best")
    with pytest.raises(ValueError, match=r"nowhere has no readable checkpoint .* it has none"):
        GANModule.from_run("nowhere")
    for name in ("best_fid.ckpt", "best_kid.ckpt"):
        (run / "checkpoints" / name).touch()
    line = r"has best_fid.ckpt, best_kid.ckpt: load_from_checkpoint takes one of them"
    with pytest.raises(ValueError, match=line):
        GANModule.from_run(run, "best")


# ---- folders ---------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_every_variant_comes_back(variant: Any) -> None:
    options = {"num_classes": 3} if issubclass(variant, LatentModel) else {}
    model = variant(image_shape=(1, 8, 8), ema_decay=0.5, **options)
    model.save_pretrained("saved")
    again = GANModule.from_pretrained("saved")
    assert type(again) is variant
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert again.ema_decay == 0.5
    card = Path("saved/README.md").read_text()
    paper = {"CycleGAN": "1703.10593", "CGAN": "1411.1784", "WGANGP": "1704.00028"}
    assert "Paper: https://arxiv.org/abs/" + paper.get(variant.__name__, "") in card


def test_what_is_written() -> None:
    model = saved_wgan_gp(gp_weight=3.0)
    model.save_pretrained("deep/saved")
    folder = Path("deep/saved")
    assert {p.name for p in folder.iterdir()} == {"model.safetensors", "config.json", "README.md"}
    assert json.loads((folder / "config.json").read_text()) == {
        "class": f"{__name__}.SavedWGANGP",
        "gan_modules": gan_modules.__version__,
        "given_in_python": [],
        "hyper_parameters": {
            "image_shape": [1, 8, 8], "latent_dim": 3, "width": 6, "gp_weight": 3.0,
        },
    }  # fmt: skip
    assert_close(load_file(folder / "model.safetensors"), dict(model.state_dict()))
    card = (folder / "README.md").read_text()
    assert "# SavedWGANGP\n\nNetworks that a checkpoint describes.\n" in card
    assert "library_name: gan_modules" in card
    # a card that somebody has written stays; weights and hyper-parameters are replaced
    (folder / "README.md").write_text("mine")
    saved_wgan_gp(gp_weight=4.0).save_pretrained(folder)
    assert (folder / "README.md").read_text() == "mine"
    assert SavedWGANGP.from_pretrained(folder).gp_weight == 4.0
    assert GANModule.from_pretrained(folder, gp_weight=5.0).gp_weight == 5.0


def test_weights_that_two_layers_share() -> None:
    class Tied(SavedWGANGP):
        """A generator whose layers are one."""

        def build_generator(self) -> nn.Module:
            layer = nn.Linear(3, 3)
            return nn.Sequential(layer, layer, nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8)))

    model = Tied(image_shape=(1, 8, 8), latent_dim=3)
    model.save_pretrained("saved")
    assert_close(Tied.from_pretrained("saved").state_dict(), model.state_dict(), rtol=0, atol=0)


def test_what_was_passed_in_python_is_passed_again(make_model: Any) -> None:
    model = make_model()
    model.save_pretrained("saved")
    line = r"^saved was trained with discriminator and generator passed in Python: pass it again, "
    with pytest.raises(ValueError, match=line + r"from_pretrained\(name, discriminator=..., gen"):
        GANModule.from_pretrained("saved")
    again = GANModule.from_pretrained(
        "saved",
        generator=partial(MLPGenerator, hidden=(8,)),
        discriminator=partial(MLPDiscriminator, hidden=(8,)),
    )
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_a_saved_model_trains_on(make_trainer: Any, make_loader: Any) -> None:
    saved_wgan_gp(n_critic=1).save_pretrained("saved")
    model = GANModule.from_pretrained("saved")
    make_trainer(max_steps=1).fit(model, make_loader(2))
    model.save_pretrained("again")
    again = GANModule.from_pretrained("again")
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_models_trained_from_the_command_line_keep_their_networks(monkeypatch: Any) -> None:
    import cli

    monkeypatch.setattr("sys.argv", ["cli.py"])
    done = cli.main(
        ["fit", "--config", "wgan_gp.yaml", "--trainer.fast_dev_run", "true"]
    )  # fmt: skip
    done.model.save_pretrained("saved")
    again: Any = GANModule.from_pretrained("saved")
    assert again.hparams["generator"]["init_args"]["hidden"] == [256, 256]
    assert_close(again.sample(2, seed=0), done.model.sample(2, seed=0))


def test_folders_of_others_are_refused() -> None:
    Path("other").mkdir()
    Path("other/config.json").write_text('{"hidden_size": 3}')
    for name in ("other", "."):
        with pytest.raises(ValueError, match=f"^{name} has no config.json of this package"):
            GANModule.from_pretrained(name)
    saved_wgan_gp().save_pretrained("mine")
    config = json.loads(Path("mine/config.json").read_text())
    Path("mine/config.json").write_text(json.dumps({**config, "class": "somebody.Else"}))
    with pytest.raises(ValueError, match=r"holds a somebody.Else, which is not imported"):
        GANModule.from_pretrained("mine")


def test_what_json_cannot_hold_is_named() -> None:
    model = saved_wgan_gp()
    model.hparams["width"] = torch.ones(2)
    with pytest.raises(ValueError, match=r"^a hyper-parameter cannot be written as JSON: .*Tensor"):
        model.save_pretrained("saved")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match="pip install huggingface_hub safetensors"):
        saved_wgan_gp().save_pretrained("saved")
    assert not Path("saved").exists()


# ---- the Hub ---------------------------------------------------------------------------------


class FakeHub:
    """What the Hub answers to the creation of a repository, one commit and downloads."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.created: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()

    def __call__(self, request: Any) -> Any:
        path = request.url.path
        if request.method == "POST" and path != "/api/validate-yaml":
            self.tokens.add(request.headers.get("authorization"))
        if path == "/api/repos/create":
            self.created.append(json.loads(request.content))
            return httpx2.Response(200, json={"url": "https://huggingface.co/me/digits"})
        if path == "/api/validate-yaml":
            return httpx2.Response(200, json={"errors": [], "warnings": []})
        if "/preupload/" in path:
            files = json.loads(request.content)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files
            ]
            return httpx2.Response(200, json={"files": modes})
        if "/commit/" in path:
            for line in request.content.decode().splitlines():
                content = json.loads(line)
                if content["key"] == "file":
                    value = content["value"]
                    self.files[value["path"]] = base64.b64decode(value["content"])
            commit = "https://huggingface.co/me/digits/commit/" + "a" * 40
            answer = {"success": True, "commitOid": "a" * 40, "commitUrl": commit, "hookOutput": ""}
            return httpx2.Response(200, json=answer)
        name = path.removeprefix("/me/digits/resolve/main/")
        if request.method in ("HEAD", "GET") and name in self.files:
            headers = {
                "x-repo-commit": "a" * 40,
                "etag": f'"{name}"',
                "content-length": str(len(self.files[name])),
            }
            body = self.files[name] if request.method == "GET" else b""
            return httpx2.Response(200, headers=headers, content=body)
        return httpx2.Response(404, headers={"x-error-code": "EntryNotFound"}, json={})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    fake = FakeHub()
    set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(fake)))
    yield fake
    set_client_factory(huggingface_hub.utils._http.default_client_factory)


def test_to_the_hub_and_back(hub: FakeHub, tmp_path: Path) -> None:
    model = saved_wgan_gp()
    commit = model.push_to_hub("me/digits", token="hf_secret", private=True)
    assert str(commit).startswith("https://huggingface.co/me/digits/")
    assert hub.created[0]["name"] == "digits"
    assert hub.tokens == {"Bearer hf_secret"}
    assert set(hub.files) == {"model.safetensors", "config.json", "README.md"}
    assert 'GANModule.from_pretrained("me/digits")' in hub.files["README.md"].decode()
    model.save_pretrained("local")
    for name in ("model.safetensors", "config.json"):
        assert hub.files[name] == Path("local", name).read_bytes()
    again = GANModule.from_pretrained("me/digits", cache_dir=tmp_path / "hub")
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    # what is there is not asked for again
    hub.files.clear()
    offline = GANModule.from_pretrained(
        "me/digits", cache_dir=tmp_path / "hub", local_files_only=True
    )
    assert_close(offline.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_repositories_of_others_are_refused(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^me/digits has no config.json of this package"):
        GANModule.from_pretrained("me/digits", cache_dir=tmp_path / "hub")


# ---- Weights & Biases ------------------------------------------------------------------------


class KeepsTheFirst(Callback):
    """Stands in for what keeps the best checkpoint."""

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        trainer.save_checkpoint("run/checkpoints/best_fid.ckpt")


@pytest.mark.parametrize(
    ("mode", "others", "alias", "file"),
    [
        ("online", [], "last", "step_000003.ckpt"),
        ("online", [KeepsTheFirst()], "best", "best_fid.ckpt"),
        ("offline", [], None, None),
        ("disabled", [], None, None),
    ],
)
def test_the_model_is_kept_online(
    mode: str, others: Any, alias: Any, file: Any, make_trainer: Any, make_loader: Any
) -> None:
    run = MagicMock(id="abc")
    logger = RunWandbLogger(mode=mode, experiment=run, save_dir="run")
    callbacks = [StepCheckpoint(every_n_train_steps=2), *others]
    trainer = make_trainer(
        max_steps=3, callbacks=callbacks, enable_checkpointing=True, logger=logger,
        default_root_dir="run",
    )  # fmt: skip
    trainer.fit(saved_wgan_gp(n_critic=1), make_loader(2))
    assert run.log_artifact.call_count == (mode == "online")
    for call in run.log_artifact.call_args_list:
        (artifact,) = call.args
        assert call.kwargs == {"aliases": [alias]}
        assert (artifact.name, artifact.type) == ("model-abc", "model")
        kind = f"{__name__}.SavedWGANGP"
        assert artifact.metadata == {"class": kind, "step": 3, "file": file}
        (entry,) = artifact.manifest.entries.values()
        assert entry.path == "model.ckpt"
        assert Path(entry.local_path) == Path("run/checkpoints", file).resolve()


def test_a_training_that_fails_keeps_nothing_online(make_trainer: Any, make_loader: Any) -> None:
    class Failing(Callback):
        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            raise RuntimeError("mine")

    run = MagicMock(id="abc")
    logger = RunWandbLogger(mode="online", experiment=run, save_dir="run")
    callbacks = [StepCheckpoint(every_n_train_steps=1), Failing()]
    trainer = make_trainer(
        max_steps=2, callbacks=callbacks, enable_checkpointing=True, logger=logger,
        default_root_dir="run",
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="mine"):
        trainer.fit(saved_wgan_gp(n_critic=1), make_loader(2))
    run.log_artifact.assert_not_called()


def test_variants_are_there() -> None:
    assert {CGAN, CycleGAN, WGANGP} <= set(VARIANTS)
