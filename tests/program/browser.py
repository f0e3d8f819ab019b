"""A real browser without a window, spoken to over a pipe by the protocol of its developer tools.

Nothing but the standard library is needed: each message is JSON that ends with a NUL.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = (390, 844)
DESKTOP = (1280, 900)


def executable() -> str:
    """The browser's; without one the test fails, since it would have shown nothing."""
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.fail(
        f"there is no browser to open the report in (looked for {', '.join(NAMES)}); "
        "on Debian: apt-get update && apt-get install -y chromium"
    )


@dataclass
class Page:
    """One page, shown at one size in one colour scheme."""

    to: IO[bytes]
    out_of: IO[bytes]
    session: str = ""
    requested: list[str] = field(default_factory=list)
    """Every address that was asked for."""
    said: list[str] = field(default_factory=list)
    """What the browser had to say: refusals, errors."""
    _calls: int = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Gives an order and waits for its result; events on the way are taken in."""
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        self.to.flush()
        while (told := self._next()).get("id") != self._calls:
            pass
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    def _next(self) -> dict[str, Any]:
        line = b""
        while (byte := self.out_of.read(1)) != b"\0":
            assert byte, "the browser is gone"
            line += byte
        told: dict[str, Any] = json.loads(line)
        match told.get("method"):
            case "Network.requestWillBeSent":
                self.requested.append(told["params"]["request"]["url"])
            case "Log.entryAdded":
                self.said.append(told["params"]["entry"]["text"])
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled":
                self.said.append(json.dumps(told["params"]))
            case _:
                pass
        return told

    def until(self, method: str) -> None:
        """Waits for an event."""
        while self._next().get("method") != method:
            pass

    def show(self, path: Path, scheme: str, size: tuple[int, int]) -> None:
        """Opens a file as a person would who prefers `scheme`."""
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=size == PHONE,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.call("Page.navigate", url=path.as_uri())
        self.until("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript comes to; the page's own policy does not bind us."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def pixel(self, x: int, y: int) -> tuple[int, int, int]:
        """The colour of a point of the screen, as red, green and blue."""
        clip = {"x": x, "y": y, "width": 1, "height": 1, "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", clip=clip)
        png = base64.b64decode(shot["data"])
        # a single point has no neighbours, so that no filter of PNG changes it
        _, red, green, blue, *_ = zlib.decompress(_pixels(png))
        return red, green, blue


def _pixels(png: bytes) -> bytes:
    """What all chunks of a picture with pixels in them hold together."""
    found, at = b"", 8
    while at < len(png):
        size, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        if kind == b"IDAT":
            found += png[at + 8 : at + 8 + size]
        at += size + 12
    return found


@contextmanager
def browsing(profile: Path) -> Iterator[Page]:
    """A browser with an empty profile, and a page in it."""
    program = executable()
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    flags = (
        "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-extensions "
        "--disable-background-networking --disable-dev-shm-usage --remote-debugging-pipe"
    )
    # the browser reads from descriptor 3 and writes to 4; the shell puts ours in their place
    command = f'exec "$0" {flags} --user-data-dir="$1" 3<&{theirs_in} 4>&{theirs_out}'
    with subprocess.Popen(
        ["bash", "-c", command, program, str(profile)],
        pass_fds=(theirs_in, theirs_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            with os.fdopen(ours_out, "wb") as to, os.fdopen(ours_in, "rb") as out_of:
                page = Page(to, out_of)
                target = page.call("Target.createTarget", url="about:blank")["targetId"]
                attached = page.call("Target.attachToTarget", targetId=target, flatten=True)
                page.session = attached["sessionId"]
                for domain in ("Page", "Network", "Log", "Runtime"):
                    page.call(f"{domain}.enable")
                yield page
        finally:
            process.kill()
