"""A stand-in for the Hugging Face Hub on loopback: enough of its HTTP API to push and to load."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

OWNER, TOKEN = "me", "hf_stand_in"
COMMIT = "a" * 40


class StandIn(ThreadingHTTPServer):
    """Keeps repositories in memory.

    Attributes:
        repositories: By (type, name): "private", "sdk" and "files", bytes by path.
        large: What was uploaded by hash, before any commit.
        sent: Hashes in the order in which they were uploaded.
        commits: Messages of all commits.
        refuse: Hashes of which the upload is answered with an error.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[tuple[str, str], dict] = {}
        self.large: dict[str, bytes] = {}
        self.sent: list[str] = []
        self.commits: list[str] = []
        self.refuse: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def files(self, name: str, kind: str = "model") -> dict[str, bytes]:
        return self.repositories[kind, name]["files"]


@contextmanager
def hub_stand_in() -> Iterator[StandIn]:
    """Runs one in a thread of its own."""
    server = StandIn()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body, path = self._body(), unquote(urlsplit(self.path).path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer({"error": "Invalid credentials"}, 401)
        if path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        _, kinds, owner, name, action, _ = path.strip("/").split("/")
        files = self.server.files(f"{owner}/{name}", kinds[:-1])
        if action == "preupload":
            return self._preupload(files, json.loads(body))
        self._commit(files, body)
        prefix = "" if kinds == "models" else f"{kinds}/"
        url = f"{self.server.url}/{prefix}{owner}/{name}/commit/{COMMIT}"
        return self._answer({"commitUrl": url, "commitOid": COMMIT})

    def do_PUT(self) -> None:
        body, digest = self._body(), self.path.rpartition("/")[2]
        if digest in self.server.refuse:
            return self._answer({"error": "broken"}, 418)
        assert hashlib.sha256(body).hexdigest() == digest
        self.server.large[digest] = body
        self.server.sent.append(digest)
        return self._answer({})

    def do_GET(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[0] == "api":
            kind, name, rest = parts[1][:-1], "/".join(parts[2:4]), parts[4:]
        else:
            kind, name, rest = "model", "/".join(parts[:2]), parts[2:]
        repository = self.server.repositories.get((kind, name))
        if repository is None:
            return self._answer({"error": "no repository"}, 404, {"X-Error-Code": "RepoNotFound"})
        files = repository["files"]
        if not rest or rest[0] == "revision":
            about = {"id": name, "private": repository["private"], "sha": COMMIT}
            return self._answer({**about, "siblings": [{"rfilename": path} for path in files]})
        if rest[0] == "tree":
            return self._answer([] if rest[2:] else [_entry(*item) for item in files.items()])
        path = "/".join(rest[2:])
        if path not in files:
            return self._answer({"error": "no file"}, 404, {"X-Error-Code": "EntryNotFound"})
        content = files[path]
        where = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        return self._answer(content, headers=where)

    do_HEAD = do_GET

    def _create(self, wanted: dict) -> None:
        kind, owner = wanted.get("type", "model"), wanted["organization"] or OWNER
        if owner != OWNER:
            return self._answer({"error": "You don't have the rights"}, 403)
        name = f"{owner}/{wanted['name']}"
        prefix = "" if kind == "model" else f"{kind}s/"
        known = (kind, name) in self.server.repositories
        if not known:
            private = wanted.get("visibility") == "private"
            new = {"private": private, "sdk": wanted.get("sdk"), "files": {}}
            self.server.repositories[kind, name] = new
        return self._answer({"url": f"{self.server.url}/{prefix}{name}"}, 409 if known else 200)

    def _preupload(self, files: dict[str, bytes], wanted: dict) -> None:
        answers = []
        for file in wanted["files"]:
            path = file["path"]
            entry = _entry(path, files[path]) if path in files else {}
            oid = entry.get("lfs", entry).get("oid")
            mode = "lfs" if path.endswith(".safetensors") else "regular"
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return self._answer({"files": answers})

    def _batch(self, wanted: dict) -> None:
        answers = []
        for one in wanted["objects"]:
            href = {"upload": {"href": f"{self.server.url}/upload/{one['oid']}"}}
            known = one["oid"] in self.server.large
            answers.append({**one, **({} if known else {"actions": href})})
        return self._answer({"transfer": "basic", "objects": answers})

    def _commit(self, files: dict[str, bytes], body: bytes) -> None:
        for line in body.splitlines():
            change = json.loads(line)
            key, value = change["key"], change["value"]
            if key == "header":
                self.server.commits.append(value["summary"])
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            else:
                assert key == "deletedFile", key
                del files[value["path"]]

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

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


def _entry(path: str, content: bytes) -> dict:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if path.endswith(".safetensors"):
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
    return entry
