"""The generator for programs that do not know this package: ONNX, or ``torch.export``.

``python -m gan_modules.tools.export runs/wgan_gp/0 digits.onnx`` does it from the command line.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from gan_modules.errors import require
from gan_modules.families.latent_model import LatentModel
from gan_modules.families.translation_model import DIRECTIONS, Direction, TranslationModel
from gan_modules.networks.layers.noise import without_noise
from gan_modules.training.module import GenerativeModule

__all__ = ["to_exported_program", "to_onnx"]

SIZES = (2, 1, 5)
"""Batches that a file is checked with; the first is what the network is traced with."""


class _Exportable(NamedTuple):
    """A network, what it takes and what is to be known of it."""

    network: nn.Module
    inputs: dict[str, Callable[[int], Tensor]]
    output: str
    facts: dict[str, str]


def to_onnx(
    model: GenerativeModule, path: str | Path, direction: str | None = None, tolerance: float = 1e-5
) -> Path:
    """Write the averaged generator as an ONNX file, and check it with ONNX Runtime.

    Inputs are ``latents`` ``(N, latent_dim)``, with ``labels`` ``(N,)``, int64, if the model is
    conditional, for ``images`` in [-1, 1]; or ``images`` ``(N, C, H, W)`` in [-1, 1] for
    ``translations``. ``N`` may be any number. The file's metadata say which class it is and, as
    ``latent_distribution``, what latents are drawn from.

    Noise that a generator draws by itself, as pix2pix's dropout, is left out.

    ``LightningModule.to_onnx``, which the model has too, checks nothing.

    Args:
        model: of the family of latents or of that of translations.
        path: file; replaced if it is there.
        direction: ``"a_to_b"`` or ``"b_to_a"``, of a model that translates; not needed where there
            is only one.
        tolerance: largest difference from PyTorch's own output.

    Returns:
        The path.

    Raises:
        ImportError: if ``onnxscript`` or ``onnxruntime`` is missing.
        ValueError: if the direction does not suit the model, the model is of no such family, or
            the output differs by more than the tolerance; then nothing is written.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{error.name} is missing, which ONNX files need: pip install onnxscript onnxruntime"
        ) from error

    exportable = _exportable(model, direction)
    arguments, shapes = _example(exportable)
    with warnings.catch_warnings():
        # latents and labels have one name for one dimension
        warnings.filterwarnings("ignore", "# The axis name: batch will not be used")
        program = torch.onnx.export(
            exportable.network,
            arguments,
            dynamo=True,
            verbose=False,
            dynamic_shapes=shapes,
            input_names=[*exportable.inputs],
            output_names=[exportable.output],
        )
    assert program is not None
    program.model.metadata_props.update(exportable.facts)

    def run(file: Path) -> Callable[..., Tensor]:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

        def call(*inputs: Tensor) -> Tensor:
            named = zip(exportable.inputs, inputs, strict=True)
            (output,) = session.run(None, {name: value.numpy() for name, value in named})
            return torch.from_numpy(output)

        return call

    return _write(exportable, Path(path), lambda file: program.save(file), run, tolerance)


def to_exported_program(
    model: GenerativeModule, path: str | Path, direction: str | None = None, tolerance: float = 1e-5
) -> Path:
    """Write the averaged generator as ``torch.export`` does, and check it.

    ``torch.export.load(path).module()`` takes latents, and labels if the model is conditional, or
    images, as :func:`to_onnx` has them, and needs torch alone. What ONNX has as metadata is the
    extra file ``gan_modules.json``.

    Args:
        model: of the family of latents or of that of translations.
        path: file, ``.pt2`` by custom; replaced if it is there.
        direction: ``"a_to_b"`` or ``"b_to_a"``, of a model that translates; not needed where there
            is only one.
        tolerance: largest difference from the model's own output.

    Returns:
        The path.

    Raises:
        ValueError: if the direction does not suit the model, the model is of no such family, or
            the output differs by more than the tolerance; then nothing is written.
    """
    exportable = _exportable(model, direction)
    arguments, shapes = _example(exportable)
    program = torch.export.export(exportable.network, arguments, dynamic_shapes=shapes)
    extra = {"gan_modules.json": json.dumps(exportable.facts)}
    return _write(
        exportable,
        Path(path),
        lambda file: torch.export.save(program, file, extra_files=extra),
        lambda file: torch.export.load(file).module(),
        tolerance,
    )


def _exportable(model: GenerativeModule, direction: str | None) -> _Exportable:
    facts = {"class": type(model).__name__, "range": "[-1, 1]"}
    if isinstance(model, LatentModel):
        require(direction is None, "direction", direction, "left out: the model draws samples")
        inputs: dict[str, Callable[[int], Tensor]] = {
            "latents": lambda n: model.latents(n, seed=n).cpu().float()
        }
        if model.num_classes:
            inputs["labels"] = lambda n: torch.arange(n) % model.num_classes
        network, output = model.sampler, "images"
        facts |= {"latent_distribution": model.latent_distribution}
    elif isinstance(model, TranslationModel):
        only = model.directions[0] if len(model.directions) == 1 else None
        chosen = cast(Direction, direction or only)
        known = " or ".join(model.directions)
        require(chosen in model.directions, "direction", direction, known)
        inputs = {"images": lambda n: _random_images((n, *model.image_shape))}
        network, output = model.translator(chosen), "translations"
        facts |= {"direction": chosen}
    else:
        kind = type(model).__name__
        raise ValueError(f"a LatentModel or a TranslationModel can be exported, not a {kind}")
    copy = without_noise(deepcopy(network)).cpu().float().eval().requires_grad_(False)
    # weights in another order in memory could not be packed
    copy = copy.to(memory_format=torch.contiguous_format)
    return _Exportable(copy, inputs, output, facts)


def _random_images(shape: tuple[int, ...]) -> Tensor:
    """In [-1, 1], always the same, so that the global random state is left alone."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _example(exportable: _Exportable) -> tuple[tuple[Tensor, ...], tuple[Any, ...]]:
    """Inputs to trace the network with, and which of their dimensions may change."""
    arguments = tuple(make(SIZES[0]) for make in exportable.inputs.values())
    batch = torch.export.Dim("batch")
    return arguments, tuple({0: batch} for _ in arguments)


@torch.no_grad()
def _write(
    exportable: _Exportable,
    path: Path,
    save: Callable[[Path], Any],
    load: Callable[[Path], Callable[..., Tensor]],
    tolerance: float,
) -> Path:
    """Write beside the path, check, and rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        save(beside)
        call = load(beside)
        for size in SIZES:
            inputs = [make(size) for make in exportable.inputs.values()]
            difference = (call(*inputs) - exportable.network(*inputs)).abs().max().item()
            if not difference <= tolerance:
                raise ValueError(
                    f"{path} would differ by {difference:.3g} from the model, more than "
                    f"tolerance={tolerance:g}: nothing is written"
                )
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Export the model of a run or of a checkpoint."""
    parser = argparse.ArgumentParser(
        prog="python -m gan_modules.tools.export", description=main.__doc__
    )
    parser.add_argument("source", help="run folder, for its last checkpoint, or checkpoint file")
    parser.add_argument("path", type=Path, help="file to write: .onnx, or .pt2 for torch.export")
    parser.add_argument("--direction", choices=DIRECTIONS, help="of a model that translates")
    chosen = parser.parse_args(arguments)
    writers = {".onnx": to_onnx, ".pt2": to_exported_program}
    if chosen.path.suffix not in writers:
        parser.error(f"{chosen.path} must end in .onnx or .pt2")
    if chosen.path.exists():
        parser.error(f"{chosen.path} exists: name another file")
    try:
        load = (
            GenerativeModule.from_run
            if Path(chosen.source).is_dir()
            else GenerativeModule.load_from_checkpoint
        )
        print(writers[chosen.path.suffix](load(chosen.source), chosen.path, chosen.direction))
    except (ImportError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
