"""Arguments of models in checkpoints: plain values, paths, and objects given in Python."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_modules import DCGAN, GAN, R1, GANModule, InstanceNoise
from gan_modules.checkpoints.described import plain
from gan_modules.families.latents import CodedLatents, Latents, NormalLatents
from gan_modules.networks import MLPDiscriminator, MLPGenerator
from gan_modules.objectives.augmentations import Augmentation
from gan_modules.objectives.losses import AdversarialLoss

HERE = __name__
NOISE = {"class_path": "gan_modules.InstanceNoise", "init_args": {"sigma": 0.1, "steps": 1000}}
LAZY_R1 = {"class_path": "gan_modules.R1", "init_args": {"weight": 1.0, "every": 16}}


class Guided(GAN):
    """A GAN with an argument of each kind, and small networks."""

    def __init__(
        self,
        folder: Path = Path(),
        file: Path | str | None = None,
        start: Any = None,
        codes: Latents | None = None,
        loss_object: AdversarialLoss | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape=(1, 2, 2), **kwargs)
        self.folder, self.file, self.start = folder, file, start
        self.codes, self.loss_object = codes, loss_object

    def build_generator(self) -> nn.Module:
        return MLPGenerator(self.image_shape, self.latent_dim, hidden=(4,))

    def build_discriminator(self) -> nn.Module:
        return MLPDiscriminator(self.image_shape, hidden=(4,))


class Shift(Augmentation):
    """One of a user's own, with a state."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return images + self.by


class Passing(InstanceNoise):
    """Passes arguments on."""

    def __init__(self, after: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class Still(Augmentation):
    """Takes nothing."""

    def forward(self, images: Tensor) -> Tensor:
        return images


class Mapped(Augmentation):
    """Takes a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images)


class Doubled(AdversarialLoss):
    """Takes plain values, unlike its parent."""

    def __init__(self, scale: float) -> None:
        super().__init__(lambda real, fake: scale * (fake - real).mean(), lambda fake: -fake.mean())
        self.scale = scale


def saved(model: Any, trainer: Any) -> dict[str, Any]:
    trainer.strategy.connect(model)
    trainer.save_checkpoint("a.ckpt", weights_only=True)
    checkpoint: dict[str, Any] = torch.load("a.ckpt", weights_only=True)
    return checkpoint


# ---- plain values --------------------------------------------------------------------------------


def test_paths_are_texts(make_trainer: Any) -> None:
    model = Guided(
        Path("a/b"), Path("f.x"), start=[Path("c"), {"d": Path("e")}, (1, torch.Size([2]))]
    )
    values = {"folder": "a/b", "file": "f.x", "start": ["c", {"d": "e"}, (1, (2,))]}
    assert {name: model.hparams[name] for name in values} == values
    assert {name: model.hparams_initial[name] for name in values} == values
    assert saved(model, make_trainer())["hyper_parameters"] == {
        **values, "codes": None, "loss_object": None,
    }  # fmt: skip
    again = GANModule.load_from_checkpoint("a.ckpt")
    assert isinstance(again, Guided)
    assert (again.folder, again.file, again.start) == tuple(values.values())


@pytest.mark.parametrize(
    "value",
    [torch.ones(2), {1, 2}, [torch.ones(2)], {"a": np.float64(1)}, torch.float32, np.int64(3), 1j],
    ids=str,
)
def test_what_is_not_plain_is_refused_at_once(value: Any) -> None:
    inner = next(iter(value.values())) if isinstance(value, dict) else value
    kind = type(inner[0] if isinstance(inner, list) else inner).__name__
    line = f"^Guided.start={kind} is not a plain value, which a checkpoint can hold: pass numbers"
    with pytest.raises(ValueError, match=line):
        Guided(start=value)


def test_what_no_checkpoint_has_is_not_looked_at(make_trainer: Any) -> None:
    class Given(Guided):
        """Passes its parent something that is not plain."""

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(start=torch.ones(2), **kwargs)

    model = Given()
    assert "start" not in model.hparams
    assert "start" not in saved(model, make_trainer())["hyper_parameters"]
    again = Given.load_from_checkpoint("a.ckpt")
    assert_close(again.start, torch.ones(2))


# ---- objects given in Python ---------------------------------------------------------------------


def gated(**kwargs: Any) -> DCGAN:
    options: dict[str, Any] = {
        "augmentation": InstanceNoise(0.1, steps=1000),
        "regularizers": [R1(weight=1.0, every=16)],
    }
    return DCGAN(image_shape=(1, 8, 8), latent_dim=4, **options | kwargs)


@pytest.mark.filterwarnings("ignore:You.re resuming from a checkpoint that ended before")
def test_gates_come_back_alone(make_trainer: Any, make_loader: Any) -> None:
    noise, r1 = InstanceNoise(0.1, steps=1000), R1(weight=1.0, every=16)
    model = gated(augmentation=noise, regularizers=[r1])
    # the very objects, not others like them
    assert model.augmentation is noise
    assert model.regularizers[0] is r1
    trainer = make_trainer(max_steps=2)
    trainer.fit(model, make_loader(4))
    trainer.save_checkpoint("a.ckpt")
    checkpoint = torch.load("a.ckpt", weights_only=True)
    assert checkpoint["given_in_python"] == []
    assert checkpoint["hyper_parameters"]["augmentation"] == NOISE
    assert checkpoint["hyper_parameters"]["regularizers"] == [LAZY_R1]
    again: Any = GANModule.load_from_checkpoint("a.ckpt")
    assert again.hparams == model.hparams
    assert (again.augmentation.start, again.augmentation.steps) == (0.1, 1000)
    assert (again.regularizers[0].weight, again.regularizers[0].every) == (1.0, 16)
    assert_close(again.sample(3, seed=1), model.sample(3, seed=1), rtol=0, atol=0)
    # trains on
    results = []
    for resumed in (again, gated()):
        make_trainer(max_steps=4).fit(resumed, make_loader(4), ckpt_path="a.ckpt")
        results.append(resumed.state_dict())
    assert_close(*results, rtol=0, atol=0)
    # others can be given in their place, and are told likewise
    other: Any = GANModule.load_from_checkpoint("a.ckpt", augmentation=InstanceNoise(0.5))
    assert other.augmentation.start == 0.5
    assert other.hparams["augmentation"] == plain(InstanceNoise(0.5))
    assert other._given_in_python == []


def test_gates_in_a_folder() -> None:
    model = gated()
    model.save_pretrained("saved")
    again: Any = GANModule.from_pretrained("saved")
    assert again.hparams["augmentation"] == NOISE
    assert (again.augmentation.start, again.regularizers[0].every) == (0.1, 16)
    assert_close(again.sample(3, seed=1), model.sample(3, seed=1), rtol=0, atol=0)


def test_ones_own_objects_come_back(make_trainer: Any) -> None:
    codes = CodedLatents(NormalLatents(4), (3, 2), continuous=1)
    model = Guided(codes=codes, augmentation=Shift(0.5), loss_object=Doubled(3.0))
    assert isinstance(model.augmentation, Shift)
    model.augmentation.calls += 7
    checkpoint = saved(model, make_trainer())
    assert checkpoint["given_in_python"] == []
    assert checkpoint["hyper_parameters"]["augmentation"] == {
        "class_path": f"{HERE}.Shift", "init_args": {"by": 0.5},
    }  # fmt: skip
    again: Any = GANModule.load_from_checkpoint("a.ckpt")
    assert again.augmentation.by == 0.5
    assert again.augmentation.calls == 7
    assert isinstance(again.codes.noise, NormalLatents)
    assert (again.codes.dim, again.codes.categorical) == (10, (3, 2))
    assert again.loss_object.scale == 3.0


def test_arguments_are_those_of_the_call() -> None:
    sizes = [2, 3]
    codes = CodedLatents(NormalLatents(1), sizes, 0)  # type: ignore[arg-type]
    sizes.append(4)
    description = plain(codes)
    assert description["init_args"]["categorical"] == [2, 3]
    description["init_args"]["categorical"].append(5)
    assert plain(codes)["init_args"]["categorical"] == [2, 3]
    assert plain(Still()) == {"class_path": f"{HERE}.Still", "init_args": {}}
    assert plain(Passing(sigma=0.5))["init_args"] == {"after": 0, "sigma": 0.5}
    # defaults, too, which another version may have changed
    assert plain(R1()) == {
        "class_path": "gan_modules.R1", "init_args": {"weight": 10.0, "every": 1},
    }  # fmt: skip


@pytest.mark.parametrize("copied", [deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_told_likewise(copied: Any) -> None:
    for thing in (Shift(0.5), CodedLatents(NormalLatents(4), (3,), 1)):
        assert plain(copied(thing)) == plain(thing)
    assert copied(Shift(0.5)).by == 0.5


def test_what_cannot_be_told_is_asked_for_again(make_trainer: Any) -> None:
    class Local(Augmentation):
        """Of a function's own."""

    pair = AdversarialLoss(lambda real, fake: (fake - real).mean(), lambda fake: -fake.mean())
    for name, value in (
        ("augmentation", Mapped(torch.tanh)),
        ("augmentation", Local()),
        ("loss_object", pair),
        ("start", [nn.Linear(1, 1)]),
        ("start", {"a": torch.tanh}),
    ):
        model = Guided(**{name: value})
        assert name not in model.hparams
        assert saved(model, make_trainer())["given_in_python"] == [name]
        with pytest.raises(ValueError, match=rf"pass it again, load_from.*{name}=\.\.\."):
            GANModule.load_from_checkpoint("a.ckpt")
        again: Any = GANModule.load_from_checkpoint("a.ckpt", **{name: value})
        assert again._given_in_python == [name]


@pytest.mark.parametrize(
    "description",
    [
        {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", "harm"]}},
        {"class_path": "os.system", "init_args": {"command": "touch harm"}},
        {"class_path": "harmful.Shift"},
        {
            "class_path": "gan_modules.families.latents.CodedLatents",
            "init_args": {"noise": {"class_path": "builtins.eval"}},
        },
    ],
)
def test_nothing_else_is_built(description: Any, make_trainer: Any) -> None:
    Path("harmful.py").write_text("open('harm', 'w').close()\n")
    checkpoint = saved(Guided(codes=NormalLatents(4)), make_trainer())
    for value in (description, [description], {"a": description}):
        checkpoint["hyper_parameters"]["codes"] = value
        torch.save(checkpoint, "hostile.ckpt")
        with pytest.raises(ValueError, match="which is no network"):
            GANModule.load_from_checkpoint("hostile.ckpt")
    assert not Path("harm").exists()
