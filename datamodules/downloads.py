"""Files of public data sets: downloaded where they are missing, or a line that says what to do."""

from collections.abc import Callable
from pathlib import Path

from torchvision.datasets.utils import extract_archive

__all__ = ["download_or_explain", "unpack"]


def unpack(archive: Path, product: Path) -> None:
    """Unpack an archive that is there into its own folder, unless its product is there, too.

    torchvision does so only where the archive is packed exactly as the one it knows.

    Raises:
        ValueError: if the archive is broken.
    """
    if archive.is_file() and not product.exists():
        try:
            extract_archive(str(archive), str(archive.parent))
        except Exception as error:  # each format has errors of its own
            raise ValueError(f"{archive} cannot be unpacked ({_reason(error)})") from error


def download_or_explain(
    name: str, root: str, get: Callable[[], object], files: str, folder: Path
) -> None:
    """Call what downloads missing files; where it fails, name the files and their folder.

    Args:
        name: of the data set.
        root: option of the data module.
        get: downloads what is missing and verifies what is there.
        files: that must be there in the end.
        folder: where they must be.

    Raises:
        FileNotFoundError: in one line, if ``get`` fails.
    """
    try:
        get()
    except Exception as error:  # the libraries that download have exceptions of their own
        raise FileNotFoundError(
            f"{name} is not in root={root!r}, or damaged, and cannot be downloaded: put {files} "
            f"into {folder} ({_reason(error)})"
        ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
