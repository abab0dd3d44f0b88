"""A headless Chromium, spoken to over a pipe in its DevTools protocol: JSON, a zero byte after each."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Page", "chromium"]

_PATIENCE = 30.0
_FLAGS = (
    "--headless",
    "--no-sandbox",  # root may not use it in a container, and pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Page:
    """One page of the browser.

    `errors` holds what the console and the security policy complained about, `requests` every address that
    was asked for.
    """

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._next, self._rest = 0, b""
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session: str | None = None
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._next += 1
        message: dict[str, Any] = {"id": self._next, "method": method, "params": parameters}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        result: dict[str, Any] = self._read(lambda answer: answer.get("id") == message["id"])["result"]
        return result

    def _read(self, wanted: Any) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            while b"\0" in self._rest:
                text, _, self._rest = self._rest.partition(b"\0")
                answer = json.loads(text)
                self._note(answer)
                if wanted(answer):
                    assert "error" not in answer, answer
                    return answer  # type: ignore[no-any-return]
            part = os.read(self._from, 1 << 20)
            assert part, "the browser went away"
            self._rest += part
        raise TimeoutError("the browser did not answer")

    def _note(self, answer: dict[str, Any]) -> None:
        method, parameters = answer.get("method"), answer.get("params", {})
        if method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.errors.append(parameters["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.errors.append(str(parameters["args"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])

    def show(
        self, path: Path, *, width: int = 1280, height: int = 900, scripts: bool = True, dark: bool = False
    ) -> None:
        """Open a file and wait until it is there."""
        self.errors.clear()
        self.requests.clear()
        self._call("Emulation.setScriptExecutionDisabled", value=not scripts)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        self._call("Page.navigate", url=path.resolve().as_uri())
        self._read(lambda answer: answer.get("method") == "Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """Return what a JavaScript expression gives; it works where the page's own scripts are off too."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def hover(self, x: float, y: float) -> None:
        """Move the pointer."""
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key)

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        taken = self._call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        path.write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def chromium() -> Iterator[Page]:
    """Start a browser; the test is skipped where none is installed."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("chromium is not installed")
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()

    def on_three_and_four() -> None:
        first, second = os.dup(to_read), os.dup(from_write)
        os.dup2(first, 3)
        os.dup2(second, 4)

    with tempfile.TemporaryDirectory(prefix="grubridge-browser-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=on_three_and_four,  # noqa: PLW1509 - where the browser expects its pipes
            close_fds=False,
        )
        os.close(to_read)
        os.close(from_write)
        try:
            yield Page(to_write, from_read)
        finally:
            os.close(to_write)
            os.close(from_read)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
