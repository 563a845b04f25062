"""What the data calls its classes and domains, kept with the model."""

from typing import Any

from gan_modules.checkpoints.pretrained import PretrainedModule

__all__ = ["ModuleWithNames"]


class ModuleWithNames(PretrainedModule):
    """A module that knows the names its data gives to classes and domains.

    They are the data module's attributes ``classes`` and ``domains``, sequences of strings, and go
    into checkpoints. Data without them gives none.
    """

    _data_names: dict[str, tuple[str, ...]] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, in their order; empty where they have none."""
        return self.data_names()["classes"]

    @property
    def domain_names(self) -> tuple[str, ...]:
        """Names of the domains A and B; empty where they have none."""
        return self.data_names()["domains"]

    def data_names(self) -> dict[str, tuple[str, ...]]:
        """Both as they go into a checkpoint: those of the data at hand, else those loaded."""
        data = None if self._trainer is None else getattr(self._trainer, "datamodule", None)
        loaded = self._data_names or {}
        return {
            key: _strings(getattr(data, key, None)) or loaded.get(key, ())
            for key in ("classes", "domains")
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the names."""
        super().on_save_checkpoint(checkpoint)
        checkpoint |= {key: [*names] for key, names in self.data_names().items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the names; older checkpoints have none."""
        super().on_load_checkpoint(checkpoint)
        names = {key: _strings(checkpoint.get(key)) for key in ("classes", "domains")}
        self._data_names = names


def _strings(names: Any) -> tuple[str, ...]:
    """A sequence of strings as such; empty for anything else, which a data module may have."""
    is_sequence = isinstance(names, (list, tuple))
    return tuple(names) if is_sequence and all(isinstance(n, str) for n in names) else ()
