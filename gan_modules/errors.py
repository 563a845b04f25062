"""One line for what cannot work: the argument, its value and what would be right."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["raised_by", "require"]


def require(condition: bool, name: str, value: object, right: str) -> None:
    """Raise one line naming an argument, its value and what would be right."""
    if not condition:
        raise ValueError(f"{name}={value!r} must be {right}")


@contextmanager
def raised_by(option: str, *arguments: str) -> Iterator[None]:
    """Note on an error which option it comes from, and on a wrong call what the arguments were."""
    try:
        yield
    except ValueError as error:
        error.add_note(f"in {option}")
        raise
    except TypeError as error:
        with_what = f", which is built with {' and '.join(arguments)}" if arguments else ""
        error.add_note(f"in {option}{with_what}")
        raise
