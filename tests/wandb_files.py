"""What a Weights & Biases run that was logged offline holds, read from the file it leaves."""

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2


@dataclass
class OfflineRun:
    """The contents of ``offline-run-*/run-*.wandb``."""

    folder: Path
    name: str = ""
    group: str = ""
    project: str = ""
    sweep: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, dict[str, Path]] = field(default_factory=dict)
    is_complete: bool = False

    def values(self, key: str) -> dict[int, Any]:
        """What was logged under a key, by generator update."""
        rows = [row for row in self.history if key in row]
        found = {row["trainer/global_step"]: row[key] for row in rows}
        assert len(found) == len(rows), f"{key} was logged twice at one step"
        return found

    def files(self, key: str) -> dict[int, Path]:
        """The one file, of an image or an animation, logged each time under a key."""
        found = {}
        for step, media in self.values(key).items():
            names = media.get("filenames") or [video["path"] for video in media["videos"]]
            (name,) = names
            found[step] = self.folder / "files" / name
        return found

    def tables(self, key: str) -> dict[int, list[dict[str, Any]]]:
        """Rows of the tables under a key; images in them are paths of their files."""
        found = {}
        for step, media in self.values(key).items():
            address = media["artifact_path"].removeprefix("wandb-client-artifact://")
            client, _, name = address.partition("/")
            files = self.artifacts[client]
            table = json.loads(files[name].read_text())
            rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
            for row in rows:
                images = [column for column, cell in row.items() if isinstance(cell, dict)]
                row.update({column: files[row[column]["path"]] for column in images})
            found[step] = rows
        return found


def read_offline_run(run: str | Path) -> OfflineRun:
    """Read the one offline run in a run folder; wait until it is whole."""
    (path,) = Path(run).glob("wandb/offline-run-*/run-*.wandb")
    deadline = time.monotonic() + 60
    while True:
        found = _read(path)
        if found.is_complete or time.monotonic() > deadline:
            return found
        time.sleep(0.1)  # on a busy machine W&B's own process may still be writing


def _read(path: Path) -> OfflineRun:
    found = OfflineRun(path.parent)
    for data in _records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "history":
            found.history.append(_mapping(record.history.item))
        if kind == "run":
            run = record.run
            found.name, found.group = run.display_name, run.run_group
            found.project, found.sweep = run.project, run.sweep_id
        if kind == "artifact":
            entries = record.artifact.manifest.contents
            files = {entry.path: Path(entry.local_path) for entry in entries}
            found.artifacts[record.artifact.client_id] = files
        for update in (*record.config.update, *record.run.config.update):
            found.config |= _mapping([update])
        found.is_complete |= kind == "exit"
    return found


def _mapping(items: Any) -> dict[str, Any]:
    """Items as one mapping; those with several keys belong into mappings within it."""
    whole: dict[str, Any] = {}
    for item in items:
        *outer, last = item.nested_key or [item.key]
        inner = whole
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = json.loads(item.value_json)
    return whole


def _records(path: Path) -> Iterator[bytes]:
    """Records of a W&B file: LevelDB's log format behind a header of seven bytes."""
    data, whole = path.read_bytes(), b""
    block, position = 32768, 7
    while position + 7 <= len(data):
        if block - position % block < 7:
            position += block - position % block
            continue
        length, kind = struct.unpack_from("<HB", data, position + 4)
        whole += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole in one piece, or the last piece
            yield whole
            whole = b""
