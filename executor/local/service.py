"""The wire: Thrift's binary protocol over HTTP/1.1 on loopback, and the warehouse as a whole.

A connector posts one Thrift call per HTTP request and keeps its connection open, so there is a
thread per connection. Nothing here knows SQL: ``Handler`` answers the calls, the engine runs the
statements. ``_Endpoint.answer`` is the one place every request and reply passes, and so the place
where ``Injection`` makes faults of the way happen (a connection dropped, an answer delayed).
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
import socket
import ssl
import threading
from collections.abc import Iterable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from databricks.sql.thrift_api.TCLIService import TCLIService

from executor.local import rest
from executor.local.engine import Engine
from executor.local.errors import WarehouseError
from executor.local.faults import Fault, Faults
from executor.local.handler import Handler
from executor.local.injection import Injection
from executor.local.operations import Registry
from executor.local.tls import bad_context
from executor.local.wire import Reply, http_refusal, process

HOST = "127.0.0.1"
HTTP_PATH = "/sql/1.0/warehouses/local"
REST = "/api/"
LARGEST_REQUEST = 256 * 1024 * 1024
CLOSE_S = 3.0


class LocalWarehouse:
    """A SQL warehouse on this machine. A context manager; ``start`` and ``close`` by hand too.

    ``path`` is the directory that keeps the catalogs, one DuckDB file each; None means a private
    temporary directory that ``close`` removes. ``port`` 0 takes any free port. ``token`` None
    makes a random one. ``faults`` go wrong from the start on; the attribute of that name arms and
    disarms others while the warehouse runs, and tells which have struck. ``start`` raises
    WarehouseBusy where another process holds ``path``, and WarehouseError where the directory or
    the port cannot be used.
    """

    host = HOST
    http_path = HTTP_PATH

    def __init__(
        self,
        path: Path | None = None,
        *,
        port: int = 0,
        token: str | None = None,
        faults: Faults | Iterable[Fault] = (),
    ) -> None:
        self.path = path
        self.port = port
        self.token = token or secrets.token_urlsafe(32)
        self.faults = faults if isinstance(faults, Faults) else Faults(faults)
        self._tls = self.faults.certificate()
        self._engine: Engine | None = None
        self._registry: Registry | None = None
        self._server: _Server | None = None
        self._closing = threading.Lock()

    @property
    def uri(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{self.host}:{self.port}{self.http_path}"

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            raise WarehouseError("The warehouse has not been started.")
        return self._engine

    def start(self) -> None:
        """Open the directory and serve from background threads."""
        if self._server is not None:
            raise WarehouseError("The warehouse has been started already.")
        engine = Engine(self.path)
        try:
            registry = Registry(engine)
            injection = Injection(
                self.faults, registry, partial(process, TCLIService.Processor(Handler(registry)))
            )
            context = None
            if self._tls is not None:
                context = bad_context(self._tls, engine.path / "certificate.pem")
            try:
                server = _Server((HOST, self.port), injection, registry, self.token, context)
            except OSError as exc:
                raise WarehouseError(
                    f"Port {self.port} on {HOST} cannot be used: {exc}. Choose another port."
                ) from exc
        except BaseException:
            engine.close()
            raise
        self._engine, self._registry, self._server = engine, registry, server
        self.port = server.server_address[1]
        threading.Thread(
            target=server.serve_forever, args=(0.1,), name="dwx-warehouse", daemon=True
        ).start()

    def create_namespace(self, catalog: str, schema: str) -> None:
        """Create ``catalog`` and ``schema`` in it, each unless it exists."""
        self.engine.create_namespace(catalog, schema)

    def close(self) -> None:
        """Stop serving, cancel what runs, close the files. Idempotent; takes less than 5 s."""
        with self._closing:
            server, self._server = self._server, None
            if server is None:
                return
            server.shutdown()
            server.server_close()
            assert self._registry is not None
            self._registry.close(CLOSE_S)
            server.drop_connections()
            self.engine.close()

    def __enter__(self) -> LocalWarehouse:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        injection: Injection,
        registry: Registry,
        token: str,
        context: ssl.SSLContext | None,
    ) -> None:
        self.injection = injection
        self.registry = registry
        self.expected = b"Bearer " + token.encode()
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, _Endpoint)
        if context is not None:
            # the handshake is for the connection's own thread
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._connections.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """End connections that clients keep open, so that their threads end."""
        with self._guard:
            left = list(self._connections)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no fault of ours and says nothing on stderr."""


class _Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "dwx"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        if self.path.startswith(REST):
            self._rest("POST")
            return
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= LARGEST_REQUEST:
            self._refuse(400, "A Thrift call with a Content-Length is needed.")
            return
        body = self.rfile.read(length)
        if self.path.split("?")[0] != HTTP_PATH:
            self._refuse(404, f"There is no warehouse at {self.path[:200]}; it is {HTTP_PATH}.")
            return
        if not self._admitted():
            return
        try:
            reply = self.answer(body)
        except Exception as exc:  # noqa: BLE001 -- the edge of a request: garbage in, or our fault
            self._refuse(
                400, f"The Thrift call cannot be answered: {type(exc).__name__}: {exc}"[:500]
            )
            return
        if reply is not None:
            self._reply(reply)
        if reply is None or reply.cut is not None:
            self.close_connection = True  # and say no more

    def answer(self, body: bytes) -> Reply | None:
        """The reply to one Thrift call; None: the connection breaks instead."""
        return self.server.injection.answer(body, self.connection)

    def do_GET(self) -> None:
        if self.path.startswith(REST):
            self._rest("GET")
        else:
            self._refuse(405, "Thrift calls are posted.")

    def _rest(self, method: str) -> None:
        self.close_connection = True  # such a call comes alone, and its body is not read
        if self._admitted():
            self._reply(rest.answer(method, self.path, self.server.registry.statements()))

    def _admitted(self) -> bool:
        """True if the request carries the token; otherwise it has been refused."""
        given = (self.headers.get("Authorization") or "").encode()
        if hmac.compare_digest(given, self.server.expected):
            return True
        self._refuse(401 if not given else 403, "Invalid access token.")
        return False

    def _refuse(self, status: int, message: str) -> None:
        self.close_connection = True
        self._reply(http_refusal(status, message))

    def _reply(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: reply.cut])
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
        """Silent: requests carry the token, and stdout and stderr belong to others."""
