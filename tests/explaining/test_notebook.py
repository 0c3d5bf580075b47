"""A report at the end of a notebook's cell: plain text, Markdown with pictures in it, the page in a frame."""

from __future__ import annotations

import base64
import html
import re
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule.explaining.render.markdown import document as markdown
from tests.explaining.reports import NAMES, report
from tests.networks import lenet

KINDS = {"text/plain", "text/markdown", "text/html"}
_PICTURE = re.compile(r"!\[[^\n]*?\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]*)\)")


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", NAMES)
def test_every_kind(name: str) -> None:
    bundle = report(name)._repr_mimebundle_()
    assert set(bundle) == KINDS
    assert bundle["text/plain"].startswith(repr(report(name)))
    assert bundle["text/html"] == report(name)._repr_html_()
    assert bundle["text/markdown"] == markdown.inline(report(name).outline())


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({"include": ["text/plain"]}, {"text/plain"}),
        ({"include": {"text/html", "image/png"}}, {"text/html"}),
        ({"exclude": ["text/html"]}, {"text/plain", "text/markdown"}),
        ({"include": ["text/html", "text/plain"], "exclude": ["text/html"]}, {"text/plain"}),
    ],
)
def test_what_is_asked_for(options: dict[str, object], kinds: set[str]) -> None:
    assert set(report("dense")._repr_mimebundle_(**options)) == kinds


def test_the_page_is_in_a_frame_that_touches_nothing() -> None:
    frame = report("dense")._repr_mimebundle_(["text/html"])["text/html"]
    assert re.match(r'<iframe sandbox="allow-scripts" [^>]*srcdoc="', frame)
    assert html.unescape(frame.split('srcdoc="')[1].split('"')[0]) == report("dense").html()


def test_the_verdict_names_what_was_found() -> None:
    findings = [one for one in report("deep").document["findings"] if one["level"] in ("bad", "warning")]
    assert findings
    first, *others = report("deep")._repr_mimebundle_(["text/plain"])["text/plain"].split("\n")
    assert first == repr(report("deep"))
    assert others == [f"{one['level']}: {one['what']['en']}" for one in findings[:3]]


def test_pictures_are_in_the_text() -> None:
    text = report("conv")._repr_mimebundle_(["text/markdown"])["text/markdown"]
    drawings = [base64.b64decode(found).decode() for found in _PICTURE.findall(text)]
    _, files = markdown.render(report("conv").outline())
    assert drawings == list(files.values())
    for drawing in drawings:
        ElementTree.fromstring(drawing)
    assert "report_files" not in text


def test_a_lenet_stays_small() -> None:
    network = lenet()
    X = np.random.default_rng(0).standard_normal((8, *network.input_shape))
    made = cr.explain(network, X, np.arange(8) % 3, check=False)
    assert len(made._repr_mimebundle_(["text/markdown"])["text/markdown"].encode()) < 300_000


def test_pictures_beyond_the_limit_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "INLINE", 20_000)
    text = markdown.inline(report("conv").outline(language="en"))
    count = len(_PICTURE.findall(text))
    assert 0 < count < 10
    whole = len(markdown.render(report("conv").outline())[1])
    assert text.count("*not drawn here:") == whole - count
    assert sum(map(len, _PICTURE.findall(text))) <= 20_000
