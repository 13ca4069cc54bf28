"""A small object store on this machine, as a process: files of a folder by HTTP with ranges, and what S3 needs.

Its faults are chosen by the first part of an object's key. Processes that read it may hold Python's lock while GDAL
waits for an answer, so it cannot be a thread of theirs.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

#: First parts of keys, and what the store does: an HTTP status, half an answer, half an answer of pixels, or silence.
STATUSES = {"forbidden": 403, "broken": 500, "busy": 503}
SILENT = 60.0


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers requests."""

    protocol_version = "HTTP/1.1"
    root = Path()
    log: ClassVar[list[list[str]]] = []

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._give(body=False)

    def do_GET(self) -> None:
        if self.path == "/log":
            self._answer(200, json.dumps(Handler.log).encode())
            Handler.log.clear()
            return
        self._give(body=True)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._fails():
            return
        path = self._file()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._answer(200, b"", ETag=_etag(content))

    def do_DELETE(self) -> None:
        self._log()
        self._file().unlink(missing_ok=True)
        self._answer(204, b"")

    def _log(self) -> None:
        Handler.log.append([self.command, self.path, self.headers.get("Range") or ""])

    def _file(self) -> Path:
        return self.root / urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")

    def _fails(self) -> bool:
        self._log()
        kinds = [part for part in self._file().relative_to(self.root).parts if part in (*STATUSES, "silent")]
        if kinds == ["silent"]:
            time.sleep(SILENT)
        elif kinds:
            self._answer(STATUSES[kinds[0]], b"")
        return bool(kinds)

    def _give(self, *, body: bool) -> None:
        if self._fails():
            return
        path = self._file()
        if not path.is_file():
            listed = path.is_dir() and bool(urllib.parse.urlsplit(self.path).query)
            self._answer(200, self._list(path)) if listed else self._answer(404, b"")
            return
        content, first = path.read_bytes(), 0
        size, tag = len(content), _etag(content)
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found is None:
            self._answer(200, content, body=body, drop=False, ETag=tag)
            return
        first = int(found[1])
        last = min(int(found[2] or size - 1), size - 1)
        where = f"bytes {first}-{last}/{size}"
        drop = "dropped" in path.parts and first > 0
        self._answer(206, content[first : last + 1], body=body, drop=drop, Content_Range=where, ETag=tag)

    def _list(self, bucket: Path) -> bytes:
        """The objects of a bucket, as S3 lists them."""
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        prefix, found = query.get("prefix", ""), ""
        for file in sorted(path for path in bucket.rglob("*") if path.is_file()):
            key = file.relative_to(bucket).as_posix()
            if key.startswith(prefix) and "/" not in key.removeprefix(prefix):
                tag = _etag(file.read_bytes()).strip('"')
                found += f"<Contents><Key>{key}</Key><Size>{file.stat().st_size}</Size><ETag>{tag}</ETag>"
                found += "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        start = f"<Name>{bucket.name}</Name><Prefix>{prefix}</Prefix><IsTruncated>false</IsTruncated>"
        return f"<ListBucketResult>{start}{found}</ListBucketResult>".encode()

    def _answer(self, status: int, content: bytes, *, body: bool = True, drop: bool = False, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Accept_Ranges": "bytes", "Content_Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if body and not drop:
            self.wfile.write(content)
        elif drop:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


@dataclass(frozen=True)
class ObjectStore:
    """A store that is running.

    Attributes:
        root: its folder; each folder in it is a bucket.
        port: where it listens on this machine.
    """

    root: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """Environment variables by which GDAL takes it for S3."""
        return {
            "AWS_S3_ENDPOINT": f"127.0.0.1:{self.port}", "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE",
            "AWS_NO_SIGN_REQUEST": "YES",
        }  # fmt: skip

    def requests(self) -> list[list[str]]:
        """The requests since the last call: method, path and range."""
        with urllib.request.urlopen(f"{self.url}/log") as answer:  # noqa: S310  it is http
            found: list[list[str]] = json.loads(answer.read())
        return found


@contextlib.contextmanager
def object_store(root: Path) -> Iterator[ObjectStore]:
    """Run a store of a folder while the block runs."""
    command = [sys.executable, __file__, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield ObjectStore(root, int(process.stdout.readline()))
        finally:
            process.kill()


def main() -> None:
    """Serve until the parent ends."""
    Handler.root = Path(sys.argv[1])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
