"""Augmentations against computations of other libraries and by hand, and their strength."""

import math
from functools import partial, reduce
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from PIL import Image
from scipy import ndimage
from torch import Tensor, nn
from torch.testing import assert_close

from datamodules import DigitsDataModule
from gan_modules import GAN, R1, WGANGP, AdaptiveAugment, DiffAugment, GANModule
from gan_modules.networks import MLPDiscriminator, MLPGenerator
from gan_modules.objectives import diff_augment
from gan_modules.objectives.adaptive_augment import Colours, Geometry
from gan_modules.objectives.warp import warp

BOTH: list[Any] = [AdaptiveAugment(p=1.0), AdaptiveAugment(p=0.3), DiffAugment()]


def geometry(n: int = 1, **chosen: float) -> Tensor:
    """The matrix of chosen transformations, all others left out."""
    none = dict.fromkeys(Geometry._fields, 0.0)
    return Geometry(**{k: torch.full((n,), v) for k, v in (none | chosen).items()}).inverse()


def colours(**chosen: float) -> Colours:
    none = dict.fromkeys(Colours._fields, 0.0)
    return Colours(**{k: torch.full((1,), v) for k, v in (none | chosen).items()})


def images(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1


def smooth(size: int) -> Tensor:
    """An image without detail, of which every way to interpolate makes the same."""
    at = torch.arange(size) / size
    return (torch.sin(5 * at)[:, None] * torch.cos(4 * at + 1) + 0.3 * at).view(1, 1, size, size)


# ---- AdaptiveAugment: geometry -------------------------------------------------------------------

MODES = [
    ({"flip": 1.0}, Image.Transpose.FLIP_LEFT_RIGHT),
    ({"quarters": 1.0}, Image.Transpose.ROTATE_270),
    ({"quarters": 2.0}, Image.Transpose.ROTATE_180),
    ({"quarters": 3.0}, Image.Transpose.ROTATE_90),
    ({"flip": 1.0, "quarters": 1.0}, Image.Transpose.TRANSVERSE),
]


@pytest.mark.parametrize(("chosen", "mode"), MODES)
@pytest.mark.parametrize("size", [7, 8, 28])
def test_flips_and_quarter_turns_are_pillows(chosen: Any, mode: Any, size: int) -> None:
    image = images(1, 2, size, size)
    rows = [np.array(Image.fromarray(channel.numpy()).transpose(mode)) for channel in image[0]]
    expected = torch.from_numpy(np.stack(rows))[None]
    assert_close(warp(image, geometry(**chosen)), expected, rtol=0, atol=0)


def test_jumps_move_pixels_and_reflect_the_border() -> None:
    image = images(1, 3, 11, 13)
    moved = warp(image, geometry(jump_x=2.0, jump_y=-1.0))
    expected = ndimage.shift(image[0].numpy(), (0, -1, 2), order=0, mode="reflect")
    assert_close(moved[0], torch.from_numpy(expected), rtol=0, atol=0)


def test_a_drift_is_linear_interpolation() -> None:
    image = images(1, 1, 9, 12)
    moved = warp(image, geometry(drift_x=1.25, drift_y=0.5))
    expected = ndimage.shift(image[0, 0].numpy(), (0.5, 1.25), order=1, mode="reflect")
    assert_close(moved[0, 0], torch.from_numpy(expected), rtol=0, atol=1e-6)


def turned(angle: float) -> Any:
    """In scipy's order, (y, x), from the output to the input: clockwise is from x to y."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


@pytest.mark.parametrize(
    ("chosen", "inverse"),
    [
        ({"before": 0.5}, turned(0.5)),
        ({"after": -2.0}, turned(-2.0)),
        ({"scale": 0.4}, np.eye(2) * 2**-0.4),
        ({"scale": -0.6}, np.eye(2) * 2**0.6),
        ({"stretch": 0.5}, np.diag([2**0.5, 2**-0.5])),
        # the last one first, on the way back
        ({"before": 0.5, "stretch": 0.5}, turned(0.5) @ np.diag([2**0.5, 2**-0.5])),
        ({"stretch": 0.5, "after": 0.5}, np.diag([2**0.5, 2**-0.5]) @ turned(0.5)),
    ],
)
def test_rotation_and_scale_are_scipys(chosen: Any, inverse: Any) -> None:
    def by_scipy(image: Any) -> Any:
        middle = np.array(image.shape) / 2 - 0.5
        offset = middle - inverse @ middle
        return ndimage.affine_transform(image, inverse, offset, order=1, mode="reflect")

    image = images(1, 1, 20, 25)
    halves = by_scipy(image[0, 0].double().numpy().repeat(2, 0).repeat(2, 1))
    expected = halves.reshape(20, 2, 25, 2).mean((1, 3))
    found = warp(image.double(), geometry(**chosen).double())
    assert_close(found[0, 0], torch.from_numpy(expected), rtol=0, atol=1e-5)
    # and nearly so without supersampling, where there is neither detail nor a border
    image = smooth(64)
    found, expected = warp(image, geometry(**chosen))[0, 0], by_scipy(image[0, 0].numpy())
    inner = slice(20, 44)
    assert_close(found[inner, inner], torch.from_numpy(expected)[inner, inner], rtol=0, atol=0.012)
    assert (found - image[0, 0])[inner, inner].abs().max() > 0.05


def test_a_smaller_image_is_not_aliased() -> None:
    # single pixels vanish where points are looked up, and are averaged where areas are
    board = ((torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1).view(1, 1, 16, 16)
    assert warp(board, geometry(scale=-1.0)).abs().max() < 1e-6


def test_the_matrix_is_the_papers_product() -> None:
    values = {
        "flip": 1.0, "quarters": 3.0, "jump_x": 2.0, "jump_y": -1.0, "scale": 0.3, "before": 0.7,
        "stretch": -0.2, "after": -1.1, "drift_x": 0.4, "drift_y": -0.9,
    }  # fmt: skip

    def rotation(angle: float) -> Tensor:
        cosine, sine = math.cos(angle), math.sin(angle)
        return torch.tensor([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])

    def shift(x: float, y: float) -> Tensor:
        return torch.tensor([[1, 0, x], [0, 1, y], [0, 0, 1.0]])

    def scaling(x: float, y: float) -> Tensor:
        return torch.diag(torch.tensor([x, y, 1.0]))

    forwards = [
        scaling(-1, 1), rotation(3 * math.pi / 2), shift(2, -1), scaling(2**0.3, 2**0.3),
        rotation(0.7), scaling(2**-0.2, 2**0.2), rotation(-1.1), shift(0.4, -0.9),
    ]  # fmt: skip
    product = reduce(lambda so_far, following: following @ so_far, forwards)
    assert_close(geometry(**values)[0], torch.linalg.inv(product), rtol=0, atol=1e-5)


# ---- AdaptiveAugment: colours --------------------------------------------------------------------


def test_colours_are_the_papers_product() -> None:
    axis = np.array([1, 1, 1, 0]) / math.sqrt(3)
    along = np.outer(axis, axis)
    factor, angle, saturation = 2**0.6, 2.2, 2**-1.3
    brightness = np.eye(4)
    brightness[:3, 3] = 0.15
    contrast = np.diag([factor, factor, factor, 1])
    flip = np.eye(4) - 2 * along
    # Rodrigues' formula
    cross = np.array([[0, -1, 1, 0], [1, 0, -1, 0], [-1, 1, 0, 0], [0, 0, 0, 0]]) / math.sqrt(3)
    hue = np.eye(4) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    scale = along + (np.eye(4) - along) * saturation
    scale[3, 3] = 1
    product = scale @ hue @ flip @ contrast @ brightness
    image = images(1, 3, 4, 5)
    flat = np.concatenate([image[0].reshape(3, -1).numpy(), np.ones((1, 20))])
    expected = torch.from_numpy((product @ flat)[:3].reshape(3, 4, 5)).float()
    chosen = colours(brightness=0.15, contrast=0.6, flip=1.0, hue=2.2, saturation=-1.3)
    assert_close(chosen.apply(image)[0], expected)


def test_a_third_of_the_circle_of_hues_exchanges_channels() -> None:
    image = images(1, 3, 4, 5)
    assert_close(colours(hue=2 * math.pi / 3).apply(image), image.roll(1, dims=1))


def test_one_channel_is_brighter_has_contrast_and_is_flipped() -> None:
    image = images(1, 1, 4, 5)
    chosen = colours(brightness=0.15, contrast=-1.0, flip=1.0, hue=2.0, saturation=1.0)
    assert_close(chosen.apply(image), -0.5 * (image + 0.15))


def test_other_numbers_of_channels_keep_their_colours() -> None:
    image = torch.arange(-2.0, 3.0).view(1, 5, 1, 1).expand(50, 5, 6, 6)
    assert_close(AdaptiveAugment(p=1.0)(image), image)


# ---- AdaptiveAugment: what is drawn --------------------------------------------------------------

N, SIZE = 10_000, 64
UNIFORM = 1 / math.sqrt(3)  # standard deviation of U(-1, 1)
# the paper's distributions at p = 1; both rotations are certain then
DRAWN = {
    "flip": (0.5, 0.5), "quarters": (1.5, math.sqrt(1.25)), "jump_x": (0, 8 * UNIFORM),
    "jump_y": (0, 4 * UNIFORM), "scale": (0, 0.2), "before": (0, math.pi * UNIFORM),
    "stretch": (0, 0.2), "after": (0, math.pi * UNIFORM), "drift_x": (0, 8), "drift_y": (0, 4),
    "brightness": (0, 0.2), "contrast": (0, 0.5), "hue": (0, math.pi * UNIFORM),
    "saturation": (0, 1),
}  # fmt: skip


@pytest.mark.parametrize("p", [1.0, 0.3])
def test_what_is_drawn_has_the_papers_distributions(p: float) -> None:
    torch.manual_seed(0)
    at = torch.tensor(p)
    drawn = Colours.draw(N, at)._asdict() | Geometry.draw(N, SIZE // 2, SIZE, at)._asdict()
    for name, (mean, deviation) in DRAWN.items():
        values = drawn[name]
        applied = 1 - math.sqrt(1 - p) if name in ("before", "after") else p
        # a mixture with zero
        expected = applied * mean
        second = applied * (deviation**2 + mean**2)
        spread = math.sqrt(second - expected**2)
        assert values.mean().item() == pytest.approx(expected, abs=4 * spread / math.sqrt(N)), name
        assert values.std().item() == pytest.approx(spread, rel=0.03), name
        kept = (values == 0).float().mean().item()
        # what is drawn as zero is not seen to be applied
        zeros = {"flip": 1 / 2, "quarters": 1 / 4, "jump_x": 1 / 16, "jump_y": 1 / 8}
        assert kept == pytest.approx(1 - applied * (1 - zeros.get(name, 0)), abs=0.02), name
    assert drawn["jump_x"].abs().max() == 8
    assert drawn["jump_y"].abs().max() == 4
    assert torch.equal(drawn["jump_x"], drawn["jump_x"].round())
    # one gate for both axes
    moved = (drawn["drift_x"] != 0, drawn["drift_y"] != 0)
    assert torch.equal(*moved)


@pytest.mark.parametrize("shape", [(5, 3, 9, 14), (5, 1, 28, 28), (5, 2, 1, 3), (5, 3, 64, 64)])
def test_without_probability_not_a_bit_is_changed(shape: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        image = images(*shape).to(dtype)
        assert_close(AdaptiveAugment()(image), image, rtol=0, atol=0)


# ---- AdaptiveAugment: its strength ---------------------------------------------------------------


def observed(augment: AdaptiveAugment, logits: list[list[float]], images: int) -> list[float]:
    """``p`` after each iteration in which the real logits were those."""
    found = []
    for step, real in enumerate(logits):
        augment.schedule(step, step * images)
        augment.observe(torch.tensor(real))
        found.append(augment.p.item())
    augment.schedule(len(logits), len(logits) * images)
    return [*found[1:], augment.p.item()]


def test_strength_rises_by_images_and_stays_below_one() -> None:
    augment = AdaptiveAugment(speed=1000, every=2)
    found = observed(augment, [[1.0, 2.0]] * 6, images=200)
    assert found == pytest.approx([0, 0.4, 0.4, 0.8, 0.8, 1.0])
    assert augment.r_t == 1


def test_strength_falls_to_zero() -> None:
    augment = AdaptiveAugment(p=0.5, speed=1000, every=1)
    found = observed(augment, [[-1.0, 3.0]] * 4, images=150)
    assert found == pytest.approx([0.35, 0.2, 0.05, 0.0])
    assert augment.r_t == 0


def test_the_mean_sign_is_that_of_all_observations() -> None:
    # of 8 signs 7 are positive: r_t = 0.75
    for target, p in ((0.7, 0.34), (0.75, 0.3), (0.8, 0.26)):
        augment = AdaptiveAugment(p=0.3, target=target, speed=1000, every=2)
        observed(augment, [[0.1, 5, 2, -1], [3, 2, 7, 1]], images=20)
        assert augment.r_t == 0.75
        assert augment.p.item() == pytest.approx(p)
        # what comes next is counted anew
        observed(augment, [[-1, -1], [-2, -3]], images=20)
        assert augment.r_t == -1


def test_a_fixed_strength_and_nothing_observed() -> None:
    fixed = AdaptiveAugment(p=0.4, target=None, speed=100, every=1)
    assert observed(fixed, [[1.0]] * 3, images=50) == pytest.approx([0.4] * 3)
    assert fixed.r_t == 1
    unseen = AdaptiveAugment(p=0.4, speed=100, every=1)
    for step in range(3):
        unseen.schedule(step, step * 50)
    assert (unseen.p.item(), unseen.r_t.item()) == (pytest.approx(0.4), 0)


def test_the_default_is_the_papers_half_million_images() -> None:
    augment = AdaptiveAugment()
    for step in range(9):
        augment.schedule(step, step * 64)
        augment.observe(torch.ones(64))
    assert augment.p.item() == pytest.approx(2 * 4 * 64 / 500_000)


def test_strength_is_exact_in_half_precision() -> None:
    augment = AdaptiveAugment(p=0.75, speed=100_000, every=1).to(torch.bfloat16)
    observed(augment, [[1.0]] * 3, images=64)
    assert augment.p.item() == pytest.approx(0.75 + 3 * 64 / 100_000)
    assert augment.double().p.dtype == torch.float64
    image = images(2, 3, 8, 8).to(torch.bfloat16)
    assert augment.to(torch.bfloat16)(image).dtype == torch.bfloat16


# ---- DiffAugment ---------------------------------------------------------------------------------


def fixed_draws(monkeypatch: pytest.MonkeyPatch, uniform: list[float], integers: list[int]) -> None:
    """What is drawn, one for all images."""
    rest, whole = iter(uniform), iter(integers)
    monkeypatch.setattr(diff_augment, "_uniform", lambda x: torch.full((len(x), 1, 1, 1), next(rest)))  # fmt: skip  # noqa: E501
    monkeypatch.setattr(diff_augment, "_integers", lambda x, _: torch.full((len(x), 1, 1, 1), next(whole)))  # fmt: skip  # noqa: E501


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_recolour_by_hand(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    fixed_draws(monkeypatch, [0.7, 0.8, 0.1], [])
    image = images(1, channels, 5, 4)
    x = image[0].double().numpy() + 0.2
    x = x.mean(0) + (x - x.mean(0)) * 1.6
    x = x.mean() + (x - x.mean()) * 0.6
    assert_close(DiffAugment(["color"])(image)[0], torch.from_numpy(x).float())


def test_translate_is_a_shift_into_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    # of an eighth of 12 and of 24 pixels, rounded up, and 3
    fixed_draws(monkeypatch, [], [0, 5])
    image = images(2, 3, 12, 24)
    expected = ndimage.shift(image.numpy(), (0, 0, -2, 2), order=0, mode="constant")
    assert_close(DiffAugment(["translation"])(image), torch.from_numpy(expected), rtol=0, atol=0)


def test_cut_out_is_a_square_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    # half of 9 is 5, of 8 is 4; centred on row 1, it is partly outside
    fixed_draws(monkeypatch, [], [1, 3])
    image = images(2, 3, 9, 8)
    expected = image.clone()
    expected[:, :, 0:4, 1:5] = 0
    assert_close(DiffAugment(["cutout"])(image), expected, rtol=0, atol=0)


def test_what_diff_augment_draws() -> None:
    torch.manual_seed(0)
    # three numbers whose mean is 0: saturation cannot be told from contrast, one channel can
    flat = torch.zeros(N, 1, 1, 1)
    brighter = diff_augment.recolour(flat).flatten()
    assert brighter.mean().item() == pytest.approx(0, abs=0.012)
    assert brighter.std().item() == pytest.approx(0.5 * UNIFORM, rel=0.03)
    grey = torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2).expand(N, 1, 1, 2)
    contrast = diff_augment.recolour(grey).diff(dim=-1).flatten() / 2
    assert contrast.mean().item() == pytest.approx(1, abs=0.012)
    assert contrast.std().item() == pytest.approx(0.5 * UNIFORM, rel=0.03)
    colour = torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1).expand(N, 2, 1, 1)
    both = diff_augment.recolour(colour).diff(dim=1).flatten() / 2
    # factors from [0, 2) and [0.5, 1.5): the mean of squares is 4/3 x 13/12
    assert both.mean().item() == pytest.approx(1, abs=0.03)
    assert both.square().mean().item() == pytest.approx(13 / 9, rel=0.03)
    # where a single pixel goes, and which ones are cut out
    pixel = torch.zeros(N, 1, 16, 8)
    pixel[:, :, 8, 4] = 1
    went = diff_augment.translate(pixel).mean(0)[0]
    expected = torch.zeros(16, 8)
    expected[6:11, 3:6] = 1 / 15
    assert_close(went, expected, rtol=0, atol=0.012)
    left = diff_augment.cut_out(torch.ones(N, 1, 4, 4)).mean(0)[0]
    # of centres 0 to 4 so many cover rows 0 to 3 of four
    covered = torch.tensor([2, 2, 2, 2]) / 5
    assert_close(left, 1 - covered[:, None] * covered, rtol=0, atol=0.02)


# ---- both ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("augment", BOTH)
def test_every_image_is_transformed_on_its_own(augment: Any) -> None:
    torch.manual_seed(0)
    image = images(1, 3, 16, 12).expand(20, 3, 16, 12)
    found = augment(image)
    assert found.shape == image.shape
    assert len({tuple(one.flatten().tolist()) for one in found}) > 10
    torch.manual_seed(0)
    assert_close(augment(image), found, rtol=0, atol=0)
    assert not torch.equal(augment(image), found)


@pytest.mark.parametrize("augment", BOTH)
def test_first_and_second_derivatives(augment: Any) -> None:
    image = images(1, 3, 3, 4, dtype=torch.float64).requires_grad_()

    def squared(x: Tensor) -> Tensor:
        torch.manual_seed(1)
        return augment(x).square()

    assert torch.autograd.gradcheck(squared, (image,))
    assert torch.autograd.gradgradcheck(squared, (image,), fast_mode=True)


@pytest.mark.parametrize("augment", BOTH)
def test_autocast_changes_nothing(augment: Any) -> None:
    image = images(4, 3, 16, 16)
    torch.manual_seed(0)
    expected = augment(image)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(augment(image), expected, rtol=0, atol=0)
        assert augment(image.to(torch.bfloat16)).dtype == torch.bfloat16


class Linear(nn.Module):
    """``w . x``."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight


def small(cls: Any = GAN, shape: tuple[int, ...] = (3, 8, 8), **options: Any) -> Any:
    networks = {
        "generator": MLPGenerator(shape, 4, hidden=(8,)),
        "discriminator": MLPDiscriminator(shape, hidden=(8,)),
    }
    return cls(image_shape=shape, latent_dim=4, **networks | options)


def test_r1_goes_through_the_warp() -> None:
    """A quarter turn moves the gradients of a linear discriminator and keeps their norm."""
    weight = torch.arange(192.0) / 50
    model = small(
        discriminator=Linear(weight), augmentation=AdaptiveAugment(), regularizers=[R1(3.0)]
    )
    batch = images(4, 3, 8, 8), None
    terms = model.terms_of("discriminator", batch)
    assert_close(terms["r1"].detach(), 3.0 * weight.square().sum() / 2)
    model.augmentation.p.fill_(1.0)
    torch.manual_seed(0)
    terms = model.terms_of("discriminator", batch)
    terms["r1"].backward()
    assert model.discriminator.weight.grad.norm() > 0
    assert torch.isfinite(model.discriminator.weight.grad).all()


def test_the_gradient_reaches_the_generator() -> None:
    for augment in BOTH:
        model = small(augmentation=augment)
        sum(model.terms_of("generator", (images(4, 3, 8, 8), None)).values()).backward()
        assert all(p.grad.norm() > 0 for p in model.generator.parameters())


def test_only_updates_of_the_discriminator_are_observed() -> None:
    model = small(augmentation=AdaptiveAugment(), discriminator=Linear(torch.ones(192)))
    batch = torch.ones(4, 3, 8, 8), None
    model.terms_of("generator", batch)
    model.eval().terms_of("discriminator", batch)
    assert model.augmentation.signs.tolist() == [0, 0]
    model.train().terms_of("discriminator", batch)
    assert model.augmentation.signs.tolist() == [1, 1]
    # of fakes nothing is known
    model.terms_of("discriminator", (-batch[0], None))
    assert model.augmentation.signs.tolist() == [0, 2]


@pytest.mark.parametrize(("cls", "precision"), [(GAN, "32-true"), (WGANGP, "bf16-mixed")])
def test_training_logs_strength_and_resumes(cls: Any, precision: str, make_trainer: Any) -> None:
    def run(steps: int, ckpt_path: str | None = None) -> tuple[Any, Any]:
        torch.manual_seed(0)
        augment = AdaptiveAugment(p=0.5, speed=1000, every=4)
        model = small(cls, (1, 16, 16), augmentation=augment, n_critic=2)
        trainer = make_trainer(max_steps=steps, log_every_n_steps=1, precision=precision)
        trainer.fit(model, DigitsDataModule(batch_size=4), ckpt_path=ckpt_path, weights_only=True)
        return trainer, model

    trainer, whole = run(12)
    # after 4 and after 8 iterations of two times 4 images, up each time
    assert whole.augmentation.p.item() == pytest.approx(0.5 + 2 * 4 * 8 / 1000)
    assert_close(trainer.callback_metrics["augment/p"], whole.augmentation.p)
    assert_close(trainer.callback_metrics["augment/r_t"], whole.augmentation.r_t)
    # between two adjustments
    run(6)[0].save_checkpoint("half.ckpt")
    resumed = run(12, "half.ckpt")[1]
    assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)


def test_strength_can_be_monitored(make_trainer: Any, make_loader: Any) -> None:
    model = small(augmentation=AdaptiveAugment())
    for name in ("augment/p", "augment/q"):
        stopping = EarlyStopping(name, check_on_train_epoch_end=False)
        trainer = make_trainer(max_steps=1, callbacks=[stopping])
        loader = make_loader(4, shape=(3, 8, 8))
        if name == "augment/p":
            trainer.fit(model, loader)
        else:
            with pytest.raises(ValueError, match=r"must be one of augment/p, augment/r_t, d/"):
                trainer.fit(model, loader)


def test_a_checkpoint_brings_augmentation_back(make_trainer: Any, make_loader: Any) -> None:
    for augment in (
        AdaptiveAugment(p=0.25, target=None, speed=100, every=2),
        DiffAugment(["cutout", "color"]),
        DiffAugment(),
    ):
        options = {"hidden": (4,)}
        model = GAN(
            image_shape=(3, 8, 8), augmentation=augment,
            generator=partial(MLPGenerator, **options),
            discriminator=partial(MLPDiscriminator, **options),
        )  # fmt: skip
        trainer = make_trainer(max_steps=2)
        trainer.fit(model, make_loader(4, shape=(3, 8, 8)))
        trainer.save_checkpoint("a.ckpt")
        again: Any = GANModule.load_from_checkpoint("a.ckpt").augmentation  # type: ignore[attr-defined]
        assert type(again) is type(augment)
        assert_close(again.state_dict(), augment.state_dict(), rtol=0, atol=0)
        for name in ("target", "speed", "every", "policy"):
            assert getattr(again, name, None) == getattr(augment, name, None)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"p": 1.1}, r"^p=1\.1 must be in \[0, 1\]$"),
        ({"target": 1.0}, r"^target=1\.0 must be in \(-1, 1\), or None$"),
        ({"speed": 0}, "^speed=0 must be at least 1$"),
        ({"every": 0}, "^every=0 must be at least 1$"),
        (
            {"policy": ["colour"]},
            r"^policy=\['colour'\] must be some of color, translation, cutout",
        ),
        ({"policy": []}, r"^policy=\[\] must be"),
        ({"policy": "color"}, "^policy='color' must be"),
        ({"policy": ["color", "color"]}, "must be some of .*, each once$"),
    ],
)
def test_wrong_options(options: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        (DiffAugment if "policy" in options else AdaptiveAugment)(**options)


def test_points_are_refused() -> None:
    for augment in BOTH:
        line = rf"^image_shape=\(2,\) must be \(C, H, W\) with {type(augment).__name__}"
        with pytest.raises(ValueError, match=line):
            GAN(image_shape=(2,), augmentation=augment)
