"""One page of the browser: open a file, look at it, point, type, and hear what it complained about."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.keys import key_events

if TYPE_CHECKING:
    from tests.browser.chromium import Browser


@dataclass(frozen=True)
class Rectangle:
    """A place in the window, in CSS pixels."""

    x: float
    y: float
    width: float
    height: float

    def point(self, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
        """The point at these shares of width and height; the centre without arguments."""
        return self.x + across * self.width, self.y + down * self.height


class Page:
    """A page.  Selectors are CSS; a method that finds nothing under one raises AssertionError.

    console: (level, text) of every console message, uncaught error and complaint of the browser, such as a
    violation of the content security policy.  requests: every address but data: that was asked for, the
    opened file left out.
    """

    def __init__(self, browser: Browser, context: str, session: str, width: int, height: int) -> None:
        self._browser, self._context, self._session = browser, context, session
        self._loaded = False
        self._opened = ""
        self._console: list[tuple[str, str]] = []
        self._requests: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Any method of the DevTools protocol."""
        return self._browser.call(method, self._session, **parameters)

    # -- opening ---------------------------------------------------------------------------------------------

    def open(self, path: Path, fragment: str = "", *, scripts: bool = True) -> None:
        """Open a file as file://…#fragment and wait until it has loaded; console and requests start anew.

        scripts: False as with JavaScript off (the methods below work all the same).
        """
        self._take_events()
        self._console.clear()
        self._requests.clear()
        self._loaded = False
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self._opened = path.resolve().as_uri()
        address = self._opened + (f"#{fragment}" if fragment else "")
        self.call("Page.navigate", url="about:blank")  # so that a change of the fragment alone loads as well
        self.wait(lambda: self._is_loaded(), "the blank page")
        self._loaded = False
        answer = self.call("Page.navigate", url=address)
        assert not answer.get("errorText"), f"{address}: {answer['errorText']}"
        self.wait(lambda: self._is_loaded(), f"the load of {address}")
        if scripts:
            self.evaluate("document.fonts.ready.then(() => 0)")

    def show(self, html: str, fragment: str = "", *, scripts: bool = True) -> None:
        """Open this source, from a file."""
        path = self._browser.files / "shown.html"
        path.write_text(html, encoding="utf-8")
        self.open(path, fragment, scripts=scripts)

    def resize(self, width: int, height: int) -> None:
        """The size of the window."""
        size = {"width": width, "height": height}
        self.call("Emulation.setDeviceMetricsOverride", deviceScaleFactor=1, mobile=False, **size)

    def media(self, kind: str = "", **features: str) -> None:
        """As on this medium ("print") and with these preferences: prefers_color_scheme="dark"."""
        chosen = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", media=kind, features=chosen)

    # -- looking ---------------------------------------------------------------------------------------------

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, promises awaited.

        Raises AssertionError with the message of what it throws.
        """
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(_complaint(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def dom(self) -> str:
        """The document as it stands."""
        return str(self.evaluate("document.documentElement.outerHTML"))

    def text(self, selector: str = "body") -> str:
        """The text that is visible in an element."""
        return str(self.evaluate(f"{self._element(selector)}.innerText"))

    def style(self, selector: str, name: str) -> str:
        """A computed property: style("td", "background-color")."""
        found = f"getComputedStyle({self._element(selector)}).getPropertyValue({json.dumps(name)})"
        return str(self.evaluate(found))

    def count(self, selector: str) -> int:
        """How many elements there are."""
        return int(self.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length"))

    def box(self, selector: str, *, scroll: bool = False) -> Rectangle:
        """Where an element stands; `scroll`: bring it into the window first, from under a panel too."""
        element = self._element(selector)
        if scroll:
            self.evaluate(
                "(e => { const b = e.getBoundingClientRect();"
                " const seen = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2);"
                " if (b.top < 0 || b.bottom > innerHeight || b.left < 0 || b.right > innerWidth"
                " || !(e.contains(seen) || seen?.contains(e))) "
                "e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'}); })"
                f"({element})"
            )
        values = self.evaluate(f"(b => [b.x, b.y, b.width, b.height])({element}.getBoundingClientRect())")
        return Rectangle(*values)

    def screenshot(self, selector: str = "", path: Path | None = None) -> bytes:
        """PNG of the window, or of one element in full; written to `path` as well if one is given."""
        options: dict[str, Any] = {}
        if selector:
            box = self.box(selector)
            x, y = self.evaluate("[scrollX, scrollY]")
            size = {"width": max(box.width, 1.0), "height": max(box.height, 1.0)}
            clip = {"x": box.x + x, "y": box.y + y, **size, "scale": 1}
            options = {"clip": clip, "captureBeyondViewport": True}
        png = base64.b64decode(self.call("Page.captureScreenshot", format="png", **options)["data"])
        if path:
            path.write_bytes(png)
        return png

    @property
    def console(self) -> list[tuple[str, str]]:
        self._take_events()
        return list(self._console)

    @property
    def errors(self) -> list[str]:
        """What the console says on the level of an error."""
        return [text for level, text in self.console if level == "error"]

    @property
    def requests(self) -> list[str]:
        self._take_events()
        return list(self._requests)

    def wait_for(self, expression: str, seconds: float = 20.0) -> None:
        """Wait until a JavaScript expression is true."""
        self.wait(lambda: bool(self.evaluate(expression)), expression, seconds)

    def wait(self, condition: Any, awaited: str, seconds: float = 60.0) -> None:
        """Wait until condition() is true.  AssertionError names what was awaited."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds:.0f} s for {awaited}; console: {self.console}"
            self._browser.wait(0.02)

    # -- pointing and typing: real events, sent by the browser itself ----------------------------------------

    def hover(self, target: str | tuple[float, float]) -> None:
        """Move the pointer over an element's centre, or to a point of the window."""
        x, y = self._point(target)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, target: str | tuple[float, float], count: int = 1) -> None:
        """Move the pointer there, press and release its left button."""
        x, y = self._point(target)
        self.hover((x, y))
        self._button("mousePressed", x, y, count)
        self._button("mouseReleased", x, y, count)

    def drag(self, start: str | tuple[float, float], end: tuple[float, float], steps: int = 8) -> None:
        """Press at `start`, move in steps, release at `end`."""
        x, y = self._point(start)
        self.hover((x, y))
        self._button("mousePressed", x, y, 1)
        for step in range(1, steps + 1):
            along = step / steps
            place = {"x": x + along * (end[0] - x), "y": y + along * (end[1] - y)}
            self.call("Input.dispatchMouseEvent", type="mouseMoved", button="left", buttons=1, **place)
        self._button("mouseReleased", *end, 1)

    def press(self, *keys: str) -> None:
        """Press keys one after another: "ArrowRight", "a", "Shift+Tab", "Control+a"."""
        for key in keys:
            for event in key_events(key):
                self.call("Input.dispatchKeyEvent", **event)

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.press(*text)

    def close(self) -> None:
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)

    # -- inside ----------------------------------------------------------------------------------------------

    def _button(self, kind: str, x: float, y: float, count: int) -> None:
        held = int(kind == "mousePressed")
        self.call(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=held, clickCount=count
        )

    def _point(self, target: str | tuple[float, float]) -> tuple[float, float]:
        return self.box(target, scroll=True).point() if isinstance(target, str) else target

    def _element(self, selector: str) -> str:
        quoted = json.dumps(selector)
        assert self.evaluate(f"document.querySelector({quoted}) !== null"), f"no element {selector!r}"
        return f"document.querySelector({quoted})"

    def _is_loaded(self) -> bool:
        self._take_events()
        return self._loaded

    def _take_events(self) -> None:
        events = self._browser.events(self._session)
        while events:
            event = events.popleft()
            values = event["params"]
            match event["method"]:
                case "Page.loadEventFired":
                    self._loaded = True
                case "Network.requestWillBeSent":
                    self._asked(values["request"]["url"])
                case "Runtime.exceptionThrown":
                    self._console.append(("error", _complaint(values["exceptionDetails"])))
                case "Runtime.consoleAPICalled":
                    said = " ".join(str(_shown(argument)) for argument in values["args"])
                    self._console.append((values["type"], said))
                case "Log.entryAdded":
                    self._console.append((values["entry"]["level"], values["entry"]["text"]))

    def _asked(self, address: str) -> None:
        if address.split(":")[0] not in ("data", "about") and address.partition("#")[0] != self._opened:
            self._requests.append(address)


def _complaint(details: dict[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details["text"])


def _shown(argument: dict[str, Any]) -> Any:
    return argument.get("value", argument.get("description", argument["type"]))
