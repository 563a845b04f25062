"""What goes wrong in training, how it is told from figures, and what usually helps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Thresholds", "symptoms"]


@dataclass(frozen=True)
class Thresholds:
    """Beyond which a figure is a symptom; see :class:`Diagnostics`."""

    least_diversity: float
    most_accuracy: float
    least_slope: float
    most_slope: float
    most_gap: float
    least_gradient: float
    most_update: float


def symptoms(
    figures: Mapping[str, float], sizes: Mapping[str, int], model: Any, limits: Thresholds
) -> dict[str, tuple[str, str]]:
    """What is beyond its threshold: what is seen and what usually helps, by the condition's name.

    Args:
        figures: by their names without prefix; gradients and updates as
            ``<player>/gradient_norm`` and ``<player>/update_ratio``.
        sizes: number of weights of each player.
        model: asked for the options that a remedy speaks of.
        limits: the thresholds.
    """
    return {
        **_of_samples(figures, limits),
        **_of_logits(figures, limits),
        **_of_slopes(figures, model, limits),
        **_of_updates(figures, sizes, limits),
    }


def _of_samples(figures: Mapping[str, float], limits: Thresholds) -> dict[str, tuple[str, str]]:
    diversity = figures.get("diversity")
    if diversity is None or diversity >= limits.least_diversity:
        return {}
    seen = f"mode collapse suspected: pairwise distance of samples {diversity:.2g} of the data's"
    help_ = (
        "try a gradient penalty (WGANGP, or R1 among the regularizers), a discriminator that "
        "compares samples (PackedDiscriminator), or a lower learning rate"
    )
    return {"collapse": (seen, help_)}


def _of_logits(figures: Mapping[str, float], limits: Thresholds) -> dict[str, tuple[str, str]]:
    found = {}
    real, fake = (figures.get(f"accuracy_{kind}") for kind in ("real", "fake"))
    if real is not None and fake is not None and min(real, fake) > limits.most_accuracy:
        found["saturation"] = (
            f"discriminator saturated: it tells {real:.0%} of real images and {fake:.0%} of fakes",
            "try a lower learning rate of the discriminator, R1 among the regularizers, "
            "an augmentation, or label_smoothing",
        )
    gap = figures.get("held_out_gap")
    if gap is not None and gap > limits.most_gap:
        found["overfitting"] = (
            f"discriminator overfits: held-out images score {gap:.2g} deviations below those it is "
            "trained with",
            "try augmentation (DiffAugment, or AdaptiveAugment), or more data",
        )
    return found


def _of_slopes(
    figures: Mapping[str, float], model: Any, limits: Thresholds
) -> dict[str, tuple[str, str]]:
    # only a critic is meant to have a slope of its own accord
    slope = figures.get("slope_mean")
    if slope is None or not getattr(getattr(model, "loss", None), "critic", False):
        return {}
    seen = f"critic gradient norm {slope:.2g} between real images and fakes"
    clips = hasattr(model, "clip_value")
    if slope < limits.least_slope:
        clip = "clipping too tight: try a larger clip_value, or WGANGP"
        penalty = "the critic hardly learns: try more critic updates (n_critic), or a higher rate"
        return {"flat_critic": (seen, clip if clips else penalty)}
    if slope > limits.most_slope:
        clip = "clipping too loose: try a smaller clip_value, or WGANGP"
        penalty = "the penalty does not hold: try a larger gp_weight, or a lower rate"
        return {"steep_critic": (seen, clip if clips else penalty)}
    return {}


def _of_updates(
    figures: Mapping[str, float], sizes: Mapping[str, int], limits: Thresholds
) -> dict[str, tuple[str, str]]:
    found = {}
    for player, size in sizes.items():
        norm = figures.get(f"{player}/gradient_norm")
        if norm is not None and norm / size**0.5 < limits.least_gradient:
            found[f"vanishing_{player}"] = (
                f"gradients of the {player} vanish: norm {norm:.2g} over {size} weights",
                "try the non_saturating loss, a weaker discriminator, or WGANGP"
                if player == "generator"
                else "try a higher learning rate, or another initialisation",
            )
        ratio = figures.get(f"{player}/update_ratio")
        if ratio is not None and ratio > limits.most_update:
            found[f"large_updates_{player}"] = (
                f"updates of the {player} are too large: one changes weights by {ratio:.2g} of "
                "their norm",
                f"try a lower learning rate in {player}_optimizer, or {player}_gradient_clip_val",
            )
    return found
