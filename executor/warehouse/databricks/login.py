"""Logging in with the browser: OAuth 2.0 with an authorization code and PKCE (RFC 6749, RFC 7636).

Theory. The person is sent to the workspace's login page; the page sends the browser back to a port
of this machine with a code that is good once; the code is exchanged for an access token (an hour)
and a refresh token (days). `state` ties the answer to this login, so whatever else knocks at the
port is turned away; PKCE makes the code worthless to anybody who has not made the challenge.

The connector has such a login. It is not used, because it waits for ever, listens on every network
interface, takes the first request at its port for the answer, whatever it is, ends in a TypeError
when the port is in use, and cannot be told to stop. What it knows about the workspace (client,
ports, addresses) is the same here, since the workspace admits only what is registered with it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlencode, urlsplit

from executor.warehouse.databricks.auth import AuthFailed, LoginChoices, Told, login_failed
from executor.warehouse.databricks.reach import cancelled_facts
from executor.warehouse.databricks.token_cache import TokenCache, Tokens

CLIENT_ID = "databricks-sql-python"
PORTS = tuple(range(8020, 8025))
SCOPE = "offline_access sql"
"""Registered with every workspace for programs that use the connector."""

REQUEST_TIMEOUT_S = 30.0
RENEWED_EARLY_S = 300.0
"""A token is renewed so long before it expires; while it is good, a failure to do so is none."""

_ASSUMED_LIFETIME_S = 3600.0
_LOOK_S = 0.1


class BrowserLogin:
    """A login at a workspace, and its tokens as long as they can be renewed."""

    def __init__(self, address: str, choices: LoginChoices, told: Told) -> None:
        """`address` is the workspace's, like `https://host`."""
        self._address = address
        self._choices = choices
        self._told = told
        self._cache = TokenCache(choices.cache, told.warning) if choices.cache else None
        self._tokens: Tokens | None = None
        self._asked = False
        self._lock = Lock()

    def obtain(self, cancel: Event) -> None:
        """Gets tokens: kept ones, else renewed ones, else by a login. Raises `AuthFailed`."""
        tokens = self._cache.read(self._address) if self._cache is not None else None
        if tokens is not None:
            self._learn(tokens)
            if not _old(tokens):
                self._tokens = tokens
                return
            with contextlib.suppress(AuthFailed):
                self._tokens = self._renewed(tokens)
                return
        self._ask(cancel)

    def refused(self, cancel: Event) -> bool:
        """The warehouse refuses tokens that were kept: gets others. False if there are none.

        Raises `AuthFailed`.
        """
        if self._asked:
            return False
        if self._cache is not None:
            self._cache.keep(self._address, None)
        self._ask(cancel)
        return True

    def headers(self) -> dict[str, str]:
        """For one request; renews the token where it is time to. Raises `AuthFailed`."""
        with self._lock:
            assert self._tokens is not None, "obtain comes first"
            if _old(self._tokens):
                try:
                    self._tokens = self._renewed(self._tokens)
                except AuthFailed:
                    if self._tokens.expires_at <= time.time():
                        raise
            return {"Authorization": f"Bearer {self._tokens.access_token}"}

    def _ask(self, cancel: Event) -> None:
        self._asked = True
        self._tokens = self._log_in(cancel)
        self._keep(self._tokens)

    def _keep(self, tokens: Tokens) -> None:
        if self._cache is not None:
            self._cache.keep(self._address, tokens)

    def _learn(self, tokens: Tokens) -> None:
        for one in (tokens.access_token, tokens.refresh_token):
            if one is not None:
                self._told.secret(one)

    # --- the workspace ------------------------------------------------------------------------

    def _renewed(self, tokens: Tokens) -> Tokens:
        with self._cache.locked() if self._cache is not None else contextlib.nullcontext():
            # perhaps another run was faster
            kept = self._cache.read(self._address) if self._cache is not None else None
            if kept is not None and not _old(kept):
                self._learn(kept)
                return kept
            token = (kept or tokens).refresh_token
            if token is None:
                raise login_failed("The login has expired.")
            form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": CLIENT_ID}
            fresh = self._tokens_from(_request(self._token_endpoint(), form))
            if fresh.refresh_token is None:
                fresh = replace(fresh, refresh_token=token)
            self._keep(fresh)
            return fresh

    def _token_endpoint(self) -> str:
        found = _request(f"{self._address}/oidc/.well-known/oauth-authorization-server")
        endpoint = found.get("token_endpoint")
        secure = isinstance(endpoint, str) and (
            endpoint.startswith(("https://", f"{self._address}/"))
        )
        if not secure:
            raise login_failed(
                f"{self._address} names no token endpoint that can be trusted: is it a workspace?"
            )
        return str(endpoint)

    def _tokens_from(self, answer: Mapping[str, Any]) -> Tokens:
        access, refresh = answer.get("access_token"), answer.get("refresh_token")
        if not isinstance(access, str) or not access:
            raise login_failed("The workspace answered the login without an access token.")
        lifetime = answer.get("expires_in")
        seconds = float(lifetime) if isinstance(lifetime, int | float) else _ASSUMED_LIFETIME_S
        tokens = Tokens(
            access_token=access,
            refresh_token=refresh if isinstance(refresh, str) and refresh else None,
            expires_at=time.time() + seconds,
        )
        self._learn(tokens)
        return tokens

    # --- the browser --------------------------------------------------------------------------

    def _log_in(self, cancel: Event) -> Tokens:
        token_endpoint = self._token_endpoint()  # fails early where there is no login at all
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        self._told.secret(verifier)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        with _listener(state) as listener:
            redirect = f"http://localhost:{listener.server_port}"
            query = {
                "response_type": "code",
                "client_id": CLIENT_ID,
                "redirect_uri": redirect,
                "scope": SCOPE,
                "state": state,
                "code_challenge": challenge.decode().rstrip("="),
                "code_challenge_method": "S256",
            }
            url = f"{self._address}/oidc/oauth2/v2.0/authorize?{urlencode(query)}"
            deadline = time.monotonic() + self._choices.timeout_s
            until = datetime.now(UTC) + timedelta(seconds=self._choices.timeout_s)
            self._told.login(url, until)
            _open_browser(url)
            answer = self._wait(listener, deadline, cancel)
        if "error" in answer:
            said = answer.get("error_description") or answer["error"]
            raise login_failed(f"The login was refused: {said}")
        code = answer["code"]
        self._told.secret(code)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
            "client_id": CLIENT_ID,
        }
        return self._tokens_from(_request(token_endpoint, form))

    def _wait(self, listener: _Listener, deadline: float, cancel: Event) -> dict[str, str]:
        while listener.answer is None:
            if cancel.is_set():
                raise AuthFailed(cancelled_facts())
            if time.monotonic() > deadline:
                raise login_failed(
                    "The login in the browser was not completed within "
                    f"{self._choices.timeout_s:.0f} s."
                )
            listener.handle_request()
        return listener.answer


class _Listener(ThreadingHTTPServer):
    """Waits at a port of this machine for the browser to come back.

    A thread for each connection: browsers open some that they never use.
    """

    timeout = _LOOK_S
    state = ""
    answer: dict[str, str] | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is nobody's trouble."""


class _Callback(BaseHTTPRequestHandler):
    timeout = 10  # for a connection on which nothing comes
    server: _Listener

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        ours = secrets.compare_digest(query.get("state", ""), self.server.state)
        if not ours or not ({"code", "error"} & query.keys()) or self.server.answer is not None:
            self._say(404, "This is not the answer dwx waits for.")
            return
        if "error" in query:
            self._say(200, f"The login was refused: {query['error']}.")
        else:
            self._say(200, "You are logged in. You may close this page; dwx goes on.")
        self.server.answer = query

    def _say(self, status: int, text: str) -> None:
        page = f"<!doctype html><meta charset=utf-8><title>dwx</title><p>{html.escape(text)}"
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the original's name
        """Says nothing: the path holds the code."""


def _listener(state: str) -> _Listener:
    problem: OSError | None = None
    for port in PORTS:
        try:
            listener = _Listener(("127.0.0.1", port), _Callback)
        except OSError as exc:
            problem = exc
        else:
            listener.state = state
            return listener
    raise login_failed(
        f"The login needs one of the ports {PORTS[0]} to {PORTS[-1]} of this machine, and none can "
        f"be had ({problem}): is another login under way?"
    )


def _open_browser(url: str) -> None:
    """Opens the browser beside us: it can neither read decisions nor write among the events."""
    with contextlib.suppress(OSError):
        subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-P", "-m", "webbrowser", "-n", url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry a secret to another place."""

    def redirect_request(self, *what: Any, **more: Any) -> None:
        return None


def _request(url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
    """GET, or POST of a form; the JSON object that comes back. Raises `AuthFailed`."""
    data = urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(url, data, {"Accept": "application/json"})  # noqa: S310
    opener = urllib.request.build_opener(*([_NoRedirect] if form is not None else []))
    try:
        with opener.open(request, timeout=REQUEST_TIMEOUT_S) as response:
            found = json.loads(response.read())
    except urllib.error.HTTPError as exc:
        _refused(url, exc)
    except (OSError, ValueError) as exc:
        raise login_failed(f"{_shown(url)} gave no answer that can be used: {exc}") from exc
    if not isinstance(found, dict):
        raise login_failed(f"{_shown(url)} gave no answer that can be used.")
    return found


def _refused(url: str, error: urllib.error.HTTPError) -> NoReturn:
    said = ""
    with error, contextlib.suppress(OSError, ValueError, AttributeError):
        answer = json.loads(error.read())
        said = f": {answer.get('error_description') or answer.get('error')}"
    raise login_failed(f"{_shown(url)} answered with HTTP status {error.code}{said}") from error


def _shown(url: str) -> str:
    return url.split("?", 1)[0]


def _old(tokens: Tokens) -> bool:
    return tokens.expires_at - RENEWED_EARLY_S <= time.time()
