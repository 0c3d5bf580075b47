"""The browser does what the other tests rely on: it sees, points, types, hears errors and requests."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.browser.chromium import Browser
from tests.browser.page import Page

SOURCE = """<!doctype html><meta charset="utf-8"><title>t</title>
<style>p { color: rgb(1, 2, 3) } #far { margin-top: 3000px }</style>
<p id="said">before</p><input id="field"><button id="far" onclick="said.textContent = 'clicked'">b</button>
<script>
  const heard = [];
  for (const kind of ["mousemove", "mousedown", "mouseup", "keydown"])
    addEventListener(kind, e => heard.push([kind, e.key ?? e.buttons, e.isTrusted]));
</script>"""


def test_a_page_is_opened_and_read(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "a page.html"
    path.write_text(SOURCE, encoding="utf-8")
    page.open(path, "step=3")
    assert page.evaluate("location.hash") == "#step=3"
    assert page.evaluate("Promise.resolve([1, {a: null}])") == [1, {"a": None}]
    assert page.text("#said") == "before"
    assert page.style("p", "color") == "rgb(1, 2, 3)"
    assert page.count("p, input") == 2
    assert '<input id="field">' in page.dom()
    assert page.errors == page.requests == []
    with pytest.raises(AssertionError, match="no element '#missing'"):
        page.text("#missing")
    with pytest.raises(AssertionError, match="oh no"):
        page.evaluate("(() => { throw new Error('oh no') })()")


def test_pointer_and_keys_are_real(page: Page) -> None:
    page.show(SOURCE)
    page.click("#far")  # it is scrolled to
    assert page.text("#said") == "clicked"
    page.click("#field")
    page.type("-3.5 x")
    assert page.evaluate("field.value") == "-3.5 x"
    page.press("Control+a", "Delete", "ArrowRight", "Shift+Tab")
    assert page.evaluate("field.value") == ""
    heard = page.evaluate("heard")
    assert all(trusted for *_, trusted in heard)
    assert ["keydown", "ArrowRight", True] in heard
    page.evaluate("heard.length = 0")
    page.drag((100.0, 300.0), (180.0, 300.0), steps=4)
    kinds = [kind for kind, *_ in page.evaluate("heard")]
    assert kinds == ["mousemove", "mousedown", *["mousemove"] * 4, "mouseup"]


def test_errors_and_requests_are_heard(page: Page) -> None:
    policy = "default-src 'none'; script-src 'unsafe-inline'"
    page.show(
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<script>console.log('hello', 1); console.error('bad', 2); throw new TypeError('worse')</script>"
        "<img src='data:,'><img src='picture.png'>"
    )
    assert ("log", "hello 1") in page.console
    assert "bad 2" in page.errors
    assert any("TypeError: worse" in text for text in page.errors)
    assert any("Content Security Policy" in text for text in page.errors)
    page.show("<img src='picture.png'>")
    assert [address.rpartition("/")[2] for address in page.requests] == ["picture.png"]
    page.show("<p>nothing</p>")
    assert page.errors == page.requests == []


def test_scripts_can_be_off(page: Page) -> None:
    source = "<p id='p'>plain</p><script>p.textContent = 'changed'</script><noscript>none</noscript>"
    page.show(source, scripts=False)
    assert page.text() == "plain\n\nnone"
    page.show(source)
    assert page.text() == "changed"


def test_screenshots(page: Page, tmp_path: Path) -> None:
    page.show("<body style='margin: 0'><div id='d' style='width: 120px; height: 2000px; background: #00f'>")
    path = tmp_path / "d.png"
    for png, size in ((page.screenshot(), (1000, 800)), (page.screenshot("#d", path), (120, 2000))):
        assert png.startswith(b"\x89PNG")
        assert struct.unpack(">2I", png[16:24]) == size
    assert path.read_bytes() == png
    page.resize(400, 300)
    assert page.evaluate("[innerWidth, innerHeight]") == [400, 300]


def test_media(page: Page) -> None:
    dark = "@media print and (prefers-color-scheme: dark) { p { display: block } }"
    page.show(f"<style>p {{ display: none }} {dark}</style><p>")
    assert page.style("p", "display") == "none"
    page.media("print", prefers_color_scheme="dark")
    assert page.style("p", "display") == "block"


def test_pages_share_nothing(browser: Browser) -> None:
    pages = [browser.page(), browser.page()]
    for number, page in enumerate(pages):
        page.show(f"<p>{number}</p>")
        page.evaluate(f"document.cookie = sessionStorage.number = 'number={number}'")
    for number, page in enumerate(pages):
        assert page.text("p") == str(number)
        assert page.evaluate("sessionStorage.number") == f"number={number}"
        page.close()
