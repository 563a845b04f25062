"""Models from run folders, and to and from the Hugging Face Hub."""

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal, Self

import lightning
import torch

from gan_modules.checkpoints.newest import find_checkpoint
from gan_modules.checkpoints.rebuilding import ReloadableModule, require_passed_again
from gan_modules.version import __version__

__all__ = ["PretrainedModule"]

WEIGHTS = "model.safetensors"
CARD = """---
{{ card_data }}
---

# {{ name }}

{{ summary }}
{% if paper_url %}
Paper: {{ paper_url }}
{% endif %}
```python
from gan_modules import GANModule

model = GANModule.from_pretrained("{{ repo_id | default("this folder", true) }}")
```

Saved by gan_modules {{ version }}: the weights of all networks in `model.safetensors`, class and
hyper-parameters in `config.json`.
"""


class PretrainedModule(ReloadableModule):
    """A module that is found again by its run, its folder or its name on the Hub.

    The Hub's part needs the packages ``huggingface_hub`` and ``safetensors``, which are imported
    when they are used.
    """

    @classmethod
    def from_run(
        cls, run: str | Path, which: Literal["last", "best"] | int = "last", **kwargs: Any
    ) -> Self:
        """Rebuild a model from a run folder, for example ``runs/wgan_gp/3``.

        Args:
            run: the folder, or the one of checkpoints in it; ``runs/wgan_gp`` is the newest run in
                it.
            which: ``"last"`` for the readable ``step_XXXXXX.ckpt`` of the most generator updates,
                ``"best"`` for ``best*.ckpt``, which :class:`BestCheckpoint` keeps, or a number of
                generator updates.
            **kwargs: of :meth:`load_from_checkpoint`.

        Raises:
            ValueError: if there is no such checkpoint, or as :meth:`load_from_checkpoint`.
        """
        return cls.load_from_checkpoint(find_checkpoint(run, which), **kwargs)

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Write ``model.safetensors``, ``config.json`` and a model card, ``README.md``.

        What was passed in Python is not among them, as in a checkpoint, and neither is the state
        of the training. A model card that is there already is left alone.

        Args:
            save_directory: folder; made unless it is there.

        Raises:
            ImportError: if ``huggingface_hub`` or ``safetensors`` is missing.
            ValueError: if a hyper-parameter cannot be written as JSON.
        """
        self._hub().save_pretrained(save_directory)

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> str:
        """Write what :meth:`save_pretrained` does into a model repository on the Hub.

        Args:
            repo_id: ``user/name``; made unless it is there.
            **kwargs: of ``huggingface_hub.ModelHubMixin.push_to_hub``, such as ``private``,
                ``commit_message``, ``branch`` and ``token``.

        Returns:
            Address of the commit.

        Raises:
            ImportError: if ``huggingface_hub`` or ``safetensors`` is missing.
            ValueError: if a hyper-parameter cannot be written as JSON.
        """
        card = {"repo_id": repo_id, **(kwargs.pop("model_card_kwargs", None) or {})}
        commit: str = self._hub().push_to_hub(repo_id, model_card_kwargs=card, **kwargs)
        return commit

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        map_location: Any = None,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Rebuild a model from a folder or from the Hub; on an abstract class, find the right one.

        As in :meth:`load_from_checkpoint`, the class is looked for among those already imported,
        and what was passed in Python is passed again.

        Args:
            pretrained_model_name_or_path: a folder of :meth:`save_pretrained`, or ``user/name``.
            map_location: device to load onto.
            revision: branch, tag or commit on the Hub.
            token: for the Hub.
            cache_dir: where downloads are kept.
            force_download: download again what is there.
            local_files_only: download nothing.
            **kwargs: hyper-parameters to replace, and what was passed in Python.

        Raises:
            ImportError: if ``huggingface_hub`` or ``safetensors`` is missing.
            ValueError: if there is no ``config.json`` of this package, or as
                :meth:`load_from_checkpoint`.
        """
        model: Self = _hub_class(cls).from_pretrained(
            pretrained_model_name_or_path,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            load={"map_location": map_location, **kwargs},
        )
        return model

    def data_names(self) -> dict[str, tuple[str, ...]]:
        """What the data calls its classes and domains, to be written with the rest."""
        return {}

    def _hub(self) -> Any:
        hub = _hub_class(type(self))()
        hub.model = self
        return hub

    def _write_pretrained(self, folder: Path) -> None:
        from safetensors.torch import save_file

        checkpoint: dict[str, Any] = {self.CHECKPOINT_HYPER_PARAMS_KEY: {**self.hparams}}
        ReloadableModule.on_save_checkpoint(self, checkpoint)
        names = {key: [*names] for key, names in self.data_names().items() if names}
        config = {**checkpoint, **names, "gan_modules": __version__}
        try:
            text = json.dumps(config, indent=2, sort_keys=True)
        except TypeError as error:
            raise ValueError(f"a hyper-parameter cannot be written as JSON: {error}") from error
        (folder / "config.json").write_text(text + "\n")
        # copies, as weights that two layers share would be refused
        weights = {
            name: weight.cpu().clone(memory_format=torch.contiguous_format)
            for name, weight in self.state_dict().items()
        }
        save_file(weights, folder / WEIGHTS, {"format": "pt"})

    @classmethod
    def _read_pretrained(
        cls, source: str, weights: str | Path, config: dict[str, Any], load: dict[str, Any]
    ) -> Self:
        from safetensors.torch import load_file

        require_passed_again(config, load, source, "from_pretrained(name, ")
        checkpoint = {
            **config,
            "state_dict": load_file(weights),
            "pytorch-lightning_version": lightning.__version__,
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.ckpt")
            torch.save(checkpoint, path)
            return cls.load_from_checkpoint(path, **load)


def _hub_class(kind: type[PretrainedModule]) -> Any:
    """Hugging Face's mixin for one class of models, as a class beside it.

    As a base it would have to be imported by whoever imports this package.
    """
    try:
        import safetensors  # noqa: F401
        from huggingface_hub import ModelHubMixin, hf_hub_download
    except ImportError as error:
        raise ImportError(
            f"{error.name} is missing, which models in folders and on the Hugging Face Hub need: "
            "pip install huggingface_hub safetensors"
        ) from error

    summary = next(c.__doc__ for c in kind.__mro__ if c.__doc__).strip().splitlines()[0]

    class Hub(  # type: ignore[call-arg,unused-ignore]
        ModelHubMixin,  # type: ignore[misc,unused-ignore]
        library_name="gan_modules",
        tags=["gan", kind.__name__.lower()],
        paper_url=_paper(kind),
        model_card_template=CARD,
    ):
        model: PretrainedModule

        def __init__(self) -> None:
            """Take nothing that the mixin would write down as configuration."""

        def _save_pretrained(self, save_directory: Path) -> None:
            self.model._write_pretrained(save_directory)

        @classmethod
        def _from_pretrained(  # type: ignore[override,unused-ignore]
            cls,
            *,
            model_id: str,
            load: dict[str, Any],
            config: dict[str, Any] | None = None,
            **where: Any,
        ) -> PretrainedModule:
            if config is None or "given_in_python" not in config:
                raise ValueError(
                    f"{model_id} has no config.json of this package: it must be a folder of "
                    "save_pretrained, or the name of a model on the Hub that was saved so"
                )
            path: str | Path = Path(model_id, WEIGHTS)
            if not Path(model_id).is_dir():
                path = hf_hub_download(model_id, WEIGHTS, **where)
            return kind._read_pretrained(model_id, path, config, load)

        def generate_model_card(self, **kwargs: Any) -> Any:
            name = type(self.model).__name__
            facts = {"name": name, "summary": summary, "version": __version__}
            return super().generate_model_card(**facts, **kwargs)

    return Hub


def _paper(kind: type[Any]) -> str | None:
    """Address of the paper that the file of the class, or of the nearest ancestor, begins with."""
    files = (sys.modules[c.__module__].__doc__ for c in kind.__mro__)
    found = (re.search(r"arXiv:(\d{4}\.\d{4,5})", text or "") for text in files)
    number = next((match[1] for match in found if match), None)
    return None if number is None else f"https://arxiv.org/abs/{number}"
