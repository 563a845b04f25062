"""The page itself, of Gradio's components. Importing this imports Gradio."""

import html
import random
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr

from gan_modules.demo.pictures import CLASSES, REACH, SamplePictures
from gan_modules.demo.translations import TranslationPictures
from gan_modules.families.latent_model import LatentModel
from gan_modules.families.translation import DIRECTIONS, TranslationGAN
from gan_modules.training.module import GenerativeModule

__all__ = ["CSS", "THEME", "build_page"]

LAST_SEED = 2**32 - 1
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
LIVE: dict[str, Any] = {
    # a slider that is dragged asks again and again: the last time must not be lost
    "trigger_mode": "always_last",
    "show_progress": "hidden",
    "api_visibility": "private",
}


def build_page(model: GenerativeModule, step: int, source: str | Path) -> gr.Blocks:
    """The page of a model of the family of samples or of that of translations.

    Args:
        model: what is shown; put in evaluation mode for good.
        step: generator updates that it was trained for.
        source: where it comes from, as it is to be shown.

    Raises:
        ValueError: if the model makes points, or is of no such family.
    """
    kind = type(model).__name__
    if not isinstance(model, (LatentModel, TranslationGAN)):
        raise ValueError(f"demo shows a LatentModel or a TranslationGAN, not a {kind}")
    if len(model.image_shape) != 3:
        shape = model.image_shape
        raise ValueError(f"demo shows images, not points: {kind} has image_shape={shape}")
    page: gr.Blocks
    # pictures are temporary files, which go after an hour
    with gr.Blocks(
        title=f"{kind} · gan_modules",
        fill_width=True,
        analytics_enabled=False,
        delete_cache=(600, 3600),
    ) as page:
        gr.HTML(_about(model, step, source), elem_classes="about")
        if isinstance(model, TranslationGAN):
            _translations(TranslationPictures(model))
        else:
            pictures = SamplePictures(model)
            with gr.Tabs():
                _samples(page, pictures)
                _directions(pictures)
                _interpolation(pictures)
    return page


def _about(model: LatentModel | TranslationGAN, step: int, source: str | Path) -> str:
    channels, height, width = model.image_shape
    colours = {1: ", grey", 3: ", colour"}.get(channels, f", {channels} channels")
    facts = [f"{step:,} generator updates", f"{height} x {width}{colours}"]
    if isinstance(model, LatentModel):
        facts.append(f"{model.latent_dim} {model.latent_distribution} latents")
        facts += [f"{model.num_classes} classes"] if model.num_classes else []
    chips = "".join(f"<span>{fact}</span>" for fact in facts)
    name, path = html.escape(type(model).__name__), html.escape(str(source))
    return f"<h1>{name}</h1>{chips}<p>from <code>{path}</code></p>"


def _samples(page: gr.Blocks, pictures: SamplePictures) -> None:
    most = pictures.most_truncation
    with gr.Tab("Samples", id="samples"), gr.Row():
        with gr.Column(scale=2, min_width=300):
            seed = _seed("Seed", "samples-seed", 0)
            n = gr.Slider(
                1, 144, 100 if pictures.model.num_classes else 64, step=1,
                label="Number of samples", elem_id="samples-n", buttons=[],
            )  # fmt: skip
            label = _label(pictures, "One class per row", "samples-label")
            truncation = gr.Slider(
                0.05, most, most, step=0.05,
                label="Truncation (right end: none)", elem_id="samples-truncation", buttons=[],
            )  # fmt: skip
        with gr.Column(scale=5):
            image = _picture("Samples", "samples-picture")

    def draw(seed: float, n: float, label: int | None, truncation: float) -> Any:
        return pictures.samples(_whole(seed), max(1, _whole(n)), _class(label), truncation)

    inputs: list[Any] = [seed, n, label, truncation]
    gr.on([page.load, *(c.change for c in inputs)], _explained(draw), inputs, image, **LIVE)


def _directions(pictures: SamplePictures) -> None:
    with gr.Tab("Latent directions", id="directions") as tab, gr.Row():
        with gr.Column(scale=2, min_width=300):
            seed = _seed("Seed", "directions-seed", 0)
            label = _label(pictures, "The same latent in every class", "directions-label")
            sliders = [
                gr.Slider(
                    -REACH, REACH, 0, step=0.1, buttons=[],
                    label=f"Direction {i + 1}", elem_id=f"direction-{i + 1}",
                )
                for i in range(pictures.n_directions)
            ]  # fmt: skip
            reset = gr.Button("All to 0", size="sm", elem_id="directions-reset")
        with gr.Column(scale=5):
            moved = _picture("Above: samples. Below: moved along the directions", "moved-picture")
            overview = _picture(
                f"The first sample, along one direction in each row: -{REACH:g} to {REACH:g}",
                "overview-picture",
            )
            about = gr.Markdown(elem_id="directions-about")

    def move(seed: float, label: int | None, *offsets: float) -> Any:
        return pictures.moved(_whole(seed), _class(label), [float(x or 0) for x in offsets])

    def explore(seed: float, label: int | None) -> tuple[Any, str]:
        shares = pictures.directions.shares
        all_shares = ", ".join(f"{share:.0%}" for share in shares)
        text = (
            "The directions at right angles to each other in which images change most, found in "
            "the generator itself, by their order. Sliders count standard deviations of the "
            f"latents. Their shares of all change: {all_shares}."
        )
        return pictures.overview(_whole(seed), _class(label)), text

    start = [tab.select, seed.change, label.change]
    shown = {**LIVE, "show_progress": "minimal"}
    gr.on(start, _explained(explore), [seed, label], [overview, about], **shown)
    inputs = [seed, label, *sliders]
    triggers = [*start, *(slider.change for slider in sliders)]
    gr.on(triggers, _explained(move), inputs, moved, **LIVE)
    reset.click(lambda: [0] * len(sliders), None, sliders, api_visibility="private")


def _interpolation(pictures: SamplePictures) -> None:
    with gr.Tab("Interpolation", id="interpolation") as tab, gr.Row():
        with gr.Column(scale=2, min_width=300):
            first = _seed("From seed", "first-seed", 0)
            second = _seed("To seed", "second-seed", 1)
            label = _label(pictures, "Every class", "interpolation-label")
            position = gr.Slider(
                0, 1, 0.5, step=0.01, label="Position", elem_id="position", buttons=[],
            )  # fmt: skip
            animation = gr.HTML(elem_id="animation", elem_classes="moving")
        with gr.Column(scale=5):
            at = _picture("At the position", "between-picture")
            strip = _picture("All the way, from left to right", "strip-picture")

    def show(first: float, second: float, label: int | None, position: float) -> Any:
        place = min(1.0, max(0.0, float(position or 0)))
        return pictures.between(_whole(first), _whole(second), _class(label), place)

    def walk(first: float, second: float, label: int | None) -> tuple[Any, str]:
        chosen = _whole(first), _whole(second), _class(label)
        moving = f'<img alt="There and back" src="{pictures.animation(*chosen)}">'
        return pictures.strip(*chosen), moving

    ends: list[Any] = [first, second, label]
    start = [tab.select, *(c.change for c in ends)]
    gr.on(start, _explained(walk), ends, [strip, animation], **LIVE)
    gr.on([*start, position.change], _explained(show), [*ends, position], at, **LIVE)


def _translations(pictures: TranslationPictures) -> None:
    _, height, width = pictures.model.image_shape
    there, back = DIRECTIONS
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            upload = gr.Image(
                label="Image to translate", type="filepath", image_mode=None, format="png",
                sources=["upload", "clipboard"], elem_id="upload",
            )  # fmt: skip
            direction = gr.Radio(
                [("A to B", there), ("B to A", back)], value=there,
                label="Direction", elem_id="direction",
            )  # fmt: skip
            own_size = gr.Radio(
                [(f"Middle, {height} x {width}, as trained", False), ("As it is", True)],
                value=False, label="Size", elem_id="size",
            )  # fmt: skip
        with gr.Column(scale=5), gr.Row():
            names = {"input": "Input", "translation": "Translation", "back": "And back again"}
            outputs = []
            for name, label in names.items():
                with gr.Column(min_width=200):
                    outputs.append(_picture(label, f"{name}-picture"))

    def translate(path: str | None, direction: Any, own_size: bool) -> Sequence[Any]:
        if path is None:
            return [None] * 3
        return pictures.translate(path, direction, own_size)

    inputs: list[Any] = [upload, direction, own_size]
    triggers = [c.change for c in inputs]
    gr.on(triggers, _explained(translate), inputs, outputs, **{**LIVE, "show_progress": "minimal"})


def _seed(label: str, name: str, value: int) -> gr.Number:
    """A seed, and a button for another one."""
    with gr.Row(elem_classes="low"):
        seed = gr.Number(
            value, precision=0, minimum=0, maximum=LAST_SEED, scale=3, min_width=120,
            label=label, elem_id=name,
        )  # fmt: skip
        another = gr.Button("Another", scale=1, min_width=80, elem_id=f"{name}-another")
    draw = random.Random()  # the global random state is the user's
    another.click(lambda: draw.randint(0, 9999), None, seed, api_visibility="private")
    return seed


def _label(pictures: SamplePictures, every: str, name: str) -> gr.Dropdown:
    """The class; not to be seen where there are none."""
    classes = pictures.model.num_classes
    if classes > CLASSES and name != "samples-label":
        every = f"{every} below {CLASSES}"
    choices = [(every, -1), *((str(k), k) for k in range(classes))]
    return gr.Dropdown(choices, value=-1, label="Class", elem_id=name, visible=classes > 0)


def _picture(label: str, name: str) -> gr.Image:
    gr.HTML(f'<p class="caption">{label}</p>', elem_classes="captions")
    return gr.Image(
        label=label, show_label=False, format="png", interactive=False, elem_id=name,
        elem_classes="sharp", buttons=["download", "fullscreen"],
    )  # fmt: skip


def _whole(number: float | None) -> int:
    """What is in a field of numbers, which can be empty for a moment."""
    return int(number or 0)


def _class(label: int | None) -> int | None:
    return None if label is None or label < 0 else int(label)


def _explained(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Show what cannot be done as a message, not as a failure."""

    @wraps(draw)
    def explained(*values: Any) -> Any:
        try:
            return draw(*values)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return explained
