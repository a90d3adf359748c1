"""A stand-in for the Hugging Face Hub on loopback that serves one folder as a data set."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "b" * 40


@contextmanager
def dataset_hub(name: str, folder: Path) -> Iterator[str]:
    """Serves a folder as the data set `name`; yields the address for `HF_ENDPOINT`."""
    files = {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    handler = type("Handler", (_Handler,), {"repository": name, "files": files})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repository: str
    files: dict[str, Path]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        about, content = f"/api/datasets/{self.repository}", f"/datasets/{self.repository}/resolve/"
        if path == about or path.startswith(f"{about}/revision/"):
            siblings = [{"rfilename": name} for name in self.files]
            return self._answer({"id": self.repository, "sha": COMMIT, "siblings": siblings})
        if path.startswith(f"{about}/tree/"):
            inside = path.split("/", 6)[6].partition("/")[2]
            return self._answer(self._tree(inside))
        name = path.removeprefix(content).partition("/")[2]
        if not path.startswith(content) or name not in self.files:
            code = "EntryNotFound" if path.startswith(content) else "RepoNotFound"
            return self._answer({"error": code}, 404, {"X-Error-Code": code})
        return self._file(self.files[name].read_bytes())

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if urlsplit(self.path).path.startswith(f"/api/datasets/{self.repository}/paths-info/"):
            return self._answer(
                [_entry(name, self.files[name]) for name in body["paths"] if name in self.files]
            )
        return self._answer({"error": "RepoNotFound"}, 404, {"X-Error-Code": "RepoNotFound"})

    def _tree(self, inside: str) -> list[dict]:
        entries = {}
        for name, path in self.files.items():
            if name.startswith(f"{inside}/" if inside else ""):
                rest = name[len(inside) + 1 if inside else 0 :]
                first, _, below = rest.partition("/")
                whole = f"{inside}/{first}" if inside else first
                folder = {"type": "directory", "path": whole, "size": 0, "oid": COMMIT}
                entries[whole] = folder if below else _entry(whole, path)
        return list(entries.values())

    def _file(self, content: bytes) -> None:
        where = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted:
            return self._answer(content, 200, where)
        start, end = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
        where["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return self._answer(content[start : end + 1], 206, where)

    def _answer(
        self, content: object, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _entry(name: str, path: Path) -> dict:
    content = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return {"type": "file", "path": name, "size": len(content), "oid": blob}
