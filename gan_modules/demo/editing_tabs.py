"""The parts of the page that begin with images of one's own. Importing this imports Gradio."""

from typing import Any

import gradio as gr

from gan_modules.demo.controls import (
    LIVE,
    Choice,
    class_field,
    direction_sliders,
    picture_field,
    seed_field,
    whole,
)
from gan_modules.demo.editing import EditingPictures, Found
from gan_modules.families.encoding import EncodingModel

__all__ = ["editing_tab", "sum_tab"]

STEPS = 300
"""Of a search, at first."""
ON_REQUEST: dict[str, Any] = {"api_visibility": "private"}


def editing_tab(choice: Choice[EditingPictures]) -> None:
    """An image of one's own is found in the latent space, and moved in it."""
    pictures = choice.pictures
    with gr.Tab("Your image", id="editing"), gr.Row():
        with gr.Column(scale=2, min_width=300):
            upload = gr.Image(
                label="Image to be found", type="filepath", image_mode=None, format="png",
                sources=["upload", "clipboard"], height=180, elem_id="editing-upload",
            )  # fmt: skip
            label = class_field(pictures, "Its class", "editing-label")
            steps = _steps_field("editing-steps", visible=not pictures.encodes)
            find = gr.Button("Find it", variant="primary", elem_id="editing-find")
            shown_as = class_field(pictures, "Shown as", "editing-shown-as")
            sliders = direction_sliders(pictures, "editing-direction")
            reset = gr.Button("All to 0", size="sm", elem_id="editing-reset")
        with gr.Column(scale=5):
            image = picture_field("The image, what was found, and that edited", "editing-picture")
            about = gr.Markdown(elem_id="editing-about")
    found = gr.State()

    def search(
        pictures: EditingPictures, path: str | None, label: int | None, steps: float
    ) -> tuple[Found, str, Any]:
        if path is None:
            raise ValueError("there is no image yet: choose a file, or paste one")
        it = pictures.find(path, label, max(1, whole(steps)))
        return it, f"Mean squared difference of the two, in [-1, 1]: {it.error:.4f}", label

    def edit(
        pictures: EditingPictures, it: Found | None, label: int | None, *offsets: float
    ) -> Any:
        return None if it is None else pictures.edited(it, label, [float(x or 0) for x in offsets])

    inputs = choice.inputs(upload, label, steps)
    find.click(choice.call(search), inputs, [found, about, shown_as], **ON_REQUEST)
    # latents of one checkpoint say nothing to another
    gr.on(choice.triggers, lambda: (None, ""), None, [found, about], **LIVE)
    triggers = [found.change, shown_as.change, *(slider.change for slider in sliders)]
    gr.on(triggers, choice.call(edit), choice.inputs(found, shown_as, *sliders), image, **LIVE)
    reset.click(lambda: [0] * len(sliders), None, sliders, **ON_REQUEST)


def sum_tab(choice: Choice[EditingPictures]) -> None:
    """``a - b + c`` of classes, or of images of one's own where there are no classes."""
    with gr.Tab("Arithmetic", id="arithmetic") as tab, gr.Row():
        if choice.pictures.model.num_classes:
            _sum_of_classes(tab, choice)
        else:
            _sum_of_images(choice)


def _sum_of_classes(tab: gr.Tab, choice: Choice[EditingPictures]) -> None:
    last = choice.pictures.model.num_classes - 1
    with gr.Column(scale=2, min_width=300):
        seed = seed_field("Seed", "sum-seed", 0)
        fields = [
            class_field(choice.pictures, name, f"sum-{k}", min(k, last))
            for k, name in enumerate(("Class", "minus", "plus"))
        ]
        part = _part_field()
    with gr.Column(scale=5):
        image = picture_field("Each with the same latents, and the sum", "sum-picture")

    def add(pictures: EditingPictures, seed: float, part: float, *labels: int) -> Any:
        return pictures.sum_of_classes(labels, part, whole(seed))

    inputs: list[Any] = [seed, part, *fields]
    triggers = [tab.select, *(c.change for c in inputs), *choice.triggers]
    gr.on(triggers, choice.call(add), choice.inputs(*inputs), image, **LIVE)


def _sum_of_images(choice: Choice[EditingPictures]) -> None:
    with gr.Column(scale=2, min_width=300):
        files = [
            gr.File(
                label=f"{sign}{name}: images that have something in common", height=120,
                file_count="multiple", file_types=["image"], elem_id=f"sum-{name}",
            )
            for sign, name in (("", "A"), ("minus ", "B"), ("plus ", "C"))
        ]  # fmt: skip
        part = _part_field()
        has_encoder = isinstance(choice.pictures.model, EncodingModel)
        steps = _steps_field("sum-steps", visible=not has_encoder)
        button = gr.Button("A - B + C", variant="primary", elem_id="sum-add")
    with gr.Column(scale=5):
        image = picture_field("Means in the latent space, the sum, and the images", "sum-picture")

    def add(pictures: EditingPictures, a: Any, b: Any, c: Any, part: float, steps: float) -> Any:
        return pictures.sum_of_images([a or [], b or [], c or []], part, max(1, whole(steps)))

    button.click(choice.call(add), choice.inputs(*files, part, steps), image, **ON_REQUEST)


def _part_field() -> gr.Slider:
    return gr.Slider(
        0, 2, 1, step=0.05, label="Part of the difference", elem_id="sum-part", buttons=[]
    )


def _steps_field(name: str, visible: bool) -> gr.Slider:
    """Not to be seen where an encoder finds latents at once."""
    return gr.Slider(
        50, 2000, STEPS, step=50, label="Steps of the search", elem_id=name, buttons=[],
        visible=visible,
    )  # fmt: skip
