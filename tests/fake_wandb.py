"""A server on this machine that answers as Weights & Biases does, and keeps what it is sent.

It knows GraphQL's form but not W&B's schema: an answer has the fields that were asked for, with
the values that ``_objects`` and ``_SCALARS`` have for some of them, and null for the rest.
"""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY, PROJECT = "somebody", "gan_modules"
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\.\.\.|[{}()]|[^\s{}(),]+')


class FakeWandb:
    """Start with :meth:`start`; what arrived is in the attributes."""

    def __init__(self) -> None:
        self.operations: list[str] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.streams: dict[str, dict[str, dict[int, str]]] = {}
        self.files: dict[str, bytes] = {}
        self.artifacts: list[dict[str, Any]] = []
        self.sweeps: list[str] = []
        self.commands: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        fake = self

        class Handler(_Handler):
            server_of = fake

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def history(self, run: str) -> list[dict[str, Any]]:
        """Rows of a run, in order."""
        lines = self.streams[run]["wandb-history.jsonl"]
        return [json.loads(lines[number]) for number in sorted(lines)]

    # ---- answers -------------------------------------------------------------------------------

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.operations.append(re.findall(r"\w+", query)[1])
            self._variables, self._changes = variables, query.lstrip().startswith("mutation")
            self._keep(variables)
            return {"data": self._answer(_selection(query), {})}

    def _keep(self, variables: dict[str, Any]) -> None:
        operation = self.operations[-1]
        if operation == "UpsertBucket":
            known = {key: value for key, value in variables.items() if value is not None}
            self.runs.setdefault(variables["name"], {}).update(known)
        elif operation == "CreateArtifact":
            self.artifacts.append({**variables["input"], "files": {}})
        elif operation == "UpsertSweep":
            self.sweeps.append(variables["config"])

    def _answer(self, selection: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, inner in selection.items():
            value = known.get(name, self._value(name, inner))
            if isinstance(value, list) and inner:
                found[name] = [self._answer(inner, item) for item in value]
            elif inner and value is not None:
                found[name] = self._answer(inner, value)
            else:
                found[name] = value
        return found

    def _value(self, name: str, inner: dict[str, Any]) -> Any:
        """What a field has: a mapping of more of them, a list of mappings, or a scalar."""
        variables, number = self._variables, len(self.artifacts)
        if name == "files" and "files" in variables:
            return [{"name": f, "uploadUrl": self._upload(f)} for f in variables["files"]]
        if name == "edges" and "artifactFiles" in variables.get("input", {}):
            files = variables["input"]["artifactFiles"]
            return [{"node": self._artifact_file(**file)} for file in files]
        if name == "artifactManifest":
            manifest = f"manifest_{number}.json"
            file = {"name": manifest, "uploadUrl": self._upload(manifest)}
            return {"id": f"manifest{number}", "file": file}
        if name == "artifact":
            if not self._changes:
                return None  # there is none of this name yet
            return {"id": f"artifact{number}", "state": "PENDING"}
        if name == "bucket":
            if self.operations[-1] == "RunResumeStatus":
                return None
            run = variables["name"]
            return {"id": run, "name": run, "displayName": variables.get("displayName")}
        if name == "sweep" and self.operations[-1] != "UpsertBucket":
            config = self.sweeps[-1] if self.sweeps else None
            return {"id": "sweepid", "name": "abcd1234", "config": config, "state": "RUNNING"}
        if name == "commands":
            commands, self.commands = self.commands, []
            return json.dumps(commands)
        if name == "latestArtifact":
            return None
        if name in ("project", "model"):
            return {"id": "projectid", "name": PROJECT}
        if name in ("entity", "viewer"):
            return {"id": "entityid", "name": ENTITY, "entity": ENTITY, "username": ENTITY}
        scalars = {
            "success": True, "inserted": True, "uploadHeaders": [], "features": [], "id": "id",
            "configValidationWarnings": [], "edges": [], "flags": "{}", "nodes": [],
            "storagePath": "path", "uploadMultipartUrls": None,
        }  # fmt: skip
        return scalars.get(name, {} if inner else None)

    def _upload(self, name: str, place: str = "run") -> str:
        return f"{self.url}/storage/{place}/{name}"

    def _artifact_file(self, artifactID: str, name: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        url = self._upload(name, artifactID.removeprefix("artifact"))
        return {"name": name, "uploadUrl": url, "artifact": {"id": artifactID}}

    def stream(self, run: str, body: dict[str, Any]) -> None:
        with self._lock:
            for name, chunk in (body.get("files") or {}).items():
                lines = self.streams.setdefault(run, {}).setdefault(name, {})
                lines.update(enumerate(chunk["content"], chunk["offset"]))

    def upload(self, path: str, content: bytes) -> None:
        with self._lock:
            _, _, place, name = path.split("/", 3)
            if place == "run":
                self.files[name] = content
            else:
                self.artifacts[int(place) - 1]["files"][name] = content


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: FakeWandb

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._body()
        self._reply({})

    def do_PUT(self) -> None:
        self.server_of.upload(self.path, self._body())
        self._reply({})

    def do_POST(self) -> None:
        body = self._body()
        if self.path.endswith("/graphql"):
            request = json.loads(body)
            self._reply(self.server_of.graphql(request["query"], request.get("variables") or {}))
        elif self.path.endswith("/file_stream"):
            self.server_of.stream(self.path.split("/")[-2], json.loads(body))
            self._reply({"exitcode": None, "limits": {}})
        else:
            self._reply({})


def _selection(query: str) -> dict[str, Any]:
    """The fields that a query asks for, those within them in turn."""
    tokens = TOKEN.findall(re.sub(r"#[^\n]*", "", query))
    parts: dict[str, dict[str, Any]] = {}
    words = iter(tokens)
    for word in words:
        if word in ("query", "mutation", "fragment"):
            name = next(words)
            _skip_to_brace(words)
            parts[name if word == "fragment" else ""] = _fields(words)
    return _spread(parts[""], parts)


def _skip_to_brace(words: Iterator[str]) -> None:
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if word == "{" and depth == 0:
            return


def _fields(words: Iterator[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    last = ""
    for word in words:
        if word == "}":
            return found
        if word == "(":
            depth = 1
            while depth:
                inner = next(words)
                depth += (inner == "(") - (inner == ")")
        elif word == "{":
            found[last] = _fields(words)
        elif word == "...":
            last = f"...{next(words)}"
            if last == "...on":
                last = f"...on {next(words)}"
            found[last] = {}
        elif not word.startswith("@"):
            last = word.rstrip(":")
            found[last] = {}
    return found


def _spread(fields: dict[str, Any], parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner in fields.items():
        if name.startswith("...on "):
            found |= _spread(inner, parts)
        elif name.startswith("..."):
            found |= _spread(parts[name[3:]], parts)
        else:
            found[name] = _spread(inner, parts)
    return found
