"""The parts of the page. Importing this imports Gradio."""

import random
from collections.abc import Sequence
from typing import Any

import gradio as gr

from gan_modules.demo.controls import (
    LIVE,
    Choice,
    caption,
    class_of,
    direction_sliders,
    label_field,
    picture_field,
    seed_field,
    whole,
)
from gan_modules.demo.pictures import REACH, SamplePictures
from gan_modules.demo.points import PointPictures
from gan_modules.demo.translations import TranslationPictures
from gan_modules.families.translation_model import DIRECTIONS

__all__ = [
    "direction_tab",
    "interpolation_tab",
    "mixing_tab",
    "point_part",
    "sample_tab",
    "translation_part",
]


def sample_tab(page: gr.Blocks, choice: Choice[SamplePictures]) -> None:
    """Samples of a seed, and real images beside them."""
    pictures = choice.pictures
    most = pictures.most_truncation
    with gr.Tab("Samples", id="samples"), gr.Row():
        with gr.Column(scale=2, min_width=300):
            seed = seed_field("Seed", "samples-seed", 0)
            n = gr.Slider(
                1, 144, 100 if pictures.model.num_classes else 64, step=1,
                label="Number of samples", elem_id="samples-n", buttons=[],
            )  # fmt: skip
            label = label_field(pictures, "One class per row", "samples-label")
            truncation = gr.Slider(
                0.05, most, most, step=0.05,
                label="Truncation (right end: none)", elem_id="samples-truncation", buttons=[],
            )  # fmt: skip
        with gr.Column(scale=5):
            image = picture_field("Samples", "samples-picture")
        real = pictures.real_images()
        if real is not None:
            with gr.Column(scale=3, min_width=200):
                picture_field("Real images", "real-picture", real)

    def draw(
        pictures: SamplePictures, seed: float, n: float, label: int | None, truncation: float
    ) -> Any:
        return pictures.samples(whole(seed), max(1, whole(n)), class_of(label), truncation)

    inputs: list[Any] = [seed, n, label, truncation]
    triggers = [page.load, *(c.change for c in inputs), *choice.triggers]
    gr.on(triggers, choice.call(draw), choice.inputs(*inputs), image, **LIVE)


def point_part(page: gr.Blocks, choice: Choice[PointPictures]) -> None:
    """Samples of a model of points, over real ones."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            seed = seed_field("Seed", "samples-seed", 0)
            n = gr.Slider(
                100, 5000, 1000, step=100, label="Number of samples", elem_id="samples-n",
                buttons=[],
            )  # fmt: skip
            label = label_field(choice.pictures, "Every class", "samples-label")
        with gr.Column(scale=5):
            over = "Samples" if choice.pictures.real is None else "Samples over real points"
            image = picture_field(over, "samples-picture")

    def draw(pictures: PointPictures, seed: float, n: float, label: int | None) -> Any:
        return pictures.samples(whole(seed), max(1, whole(n)), class_of(label))

    inputs: list[Any] = [seed, n, label]
    triggers = [page.load, *(c.change for c in inputs), *choice.triggers]
    gr.on(triggers, choice.call(draw), choice.inputs(*inputs), image, **LIVE)


def direction_tab(choice: Choice[SamplePictures]) -> None:
    """Samples moved along the directions in which they change most."""
    pictures = choice.pictures
    with gr.Tab("Latent directions", id="directions") as tab, gr.Row():
        with gr.Column(scale=2, min_width=300):
            seed = seed_field("Seed", "directions-seed", 0)
            label = label_field(pictures, "The same latent in every class", "directions-label")
            sliders = direction_sliders(pictures, "direction")
            reset = gr.Button("All to 0", size="sm", elem_id="directions-reset")
        with gr.Column(scale=5):
            moved = picture_field(
                "Above: samples. Below: moved along the directions", "moved-picture"
            )
            overview = picture_field(
                f"The first sample, along one direction in each row: -{REACH:g} to {REACH:g}",
                "overview-picture",
            )
            about = gr.Markdown(elem_id="directions-about")

    def move(pictures: SamplePictures, seed: float, label: int | None, *offsets: float) -> Any:
        return pictures.moved(whole(seed), class_of(label), [float(x or 0) for x in offsets])

    def explore(pictures: SamplePictures, seed: float, label: int | None) -> tuple[Any, str]:
        shares = pictures.directions.shares
        all_shares = ", ".join(f"{share:.0%}" for share in shares)
        text = (
            "The directions at right angles to each other in which images change most, found in "
            "the generator itself, by their order. Sliders count standard deviations of the "
            f"latents. Their shares of all change: {all_shares}."
        )
        return pictures.overview(whole(seed), class_of(label)), text

    start = [tab.select, seed.change, label.change, *choice.triggers]
    shown = {**LIVE, "show_progress": "minimal"}
    both = choice.inputs(seed, label)
    gr.on(start, choice.call(explore), both, [overview, about], **shown)
    inputs = choice.inputs(seed, label, *sliders)
    triggers = [*start, *(slider.change for slider in sliders)]
    gr.on(triggers, choice.call(move), inputs, moved, **LIVE)
    reset.click(lambda: [0] * len(sliders), None, sliders, api_visibility="private")


def interpolation_tab(choice: Choice[SamplePictures]) -> None:
    """The way from one seed's image to another's."""
    pictures = choice.pictures
    with gr.Tab("Interpolation", id="interpolation") as tab, gr.Row():
        with gr.Column(scale=2, min_width=300):
            first = seed_field("From seed", "first-seed", 0)
            second = seed_field("To seed", "second-seed", 1)
            label = label_field(pictures, "Every class", "interpolation-label")
            position = gr.Slider(
                0, 1, 0.5, step=0.01, label="Position", elem_id="position", buttons=[],
            )  # fmt: skip
            caption("There and back, over and over")
            animation = gr.HTML(elem_id="animation", elem_classes="moving")
        with gr.Column(scale=5):
            at = picture_field("At the position", "between-picture")
            strip = picture_field("All the way, from left to right", "strip-picture")

    def show(
        pictures: SamplePictures,
        first: float,
        second: float,
        label: int | None,
        position: float,
    ) -> Any:
        place = min(1.0, max(0.0, float(position or 0)))
        return pictures.between(whole(first), whole(second), class_of(label), place)

    def walk(
        pictures: SamplePictures, first: float, second: float, label: int | None
    ) -> tuple[Any, str]:
        chosen = whole(first), whole(second), class_of(label)
        moving = f'<img alt="There and back" src="{pictures.animation(*chosen)}">'
        return pictures.strip(*chosen), moving

    ends: list[Any] = [first, second, label]
    start = [tab.select, *(c.change for c in ends), *choice.triggers]
    gr.on(start, choice.call(walk), choice.inputs(*ends), [strip, animation], **LIVE)
    inputs = choice.inputs(*ends, position)
    gr.on([*start, position.change], choice.call(show), inputs, at, **LIVE)


def mixing_tab(choice: Choice[SamplePictures]) -> None:
    """Samples with the coarse styles of others; of a model with styles."""
    layers = choice.pictures.layers
    with gr.Tab("Style mixing", id="mixing") as tab, gr.Row():
        with gr.Column(scale=2, min_width=300):
            seed = seed_field("Seed", "mixing-seed", 0)
            crossover = gr.Slider(
                1, layers, (layers + 1) // 2, step=1, label="Crossover: layers that are coarse",
                elem_id="mixing-crossover", buttons=[],
            )  # fmt: skip
            psi = gr.Slider(
                0, 1, 1, step=0.05, label="Psi (0: the mean style)", elem_id="mixing-psi",
                buttons=[],
            )  # fmt: skip
        with gr.Column(scale=5):
            image = picture_field(
                "Fine styles of the first column, coarse styles of the first row", "mixing-picture"
            )

    def mix(pictures: SamplePictures, seed: float, crossover: float, psi: float) -> Any:
        return pictures.mixtures(whole(seed), whole(crossover), float(psi or 0))

    inputs: list[Any] = [seed, crossover, psi]
    triggers = [tab.select, *(c.change for c in inputs), *choice.triggers]
    gr.on(triggers, choice.call(mix), choice.inputs(*inputs), image, **LIVE)


def translation_part(page: gr.Blocks, choice: Choice[TranslationPictures]) -> None:
    """An image, its translation, and that translated back, if there is a way back."""
    pictures = choice.pictures
    _, height, width = pictures.model.image_shape
    (there, back), (a, b) = DIRECTIONS, pictures.names
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            upload = gr.Image(
                pictures.example(there, 0), label="Image to translate", type="filepath",
                image_mode=None, format="png", sources=["upload", "clipboard"], elem_id="upload",
            )  # fmt: skip
            another = gr.Button(
                "Another real image", size="sm", elem_id="another-example",
                visible=bool(pictures.real),
            )  # fmt: skip
            direction = gr.Radio(
                [(f"{a} to {b}", there), (f"{b} to {a}", back)][: 1 + pictures.has_a_way_back],
                value=there, label="Direction", elem_id="direction",
                visible=pictures.has_a_way_back,
            )  # fmt: skip
            own_size = gr.Radio(
                [(f"Middle, {height} x {width}, as trained", False), ("As it is", True)],
                value=False, label="Size", elem_id="size",
            )  # fmt: skip
        with gr.Column(scale=5), gr.Row():
            names = {"input": "Input", "translation": "Translation", "back": "And back again"}
            outputs = []
            for name, label in names.items():
                there_is = name != "back" or pictures.has_a_way_back
                with gr.Column(min_width=200, visible=there_is):
                    outputs.append(picture_field(label, f"{name}-picture"))

    def translate(
        pictures: TranslationPictures, path: str | None, direction: Any, own_size: bool
    ) -> Sequence[Any]:
        if path is None:
            return [None] * 3
        return pictures.translate(path, direction, own_size)

    inputs: list[Any] = [upload, direction, own_size]
    triggers = [page.load, *(c.change for c in inputs), *choice.triggers]
    shown = {**LIVE, "show_progress": "minimal"}
    gr.on(triggers, choice.call(translate), choice.inputs(*inputs), outputs, **shown)
    draw = random.Random()  # the global random state is the user's

    def example(direction: Any) -> Any:
        return pictures.example(direction, draw.randrange(10_000))

    another.click(example, direction, upload, api_visibility="private")
