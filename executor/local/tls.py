"""Certificates that no client should take, for rehearsing that it does not.

They are made anew each time by the program ``openssl``: the standard library cannot, and a private
key has no place in a repository.
"""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from pathlib import Path

from executor.local.errors import WarehouseError

_NAMES = {"self-signed": "IP:127.0.0.1,DNS:localhost", "wrong-host": "DNS:elsewhere.example"}


def bad_context(fault: str, keep: Path) -> ssl.SSLContext:
    """For a server whose certificate is ``self-signed``, or also made out to another host.

    The certificate, not its key, is written to ``keep``: a client that trusts it finds nothing
    wrong with the first kind, and the host's name with the second. Raises WarehouseError.
    """
    with tempfile.TemporaryDirectory(prefix="dwx-tls-") as folder:
        key = Path(folder) / "key.pem"
        command = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "3650", "-subj", "/CN=dwx embedded warehouse",
            "-addext", f"subjectAltName={_NAMES[fault]}", "-keyout", str(key), "-out", str(keep),
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603
        except (OSError, subprocess.SubprocessError) as exc:
            raise WarehouseError(
                f"The program openssl, which makes the certificate, has failed: {exc}. Install it, "
                "or rehearse without the fault `tls`."
            ) from exc
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(keep, key)
    return context
