"""Augmentations and regularisers go with every GAN, those of latents with models that have some."""

import inspect
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from variants import NOISE_VARIANTS, VARIANTS, batches, small, translates

import cli
import gan_modules
from gan_modules import (
    GAN,
    R1,
    WGANGP,
    AdaptiveAugment,
    Consistency,
    CycleGAN,
    GANModule,
    GradientPenalty,
    LatentConsistency,
    LeCam,
    Orthogonal,
    Pix2Pix,
    RandomShift,
    TranslationGAN,
)
from gan_modules.callbacks import StepCheckpoint
from gan_modules.checkpoints.described import plain
from gan_modules.networks import MLPDiscriminator, MLPGenerator, PackedDiscriminator
from gan_modules.objectives.augmentations import Augmentation
from gan_modules.objectives.penalties import gradient_penalty
from gan_modules.objectives.regularizers import Regularizer


def exported(kind: type) -> list[Any]:
    found = (getattr(gan_modules, name) for name in gan_modules.__all__)
    return [thing for thing in found if inspect.isclass(thing) and issubclass(thing, kind)]


pytestmark = pytest.mark.filterwarnings("ignore:You.re resuming from a checkpoint that ended")

TRANSLATION_VARIANTS = [variant for variant in VARIANTS if translates(variant)]
AUGMENTATIONS, REGULARIZERS = exported(Augmentation), exported(Regularizer)
BATCH = 4
CONFIGS = Path(__file__).parents[2] / "configs"


def make(variant: Any, augmentation: Any, regularizers: list[Any], **options: Any) -> Any:
    if regularizers:
        options["regularizers"] = [regularizer() for regularizer in regularizers]
    shape = (1, 16, 16) if translates(variant) else (1, 8, 8)
    given = augmentation() if augmentation else None
    return small(variant, image_shape=shape, augmentation=given, **options)


def own_terms(variant: Any) -> set[str]:
    """What a variant has of its own, and need not be given."""
    model = small(variant, image_shape=(1, 8, 8))
    images, labels = next(iter(batches(model, BATCH, 100)))
    batch = images[:BATCH], labels[:BATCH]
    objectives = [o for player in model.players for o in model.objectives(player)]
    return {name for objective in objectives for name in objective(batch)}


def fit(steps: int, ckpt_path: str | None, *arguments: Any, **options: Any) -> tuple[Any, Any]:
    # what is resumed starts from other weights and another seed
    torch.manual_seed(steps if ckpt_path is None else 99)
    model = make(*arguments, **options)
    trainer = Trainer(
        accelerator="cpu", max_steps=steps, log_every_n_steps=1, logger=False,
        limit_val_batches=0, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[StepCheckpoint(2, dirpath="saved")],
    )  # fmt: skip
    # an epoch is an iteration: a resumed one has the same images
    loader = batches(model, BATCH, BATCH * model.parts_per_iteration)
    trainer.fit(model, loader, ckpt_path=ckpt_path)
    return model, trainer


def goes_on_exactly(*arguments: Any, **options: Any) -> dict[str, Tensor]:
    """Train with an interruption and without; the terms of the last iteration."""
    whole, trainer = fit(3, None, *arguments, **options)
    resumed, _ = fit(3, "saved/step_000002.ckpt", *arguments, **options)
    assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)
    terms: dict[str, Tensor] = dict(trainer.callback_metrics)
    assert all(value.isfinite() for value in terms.values())
    return terms


def assert_there(terms: dict[str, Tensor], regularizers: list[Any]) -> None:
    for regularizer in (made() for made in regularizers):
        name = f"{regularizer.player[0]}/{regularizer.name}"
        # D2GAN has one of each discriminator
        values = [terms[n] for n in (name, f"{name}_data", f"{name}_fakes") if n in terms]
        assert values
        assert all(value != 0 for value in values), regularizer


def pairs() -> list[Any]:
    """Every variant with every augmentation; one of each by default."""
    found = []
    for number, variant in enumerate(NOISE_VARIANTS):
        for other, augmentation in enumerate(AUGMENTATIONS):
            by_default = (number - other) % len(AUGMENTATIONS) == 0
            marks = () if by_default else (pytest.mark.slow,)
            found.append(pytest.param(variant, augmentation, marks=marks))
    return found


def of_latents(regularizer: Any) -> bool:
    return "z" in regularizer.needs


@pytest.mark.parametrize("variant", TRANSLATION_VARIANTS)
def test_regularizers_of_translations(variant: Any) -> None:
    """Each domain's discriminator has its own."""
    regularizers = [r for r in REGULARIZERS if not of_latents(r)]
    assert len(regularizers) == len(REGULARIZERS) - 2
    terms = goes_on_exactly(variant, RandomShift, regularizers)
    judges = ("_a", "_b") if issubclass(variant, TranslationGAN) else ("",)
    for regularizer in (made() for made in regularizers):
        ends = judges if regularizer.player == "discriminator" else ("",)
        for end in ends:
            assert terms[f"{regularizer.player[0]}/{regularizer.name}{end}"] != 0


@pytest.mark.parametrize("variant", TRANSLATION_VARIANTS)
@pytest.mark.parametrize("regularizer", [r for r in REGULARIZERS if of_latents(r)])
def test_regularizers_of_latents_are_refused(variant: Any, regularizer: Any) -> None:
    line = f"regularizers='{regularizer.__name__}' must be of a model with latents"
    with pytest.raises(ValueError, match=f"^{line}$"):
        make(variant, None, [regularizer])


class _Apart(R1):
    own_step = True


def test_steps_for_regularizers_alone_are_refused_of_translations() -> None:
    line = r"^_Apart.own_step=True must be False: Pix2Pix takes no steps for a regulariser alone$"
    with pytest.raises(ValueError, match=line):
        make(Pix2Pix, None, [_Apart])


def test_r1_of_two_domains_by_hand() -> None:
    """Linear discriminators have the same gradient everywhere."""
    model = make(CycleGAN, None, [partial(R1, weight=3.0)])
    for domain, slope in (("a", 0.5), ("b", 2.0)):
        model.discriminator[domain] = nn.Sequential(nn.Flatten(), nn.Linear(256, 1, bias=False))
        nn.init.constant_(model.discriminator[domain][1].weight, slope)
    model.train()
    terms = model.terms_of("discriminator", tuple(torch.rand(2, 4, 1, 16, 16)))
    # gamma / 2 of 256 squared slopes
    assert_close(terms["r1_a"].item(), 1.5 * 256 * 0.25)
    assert_close(terms["r1_b"].item(), 1.5 * 256 * 4.0)


@pytest.mark.parametrize(("variant", "augmentation"), pairs())
def test_all_regularizers_at_once(variant: Any, augmentation: Any) -> None:
    regularizers = [r for r in REGULARIZERS if r.name not in own_terms(variant)]
    assert len(regularizers) >= len(REGULARIZERS) - 2
    assert_there(goes_on_exactly(variant, augmentation, regularizers), regularizers)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@pytest.mark.parametrize("variant", TRANSLATION_VARIANTS)
def test_translations_are_augmented(variant: Any, augmentation: Any) -> None:
    if augmentation is AdaptiveAugment:
        # which is nothing at the start
        augmentation = partial(AdaptiveAugment, p=0.9)
    terms = goes_on_exactly(variant, augmentation, [])
    plain_terms = dict(fit(3, None, variant, None, [])[1].callback_metrics)
    assert terms["d/loss"] != plain_terms["d/loss"]
    assert terms["g/loss"] != plain_terms["g/loss"]


class _Noted(Augmentation):
    """Turns images upside down and says what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Tensor] = []
        self.observed: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.given.append(images.detach())
        return images.flip(-2)

    def observe(self, real_logits: Tensor) -> None:
        self.observed.append(real_logits)


@pytest.mark.parametrize("variant", TRANSLATION_VARIANTS)
def test_both_players_see_what_is_augmented(variant: Any) -> None:
    """A turned image has the opposite logit, of real images and fakes, in both updates."""

    class Upright(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            upper, lower = images[:, -1:].chunk(2, -2)
            return (upper - lower).mean((1, 2, 3))

    logits: dict[bool, list[Tensor]] = {}
    for augmented in (False, True):
        torch.manual_seed(0)
        noted = _Noted()
        given: Any = Upright()
        if issubclass(variant, TranslationGAN):
            given = nn.ModuleDict({"a": Upright(), "b": Upright()})
        model = small(
            variant, image_shape=(1, 16, 16), discriminator=given, loss="wasserstein",
            augmentation=noted if augmented else None,
        )  # fmt: skip
        batch = next(iter(batches(model, BATCH, BATCH)))
        found = []
        for player in ("discriminator", "generator"):
            torch.manual_seed(1)
            terms = model.terms_of(player, batch)
            names = [n for n in terms if n in ("adversarial", "a", "b", "a_to_b", "b_to_a")]
            assert names
            found += [terms[name].detach() for name in names]
        logits[augmented] = found
        if augmented:
            # once, of the discriminator's update: real images of all domains that are judged
            (observed,) = noted.observed
            assert len(observed) == BATCH * (2 if issubclass(variant, TranslationGAN) else 1)
    assert_close(logits[True], [-x for x in logits[False]])
    assert all(x != 0 for x in logits[False])


@pytest.mark.slow
@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("variant", NOISE_VARIANTS)
def test_each_regularizer_alone(variant: Any, regularizer: Any) -> None:
    if regularizer.name in own_terms(variant):
        with pytest.raises(ValueError, match="it is there"):
            fit(1, None, variant, None, [regularizer])
    else:
        assert_there(goes_on_exactly(variant, None, [regularizer]), [regularizer])


def packed(minibatch_discrimination: int = 0) -> Any:
    networks = partial(
        MLPDiscriminator, hidden=(8,), minibatch_discrimination=minibatch_discrimination
    )
    return partial(PackedDiscriminator, packing=2, discriminator=networks)


# the recognizer of InfoGAN reads features of each image, VAEGAN compares them
FEATURES = (gan_modules.InfoGAN, gan_modules.VAEGAN)
PACKED = [v for v in NOISE_VARIANTS if v not in FEATURES]
FIRST = [GAN, WGANGP, gan_modules.CGAN, gan_modules.R3GAN]


@pytest.mark.parametrize(
    "variant", [v if v in FIRST else pytest.param(v, marks=pytest.mark.slow) for v in PACKED]
)
def test_packs_and_all_regularizers(variant: Any) -> None:
    regularizers = [r for r in REGULARIZERS if r.name not in own_terms(variant)]
    options = {"discriminator": packed(3), "discriminator_accumulate_grad_batches": 2}
    assert_there(goes_on_exactly(variant, None, regularizers, **options), regularizers)


# ---- what is not asked for costs nothing ---------------------------------------------------------


class Operations(TorchDispatchMode):
    """Counts what is computed; views are free."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        views = ("view", "unsafe_view", "t", "transpose", "squeeze", "unsqueeze", "detach", "alias")
        if func.overloadpacket.__name__ not in (*views, "expand", "slice", "split_with_sizes"):
            self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **kwargs or {})


def counted(call: Any) -> Counter[str]:
    with Operations() as operations:
        call()
    return operations.counts


def pieces(**options: Any) -> tuple[Any, Any]:
    model = small(WGANGP if options.pop("gp", False) else GAN, image_shape=(1, 8, 8), **options)
    return model, (torch.rand(BATCH, 1, 8, 8), None)


def test_a_gan_without_gates_computes_its_objective_alone() -> None:
    model, batch = pieces()

    def by_hand() -> None:
        fake = model.generator(model.sample_noise(BATCH))
        logits = model.discriminator(torch.cat([batch[0], fake]))
        real, fake = torch.tensor_split(logits, [BATCH])
        F.softplus(-real).mean() + F.softplus(fake).mean()

    assert counted(lambda: model.terms_of("discriminator", batch)) == counted(by_hand)


def test_a_penalty_without_packs_computes_itself_alone() -> None:
    model, batch = pieces(gp=True)

    def by_hand() -> None:
        fake = model.generator(model.sample_noise(BATCH))
        logits = model.discriminator(torch.cat([batch[0], fake]))
        real, judged = torch.tensor_split(logits, [BATCH])
        judged.mean() - real.mean()
        10.0 * gradient_penalty(model.discriminator, batch[0], fake)

    assert counted(lambda: model.terms_of("discriminator", batch)) == counted(by_hand)


def test_what_is_not_due_costs_nothing() -> None:
    plain, batch = pieces()
    model, _ = pieces(regularizers=[R1(every=2), Consistency(every=2)])

    def once() -> None:
        model.terms_of("discriminator", batch)

    expected = counted(lambda: plain.terms_of("discriminator", batch))
    assert counted(once) != expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "global_step", 1)
        assert counted(once) == expected
    # and what is another player's
    generators = counted(lambda: plain.terms_of("generator", batch))
    assert counted(lambda: model.terms_of("generator", batch)) == generators


def test_what_is_left_behind_is_let_go() -> None:
    model, batch = pieces(regularizers=[LeCam()], augmentation=AdaptiveAugment())
    for mode in (True, False):
        model.train(mode).terms_of("discriminator", batch)
        assert not model._noted
    # nor may it serve a later turn
    model.train().discriminator_losses(batch)
    assert model._noted
    model.on_iteration(1, BATCH)
    model.terms_of("discriminator", (torch.zeros(2, 1, 8, 8), None))
    assert not model._noted


# ---- from configs and checkpoints ----------------------------------------------------------------


def test_regularizers_come_back_with_a_checkpoint(make_trainer: Any, make_loader: Any) -> None:
    given = [
        Consistency(2.0, 0.0, RandomShift(2, flip=True), every=3),
        LeCam(0.5, decay=0.9, start=7),
        GradientPenalty(1.0, "real", 0.5, 2.0, True, 4),
        Orthogonal(1e-3, "discriminator", 2),
        LatentConsistency(3.0, 0.1),
    ]
    networks = {"generator": partial(MLPGenerator, hidden=(4,)), "discriminator": packed()}
    model = GAN(image_shape=(1, 8, 8), latent_dim=2, regularizers=given, **networks)  # type: ignore[arg-type]
    trainer = make_trainer(max_steps=2)
    trainer.fit(model, make_loader(4))
    trainer.save_checkpoint("a.ckpt")
    again: Any = GANModule.load_from_checkpoint("a.ckpt")
    assert again.hparams == model.hparams
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    for mine, its in zip(given, again.regularizers, strict=True):
        assert plain(its) == plain(mine)


REGULARIZED = """
  - class_path: Consistency
    init_args:
      fake_weight: 1.0
      augmentation: {class_path: RandomShift, init_args: {pixels: 1, flip: true}}
  - {class_path: LatentConsistency, init_args: {weight: 1.0}}
  - {class_path: LatentDiversity}
  - {class_path: LeCam, init_args: {start: 2}}
  - {class_path: Orthogonal, init_args: {player: discriminator}}
  - {class_path: GradientPenalty, init_args: {where: fake, one_sided: true}}
  - {class_path: R2, init_args: {every: 2}}
"""


@pytest.mark.slow
def test_regularizers_from_a_config(monkeypatch: pytest.MonkeyPatch) -> None:
    config = yaml.safe_load((CONFIGS / "dragan.yaml").read_text())
    options = config["model"]["init_args"]
    options["regularizers"] = yaml.safe_load(REGULARIZED)
    options["discriminator"] = {
        "class_path": "PackedDiscriminator",
        "init_args": {
            "packing": 2,
            "discriminator": {
                "class_path": "MLPDiscriminator",
                "init_args": {"hidden": [8], "minibatch_discrimination": 3},
            },
        },
    }
    Path("all.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.setattr("sys.argv", ["cli.py"])
    done = cli.main(
        ["fit", "--config", "all.yaml", "--trainer.max_steps", "2", "--trainer.logger", "false",
         "--trainer.accelerator", "cpu", "--trainer.limit_val_batches", "0", "--data.batch_size",
         "4", "--trainer.enable_progress_bar", "false", "--metrics.names", "[]",
         "--checkpoint.every_n_train_steps", "2"]
    )  # fmt: skip
    assert done is not None
    (path,) = Path().rglob("step_000002.ckpt")
    model: Any = GANModule.load_from_checkpoint(str(path))
    names = [type(regularizer).__name__ for regularizer in model.regularizers]
    assert names == [entry["class_path"] for entry in yaml.safe_load(REGULARIZED)]
    consistency = model.regularizers[0]
    assert (consistency.augmentation.pixels, consistency.augmentation.flip) == (1, True)
    assert model.regularizers[3].start == 2
    assert model.packing == 2
