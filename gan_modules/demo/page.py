"""The page itself, of Gradio's components. Importing this imports Gradio."""

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from torch import Tensor

from gan_modules.demo.controls import Choice
from gan_modules.demo.editing import EditingPictures
from gan_modules.demo.editing_tabs import editing_tab, sum_tab
from gan_modules.demo.points import PointPictures
from gan_modules.demo.tabs import (
    direction_tab,
    interpolation_tab,
    mixing_tab,
    point_part,
    sample_tab,
    translation_part,
)
from gan_modules.demo.translations import TranslationPictures
from gan_modules.errors import require
from gan_modules.families.latent_model import LatentModel
from gan_modules.families.translation_model import TranslationModel
from gan_modules.training.module import GenerativeModule

__all__ = ["CSS", "THEME", "build_page"]

Load = Callable[[Path], GenerativeModule]

# fonts of the machine's own: nothing is fetched from anywhere
FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica", "Arial", "sans-serif")
MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")
THEME = gr.themes.Soft(
    primary_hue="indigo", neutral_hue="slate", font=FONT, font_mono=MONO
).set(
    block_title_background_fill="none", block_title_background_fill_dark="none",
    block_title_padding="0", block_title_text_color="*body_text_color",
    block_title_text_color_dark="*body_text_color", block_title_text_weight="500",
)  # fmt: skip
CSS = """
.gradio-container { max-width: 1160px !important; margin: 0 auto !important;
  width: 100%; }
.about h1 { margin: 0 0 .4rem; font-size: 1.6rem; }
.about p { margin: 0; color: var(--body-text-color-subdued); }
.about code { font-size: .9em; }
.about span { display: inline-block; margin: 0 .4rem .4rem 0; padding: .1rem .7rem;
  border-radius: 1rem; background: var(--background-fill-secondary);
  border: 1px solid var(--border-color-primary); font-size: .9rem; }
.captions, .captions > div { padding: 0 !important; }
.caption { margin: 0 0 -.5rem; color: var(--body-text-color-subdued); font-size: .9rem; }
.sharp { background: none !important; border: none !important; box-shadow: none !important; }
.sharp .image-container, .sharp .image-frame, .sharp button {
  justify-content: flex-start; align-items: flex-start; }
.sharp img, .moving img { image-rendering: pixelated; border-radius: 6px; }
.sharp img { width: auto !important; max-width: 100%; }
.sharp .icon-button-wrapper { opacity: 0; transition: opacity .2s; }
.sharp:hover .icon-button-wrapper { opacity: 1; }
.moving img { display: block; max-width: 100%; }
.low { align-items: flex-end; }
.low button { font-size: .9rem; font-weight: 500; margin-bottom: 4px; }
"""


def build_page(
    model: GenerativeModule,
    step: int,
    source: str | Path,
    real: Sequence[Tensor] = (),
    checkpoints: Sequence[Path] = (),
    load: Load | None = None,
) -> gr.Blocks:
    """The page of a model of the family of samples or of that of translations.

    Args:
        model: what is shown; put in evaluation mode for good.
        step: generator updates that it was trained for.
        source: where it comes from, as it is to be shown.
        real: images or points to be shown beside, float in [-1, 1], one tensor ``(N, ...)`` per
            domain.
        checkpoints: files that can be chosen on the page, the one of the model first.
        load: gives the model of another one of them.

    Raises:
        ValueError: if the model is of no such family, or makes sequences.
    """
    kind = type(model).__name__
    if not isinstance(model, (LatentModel, TranslationModel)):
        raise ValueError(f"demo shows a LatentModel or a TranslationModel, not a {kind}")
    if len(model.image_shape) == 2:
        right = "(C, H, W), or (D,) for points: demo shows no sequences"
        require(False, "image_shape", model.image_shape, right)
    choices = checkpoints if load is not None else ()
    page: gr.Blocks
    # pictures are temporary files, which go after an hour
    with gr.Blocks(
        title=f"{kind} · gan_modules",
        fill_width=True,
        analytics_enabled=False,
        delete_cache=(600, 3600),
    ) as page:
        gr.HTML(_about(model, step, source), elem_classes="about")
        first = _pictures(model, real)
        choice: Choice[Any] = Choice(
            first, lambda path: _pictures(load(path), real) if load else first, choices
        )
        if isinstance(first, TranslationPictures):
            translation_part(page, choice)
        elif isinstance(first, PointPictures):
            point_part(page, choice)
        else:
            with gr.Tabs():
                sample_tab(page, choice)
                direction_tab(choice)
                interpolation_tab(choice)
                if first.layers > 1:
                    mixing_tab(choice)
                editing_tab(choice)
                sum_tab(choice)
    return page


def _pictures(model: Any, real: Sequence[Tensor]) -> EditingPictures | PointPictures | Any:
    """What makes the pictures of a model."""
    if isinstance(model, TranslationModel):
        return TranslationPictures(model, real)
    kind = EditingPictures if len(model.image_shape) == 3 else PointPictures
    return kind(model, real[0] if len(real) else None)


def _about(model: LatentModel | TranslationModel, step: int, source: str | Path) -> str:
    shape = model.image_shape
    facts = [f"{step:,} generator updates"]
    if len(shape) == 3:
        colours = {1: ", grey", 3: ", colour"}.get(shape[0], f", {shape[0]} channels")
        facts.append(f"{shape[1]} x {shape[2]}{colours}")
    else:
        facts.append(f"points in {shape[0]} dimensions")
    if isinstance(model, LatentModel):
        facts.append(f"{model.latent_dim} {model.latent_distribution} latents")
        facts += [f"{model.num_classes} classes"] if model.num_classes else []
    else:
        facts += [f"{' and '.join(model.domain_names)}"] if model.domain_names else []
    chips = "".join(f"<span>{html.escape(fact)}</span>" for fact in facts)
    name, path = html.escape(type(model).__name__), html.escape(str(source))
    return f"<h1>{name}</h1>{chips}<p>from <code>{path}</code></p>"
