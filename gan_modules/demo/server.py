"""Serving the page on this machine."""

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from threading import Event

from torch import Tensor

from gan_modules.errors import require
from gan_modules.training.module import GenerativeModule

__all__ = ["find_port", "serve"]

PORTS = range(7860, 7960)
"""Ports of Gradio's own choice."""


def find_port(host: str, port: int | None = None) -> int:
    """The port to listen on: the one asked for, or the first free one from 7860.

    Raises:
        ValueError: if it cannot be listened on.
    """
    require(port is None or 1 <= port <= 65_535, "port", port, "in [1, 65535]")
    error: OSError | None = None
    for candidate in PORTS if port is None else [port]:
        try:
            _listen(host, candidate)
        except OSError as raised:
            error = raised
        else:
            return candidate
    assert error is not None
    where = f"port={port}" if port is not None else f"a port of {PORTS[0]} to {PORTS[-1]}"
    raise ValueError(
        f"{where} on host={host} cannot be listened on ({error.strerror or error}): "
        "name another one, or leave it out"
    ) from error


def _listen(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as listener:
        # as servers do, which may follow one that has just ended
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)


def serve(
    model: GenerativeModule,
    step: int,
    source: str | Path,
    real: Sequence[Tensor] = (),
    checkpoints: Sequence[Path] = (),
    load: Callable[[Path], GenerativeModule] | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    share: bool = False,
    browser: bool = False,
) -> None:
    """Serve the page of a model until the process is told to end, by Ctrl-C or ``SIGTERM``.

    Nothing is sent or fetched from anywhere unless ``share`` is set, and nothing is written but
    temporary files, which are removed in the end.

    Args:
        model: of the family of samples or of that of translations.
        step: generator updates that it was trained for.
        source: where it comes from, to be shown.
        real: real images to be shown beside, one tensor per domain.
        checkpoints: files to choose from on the page, the one of the model first.
        load: gives the model of another one of them.
        host: address to listen on; ``0.0.0.0`` lets other machines in.
        port: by default the first free one from 7860.
        share: give it a public address for a week by Gradio's own servers.
        browser: open it in the browser.

    Raises:
        ValueError: if the port cannot be listened on, or there is no page for the model.
    """
    port = find_port(host, port)
    _stay_here()
    with tempfile.TemporaryDirectory(prefix="gan_modules_demo_") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        from gan_modules.demo.page import CSS, THEME, build_page

        page = build_page(model, step, source, real, checkpoints, load)
        end = Event()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, lambda *_: end.set())
        _, local, public = page.launch(
            server_name=host, server_port=port, share=share, inbrowser=browser,
            prevent_thread_lock=True, quiet=True, theme=THEME, css=CSS, footer_links=[],
            run_history=False, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False,
        )  # fmt: skip
        print(f"{type(model).__name__} at {public or local} (Ctrl-C ends it)", flush=True)
        end.wait()
        page.close(verbose=False)


def _stay_here() -> None:
    """Have Gradio report and look up nothing, and reach this machine without a proxy."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    for name in ("NO_PROXY", "no_proxy"):
        here = chain(filter(None, [os.environ.get(name)]), ("127.0.0.1", "localhost"))
        os.environ[name] = ",".join(here)
