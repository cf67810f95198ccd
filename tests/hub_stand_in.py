"""A stand-in for the Hub on the loopback: serves folders as repositories, with the Hub's addresses,
headers and checksums, and fails in the ways the Hub does.

    with StandInHub() as hub:
        hub.add("dataset", "aps/super_glue", folder)
        HF_ENDPOINT=hub.url

`hub.faults` maps a part of a request's path to what happens to it:

    404, 401, 429, 503 ...   that status (401 as for a gated repository)
    "cut"                    half of the file, then the connection is closed
    "damaged"                a file of the right size with other bytes
    "slow"                   no answer within a client's patience

A fault strikes `hub.times` times (default: always), then the request is answered as usual.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".parquet", ".bin")  # what the Hub keeps as large files, by sha256
PLURAL = {"model": "models", "dataset": "datasets"}


@dataclass
class Repository:
    kind: str
    name: str
    folder: Path
    branches: dict[str, str] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        return hashlib.sha1(f"{self.kind}/{self.name}".encode()).hexdigest()

    def files(self) -> dict[str, Path]:
        found = sorted(p for p in self.folder.rglob("*") if p.is_file())
        return {p.relative_to(self.folder).as_posix(): p for p in found}

    def knows(self, revision: str) -> bool:
        return revision in ("main", self.commit, *self.branches)


def checksum(path: Path) -> tuple[str, bool]:
    """(what the Hub lists for a file, whether it is a large one)."""
    data = path.read_bytes()
    if path.suffix in LARGE:
        return hashlib.sha256(data).hexdigest(), True
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(), False


class StandInHub:
    def __init__(self) -> None:
        self.repositories: list[Repository] = []
        self.faults: dict[str, Any] = {}
        self.times: int | None = None
        self.requests: Counter[str] = Counter()
        self._struck: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def add(self, kind: str, name: str, folder: Path, *branches: str) -> Repository:
        made = Repository(kind, name, folder, dict.fromkeys(branches, ""))
        self.repositories.append(made)
        return made

    def __enter__(self) -> StandInHub:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault(self, path: str) -> Any:
        for part, fault in self.faults.items():
            if part in path and (self.times is None or self._struck[part] < self.times):
                self._struck[part] += 1
                return fault
        return None


def _handler(hub: StandInHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:  # the names http.server wants
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests[f"{self.command} {path}"] += 1
            fault = hub.fault(path) if body or "api" in path else None
            if isinstance(fault, int):
                self._refuse(fault)
            elif fault == "slow":
                time.sleep(60)
            elif path.startswith("/api/"):
                self._describe(path.removeprefix("/api/"))
            else:
                self._file(path.removeprefix("/"), body, fault)

        def _refuse(self, status: int, code: str = "", text: str = "") -> None:
            code = code or {401: "GatedRepo"}.get(status, "")
            headers = {"X-Error-Code": code} if code else {}
            self._send(status, json.dumps({"error": text or "refused"}).encode(), headers)

        def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def _describe(self, path: str) -> None:
            """A repository's description, or the tree of its files."""
            plural, _, rest = path.partition("/")
            verb = "/tree/" if "/tree/" in rest else "/revision/"
            name, _, revision = rest.partition(verb)
            found = self._found({v: k for k, v in PLURAL.items()}.get(plural), name, revision)
            if found is None:
                return
            siblings: list[dict[str, Any]] = []
            tree: list[dict[str, Any]] = []
            for file, place in found.files().items():
                digest, large = checksum(place)
                size = place.stat().st_size
                siblings.append({"rfilename": file, "size": size, "blobId": digest[:40]})
                tree.append({"type": "file", "path": file, "size": size, "oid": digest[:40]})
                if large:
                    about = {"size": size, "pointerSize": 130}
                    siblings[-1]["lfs"] = {"sha256": digest, **about}
                    tree[-1]["lfs"] = {"oid": digest, **about}
            described = {"id": name, "sha": found.commit, "siblings": siblings, "tags": []}
            answer = tree if verb == "/tree/" else described
            self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

        def _found(self, kind: str | None, name: str, revision: str) -> Repository | None:
            for one in hub.repositories:
                if (one.kind, one.name) == (kind, name):
                    if one.knows(revision or "main"):
                        return one
                    self._refuse(404, "RevisionNotFound", "no such revision")
                    return None
            self._refuse(404, "RepoNotFound", "no such repository")
            return None

        def _file(self, path: str, body: bool, fault: str | None) -> None:
            kind = "dataset" if path.startswith("datasets/") else "model"
            name, _, rest = path.removeprefix("datasets/").partition("/resolve/")
            revision, _, file = rest.partition("/")
            found = self._found(kind, name, revision)
            if found is None:
                return
            place = found.files().get(file)
            if place is None:
                self._refuse(404, "EntryNotFound", "no such file")
                return
            data = place.read_bytes()
            digest, large = checksum(place)
            headers = {
                "ETag": f'"{digest}"',
                "X-Repo-Commit": found.commit,
                "Accept-Ranges": "bytes",
            }
            if large:
                headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
            if fault == "damaged":
                data = bytes(byte ^ 1 for byte in data)
            status, wanted = 200, self.headers.get("Range", "")
            if wanted.startswith("bytes="):
                start = int(wanted.removeprefix("bytes=").split("-")[0])
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
                status, data = 206, data[start:]
            if fault == "cut" and body:
                self.send_response(status)
                for header, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(header, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(data[: len(data) // 2])
                    self.wfile.flush()
                self.close_connection = True
                return
            self._send(status, data, headers)

    return Handler
