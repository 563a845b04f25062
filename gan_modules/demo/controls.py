"""Fields of the page, and how its functions are called. Importing this imports Gradio."""

import random
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

import gradio as gr

from gan_modules.demo.pictures import CLASSES, REACH, SamplePictures
from gan_modules.demo.points import PointPictures

__all__ = [
    "LIVE",
    "Choice",
    "caption",
    "class_field",
    "class_of",
    "direction_sliders",
    "explained",
    "label_field",
    "picture_field",
    "seed_field",
    "whole",
]

LAST_SEED = 2**32 - 1
P = TypeVar("P")
LIVE: dict[str, Any] = {
    # a slider that is dragged asks again and again: the last time must not be lost
    "trigger_mode": "always_last",
    "show_progress": "hidden",
    "api_visibility": "private",
}


class Choice(Generic[P]):
    """The pictures of the checkpoint that is chosen on the page.

    Args:
        pictures: of the first checkpoint.
        load: makes the pictures of another one.
        checkpoints: what there is to choose from, the first one first; fewer than two are no
            choice, and no field.
    """

    def __init__(
        self, pictures: P, load: Callable[[Path], P], checkpoints: Sequence[Path] = ()
    ) -> None:
        self.pictures = pictures
        self._load = load
        self._known = {str(path): pictures for path in checkpoints[:1]}
        self._allowed = {str(path) for path in checkpoints}
        self._lock = Lock()
        self.field: gr.Dropdown | None = None
        if len(checkpoints) > 1:
            choices = [(path.stem, str(path)) for path in checkpoints]
            self.field = gr.Dropdown(
                choices, value=str(checkpoints[0]), label="Checkpoint", elem_id="checkpoint"
            )

    def inputs(self, *components: Any) -> list[Any]:
        """Of a function of these components."""
        return [*components, *([] if self.field is None else [self.field])]

    @property
    def triggers(self) -> list[Any]:
        """Of every function that depends on the checkpoint."""
        return [] if self.field is None else [self.field.change]

    def of(self, path: str) -> P:
        """The pictures of a checkpoint; the first one and the last one asked for stay in memory.

        Raises:
            ValueError: if it is none of those to choose from, or cannot be read.
        """
        if path not in self._allowed:
            raise ValueError(f"checkpoint={path!r} must be one of those to choose from")
        with self._lock:
            if path not in self._known:
                for other in [*self._known][1:]:
                    del self._known[other]
                self._known[path] = self._load(Path(path))
            return self._known[path]

    def call(self, draw: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the pictures and some values as one of what :meth:`inputs` gives."""

        # not wraps: Gradio would count the pictures among the inputs
        def chosen(*values: Any) -> Any:
            if self.field is None:
                return draw(self.pictures, *values)
            return draw(self.of(values[-1]), *values[:-1])

        chosen.__name__ = draw.__name__
        return explained(chosen)


def seed_field(label: str, name: str, value: int) -> gr.Number:
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


def label_field(pictures: SamplePictures | PointPictures, every: str, name: str) -> gr.Dropdown:
    """The class; not to be seen where there are none."""
    classes = pictures.model.num_classes
    if classes > CLASSES and name != "samples-label":
        every = f"{every} below {CLASSES}"
    names = pictures.names or [*map(str, range(classes))]
    choices = [(every, -1), *((name, k) for k, name in enumerate(names))]
    return gr.Dropdown(choices, value=-1, label="Class", elem_id=name, visible=classes > 0)


def class_field(pictures: SamplePictures, label: str, name: str, value: int = 0) -> gr.Dropdown:
    """One class; not to be seen where there are none."""
    classes = pictures.model.num_classes
    names = pictures.names or [*map(str, range(classes))]
    return gr.Dropdown(
        [(name, k) for k, name in enumerate(names)], value=value if classes else None,
        label=label, elem_id=name, visible=classes > 0,
    )  # fmt: skip


def direction_sliders(pictures: SamplePictures, name: str) -> list[gr.Slider]:
    """Standard deviations to go along each latent direction."""
    return [
        gr.Slider(
            -REACH, REACH, 0, step=0.1, buttons=[],
            label=f"Direction {i + 1}", elem_id=f"{name}-{i + 1}",
        )
        for i in range(pictures.n_directions)
    ]  # fmt: skip


def caption(text: str) -> None:
    """Words above a picture."""
    gr.HTML(f'<p class="caption">{text}</p>', elem_classes="captions")


def picture_field(label: str, name: str, value: Any = None) -> gr.Image:
    """A picture with its caption."""
    caption(label)
    return gr.Image(
        value, label=label, show_label=False, format="png", interactive=False, elem_id=name,
        elem_classes="sharp", buttons=["download", "fullscreen"],
    )  # fmt: skip


def whole(number: float | None) -> int:
    """What is in a field of numbers, which can be empty for a moment."""
    return int(number or 0)


def class_of(label: int | None) -> int | None:
    """What is chosen for a class; None for all."""
    return None if label is None or label < 0 else int(label)


def explained(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Show what cannot be done as a message, not as a failure."""

    @wraps(draw)
    def shown(*values: Any) -> Any:
        try:
            return draw(*values)
        except (ValueError, OSError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    return shown
