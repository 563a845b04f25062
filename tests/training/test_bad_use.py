"""Wrong input from plain Python ends in one ``ValueError``, before anything is trained."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from datamodules import ImageDataModule
from gan_modules import GAN, WGANGP, CycleGAN
from gan_modules.callbacks import LossPlot, SampleGrid, StepCheckpoint
from gan_modules.checkpoints.reading import check_weights, read_checkpoint
from gan_modules.networks import (
    CGANDiscriminator,
    CycleGANGenerator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    PatchGANDiscriminator,
    ResNetDiscriminator,
    ResNetGenerator,
)
from gan_modules.training.batches import check_batches
from gan_modules.training.fitting import check_fakes, check_logits, tried, try_network
from gan_modules.training.optimizers import check_optimizer


class Mean(nn.Module):
    """A critic that judges the whole batch at once, as many on the web do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.weight * images.mean()


def one_batch(n: int = 10, channels: int = 1) -> DataLoader[Any]:
    images = torch.zeros(n, channels, 8, 8)
    return DataLoader(TensorDataset(images, torch.arange(n) % 3), batch_size=n)


NETWORKS: dict[str, tuple[Callable[[], Any], str]] = {
    "smaller images": (
        lambda: WGANGP(
            image_shape=(1, 8, 8),
            latent_dim=4,
            generator=MLPGenerator((1, 4, 4), 4, hidden=(8,)),
            discriminator=MLPDiscriminator((1, 8, 8), hidden=(8,)),
        ),
        r"^generator makes images of shape \(2, 1, 4, 4\), the real ones are of \(2, 1, 8, 8\): it",
    ),
    "coloured for grey": (
        lambda: WGANGP(
            image_shape=(1, 8, 8),
            latent_dim=4,
            generator=MLPGenerator((3, 8, 8), 4, hidden=(8,)),
            discriminator=MLPDiscriminator((1, 8, 8), hidden=(8,)),
        ),
        r"^generator makes images of shape \(2, 3, 8, 8\), the real ones are of \(2, 1, 8, 8\)",
    ),
    "latents of another size": (
        lambda: WGANGP(
            image_shape=(1, 8, 8),
            latent_dim=4,
            generator=MLPGenerator((1, 8, 8), 5, hidden=(8,)),
            discriminator=MLPDiscriminator((1, 8, 8), hidden=(8,)),
        ),
        r"^generator cannot take torch.float32 of shape \(2, 4\): .*mat1 and mat2 shapes cannot be",
    ),
    "critic of larger images": (
        lambda: WGANGP(
            image_shape=(1, 8, 8),
            latent_dim=4,
            generator=MLPGenerator((1, 8, 8), 4, hidden=(8,)),
            discriminator=MLPDiscriminator((1, 16, 16), hidden=(8,)),
        ),
        r"^discriminator cannot take torch.float32 of shape \(4, 1, 8, 8\): .*mat1 and mat2 shapes",
    ),
    "critic of coloured images": (
        lambda: WGANGP(
            image_shape=(1, 8, 8),
            latent_dim=4,
            generator=MLPGenerator((1, 8, 8), 4, hidden=(8,)),
            discriminator=ResNetDiscriminator((3, 8, 8), width=4),
        ),
        r"^discriminator cannot take torch.float32 of shape \(4, 1, 8, 8\): Given groups=1",
    ),
    "critic of the whole batch": (
        lambda: WGANGP(
            image_shape=(1, 8, 8),
            latent_dim=4,
            generator=MLPGenerator((1, 8, 8), 4, hidden=(8,)),
            discriminator=Mean(),
        ),
        r"^discriminator gives logits of shape \(1,\) for 4 images: there must be one",
    ),
    "networks without labels": (
        lambda: GAN(
            image_shape=(1, 8, 8),
            num_classes=3,
            conditional=True,
            generator=nn.Sequential(nn.Linear(100, 64), nn.Unflatten(1, (1, 8, 8))),
        ),
        r"^generator cannot take torch.float32 of shape \(10, 100\) and torch.int64 of shape",
    ),
    "translation to another size": (
        lambda: CycleGAN(
            image_shape=(1, 8, 8),
            generator=lambda image_shape: nn.Sequential(
                CycleGANGenerator(image_shape, width=2, n_blocks=0), nn.AvgPool2d(2)
            ),
        ),
        r"^b_to_a makes images of shape \(20, 1, 4, 4\), the real ones are of \(20, 1, 8",
    ),
    "judge of another domain": (
        lambda: CycleGAN(
            image_shape=(1, 8, 8),
            discriminator=lambda image_shape: PatchGANDiscriminator((3, 8, 8), width=2, n_layers=1),
        ),
        r"^discriminator a cannot take torch.float32 of shape \(20, 1, 8, 8\): Given groups=1",
    ),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_networks_that_do_not_fit(case: str, make_trainer: Any) -> None:
    build, line = NETWORKS[case]
    model = build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loader = one_batch()
    if isinstance(model, CycleGAN):
        loader = DataLoader(TensorDataset(torch.zeros(10, 1, 8, 8), torch.zeros(10, 1, 8, 8)), 10)
    with pytest.raises(ValueError, match=line) as caught:
        make_trainer(max_steps=1).fit(model, loader)
    assert "\n" not in str(caught.value)
    assert_close(model.state_dict(), before, rtol=0, atol=0)
    with pytest.raises(ValueError, match=line.split(r"\(")[0]):
        make_trainer(limit_val_batches=1).validate(build(), loader, verbose=False)


class Failing(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        raise self.error


def test_other_errors_of_a_network_are_its_own() -> None:
    x = torch.zeros(2, 3)
    for error in (torch.OutOfMemoryError("full"), KeyError("mine"), ValueError("mine")):
        with pytest.raises(type(error)) as caught:
            try_network("generator", Failing(error), x)
        assert caught.value is error
    with pytest.raises(
        ValueError, match=r"^critic cannot take torch.float32 of shape \(2, 3\): a b$"
    ):
        try_network("critic", Failing(RuntimeError("a\n b\n\nmore")), x)


class Giving(nn.Module):
    """Gives one thing after the other, whatever it is given."""

    def __init__(self, *outputs: Any) -> None:
        super().__init__()
        self.outputs = list(outputs)

    def forward(self, x: Tensor) -> Any:
        return self.outputs.pop(0)


def test_outputs_of_any_kind() -> None:
    images = torch.zeros(4, 1, 8, 8)
    with pytest.raises(ValueError, match="makes images of shape tuple, the real ones"):
        check_fakes(images)("generator", (images, images), (images,))
    for logits in (torch.zeros(4), torch.zeros(4, 1), torch.zeros(4, 1, 2, 2), torch.zeros(16)):
        check_logits()("discriminator", logits, (images,))
    for output in (torch.zeros(()), torch.zeros(2), None):
        with pytest.raises(ValueError, match="there must be one"):
            check_logits()("discriminator", output, (images,))


def test_outputs_are_looked_at_while_networks_are_tried() -> None:
    images = torch.zeros(4, 1, 8, 8)
    network = Giving(images, torch.zeros(4), None)
    with tried({"generator": (network, check_fakes(images))}):
        assert network(images) is images
        with pytest.raises(ValueError, match="generator makes images of shape"):
            network(images)
    assert network(images) is None
    assert "forward" not in vars(network)


def test_a_network_of_another_kind_is_named() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'latent_dim'") as caught:
        WGANGP(image_shape=(1, 8, 8), generator=MLPDiscriminator)  # type: ignore[arg-type]
    assert caught.value.__notes__ == [
        "in generator, which is built with image_shape and latent_dim"
    ]
    with pytest.raises(TypeError, match="unexpected keyword argument 'image_shape'") as caught:
        CycleGAN(image_shape=(1, 8, 8), discriminator=nn.Tanh)  # type: ignore[arg-type]
    assert caught.value.__notes__ == ["in discriminator, which is built with image_shape"]


@pytest.mark.parametrize("shape", [None, 8, "16x16", (8, 0), (1, 8.0, 8), (1, 0, 8), (), [True]])
@pytest.mark.parametrize("variant", [WGANGP, CycleGAN])
def test_shapes_that_are_none(variant: Any, shape: Any) -> None:
    if shape == [True]:
        shape = (1, 2, 3, 4)
    with pytest.raises(ValueError, match=r"^image_shape=.* must be \(C, H, W\)"):
        variant(image_shape=shape)


@pytest.mark.parametrize(
    ("build", "line"),
    [
        (lambda: MLPGenerator((1, 8, 8), 4, hidden=(8, 0)), r"hidden=\(8, 0\) must be at least 1"),
        (lambda: MLPDiscriminator((1, 8, 8), hidden=(-1,)), r"hidden=\(-1,\) must be at least 1"),
        (lambda: DCGANGenerator((1, 8, 8), 4, width=0), "width=0 must be at least 1"),
        (lambda: ResNetGenerator((1, 8, 8), 4, width=-2), "width=-2 must be at least 1"),
        (lambda: CGANDiscriminator((1, 8, 8), 3, label_width=0), "label_width=0 must be at least"),
        (lambda: CycleGANGenerator((1, 8, 8), width=0), "width=0 must be at least 1"),
        (lambda: PatchGANDiscriminator((1, 8, 8), width=0), "width=0 must be at least 1"),
    ],
)
def test_layers_of_no_width(build: Callable[[], nn.Module], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        build()


@pytest.mark.parametrize("rate", [0.0, float("inf")])
def test_rates_with_which_nothing_is_learnt(
    rate: float, make_model: Any, make_trainer: Any
) -> None:
    model = make_model(discriminator_optimizer=lambda p: torch.optim.SGD(p, lr=rate))
    with pytest.raises(ValueError, match=f"^discriminator_optimizer.lr={rate:g} must be positive"):
        make_trainer(max_steps=1).fit(model, one_batch())


def test_a_rate_may_start_from_zero(make_model: Any, make_trainer: Any) -> None:
    model = make_model(
        generator_optimizer=lambda p: torch.optim.SGD(p, lr=0.1),
        generator_scheduler=lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda step: step / 10),
    )
    make_trainer(max_steps=1).fit(model, one_batch())
    assert model.optimizers()[0].param_groups[0]["lr"] == pytest.approx(0.01)


def test_optimizers_that_do_not_go_with_the_loop() -> None:
    weights = [nn.Parameter(torch.ones(2))]
    for cls in (torch.optim.LBFGS, torch.optim.SparseAdam):
        with pytest.raises(ValueError, match=f"x='{cls.__name__}' must be an optimizer that steps"):
            check_optimizer("x", cls(weights))
    check_optimizer("x", torch.optim.Adam(weights, lr=torch.tensor(1e-3)))


def test_an_optimizer_says_for_whom_it_is(make_model: Any, make_trainer: Any) -> None:
    model = make_model(generator_optimizer=lambda p: torch.optim.Adam(p, lr=-1.0))
    with pytest.raises(ValueError, match=r"Invalid learning rate: -1.0") as caught:
        make_trainer(max_steps=1).fit(model, one_batch())
    assert caught.value.__notes__ == ["in generator_optimizer"]


# ---- data --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Total length of")
def test_a_loader_without_batches(make_model: Any, make_trainer: Any) -> None:
    dataset = TensorDataset(torch.zeros(3, 1, 8, 8))
    loader = DataLoader(dataset, batch_size=5, drop_last=True)
    with pytest.raises(ValueError, match="the DataLoader gives no batches: its data set is empty"):
        make_trainer(max_steps=1).fit(make_model(), loader)
    # whoever wants none gets none
    make_trainer(max_steps=1, limit_train_batches=0).fit(make_model(), one_batch())


def test_the_last_batch_is_looked_at_before_the_first(make_model: Any, make_trainer: Any) -> None:
    def loader(drop_last: bool) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.zeros(23, 1, 8, 8)), 10, drop_last=drop_last)

    model = make_model(n_critic=5)
    trainer = make_trainer(max_steps=3)
    with pytest.raises(
        ValueError, match=r"last batch of an epoch has 3 images, .* n_critic=5 equal"
    ):
        trainer.fit(model, loader(False))
    assert trainer.global_step == 0
    # nobody comes to it, or it is left out
    make_trainer(max_steps=2).fit(make_model(n_critic=5), loader(False))
    make_trainer(max_steps=3, limit_train_batches=2).fit(make_model(n_critic=5), loader(False))
    make_trainer(max_steps=3).fit(make_model(n_critic=5), loader(True))


class Stream(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        return iter(torch.zeros(3, 1))


def test_what_is_no_loader_of_batches_has_no_last_one() -> None:
    for loader in ([1, 2], DataLoader(Stream(), 4), DataLoader(list("abc"), None)):  # type: ignore[arg-type]
        check_batches(loader, 2, 2, "n_critic", nn.BatchNorm1d(3), {"pieces": 1})


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        (
            torch.tensor([0, 1, 3]),
            r"load\('train'\) gives torch.int64 labels from 0 to 3: with num_",
        ),
        (torch.tensor([-1, 1, 2]), "labels from -1 to 2: .* they must be integers from 0 to 2"),
        (
            torch.tensor([0.0, 0.5, 1.0]),
            "gives torch.float32 labels from 0 to 1: with num_classes=3",
        ),
    ],
)
def test_all_labels_of_a_data_set_are_looked_at(labels: Tensor, line: str) -> None:
    class Mine(ImageDataModule):
        channels, num_classes = 1, 3

        def load(self, split: Any) -> tuple[Tensor, Tensor]:
            return torch.zeros(3, 1, 8, 8, dtype=torch.uint8), labels

    with pytest.raises(ValueError, match=line):
        Mine(image_size=8).setup("fit")


# ---- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("callback", "line"),
    [
        (
            lambda: StepCheckpoint(dirpath="file/x"),
            "checkpoint.dirpath='file/x' cannot be written to",
        ),
        (
            lambda: SampleGrid(dirpath="file/x/y"),
            "samples.dirpath='file/x/y' cannot be written to: f",
        ),
        (
            lambda: LossPlot(path="file/x.png"),
            "loss_plot.path='file/x.png' cannot be written to: fi",
        ),
    ],
)
def test_where_nothing_can_be_written(
    callback: Any, line: str, make_model: Any, make_trainer: Any
) -> None:
    Path("file").touch()
    trainer = make_trainer(max_steps=1, callbacks=[callback()], enable_checkpointing=True)
    with pytest.raises(ValueError, match=f"^{line}"):
        trainer.fit(make_model(), one_batch())
    assert trainer.global_step == 0


def test_a_damaged_checkpoint_is_a_value_error(make_model: Any, make_trainer: Any) -> None:
    trainer = make_trainer(max_steps=1)
    trainer.fit(make_model(), one_batch())
    trainer.save_checkpoint("whole.ckpt")
    whole = Path("whole.ckpt").read_bytes()
    numbers = random.Random(0)
    readable = 0
    for _ in range(150):
        damaged = bytearray(
            whole[: numbers.randrange(len(whole))] if numbers.random() < 0.3 else whole
        )
        for _ in range(3):
            # the description of what is inside lies ahead of the weights
            position = numbers.randrange(min(len(damaged), 6_000) or 1)
            damaged[position : position + 1] = bytes([numbers.randrange(256)])
        Path("damaged.ckpt").write_bytes(damaged)
        try:
            read_checkpoint("damaged.ckpt")
            readable += 1
        except ValueError as error:
            assert str(error).startswith("damaged.ckpt ")  # noqa: PT017
    assert readable < 100
    with pytest.raises(FileNotFoundError):
        read_checkpoint("missing.ckpt")


def test_weights_that_do_not_fit(make_model: Any) -> None:
    model = make_model()
    weights = dict(model.state_dict())
    check_weights("x.ckpt", {"state_dict": weights}, model)
    for change, line in (
        ({"more": torch.ones(2)}, r"more is of shape \(2,\) in it, missing in the model"),
        ({"generator.layers.0.bias": "text"}, r"layers.0.bias is no tensor in it, of shape \(8,\)"),
    ):
        with pytest.raises(ValueError, match=f"^x.ckpt does not fit the model: .*{line}"):
            check_weights("x.ckpt", {"state_dict": weights | change}, model)
