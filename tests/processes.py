"""Starting programs of several processes, and giving them up if they wait for each other."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import cli

ROOT = Path(cli.__file__).parent


def run_together(
    command: Sequence[str], environments: Sequence[dict[str, str]] = ({},), folder: Path = Path()
) -> str:
    """Start the command once per environment and return what all of them print."""
    path = os.pathsep.join([str(ROOT), *sys.path])
    with ExitStack() as stack:
        # files never fill up as pipes do
        outputs = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in environments]
        running = [
            subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            for environment, output in zip(environments, outputs, strict=True)
        ]
        try:
            codes = [process.wait(timeout=300) for process in running]
        finally:
            for process in running:
                process.kill()
                process.wait()
        for output in outputs:
            output.seek(0)
        printed = "".join(output.read() for output in outputs)
    assert codes == [0] * len(codes), printed[-5000:]
    return printed


def free_port(candidates: Iterable[int] = (0,)) -> int:
    """The first of the ports that nothing listens on; 0 is any."""
    for port in candidates:
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return int(listener.getsockname()[1])
    raise AssertionError(candidates)


def two_nodes() -> list[dict[str, str]]:
    """Environments of two nodes, which are this machine."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [{**place, "NODE_RANK": rank} for rank in "01"]
