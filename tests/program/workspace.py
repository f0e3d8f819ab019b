"""A workspace on loopback: an OpenID provider in front of the embedded warehouse.

It issues tokens as a Databricks workspace does (a login with PKCE, renewal, a service principal's
credentials) and lets a request for the warehouse pass if it carries one of them.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.program.conftest import Served

CLIENT_ID, CLIENT_SECRET = "principal-1", "canary-client-secret-5e1f"


class Workspace(ThreadingHTTPServer):
    """What it does can be set; what was asked of it can be read."""

    def __init__(self, served: Served) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = urlsplit(served.uri).netloc
        self.behind_token = served.token
        self.http_path = served.http_path
        self.lifetime_s = 3600
        self.refuses_login = False
        self.refuses_renewal = False
        self.refuses_tokens = False
        self.repeats = ""
        """A text that it says in an error, which the SDK logs."""
        self.grants: list[str] = []
        """Kinds of token requests, in order."""
        self.logins = 0
        self.issued: set[str] = set()
        """Every access token, refresh token and code there ever was."""
        self.valid: set[str] = set()
        """Access tokens that open the warehouse."""
        self.challenges: dict[str, str] = {}
        self.renewals: set[str] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def flags(self) -> tuple[str, ...]:
        return (
            "--server-hostname", self.address, "--http-path", self.http_path,
            "--catalog", "main", "--schema", "default",
        )  # fmt: skip

    def new_secret(self) -> str:
        secret = f"canary-{secrets.token_hex(16)}"
        self.issued.add(secret)
        return secret


class _Handler(BaseHTTPRequestHandler):
    server: Workspace
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/oidc/.well-known/oauth-authorization-server":
            oidc = f"{self.server.address}/oidc"
            self._json(
                200,
                {
                    "token_endpoint": f"{oidc}/v1/token",
                    "authorization_endpoint": f"{oidc}/oauth2/v2.0/authorize",
                },
            )
        elif parts.path == "/.well-known/databricks-config" and self.server.repeats:
            self._json(400, {"message": f"we do not like {self.server.repeats}"})
        elif parts.path == "/.well-known/databricks-config":
            self._json(200, {"oidc_endpoint": f"{self.server.address}/oidc", "workspace_id": "1"})
        elif parts.path == "/oidc/oauth2/v2.0/authorize":
            self._authorize(query)
        else:
            self._json(404, {})

    def _authorize(self, query: dict[str, str]) -> None:
        self.server.logins += 1
        if self.server.refuses_login:
            answer = {"error": "access_denied", "error_description": "not on a Sunday"}
        else:
            assert query["code_challenge_method"] == "S256"
            code = self.server.new_secret()
            self.server.challenges[code] = query["code_challenge"]
            answer = {"code": code}
        where = f"{query['redirect_uri']}?{urlencode({**answer, 'state': query['state']})}"
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/oidc/v1/token":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            self._token(form)
        elif self._is_admitted():
            self._pass_on(body)
        else:
            said = f"who is {self.headers.get('Authorization')}?"  # as no server should
            self._json(401, {"error": said}, {"x-thriftserver-error-message": said})

    def _is_admitted(self) -> bool:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return token in self.server.valid and not self.server.refuses_tokens

    def _token(self, form: dict[str, str]) -> None:
        kind = form["grant_type"]
        self.server.grants.append(kind)
        if kind == "authorization_code":
            hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(hashed).decode().rstrip("=")
            if self.server.challenges.pop(form["code"], None) != challenge:
                self._json(400, {"error": "invalid_grant"})
                return
        elif kind == "refresh_token":
            if self.server.refuses_renewal or form["refresh_token"] not in self.server.renewals:
                text = f"the refresh token {form['refresh_token']} is invalid"
                self._json(400, {"error": "invalid_grant", "error_description": text})
                return
        else:
            expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {expected}":
                text = f"wrong secret {form.get('client_secret')} {self.headers}"
                self._json(401, {"error": "invalid_client", "error_description": text})
                return
        access = self.server.new_secret()
        self.server.valid.add(access)
        answer: dict[str, Any] = {"access_token": access, "token_type": "Bearer"}
        answer["expires_in"] = self.server.lifetime_s
        if kind != "client_credentials":
            answer["refresh_token"] = self.server.new_secret()
            self.server.renewals.add(answer["refresh_token"])
        self._json(200, answer)

    def _pass_on(self, body: bytes) -> None:
        behind = http.client.HTTPConnection(self.server.behind)
        kept = ("content-type", "accept", "user-agent", "accept-encoding")
        headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
        headers["Authorization"] = f"Bearer {self.server.behind_token}"
        behind.request("POST", self.path, body, headers)
        answer = behind.getresponse()
        data = answer.read()
        behind.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _json(
        self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@contextmanager
def workspace(served: Served) -> Iterator[Workspace]:
    server = Workspace(served)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def browser(directory: Path) -> str:
    """A browser that follows where it is sent, as the value of BROWSER."""
    script = directory / "browser.py"
    script.write_text(
        "import sys, urllib.request\nurllib.request.urlopen(sys.argv[1], timeout=30).read()\n"
    )
    return f"{sys.executable} {script} %s"
