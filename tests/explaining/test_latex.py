"""The report as LaTeX: balanced, of a small vocabulary, ASCII in English, and compiled where TeX is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.languages import same
from chainrule.explaining.blocks.kinds import Bars, Maps, Table, Worked
from chainrule.explaining.render.latex import document as latex
from chainrule.explaining.render.latex.blocks import bars_in_parts
from chainrule.explaining.render.latex.math import LatexFormulas, width
from chainrule.explaining.render.latex.tables import Columns
from chainrule.explaining.render.latex.text import LatexVoice
from chainrule.formulas.printing.boxes import SUM, Fence, Numeral, Row, Scripts, Sign, Word, row
from tests.explaining.sample_outline import hostile_outline, sample_outline

FORMS = ("article", "beamer", "fragment")
LANGUAGES = ("en", "zh", "en+zh")
ENGINES = {"en": "pdflatex", "zh": "xelatex", "en+zh": "xelatex"}
PACKAGES = {"fontenc", "lmodern", "geometry", "amsmath", "tikz", "ctex"}
# LaTeX itself, amsmath, and the macros that the fragment provides.
KERNEL = set(
    re.findall(
        r"\\[A-Za-z]+",
        r"""
        \begin \end \section \subsection \noindent \small \footnotesize \scriptsize \tiny \par
        \centering \raggedright \nopagebreak \item \textbf \emph \texttt \tabularnewline \hline
        \enspace \quad \text \tag \label \frac \tfrac \sqrt \hat \widehat \left \right \mathbf
        \mathrm \mathbin \operatorname \boxed \sum \partial \delta \sigma \Theta \alpha \beta
        \gamma \eta \lambda \mu \pi \rho \tau \theta \varepsilon \phi \varphi \psi \omega \Omega
        \Phi \Delta \Sigma \kappa \odot \cdot \cdots \vdots \ddots \ldots \times \to \leftarrow
        \top \approx \le \ge \neq \in \infty \bullet \circ \pm \log \exp \tanh \max \min
        \displaystyle \diamond \surd \textless \textgreater \textbar \textbackslash
        \textasciicircum \textasciitilde \textasciigrave \char \ast \S \prod \equiv \propto
        \leftrightarrow \providecommand \begingroup \endgroup \emergencystretch \bpfit \setbox
        \hbox \ifdim \wd \linewidth \fi \else \ifdefined \resizebox \box \tabcolsep \arraycolsep
        \xeCJKDeclareCharClass \langle \rangle \sim \nabla
        """,
    )
)
SHORT = {"\\" + one for one in "\\[](){}$&#_%,;!:| "}  # \\ \[ \{ \$ ...
HAN = re.compile(r"[^\x00-\x7f]")


@cache
def report() -> cr.Report:
    """A convolutional network, whose report has maps, bars, curves, a chain, matrices and long sums."""
    layers = [cr.Conv2D(3, 3), cr.SELU(), cr.MaxPool2D(2, 1), cr.Flatten(), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=(6, 6, 1), seed=1, name=r"50% of $x_1^2$ & ~\#{}")
    X = np.random.default_rng(0).standard_normal((4, 6, 6, 1))
    network.classes = ["a_b%&#", "{", r"\end{document}"]
    labels = np.array(network.classes)[[0, 1, 2, 1]]
    return cr.explain(network, X, labels, penalty=cr.L2(0.1), check=False)


@cache
def source(form: str, language: str, kind: str = "report") -> str:
    if kind == "report":
        return report().latex(form=form, language=language)
    made: Any = hostile_outline() if kind == "hostile" else sample_outline(language)  # type: ignore[arg-type]
    if kind == "short":  # a presentation of all takes a minute to compile
        made = replace(made, sections=made.sections[2:4])
    return latex.render(made, form)


ALL = [
    (form, language, kind)
    for form in FORMS
    for language in LANGUAGES
    for kind in ("report", "sample", "hostile")
    if kind != "hostile" or language == "en+zh"
]


def commands(text: str) -> set[str]:
    return set(re.findall(r"\\(?:[A-Za-z]+|.)", text.replace("\n", " ")))


def without_comments(text: str) -> str:
    return "\n".join(re.sub(r"(?<!\\)%.*", "", line) for line in text.split("\n"))


@pytest.mark.parametrize(("form", "language", "kind"), ALL)
def test_braces_and_environments_are_balanced(form: str, language: str, kind: str) -> None:
    text = without_comments(source(form, language, kind))
    depth = 0
    for found in re.findall(r"\\.|[{}]", text, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(found, 0)
        assert depth >= 0
    assert depth == 0
    open_: list[str] = []
    for what, name in re.findall(r"\\(begin|end)\{([a-z]+\*?)\}", text):
        if what == "begin":
            open_.append(name)
        else:
            assert open_.pop() == name
    assert not open_
    assert len(re.findall(r"(?<!\\)\\\[", text)) == len(re.findall(r"(?<!\\)\\\]", text))
    dollars = len(re.findall(r"(?<!\\)\$", text.replace(r"\\", "")))
    assert dollars % 2 == 0


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["report", "sample"])
def test_a_fragment_needs_amsmath_alone(language: str, kind: str) -> None:
    text = without_comments(source("fragment", language, kind))
    assert "usepackage" not in text
    assert "documentclass" not in text
    own = set(re.findall(r"\\providecommand(\\bp[A-Za-z]+)", text))
    unknown = commands(text) - KERNEL - SHORT - own
    assert unknown == set()
    assert set(re.findall(r"\\begin\{([a-z]+)\*?\}", text)) <= {
        "aligned", "array", "cases", "center", "enumerate", "itemize", "pmatrix", "tabular",
    }  # fmt: skip


@pytest.mark.parametrize("form", ["article", "beamer"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_packages(form: str, language: str) -> None:
    text = source(form, language)
    assert set(re.findall(r"\\usepackage(?:\[[^]]*\])?\{([^}]*)\}", text)) <= PACKAGES
    assert f"% compile with {ENGINES[language]}" in text


@pytest.mark.parametrize("form", FORMS)
def test_english_is_ascii(form: str) -> None:
    assert HAN.search(source(form, "en")) is None
    assert HAN.search(source(form, "en", "sample")) is None
    assert HAN.search(source(form, "zh")) is not None


@pytest.mark.parametrize("form", FORMS)
def test_printed_products_add_up_to_the_printed_sum(form: str) -> None:
    arrays = re.findall(r"\\begin\{array\}\{[lr]+\} (.*?) \\end\{array\}", source(form, "en"), re.DOTALL)
    sums = [body for body in arrays if r"\hline \sum" in body]
    assert len(sums) >= 4
    for body in sums:
        rows, total = body.split(r" \\ \hline \sum")
        products = [Decimal(line.rpartition("&")[2].strip()) for line in rows.split(r" \\ ")]
        assert sum(products) == Decimal(total.rpartition("&")[2].strip())


def blocks_of(kind: type) -> list[Any]:
    def find(blocks: Any) -> list[Any]:
        found = [block for block in blocks if isinstance(block, kind)]
        return found + [one for block in blocks for one in find(getattr(block, "blocks", ()))]

    return find(report().outline().sections)


def test_pictures_are_drawn_and_a_fragment_has_their_numbers() -> None:
    article, fragment = source("article", "en"), source("fragment", "en")
    panels = sum(len(block.panels) for block in blocks_of(Maps))
    assert article.count(r"\begin{tikzpicture}") >= panels + len(blocks_of(Bars))
    assert "tikz" not in fragment
    assert fragment.count(r"\begin{pmatrix}") > panels
    for name in ("conv1", "selu1", "maxpool1", "dense1", "softmax1"):
        assert name in article
        assert name in fragment


def test_every_worked_element_is_there() -> None:
    elements = blocks_of(Worked)
    assert elements
    for form in FORMS:
        assert source(form, "en").count(r"\begin{aligned}") >= len(elements)


@pytest.mark.parametrize("form", FORMS)
def test_names_are_text(form: str) -> None:
    text = source(form, "en")
    title = r"50\% of \$x\_1\textasciicircum{}2\$ \& \textasciitilde{}\textbackslash{}\#\{\}"
    assert (title in text) == (form != "fragment")
    assert text.count(r"\end{document}") == (form != "fragment")
    hostile = source(form, "en+zh", "hostile")
    assert r"\textasciicircum{}\#\$\%\{\}\textbackslash{}" in hostile


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"form must be one of 'article', .*'fragment', received 'book'"):
        report().latex(form="book")


# -- what makes it fit ---------------------------------------------------------------------------------------


def entry(letter: str, place: int) -> Scripts:
    return Scripts(Word(letter), sub=Numeral(str(place)))


def test_a_long_sum_is_broken_in_its_parentheses() -> None:
    terms: list[Any] = []
    for place in range(12):
        terms += [Sign("+")] if terms else []
        terms.append(row(entry("w", place), Sign("·"), entry("x", place)))
    box = row(Fence(Row(tuple(terms), SUM)), Sign("·"), entry("s", 1))
    formulas = LatexFormulas()
    assert formulas.broken(box, 200) == [formulas.latex(box)]
    lines = formulas.broken(box, 30)
    assert len(lines) > 2
    assert all(line.startswith(("{} +", r"{} \cdot")) for line in lines[1:])
    joined = " ".join(line.removeprefix("{}") for line in lines)
    assert joined.replace(" ", "") == formulas.latex(box).replace(" ", "")
    assert width(box) > 60


def test_columns_of_text_share_the_line() -> None:
    table = Table(("a", "b", "c"), (("short", "words " * 30, "more words " * 12),), (0,))
    columns = Columns.of(table, LatexVoice("en"), 78)
    assert columns.letters.startswith("rp{")
    assert set(columns.broken) == {1, 2}
    assert sum(float(one) for one in re.findall(r"p\{([\d.]+)", columns.letters)) < 1
    assert columns.lines(table.rows[0]) >= 5
    assert Columns.of(Table(("a",), (("b",),)), LatexVoice("en"), 78).letters == "l"


def test_long_tables_and_bars_are_continued() -> None:
    rows = tuple((str(number), "x") for number in range(100))
    table = Table(("n", "x"), rows)
    portions = list(Columns.of(table, LatexVoice("en"), 78).portions(table, 30))
    assert [len(portion) for portion in portions] == [30, 30, 30, 10]
    assert [line[0] for portion in portions for line in portion] == list(rows)
    bars = Bars(Word("x"), same("x"), tuple(map(str, range(70))), np.arange(70.0).reshape(-1, 1))
    parts = bars_in_parts(bars, 30)
    assert [len(part.labels) for part in parts] == [30, 30, 10]
    assert np.array_equal(np.concatenate([part.values for part in parts]), bars.values)


# -- with TeX ------------------------------------------------------------------------------------------------

WRAPPER = r"""\documentclass{article}
%s\usepackage{amsmath}
\begin{document}
\input{fragment}
\end{document}
"""


# Each takes seconds, a presentation most: every form, every language, names that break out of markup.
COMPILED = [
    ("article", "en", "report"),
    ("article", "zh", "report"),
    ("article", "en+zh", "hostile"),
    ("fragment", "en", "report"),
    ("fragment", "en+zh", "report"),
    ("fragment", "zh", "sample"),
    ("beamer", "en", "short"),
    ("beamer", "zh", "short"),
]


@pytest.mark.parametrize(("form", "language", "kind"), COMPILED)
def test_it_compiles(form: str, language: str, kind: str, tmp_path: Path) -> None:
    engine = ENGINES[language]
    if shutil.which(engine) is None:
        pytest.skip(f"needs {engine}, of TeX Live, which is not installed")
    text = source(form, language, kind)
    if form == "fragment":
        (tmp_path / "fragment.tex").write_text(text, encoding="utf-8")
        text = WRAPPER % (r"\usepackage{ctex}" if "zh" in language else "")
    (tmp_path / "report.tex").write_text(text, encoding="utf-8")
    options = ["-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run([engine, *options], cwd=tmp_path, capture_output=True, check=False)
    log = (tmp_path / "report.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, log[-3000:]
    assert re.findall(r"Missing character[^\n]*", log) == []
    wide = re.findall(r"Overfull \\[hv]box \((\d\d+)\.\d+pt[^\n]*", log)
    if kind != "hostile":  # names of sixty characters without a space
        assert wide == []
