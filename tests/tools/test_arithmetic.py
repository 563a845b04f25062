"""Latent arithmetic, by hand."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.testing import assert_close

import cli
from gan_modules import AEGAN, GAN, VAE, BiGAN
from gan_modules.callbacks.sums import sum_page
from gan_modules.networks import AEGANGenerator, BiGANEncoder, MLPGenerator
from gan_modules.networks.vae import MLPEncoder
from gan_modules.tools.arithmetic import (
    Operand,
    Term,
    images_of,
    operand_of_class,
    operand_of_images,
    terms_of,
    way_of,
)
from gan_modules.tools.image_files import read_image, write_image
from gan_modules.tools.inversion import invert

SMALL = partial(MLPGenerator, hidden=(16,))


def small(cls: Any = GAN, **options: Any) -> Any:
    torch.manual_seed(0)
    return cls(
        **{"image_shape": (1, 8, 8), "latent_dim": 4, "generator": SMALL, "num_classes": 3}
        | options
    )


def test_an_expression_is_read_from_left_to_right() -> None:
    plus, minus = 1, -1
    expected = [Term(plus, "glasses"), Term(minus, "none"), Term(plus, "woman")]
    assert terms_of("glasses - none + woman") == expected
    assert terms_of(" -  none +glasses + non-smiling  face") == [
        Term(minus, "none +glasses"),
        Term(plus, "non-smiling face"),
    ]
    assert terms_of("a \N{MINUS SIGN} a") == [Term(plus, "a"), Term(minus, "a")]


def test_names_have_weights() -> None:
    terms = terms_of("0.5*thick - .25 * thin face + 3 - 2*8")
    assert terms == [Term(0.5, "thick"), Term(-0.25, "thin face"), Term(1, "3"), Term(-2, "8")]
    assert [*map(str, terms)] == ["+ 0.5*thick", "- 0.25*thin face", "+ 3", "- 2*8"]


@pytest.mark.parametrize(
    "text", ["", "a", "a-b", "a - - b", "a +", "+ a", "-a + b + c", "- + b", "2* - b"]
)
def test_other_expressions_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expression='.*' must be names with \+ or - between"):
        terms_of(text)


def test_sums_by_hand() -> None:
    thick = Operand(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.eye(2)).averaged()
    assert_close(thick.vectors, torch.tensor([[2.0, 3.0]]))
    assert_close(thick.classes, torch.tensor([[0.5, 0.5]]))
    thin = Operand(torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]]))
    sevens = Operand(torch.tensor([[1.0, 1.0], [5.0, 0.0]]), torch.tensor([[0.0, 1.0]] * 2))
    total = thick - thin + sevens
    assert_close(total.vectors, torch.tensor([[3.0, 3.0], [7.0, 2.0]]))
    assert_close(total.classes, torch.tensor([[-0.5, 1.5]] * 2))
    part = 0.5 * thick - thin * 0.5 + sevens
    assert_close(part.vectors, torch.tensor([[2.0, 2.0], [6.0, 1.0]]))
    assert_close(part.classes, torch.tensor([[-0.25, 1.25]] * 2))


def test_operands_that_do_not_belong_together_are_refused() -> None:
    two, three = (Operand(torch.zeros(n, 4)) for n in (2, 3))
    with pytest.raises(ValueError, match=r"operands=\(\(2, 4\), \(3, 4\)\) must be as many vec"):
        two + three
    others = [Operand(torch.zeros(2, 5)), Operand(torch.zeros(2, 4), are_codes=True)]
    for other in [*others, Operand(torch.zeros(2, 4), torch.zeros(2, 3))]:
        with pytest.raises(ValueError, match="must be both latents or both codes of one model"):
            two - other


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (VAE, {"encoder": partial(MLPEncoder, hidden=(8,))}),
        (BiGAN, {"encoder": partial(BiGANEncoder, hidden=(8,)), "discriminator": nn.Identity()}),
    ],
)
def test_an_encoder_finds_latents(cls: Any, options: dict[str, Any]) -> None:
    model = small(cls, **options)
    images = torch.rand(3, 1, 8, 8) * 2 - 1
    codes = model.encode(images)
    each = operand_of_images(model, images)
    assert_close(each.vectors, codes)
    mean = operand_of_images(model, images[:2]).averaged()
    z = codes[:2].mean(0) - codes[2] + codes
    # uniform latents are put back into their cube
    expected = model(z.clamp(-1, 1) if cls is BiGAN else z)
    far = torch.tensor([[2.0, -3.0, 0.5, 1.0]])
    corner = far.clamp(-1, 1) if cls is BiGAN else far
    assert_close(images_of(model, Operand(far)), model(corner))
    assert_close(images_of(model, mean - operand_of_images(model, images[2:]) + each), expected)
    with pytest.raises(ValueError, match="steps=5 must be left out: it is for through='invert'"):
        operand_of_images(model, images, steps=5)
    found = operand_of_images(model, images, through="invert", steps=5)
    assert_close(found.vectors, invert(model, images, steps=5).latents)


def test_codes_that_are_no_latents_are_decoded_as_codes() -> None:
    networks = {"generator": partial(AEGANGenerator, hidden=(16,)), "decoder": SMALL}
    model = small(AEGAN, code_dim=6, **networks)
    images = torch.rand(3, 1, 8, 8) * 2 - 1
    operand = operand_of_images(model, images)
    assert operand.vectors.shape == (3, 6)
    twice = images_of(model, operand - operand + operand)
    assert_close(twice, model.reconstruct(images))
    with pytest.raises(ValueError, match=r"labels=\[1\] must be left out: codes of AEGAN have no"):
        operand_of_images(model, images[:1], [1])
    inverted = operand_of_images(model, images, through="invert", steps=2)
    assert inverted.vectors.shape == (3, 4)


def test_classes_cancel_or_mix() -> None:
    model = small(conditional=True)
    a, b, c = (operand_of_class(model, k, n=5, seed=1) for k in range(3))
    z = model.latents(5, seed=1)
    assert_close(a.vectors, z)
    assert_close(images_of(model, a - b + b), model.sample(5, [0] * 5, seed=1))
    # the first layer sees the latent and the three weights
    weights = torch.tensor([[1.0, -1.0, 1.0]]).expand(5, -1)
    unconditional = torch.cat([z, weights], 1)
    expected = model.sampler.layers(unconditional)
    assert_close(images_of(model, a - b + c), expected)
    with pytest.raises(ValueError, match=r"sum of classes=2\.0 must be 1: the weights of a cond"):
        images_of(model, a + c)
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        operand_of_class(model, 0, n=0)
    with pytest.raises(ValueError, match=r"labels=3 must be an integer in \[0, 2\]"):
        operand_of_class(model, 3, n=1)


def test_the_style_of_one_class_goes_to_another() -> None:
    # the first component of the latent is the style, the class a picture of its own
    class Styles(nn.Module):
        def forward(self, z: Tensor, labels: Tensor) -> Tensor:
            assert labels.ndim == 1
            return (z[:, :1] / 10 + labels[:, None] / 4).expand(-1, 4).reshape(-1, 1, 2, 2)

    networks = {"generator": Styles(), "discriminator": nn.Identity()}
    options = {"latent_distribution": "normal", "image_shape": (1, 2, 2), "latent_dim": 2}
    model = small(conditional=True, **options, **networks)
    latents = torch.tensor([[2.0, 0.0], [-1.0, 0.0], [0.5, 0.0]])
    labels = torch.tensor([1, 1, 2])
    thick, thin, other = (
        operand_of_images(model, model(z[None], k[None]), k[None], steps=150)
        for z, k in zip(latents, labels, strict=True)
    )
    assert_close(thick.vectors[0, 0], torch.tensor(2.0), atol=0.01, rtol=0)
    # style 2 + 1 + 0.5, class 2
    expected = torch.full((1, 1, 2, 2), 0.35 + 0.5)
    assert_close(images_of(model, thick - thin + other), expected, atol=2e-3, rtol=0)
    with pytest.raises(ValueError, match="labels=None must be the classes of the images"):
        operand_of_images(model, torch.zeros(1, 1, 2, 2))


def test_a_model_without_encoder_does_not_encode() -> None:
    assert way_of(small()) == "invert"
    with pytest.raises(ValueError, match="through='encode' must be invert: GAN has no encoder"):
        operand_of_images(small(), torch.zeros(1, 1, 8, 8), through="encode")


def test_the_page_is_written_like_a_sum() -> None:
    terms = [Term(1, "a"), Term(-1, "b")]
    operands = {"a": torch.full((1, 1, 4, 4), 1.0), "b": torch.zeros(2, 1, 4, 4)}
    result = torch.full((2, 1, 4, 4), -0.5)
    examples = {"a": torch.full((3, 1, 4, 4), 0.5), "b": torch.full((1, 1, 4, 4), -1.0)}
    page = sum_page(terms, operands, result, examples)
    # 5 columns: two sums, three examples; images of 4 pixels are enlarged 26 times
    side = 26 * 4
    page = page[:, :, -(5 * (side + 2) + 2) :]
    middles = page[0, 2 + side // 2 :: side + 2, 2 + side // 2 :: side + 2]
    assert page.shape[1] == 3 * (side + 2) + 2
    expected = [[1.0, 1.0, 0.75, 0.75, 0.75], [0.5, 0.5, 0.0, 0.0, 0.0], [0.25, 0.25, 0, 0, 0]]
    assert_close(middles, torch.tensor(expected))
    # a line above the result, and one left of the examples
    assert page[:, 2 * (side + 2) : 2 * (side + 2) + 2].eq(1).all()
    assert page[:, :, 2 * (side + 2) : 2 * (side + 2) + 2].eq(1).all()
    assert not page[:, side + 2 : side + 4, :side].eq(1).any()


# ---- the command ---------------------------------------------------------------------------------


@pytest.fixture
def save(make_trainer: Any, make_loader: Any) -> Any:
    def make(model: Any) -> Any:
        trainer = make_trainer(max_steps=1)
        trainer.fit(model, make_loader(4))
        trainer.save_checkpoint("run/checkpoints/a.ckpt")
        for place, seed, n in (("thick", 1, 3), ("thin", 2, 2), ("7", 3, 2)):
            labels = [0] * n if model.num_classes else None
            for number, image in enumerate(model.sample(n, labels, seed=seed)):
                write_image(image, Path("photos") / place / f"{number}.png")
        return model

    return make


def typed(text: str, *options: str) -> list[str]:
    return ["arithmetic", text, "--ckpt_path", "run/checkpoints/a.ckpt", *options]


def test_the_command_adds_up_examples(save: Any, capsys: Any) -> None:
    model = save(small(VAE, encoder=partial(MLPEncoder, hidden=(8,))))
    cli.main(typed("thick - thin + 7", "--images", "photos", "--each", "7", "--out", "sums"))
    assert capsys.readouterr().out == "sums: thick - thin + 7 = 2 images\n"
    files = {place: sorted(Path("photos", place).iterdir()) for place in ("thick", "thin", "7")}
    read = {k: torch.stack([read_image(p, 1) for p in paths]) for k, paths in files.items()}
    thick, thin = (model.encode(read[k]).mean(0) for k in ("thick", "thin"))
    expected = thick - thin + model.encode(read["7"])
    assert_close(torch.from_numpy(np.load("sums/latents.npy")), expected)
    for number, image in enumerate(model.decode(expected)):
        written = read_image(Path(f"sums/result/{number}.png"), 1)
        assert_close(written, image.detach(), atol=1 / 127, rtol=0)
    with Image.open("sums/sum.png") as page:
        # 2 results and 3 examples wide, 4 high, names at the left
        assert page.width > page.height * 5 / 4
    half = typed("0.5*thick - 0.5*thin + 7", "--images", "photos", "--each", "7", "--out", "half")
    cli.main(half)
    expected = 0.5 * (thick - thin) + model.encode(read["7"])
    assert_close(torch.from_numpy(np.load("half/latents.npy")), expected)
    cli.main(typed("thick - 7", "--images", "photos"))
    assert len([*Path("run/arithmetic/step_000001/result").iterdir()]) == 1


def test_the_command_inverts_where_there_is_no_encoder(save: Any, capsys: Any) -> None:
    save(small(conditional=True))
    options = ["--labels", "[1,1,0]", "--steps", "2", "--images", "photos", "--out", "sums"]
    cli.main(typed("thick - thin + 7", *options))
    assert np.load("sums/latents.npy").shape == (1, 4)
    cli.main(typed("2 - 1 + 0", "--n", "3", "--seed", "4", "--out", "classes"))
    assert capsys.readouterr().out.endswith("classes: 2 - 1 + 0 = 3 images\n")
    assert len([*Path("classes/result").iterdir()]) == 3
    cli.main(typed("0.5*2 + 0.5*1", "--n", "3", "--out", "mixed"))
    assert len([*Path("mixed/result").iterdir()]) == 3
    line = "expression='0.5*2 - 0.5*1 + 0.5*0' must be of weights that add up to 1: GAN"
    with pytest.raises(SystemExit):
        cli.main(typed("0.5*2 - 0.5*1 + 0.5*0"))
    assert line in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(typed("thick + thin + 7", *options))
    line = "error: expression='thick + thin + 7' must be of weights that add up to 1: GAN is cond"
    assert capsys.readouterr().err.startswith(line)


ENCODING = {
    "thick - fat --images photos": "images='photos' has no folder 'fat'; choose from: 7, thick, th",
    "thick - thim --images photos": "images='photos' has no folder 'thim'; nearest: thin, thick",
    "thick - thin --images nowhere": "images='nowhere' must be a folder with a folder of images",
    "thick-thin --images photos": "expression='thick-thin' must be names with + or - between them",
    "thick - thin --images photos --each 7": "each='7' must be a name in the expression: thick, th",
    "thick - thin --images photos --n 3": "n=3 must be left out with --images",
    "thick - thin --images photos --steps 3": "steps=3 must be left out: the encoder finds the la",
    "thick - thin --images photos --labels [1]": "labels=[1] must be 2 classes, one for each name",
    "thick - thin --images photos --labels 1": "VAE is not conditional: it takes no labels",
    "thick - thin": "--images is missing: VAE is not conditional, names are no classes",
    "thick - thin --each thin": "each='thin' must be left out without --images",
    "thick - thin --images photos --out photos/7/0.png/x": "out='photos/7/0.png/x' cannot be writt",
    " --images photos": "expression is missing",
}


def test_wrong_commands_end_in_one_line(save: Any, capsys: Any) -> None:
    save(small(VAE, encoder=partial(MLPEncoder, hidden=(8,))))
    capsys.readouterr()
    before = sorted(Path().rglob("*"))
    for command, message in ENCODING.items():
        expression, *options = command.split(" --")
        words = [word for option in options for word in f"--{option}".split()]
        with pytest.raises(SystemExit) as caught:
            cli.main([word for word in typed(expression, *words) if word])
        assert caught.value.code in (1, 2)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {message}"), line
    assert sorted(Path().rglob("*")) == before
