"""Regularisers by hand and in closed form."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_modules import (
    DCGAN,
    GAN,
    R1,
    R2,
    WGANGP,
    Consistency,
    GradientPenalty,
    LatentConsistency,
    LatentDiversity,
    LeCam,
    Orthogonal,
    RandomShift,
)
from gan_modules.families.gates import Seen
from gan_modules.networks import (
    DCGANDiscriminator,
    MLPDiscriminator,
    MLPGenerator,
    PackedDiscriminator,
)
from gan_modules.objectives.augmentations import Augmentation, InstanceNoise
from gan_modules.objectives.penalties import norm_penalty, perturbed

SHAPE = (1, 2, 2)
WEIGHT = torch.tensor([1.0, -2.0, 3.0, 0.5])


class Linear(nn.Module):
    """``w . x``, whose gradient is w."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight


class Square(nn.Module):
    """``||x||^2 / 2``, whose gradient is x; it notes what it judges."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.judged: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.judged.append(images.detach())
        return self.scale * images.flatten(1).square().sum(1) / 2


class Map(nn.Module):
    """Latents to images, linearly."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix.clone())

    def forward(self, z: Tensor) -> Tensor:
        return (z @ self.matrix).unflatten(1, SHAPE)


class Plus(Augmentation):
    """Adds one."""

    def forward(self, images: Tensor) -> Tensor:
        return images + 1


def small(cls: Any = GAN, **options: Any) -> Any:
    networks = {
        "generator": MLPGenerator(SHAPE, 2, hidden=(4,)),
        "discriminator": MLPDiscriminator(SHAPE, hidden=(4,)),
    }
    return cls(image_shape=SHAPE, latent_dim=2, **networks | options)


def term(model: Any, name: str, images: Tensor, player: str = "discriminator") -> Tensor:
    found: Tensor = model.terms_of(player, (images, None))[name]
    return found


# ---- LeCam ---------------------------------------------------------------------------------------


def of_logits(real: list[float], fake: list[float]) -> Seen:
    return Seen(real_logits=torch.tensor(real), fake_logits=torch.tensor(fake))


def test_lecam_by_hand() -> None:
    lecam = LeCam(decay=0.9, start=2)
    assert [step for step in range(5) if lecam.is_due(step)] == [2, 3, 4]
    lecam.observe(of_logits([5.0, 7.0], [0.0, 9.0]))
    lecam.schedule(1, 0)
    # two updates in one iteration
    lecam.observe(of_logits([1.0, 3.0], [-1.0, 0.0]))
    lecam.observe(of_logits([5.0, 7.0], [-1.0, -2.0]))
    lecam.schedule(2, 0)
    # the means of the last iteration without the term
    assert_close(lecam.anchors, torch.tensor([4.0, -1.0]))
    # (1 + 1)^2 and (3 + 1)^2; (0 - 4)^2 and (2 - 4)^2
    assert_close(lecam(None, of_logits([1.0, 3.0], [0.0, 2.0])), torch.tensor(10.0 + 10.0))
    lecam.observe(of_logits([0.0, 2.0], [2.0, 2.0]))
    lecam.schedule(3, 0)
    assert_close(lecam.anchors, torch.tensor([0.9 * 4 + 0.1, -0.9 + 0.2]))
    # an iteration without an update of the discriminator
    lecam.schedule(4, 0)
    assert_close(lecam.anchors, torch.tensor([3.7, -0.7]))
    assert LeCam().weight == 0.3
    assert LeCam().decay == 0.99


def test_lecam_observes_the_discriminators_turns_alone() -> None:
    lecam = LeCam()
    model = small(discriminator=Linear(WEIGHT), regularizers=[lecam])
    images = torch.ones(3, *SHAPE)
    model.terms_of("generator", (images, None))
    model.eval().terms_of("discriminator", (images, None))
    assert lecam.sums.tolist() == [0, 0, 0]
    terms = model.train().terms_of("discriminator", (images, None))
    assert lecam.sums[0] == 2.5
    assert lecam.sums[2] == 1
    # not yet due
    assert "lecam" not in terms
    assert any(tensor is lecam.sums for tensor in model.to_average())


def test_lecam_is_exact_in_half_precision() -> None:
    lecam = LeCam(decay=0.999).to(torch.bfloat16)
    assert lecam.anchors.dtype == torch.float32
    assert lecam.double().anchors.dtype == torch.float64
    logits = torch.full((4,), 1.0, dtype=torch.bfloat16)
    lecam.anchors.copy_(torch.tensor([0.0, 1.001]))
    assert_close(
        lecam(None, Seen(real_logits=logits, fake_logits=logits)).double(),
        torch.tensor(1.0 + 1e-6, dtype=torch.float64),
        rtol=1e-9, atol=0,
    )  # fmt: skip


# ---- consistency ---------------------------------------------------------------------------------


def test_consistency_of_a_linear_discriminator() -> None:
    # D(x + 1) - D(x) is the sum of w, 2.5
    for options, expected in (
        ({}, 20 * 6.25),
        ({"real_weight": 3.0, "fake_weight": 0.0}, 3 * 6.25),
        ({"real_weight": 0.0, "fake_weight": 2.0, "every": 4}, 4 * 2 * 6.25),
    ):
        consistency = Consistency(augmentation=Plus(), **options)
        model = small(discriminator=Linear(WEIGHT), regularizers=[consistency])
        value = term(model, "consistency", torch.rand(3, *SHAPE))
        assert_close(value.detach(), torch.tensor(expected))
        value.backward()
        # d (sum w)^2 / dw is 2 sum w
        assert_close(model.discriminator.weight.grad, torch.full((4,), expected / 6.25 * 5))


def test_a_part_without_weight_is_not_judged() -> None:
    judged = {}
    for name, options in (("CR", {"fake_weight": 0.0}), ("bCR", {})):
        discriminator = Square()
        model = small(discriminator=discriminator, regularizers=[Consistency(**options)])
        term(model, "consistency", torch.rand(3, *SHAPE))
        judged[name] = len(discriminator.judged)
    # real and fake together, then each augmented
    assert judged == {"CR": 2, "bCR": 3}


def test_consistency_shifts_and_flips_by_default() -> None:
    shift = Consistency().augmentation
    assert isinstance(shift, RandomShift)
    assert (shift.pixels, shift.flip) == (4, True)
    # rows of a picture that has no column like another: flipped or not
    torch.manual_seed(0)
    columns = torch.arange(5.0).expand(200, 1, 3, 5)
    shifted = RandomShift(1, flip=True)(columns)
    steps = shifted[:, 0, 0].diff(dim=1)[:, 1:-1].sign()
    flipped = (steps < 0).all(1)
    assert (flipped | (steps > 0).all(1)).all()
    assert 70 < int(flipped.sum()) < 130
    with pytest.raises(ValueError, match="with RandomShift, which transforms images"):
        GAN(image_shape=(2,), regularizers=[Consistency()])


def test_the_augmentation_of_consistency_is_scheduled() -> None:
    noise = InstanceNoise(1.0, steps=4)
    model = small(regularizers=[Consistency(augmentation=noise)])
    model.on_iteration(3, 0)
    assert_close(noise.sigma, torch.tensor(0.25))


def test_latent_consistency_and_diversity_are_linear_algebra(double: None) -> None:
    matrix, weight = torch.randn(2, 4), torch.randn(4)
    images = torch.rand(5, *SHAPE)
    for player, regularizer in (
        ("discriminator", LatentConsistency(weight=2.0, sigma=0.5)),
        ("generator", LatentDiversity(weight=2.0, sigma=0.5)),
    ):
        model = small(
            generator=Map(matrix), discriminator=Linear(weight), regularizers=[regularizer]
        )
        torch.manual_seed(0)
        value = term(model, regularizer.name, images, player)
        # what is drawn: latents, then their noise
        torch.manual_seed(0)
        model.sample_noise(5)
        moved = 0.5 * torch.randn(5, 2) @ matrix
        expected = 2 * (moved @ weight).square().mean()
        assert_close(
            value.detach(), expected if player == "discriminator" else -2 * moved.square().mean()
        )
        model.zero_grad()
        value.backward()
        trained = getattr(model, player)
        assert all(p.grad.abs().max() > 0 for p in trained.parameters())
    # in its own turn the generator is left alone by the discriminator's term
    assert LatentConsistency().weight == 20
    assert LatentDiversity().weight == 0.5
    assert {r.sigma for r in (LatentConsistency(), LatentDiversity())} == {0.05}


def test_latents_are_those_of_the_fakes_that_are_shared() -> None:
    """With shared fakes both players see one latent."""
    seen = []

    class Noting(LatentConsistency):
        def observe(self, what: Any) -> None:
            seen.append((what.z, what.fake))

    model = small(DCGAN, generator=Map(torch.eye(2, 4)), regularizers=[Noting()])
    batch = (torch.rand(3, *SHAPE), None)
    model._shared_now = model.shared(batch)
    model._turn = "discriminator"
    model.terms_of("discriminator", batch)
    z, fake = seen[0]
    assert_close(z, model._shared_now[0])
    assert_close(fake.flatten(1)[:, :2], z)


# ---- orthogonal ----------------------------------------------------------------------------------


def test_orthogonal_by_hand() -> None:
    layer = nn.Linear(2, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]]))
    generator = nn.Sequential(layer, nn.LayerNorm(3), nn.Embedding(3, 4), nn.Linear(3, 1))
    model = small(generator=generator, regularizers=[Orthogonal(weight=0.5)])
    value = model.regularizers[0](model, None)
    # products of different rows: 0, 3 and 2; the last layer has one row
    assert_close(value.detach(), torch.tensor((9.0 + 4.0) * 2 / 2))
    value.backward()
    weight = layer.weight.detach()
    products = weight @ weight.T
    assert_close(layer.weight.grad, 2 * (products * (1 - torch.eye(3))) @ weight)
    others = [p.grad for name, p in generator.named_parameters() if name != "0.weight"]
    assert all(grad is None or not grad.any() for grad in others)


@pytest.mark.parametrize("transposed", [False, True])
def test_orthogonal_takes_output_channels(transposed: bool, double: None) -> None:
    layer: Any = (nn.ConvTranspose2d if transposed else nn.Conv2d)(2, 3, 2)
    rows = [layer.weight[:, i] if transposed else layer.weight[i] for i in range(3)]
    expected = sum((rows[i] * rows[j]).sum() ** 2 for i in range(3) for j in range(i))
    model = small(generator=layer)
    assert_close(Orthogonal()(model, None), torch.as_tensor(expected))


def test_orthogonal_is_ahead_of_spectral_normalisation(double: None) -> None:
    discriminator = MLPDiscriminator(SHAPE, hidden=(3,), spectral_norm=True)
    model = small(discriminator=discriminator)
    raw = discriminator.layers[0].parametrizations.weight
    vectors = [buffer.clone() for buffer in discriminator.buffers()]
    products = raw.original @ raw.original.T
    expected = (products - products.diag().diag()).square().sum() / 2
    assert_close(Orthogonal(player="discriminator")(model, None), expected)
    # no power iteration more
    assert_close([*discriminator.buffers()], vectors, rtol=0, atol=0)


def test_what_needs_nothing_seen_works_in_any_turn() -> None:
    class Apart(GAN):
        """Judges by itself."""

        def generator_losses(self, batch: Any) -> dict[str, Tensor]:
            return {"adversarial": self.generator(torch.ones(2, 2)).mean()}

    for player in ("generator", "discriminator"):
        model = small(Apart, regularizers=[Orthogonal(weight=2.0, player=player, every=3)])
        batch = (torch.zeros(2, *SHAPE), None)
        value = model.terms_of(player, batch)["orthogonal"]
        assert_close(value, 6 * Orthogonal(player=player)(model, None))
        (other,) = model.players.keys() - {player}
        assert "orthogonal" not in model.terms_of(other, batch)
    with pytest.raises(ValueError, match=r"'latent_diversity' to Apart\.generator_losses: z and f"):
        small(Apart, regularizers=[LatentDiversity()]).terms_of("generator", batch)


# ---- gradient penalty ----------------------------------------------------------------------------


def test_norm_penalty_by_hand() -> None:
    gradients = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert_close(norm_penalty(gradients), torch.tensor(16.0 / 2))
    assert_close(norm_penalty(gradients, 2.0), torch.tensor((9.0 + 1.0) / 2))
    assert_close(norm_penalty(gradients, 2.0, one_sided=True), torch.tensor(9.0 / 2))


def test_gradient_penalty_of_a_linear_discriminator() -> None:
    norm = WEIGHT.norm()
    for options, expected in (
        ({}, 10 * (norm - 1) ** 2),
        ({"where": "real", "noise": 0.5, "target": 2.0}, 10 * (norm - 2) ** 2),
        ({"where": "fake", "target": 0.0, "weight": 0.5}, 0.5 * norm**2),
        ({"target": 10.0, "one_sided": True}, torch.tensor(0.0)),
        ({"target": 1.0, "one_sided": True, "every": 2}, 20 * (norm - 1) ** 2),
    ):
        regularizers = [GradientPenalty(**options)]  # type: ignore[arg-type]
        model = small(discriminator=Linear(WEIGHT), regularizers=regularizers)
        value = term(model, "gradient_penalty", torch.rand(3, *SHAPE))
        assert_close(value.detach(), expected)


def test_where_gradients_are_taken() -> None:
    real = torch.rand(3, *SHAPE)
    for where in ("real", "fake", "between"):
        discriminator = Square()
        penalty = GradientPenalty(1.0, where, target=0.0)  # type: ignore[arg-type]
        model = small(discriminator=discriminator, regularizers=[penalty])
        value = term(model, "gradient_penalty", real)
        both, taken = discriminator.judged
        fake = both[3:]
        # the gradient is the point itself
        assert_close(value.detach(), taken.flatten(1).square().sum(1).mean())
        if where == "between":
            share = ((taken - fake) / (real - fake)).flatten(1)
            assert_close(share, share[:, :1].expand(-1, 4), rtol=1e-3, atol=1e-3)
            assert 0 <= share.min() <= share.max() <= 1
        else:
            assert_close(taken, real if where == "real" else fake)


def test_noise_is_dragans() -> None:
    samples = torch.tensor([[0.0, 4.0], [4.0, 0.0]])
    torch.manual_seed(0)
    found = perturbed(samples, 0.5)
    torch.manual_seed(0)
    share, noise = torch.rand(2, 1), torch.rand(2, 2)
    # the deviation of all four numbers is 2
    assert_close(found, samples + share * 0.5 * 2 * noise)
    judged = []
    for amount in (0.0, 0.5):
        discriminator = Square()
        penalty = GradientPenalty(1.0, "real", noise=amount)
        model = small(discriminator=discriminator, regularizers=[penalty])
        images = torch.rand(3, *SHAPE)
        term(model, "gradient_penalty", images)
        judged.append(discriminator.judged[1] - images)
    assert not judged[0].any()
    assert 0 <= judged[1].min() < judged[1].max() < 0.5 * 0.5


def test_the_penalty_of_wgan_gp_is_the_regularizer(double: None) -> None:
    class Plain(WGANGP):
        """Without its own."""

        def discriminator_losses(self, batch: Any) -> dict[str, Tensor]:
            logits = self.discriminate_both(batch[0], self.generate(batch), None)
            return {"wasserstein": logits[1].mean() - logits[0].mean()}

    values = []
    for cls, options in ((WGANGP, {"gp_weight": 7.0}), (Plain, {})):
        torch.manual_seed(0)
        model = small(cls, regularizers=[GradientPenalty(7.0)] if cls is Plain else [], **options)
        values.append(model.terms_of("discriminator", (torch.rand(4, *SHAPE), None)))
    assert_close(*values)
    model = small(WGANGP, regularizers=[GradientPenalty()])
    with pytest.raises(ValueError, match=r"'gradient_penalty' to WGANGP.*it is there"):
        model.terms_of("discriminator", (torch.rand(4, *SHAPE), None))


def test_a_penalty_is_float32_under_autocast() -> None:
    torch.manual_seed(0)
    penalty = GradientPenalty(1.0, "real", target=0.0)
    model = small(discriminator=MLPDiscriminator(SHAPE, hidden=(16,)), regularizers=[penalty])
    images = torch.randn(5, *SHAPE)
    exact = term(model, "gradient_penalty", images)
    with torch.autocast("cpu", torch.bfloat16):
        found = term(model, "gradient_penalty", images)
    assert found.dtype == torch.float32
    assert_close(found, exact)


# ---- by packs ------------------------------------------------------------------------------------


def packed(weight: Tensor) -> Any:
    """``w . (x1, x2)``, built for two images of four pixels."""
    return partial(PackedDiscriminator, discriminator=lambda image_shape: Linear(weight))


def test_a_pack_is_one_sample_to_a_penalty() -> None:
    weight = torch.arange(8.0)
    square, norm = weight.square().sum(), weight.norm()
    images = torch.rand(6, *SHAPE)
    model = small(
        discriminator=packed(weight), regularizers=[R1(3.0), R2(5.0), GradientPenalty(2.0)]
    )
    terms = model.terms_of("discriminator", (images, None))
    assert_close(terms["r1"].detach(), 3 * square / 2)
    assert_close(terms["r2"].detach(), 5 * square / 2)
    assert_close(terms["gradient_penalty"].detach(), 2 * (norm - 1) ** 2)
    model = small(WGANGP, discriminator=packed(weight), gp_weight=2.0)
    terms = model.terms_of("discriminator", (images, None))
    assert_close(terms["gradient_penalty"].detach(), 2 * (norm - 1) ** 2)
    # in evaluation the last pack is filled up
    terms = model.eval().terms_of("discriminator", (images[:5], None))
    assert_close(terms["gradient_penalty"].detach(), 2 * (norm - 1) ** 2)


def test_both_images_of_a_pack_are_at_one_place_between() -> None:
    square = Square()
    model = small(
        WGANGP, discriminator=partial(PackedDiscriminator, discriminator=lambda image_shape: square)
    )
    real = torch.rand(4, *SHAPE)
    model.terms_of("discriminator", (real, None))
    packs, fake, taken = square.judged
    assert_close(packs, real.reshape(2, 2, 2, 2))
    share = ((taken - fake) / (packs - fake)).flatten(1)
    assert_close(share, share[:, :1].expand(-1, 8), rtol=1e-3, atol=1e-3)
    assert not torch.isclose(share[0, 0], share[1, 0])


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("regularizer", [R1(), R2(), GradientPenalty()])
def test_batch_normalisation_is_refused_under_a_penalty(regularizer: Any) -> None:
    with pytest.raises(ValueError, match="discriminator has batch normalisation"):
        DCGAN(image_shape=(1, 16, 16), regularizers=[regularizer])
    DCGAN(
        image_shape=(1, 16, 16),
        regularizers=[regularizer],
        discriminator=partial(DCGANDiscriminator, norm="layer"),
    )


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: LeCam(decay=1.0), r"^decay=1\.0 must be in \[0, 1\)$"),
        (lambda: LeCam(start=0), "^start=0 must be at least 1"),
        (lambda: LeCam(weight=-1.0), r"^weight=-1\.0 must be at least 0$"),
        (lambda: Consistency(real_weight=-1.0), r"^real_weight=-1\.0 must be at least 0$"),
        (lambda: Consistency(0.0, 0.0), r"^fake_weight=0\.0 must be positive, or real_weight"),
        (lambda: LatentConsistency(sigma=0.0), r"^sigma=0\.0 must be positive$"),
        (lambda: LatentDiversity(every=0), "^every=0 must be at least 1$"),
        (lambda: GradientPenalty(where="here"), "^where='here' must be between, real or fake$"),  # type: ignore[arg-type]
        (lambda: GradientPenalty(noise=-1.0), r"^noise=-1\.0 must be at least 0$"),
        (lambda: GradientPenalty(target=-1.0), r"^target=-1\.0 must be at least 0$"),
        (
            lambda: small(regularizers=[Orthogonal(player="critic")]),
            "^player='critic' must be one of generator, discriminator$",
        ),
        (
            lambda: small(
                discriminator=Linear(WEIGHT), regularizers=[Orthogonal(player="discriminator")]
            ),
            "^player='discriminator' must be a player with linear or convolutional layers$",
        ),
    ],
)
def test_wrong_options(make: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make()
