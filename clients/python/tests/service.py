"""A real Segue service for the tests, and a proxy before it that fails as networks do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def running_service() -> Iterator[str]:
    """URL of the service that `SEGUE_TEST_URL` names, else of one that `npm start` runs with random weights."""
    if url := os.environ.get("SEGUE_TEST_URL"):
        yield url
        return
    command = ["node", "tools/bootstrap.mjs", "start"]
    settings = {"SEGUE_MODEL": "tiny-random", "SEGUE_HTTP_PORT": "0", "SEGUE_GRPC_PORT": "0"}
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield _address(process)
        finally:
            process.terminate()
            process.wait(timeout=60)


def _address(process: subprocess.Popen[str]) -> str:
    said: list[str] = []
    assert process.stdout
    for line in process.stdout:
        said.append(line)
        if found := re.search(r"Page\s+(http://\S+)", line):
            # What it says from now on must be read, or it would stop at a full pipe.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return found[1]
    raise RuntimeError(f"npm start ended:\n{''.join(said[-40:])}")


@dataclass
class Proxy:
    """failures: what the next requests meet instead of the service; `lose` sends one on and loses its answer, `restart` puts
    words before an answer's events that count no more."""

    url: str
    failures: list[tuple[int, dict[str, str]] | str] = field(default_factory=list)
    seen: list[httpx.Request] = field(default_factory=list)


_RESTARTED = b"".join(
    b"data: %s\n\n" % json.dumps(event).encode()
    for event in ({"type": "text", "text": "What a worker said that was lost."}, {"type": "restarted"})
)


@contextmanager
def proxy_before(service: str) -> Iterator[Proxy]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            request = httpx.Request("POST", service + self.path, headers=headers, content=body)
            proxy.seen.append(request)
            failure = proxy.failures.pop(0) if proxy.failures else None
            if isinstance(failure, tuple):
                self.answer(failure[0], failure[1], b"busy")
                return
            with httpx.Client(timeout=60) as http:
                response = http.send(request)
            if failure == "lose":
                self.close_connection = True
                return
            content = (_RESTARTED if failure == "restart" else b"") + response.content
            self.answer(response.status_code, {"content-type": response.headers["content-type"]}, content)

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def key_of(request: httpx.Request) -> str:
    """The idempotency key in a form."""
    found = re.search(rb'name="idempotency_key"\r\n\r\n([^\r]+)', request.content)
    assert found
    return found[1].decode()
