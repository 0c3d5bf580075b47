"""Start headless Chromium and speak the DevTools protocol with it: JSON ended by NUL, through two pipes."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.browser.page import Page

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 60.0  # seconds for one answer, on a machine that is busy with other things

# --disable-background-networking and what follows: Chromium asks nobody for anything.
_FLAGS = (
    "--headless", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-default-apps", "--disable-extensions", "--disable-quic", "--mute-audio",
    "--hide-scrollbars", "--force-color-profile=srgb", "--font-render-hinting=none", "--lang=en",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
)  # fmt: skip

# Chromium reads from descriptor 3 and writes to 4; only the process that becomes Chromium can put them there.
_LAUNCHER = (
    "import fcntl, os, sys\n"
    "ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]\n"
    "os.dup2(ends[0], 3)\n"
    "os.dup2(ends[1], 4)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)


def find() -> str | None:
    """The path of Chromium: the environment variable CHROMIUM, or a known name on the PATH; None without."""
    return next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), *NAMES))), None)


class Browser:
    """A running Chromium.  Use it as a context manager, or call `close`."""

    def __init__(self, executable: str) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="chainrule-browser-", ignore_cleanup_errors=True)
        self.files = Path(self._profile.name)
        self._calls = 0
        self._received = b""
        self._events: dict[str, deque[dict[str, Any]]] = {}
        command_in, self._write = os.pipe()
        self._read, answers_out = os.pipe()
        launcher = (sys.executable, "-c", _LAUNCHER, str(command_in), str(answers_out))
        root = ("--no-sandbox",) if os.geteuid() == 0 else ()
        self._process = subprocess.Popen(
            [*launcher, executable, *_FLAGS, *root, f"--user-data-dir={self.files}/profile", "about:blank"],
            pass_fds=(command_in, answers_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(command_in)
        os.close(answers_out)
        try:
            self.version: str = self.call("Browser.getVersion")["product"]
        except BaseException:
            self.close()
            raise

    def page(self, width: int = 1000, height: int = 800) -> Page:
        """A new page with nothing in common with other pages (cookies, storage, focus)."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, context, session, width, height)

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol.  Raises RuntimeError with the browser's own words if it refuses."""
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        end = time.monotonic() + PATIENCE
        while True:
            answer = self._message(end, method)
            if answer.get("id") == self._calls:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result

    def events(self, session: str) -> deque[dict[str, Any]]:
        """What a page reported so far and nobody took."""
        return self._events.setdefault(session, deque())

    def wait(self, seconds: float) -> None:
        """Receive events, until one arrives or the time is over."""
        if b"\0" in self._received or select.select([self._read], [], [], seconds)[0]:
            self._message(time.monotonic() + PATIENCE, "an event")

    def _message(self, end: float, awaited: str) -> dict[str, Any]:
        """The next message; an event is filed under its page as well."""
        while b"\0" not in self._received:
            if not select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError(f"Chromium did not answer {awaited} within {PATIENCE:.0f} s")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise RuntimeError(f"Chromium ended (status {self._process.wait(10)}) before {awaited}")
            self._received += data
        first, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        if "id" not in message:
            self.events(message.get("sessionId", "")).append(message)
        return message

    def close(self) -> None:
        """End the browser and remove its profile."""
        os.close(self._write)  # it ends when its commands end
        os.close(self._read)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()
