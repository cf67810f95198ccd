"""A real browser for tests: Chromium without a window, driven over its debugging socket."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import websocket

PROGRAM = next((p for p in ("chromium", "google-chrome", "chrome") if shutil.which(p)), None)


class Page:
    """One open page.

    with Page() as page:
        page.open("http://127.0.0.1:8888/")
        page.wait("document.querySelectorAll('tr').length > 3")
        page.run("document.querySelector('a').click()")
    """

    def __init__(self, width: int = 1200, height: int = 900) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="browser-"))
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
                   "--remote-allow-origins=*", f"--user-data-dir={self.folder}",
                   f"--window-size={width},{height}"]  # fmt: skip
        self.process = subprocess.Popen(
            [PROGRAM, *options, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._number = 0
        self._socket = websocket.create_connection(self._address(), timeout=60)

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def open(self, url: str) -> None:
        """Goes there, and waits until the page has loaded."""
        self._ask("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        found = self._ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"])
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        """Waits until an expression is true; its value."""
        deadline = time.monotonic() + seconds
        while True:
            value = self.run(script)
            if value:
                return value
            assert time.monotonic() < deadline, f"{script} did not come true: {self.text()[:2000]}"
            time.sleep(0.1)

    def text(self) -> str:
        return self.run("document.body.innerText")

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot")["data"]))

    def _address(self) -> str:
        """Where Chromium listens: it writes the port into its folder."""
        deadline = time.monotonic() + 60
        port = self.folder / "DevToolsActivePort"
        while not (port.is_file() and port.read_text()):
            assert time.monotonic() < deadline, "the browser did not start"
            time.sleep(0.1)
        listed = f"http://127.0.0.1:{port.read_text().split()[0]}/json/list"
        while True:
            with urllib.request.urlopen(listed) as answer:
                pages = [one for one in json.load(answer) if one["type"] == "page"]
            if pages:
                return pages[0]["webSocketDebuggerUrl"]
            assert time.monotonic() < deadline, "the browser has no page"
            time.sleep(0.1)

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
